/**
 * One step from a file to the next. `imports`: the first file reaches the second by imports, going only through files
 * of these two folders. A name: the first file speaks to the second through this interface, which it imports or declares;
 * the second implements it and is passed in, and no import leads from the first to the second.
 */
export interface Step {
  readonly from: string;
  readonly to: string;
  readonly via: "imports" | { readonly sink: string };
}

export interface Walk {
  readonly name: string;
  /** In order. An import must go to the same or a lower rank; where the walk climbs, the step is a sink. */
  readonly steps: readonly Step[];
}

const imports = "imports" as const;

/** The walks of docs/architecture.md. That of a gateway frame joins when its folder does. */
export const WALKS: readonly Walk[] = [
  {
    name: "a byte, socket to mailbox",
    steps: [
      { from: "carrier/tls.ts", to: "dist/connection.ts", via: { sink: "CarrierSink" } },
      { from: "dist/connection.ts", to: "wire/deframer.ts", via: imports },
      { from: "dist/connection.ts", to: "dist/receive.ts", via: imports },
      { from: "dist/receive.ts", to: "wire/packet.ts", via: imports },
      { from: "dist/receive.ts", to: "wire/control.ts", via: imports },
      { from: "dist/connection.ts", to: "node/connection-sink.ts", via: { sink: "DistSink" } },
      { from: "node/connection-host.ts", to: "node/session-host.ts", via: { sink: "ConnectionHost" } },
      { from: "node/session-host.ts", to: "node/inbound.ts", via: imports },
      { from: "node/inbound.ts", to: "guard/ownership.ts", via: imports },
      { from: "node/inbound.ts", to: "guard/classify.ts", via: imports },
      { from: "node/inbound.ts", to: "guard/verdicts.ts", via: imports },
      { from: "guard/verdicts.ts", to: "policy/authority.ts", via: imports },
      { from: "node/inbound.ts", to: "guard/weigh.ts", via: imports },
      { from: "node/inbound.ts", to: "node/decode-payload.ts", via: imports },
      { from: "node/inbound.ts", to: "process/local-process.ts", via: imports },
    ],
  },
  {
    name: "a refusal, decision to record",
    steps: [
      { from: "node/inbound.ts", to: "node/refusals.ts", via: imports },
      { from: "node/refusals.ts", to: "guard/refusal-answer.ts", via: imports },
      { from: "node/refusals.ts", to: "node/decisions.ts", via: imports },
      { from: "node/decisions.ts", to: "guard/decision-log.ts", via: imports },
      { from: "node/decisions.ts", to: "audit/audit-trail.ts", via: imports },
      { from: "control/node-policy.ts", to: "node/api.ts", via: imports },
      { from: "cli/commands/policy-why.ts", to: "control/control-protocol.ts", via: imports },
    ],
  },
  {
    name: "a policy, file to live sessions",
    steps: [
      { from: "create-node.ts", to: "config/policy-source.ts", via: imports },
      { from: "config/policy-source.ts", to: "config/load-policy.ts", via: imports },
      { from: "config/load-policy.ts", to: "config/parse-policy.ts", via: imports },
      { from: "config/load-policy.ts", to: "policy/compile.ts", via: imports },
      { from: "config/load-policy.ts", to: "policy/review/run-tests.ts", via: imports },
      { from: "node/own-policy.ts", to: "config/policy-source.ts", via: { sink: "PolicySource" } },
      { from: "node/own-policy.ts", to: "node/policy-keeper.ts", via: imports },
      { from: "node/own-policy.ts", to: "node/session-host.ts", via: imports },
      { from: "node/session-host.ts", to: "node/standings.ts", via: imports },
      { from: "node/standings.ts", to: "guard/session-guard.ts", via: imports },
      { from: "guard/session-guard.ts", to: "guard/verdicts.ts", via: imports },
      { from: "node/standings.ts", to: "node/inbound.ts", via: imports },
    ],
  },
  {
    name: "a handshake, bytes to admission",
    steps: [
      { from: "dist/connection.ts", to: "dist/handshake.ts", via: imports },
      { from: "dist/handshake.ts", to: "auth/otp-acceptor.ts", via: imports },
      { from: "dist/handshake.ts", to: "auth/otp-initiator.ts", via: imports },
      { from: "dist/connection.ts", to: "node/connection-sink.ts", via: { sink: "DistSink" } },
    ],
  },
  {
    name: "an outgoing call",
    steps: [
      { from: "node/node.ts", to: "node/outbound.ts", via: imports },
      { from: "node/outbound.ts", to: "node/call-table.ts", via: imports },
      { from: "node/node.ts", to: "node/session-host.ts", via: imports },
      { from: "node/session-host.ts", to: "node/dial.ts", via: imports },
      { from: "node/session-host.ts", to: "node/session.ts", via: imports },
      { from: "node/session.ts", to: "dist/connection.ts", via: imports },
      { from: "dist/connection.ts", to: "dist/send.ts", via: imports },
      { from: "dist/send.ts", to: "term/encode.ts", via: imports },
      { from: "dist/connection.ts", to: "carrier/carrier.ts", via: imports },
    ],
  },
  {
    name: "a command of the command line",
    steps: [
      { from: "cli/main.ts", to: "create-node.ts", via: imports },
      { from: "create-node.ts", to: "node/node.ts", via: imports },
      { from: "create-node.ts", to: "carrier/tls.ts", via: imports },
      { from: "create-node.ts", to: "system/real-clock.ts", via: imports },
    ],
  },
];
