import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { type CarrierInfo, UNSECURED } from "../carrier/carrier.ts";
import type { PeerEntry, PolicyDocument, RuleEntry } from "../policy/document.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { COMMANDER, GatewayTraffic, WORKER } from "./gateway-traffic.ts";

type Side = "outside" | "inside";

/** One node of a pair, as the gateway knows it. */
interface PairedEnd {
  readonly name: NodeName;
  readonly creation: number;
  readonly assurance: Assurance;
  readonly info: CarrierInfo;
  readonly fingerprints: readonly string[];
  readonly publicKey: Uint8Array | undefined;
  readonly protocol: ProtocolName;
  readonly spki: string | undefined;
}

interface Paired {
  readonly outside: PairedEnd;
  readonly inside: PairedEnd;
  readonly dialledBy: Side;
  readonly flags: bigint;
}

/** What is used here of the filter of a pair. */
interface PairJudge<V> {
  judge(from: Side, control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): V;
}

/** What is known of a pair of which the outside node is `COMMANDER` and the inside one `WORKER`, both known by a cookie. */
export function pairFacts(dialledBy: Side = "outside"): Paired {
  return { outside: pairedNode(COMMANDER), inside: pairedNode(WORKER), dialledBy, flags: DEFAULT_FLAGS };
}

function pairedNode({ node, creation }: { readonly node: string; readonly creation: number }): PairedEnd {
  return {
    name: parseNodeName(node),
    creation,
    assurance: "cookie",
    info: { ...UNSECURED, transport: "memory", remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2" },
    fingerprints: [],
    publicKey: undefined,
    protocol: "otp",
    spki: undefined,
  };
}

/** The policy of the node on `side`, in which the other one is `other`. */
export function pairPolicy(side: Side, rules: readonly RuleEntry[], other: Partial<PeerEntry> = {}): PolicyDocument {
  const [own, names] = side === "inside" ? [WORKER.node, [COMMANDER.node]] : [COMMANDER.node, [WORKER.node]];
  return { version: 1, node: own, peers: { other: { names, assurance: "cookie", ...other } }, rules };
}

/** Messages through the filter of a pair: `c` from the outside, `w` from the inside. */
export function pairTraffic<V>(pair: PairJudge<V>): GatewayTraffic<V> {
  return new GatewayTraffic({
    fromCommander: (control, buffer, start, end, now) => pair.judge("outside", control, buffer, start, end, now),
    fromWorker: (control, buffer, start, end, now) => pair.judge("inside", control, buffer, start, end, now),
  });
}
