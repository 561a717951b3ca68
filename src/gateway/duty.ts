import { hostPart, localPart, type NodeName } from "../base/node-name.ts";
import { isLoopbackHost } from "../carrier/socket-address.ts";

/** The port mapper that BEAM nodes use unless they are told otherwise. */
const EPMD_PORT = 4_369;

/** What a check asks of the network. Implementations answer within a bound of their own and never reject. */
export interface DutyWorld {
  /** The port that the port mapper at `host:port` has for a name; undefined: none, or no port mapper. */
  lookup(host: string, port: number, name: string): Promise<number | undefined>;
  /** Whether something accepts a connection there. */
  accepts(host: string, port: number): Promise<boolean>;
  /** Addresses of this machine that are not loopback. */
  addresses(): readonly string[];
}

/** One inside node, as the gateway knows it. */
export interface DutySubject {
  readonly inside: NodeName;
  /** It only dials out: it has no need to listen at all. */
  readonly onlyDials: boolean;
  /** Where the gateway dials it. `isUdp`: over QUIC, where no look tells whether anybody listens. */
  readonly dialledAt: { readonly host: string; readonly port: number; readonly isUdp?: boolean } | undefined;
  /** It proves a key to the gateway: it is no BEAM node. Default false. */
  readonly hasKey?: boolean;
  /** The port that it has registered with the gateway's own port mapper. */
  readonly registeredPort: number | undefined;
  /** `host:port` of the gateway's own port mappers. */
  readonly ownMappers: readonly string[];
}

/** A way to the inside node that does not lead through the gateway. */
export interface DutyFinding {
  readonly kind: "in-epmd" | "reachable" | "listens";
  /** One sentence: what stands open, and where. */
  readonly message: string;
  readonly advice: string;
}

/** What stands open at one inside node has changed; none when it is well. */
export interface DutyEvent {
  readonly kind: "duty";
  readonly inside: NodeName;
  readonly findings: readonly DutyFinding[];
}

const LOOPBACK = "127.0.0.1";
const BIND = "start it with `-kernel inet_dist_use_interface '{127,0,0,1}'`";
const BIND_NODE = "let it listen on a loopback address: listen tls://127.0.0.1:PORT";
const LISTEN_NOWHERE = "take listen out of its configuration: it dials out through the gateway all the same";
const NO_LISTEN = "start it with `-dist_listen false`: it dials out through the gateway all the same";

/**
 * Looks for other ways to an inside node than the gateway (threat model 1, deployment duties): a port mapper that others ask
 * and that knows it, and a listener of it that takes connections from outside this machine.
 */
export async function checkDuty(subject: DutySubject, world: DutyWorld): Promise<readonly DutyFinding[]> {
  const { inside, onlyDials, dialledAt, registeredPort } = subject;
  const findings: DutyFinding[] = [];
  const own = new Set(world.addresses());
  const ports = new Set<number>(registeredPort === undefined ? [] : [registeredPort]);
  const [noListen, bind] = subject.hasKey === true ? [LISTEN_NOWHERE, BIND_NODE] : [NO_LISTEN, BIND];
  const advice = onlyDials ? noListen : bind;
  for (const host of new Set([LOOPBACK, hostPart(inside)])) {
    if (subject.ownMappers.includes(`${host}:${EPMD_PORT}`)) continue;
    const port = await world.lookup(host, EPMD_PORT, localPart(inside));
    if (port === undefined) continue;
    if (isHere(host, own)) ports.add(port);
    findings.push({
      kind: "in-epmd",
      message: `the port mapper at ${host}:${EPMD_PORT} tells everybody that ${inside} listens on port ${port}`,
      advice: onlyDials ? noListen : "start it with ERL_EPMD_PORT of the gateway's port mapper",
    });
  }
  if (dialledAt !== undefined && isHere(dialledAt.host, own)) {
    if (dialledAt.isUdp !== true) ports.add(dialledAt.port);
  } else if (dialledAt !== undefined) {
    const message = `the gateway dials ${inside} at ${dialledAt.host}:${dialledAt.port}, over a network that others may be on`;
    findings.push({ kind: "reachable", message, advice: "run the gateway on the machine of the node" });
  }
  for (const port of ports) {
    for (const host of own) {
      if (!(await world.accepts(host, port))) continue;
      const message = `${inside} takes connections at ${host}:${port}, from outside this machine and past the gateway`;
      findings.push({ kind: "reachable", message, advice });
    }
  }
  if (onlyDials && findings.length === 0 && ports.size > 0) {
    const message = `${inside} listens on port ${[...ports].join(", ")}, and every process of this machine reaches it there`;
    findings.push({ kind: "listens", message, advice: noListen });
  }
  return findings;
}

function isHere(host: string, own: ReadonlySet<string>): boolean {
  return isLoopbackHost(host) || own.has(host);
}
