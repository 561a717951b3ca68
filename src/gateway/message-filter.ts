import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { MonotonicMs } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { peerFacts } from "../node/peer-facts.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import type { FilterReport } from "./filter-report.ts";
import type { Verdict } from "./verdict.ts";

/** Which of the two nodes of a pair. */
export type Side = "outside" | "inside";

/** One of the two nodes, as it is seen by the other through the gateway. */
export interface PairedNode {
  readonly name: NodeName;
  readonly creation: number;
  /** How its leg is authenticated. */
  readonly assurance: Assurance;
  readonly info: CarrierInfo;
  /** Of the proven key, then of those it follows; empty where the leg proves none. */
  readonly fingerprints: readonly string[];
  /** The raw key, where there is one. */
  readonly publicKey: Uint8Array | undefined;
  /** Of the key that was shown, for records: over QUIC also where no rule may go by it. */
  readonly shownFingerprint?: string | undefined;
  readonly protocol: ProtocolName;
  /** `spki:SHA256:...` of a certificate that a chain vouches for. */
  readonly spki: string | undefined;
}

export const SIDES: readonly Side[] = ["inside", "outside"];

/** The other one. */
export function otherSide(side: Side): Side {
  return side === "outside" ? "inside" : "outside";
}

/** What a policy decides on. */
export function factsOfNode({ name, assurance, protocol, fingerprints, publicKey, spki, info }: PairedNode): PeerFacts {
  return peerFacts({ name, assurance, protocol, fingerprints, publicKey, spki, address: info.remoteAddress });
}

/** What is known of a pair when it comes up. */
export interface PairFacts {
  readonly outside: PairedNode;
  readonly inside: PairedNode;
  readonly dialledBy: Side;
  /** The working set, the same on both legs. */
  readonly flags: bigint;
}

/** Who may say what to whom: the state of one pair, made when it comes up and dropped when it ends. */
export interface MessageFilter {
  /**
   * Judges one whole message. The payload, without version byte, is `buffer[start..end)`, empty when the control has none.
   * Nobody has looked at it: a payload that is forwarded must have been walked, cache references and trailing bytes included.
   * What is thrown ends the pair, as `close`. The verdict may refer to the buffer, for as long as the call that gave it.
   */
  judge(from: Side, control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict;
  /** The two nodes that it stands between. */
  readonly facts?: PairFacts;
  /** More requests of this side should wait until the other one has answered some. Asked after each message. */
  isPressed?(side: Side): boolean;
  /** What it holds and has counted, for an operator. */
  report?(): FilterReport;
  /** The pair is over. */
  ended?(): void;
}

/** Makes the filter of a pair. What is thrown ends the pair. */
export type FilterFactory = (facts: PairFacts) => MessageFilter;
