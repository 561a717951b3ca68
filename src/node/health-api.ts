import type { NodeName } from "../base/node-name.ts";
import type { CheckedPart } from "../health/checks.ts";
import type { CertificateState } from "../health/expiry-watch.ts";
import type { SeedHealth } from "./seed.ts";

/** A connection that somebody said no to, on either side. */
export interface LastRefusal {
  /** ISO time, UTC. */
  readonly at: string;
  readonly role: "initiator" | "acceptor";
  /** `host:port` of the other end. */
  readonly address: string;
  /** Whom we dialled, or what the other end said of itself; null when it said nothing. */
  readonly peer: string | null;
  /** As in the event `refused`. */
  readonly code: string;
  readonly reason: string;
}

/** How a node is at one moment, as far as it knows without asking anybody. */
export interface Vitals {
  /** `yellow`: it works, and something needs a look. `red`: it cannot do its work. See `problems`. */
  readonly state: "green" | "yellow" | "red";
  /** Reasons for `yellow` and `red`, those of the warnings that told of them. */
  readonly problems: readonly string[];
  /** Whether peers can use it: what `ready` of the HTTP endpoint says. */
  readonly isReady: boolean;
  /** `open`, `listener`, `certificates` and `policy`, each well or with a reason. */
  readonly checks: readonly CheckedPart[];
  /** Those of `node.endpoints` at which nobody can reach it now, as while the engine of QUIC starts anew. */
  readonly away: readonly string[];
  readonly selfNode: NodeName;
  /** False when it is closed or closing. */
  readonly isDistributed: boolean;
  readonly connectedNodes: readonly NodeName[];
  readonly connectedCount: number;
  readonly processes: number;
  readonly openCalls: number;
  /** The nodes that this one connects to by itself. */
  readonly seeds: readonly SeedHealth[];
  /** Own certificate, what is between it and its root, trusted CAs, and what peers have shown; the first to end first. */
  readonly certificates: readonly CertificateState[];
  /** How peers are known: by key (`strict`, `tofu`), by certificate (`ca`), or by the cookie alone. */
  readonly trust: "strict" | "tofu" | "ca" | "cookie";
  /** SHA-256 of the policy in force, hexadecimal; null for a node without one. */
  readonly policyHash: string | null;
  /** The last connection that was refused for who somebody is; null when there was none. */
  readonly lastRefusal: LastRefusal | null;
  /** Counters since start, by stable name. */
  readonly counters: Readonly<Record<string, number>>;
}

/** How one peer is. */
export interface PeerHealth {
  readonly name: NodeName;
  /** `alive`: it answers. `suspect`: the session stands and it does not. `dead`: it is missed, and there is no session. */
  readonly state: "alive" | "suspect" | "dead";
  /** Why it does not answer, or is not there; null for one that is alive. `DEADLINE`: no answer in time. */
  readonly reason: string | null;
  /** Round trip, milliseconds; null for one that is not alive, or that nothing may be sent to now. */
  readonly rttMs: number | null;
  /** Of the certificate that it has shown; null when there is none, or nobody vouches for it. */
  readonly certificateDaysLeft: number | null;
}

/** How a node and its peers are. */
export interface Health extends Vitals {
  /** `isolated`: peers are expected and none is alive. `degraded`: some are not. */
  readonly status: "healthy" | "degraded" | "isolated";
  /** Both in the order of `connectedNodes`, which they divide. */
  readonly reachableNodes: readonly NodeName[];
  readonly unreachableNodes: readonly NodeName[];
  /** Those that are connected, in their order, then those that are missed: seeds, and nodes that were dialled and lost. */
  readonly peers: readonly PeerHealth[];
  readonly alive: number;
  readonly suspect: number;
  readonly dead: number;
  /** More than half of the expected nodes are alive, this one included. */
  readonly hasQuorum: boolean;
}
