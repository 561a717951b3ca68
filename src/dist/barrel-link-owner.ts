import type { BarrelAttempt, BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";

/** What a barrel link tells those who count. */
export type LinkEvent =
  /** What is for the peer leaves for another address than before. */
  | { readonly kind: "moved" }
  /** Bytes on stream 0 of the session that are no ticks were dropped. */
  | { readonly kind: "stray"; readonly bytes: number; readonly isFirst: boolean };

/** The same with the peer, whose name is proven. */
export type LinkNotice = LinkEvent & { readonly peer: NodeName };

/** Who asks and hears about one link; the node. */
export interface BarrelLinkOwner {
  /** QUIC stands, nobody has proven anything. */
  barrelSecured(info: CarrierInfo): void;
  /** Answer with `link.answerTrust`, at once or later. Decide only. */
  barrelTrustAsked(question: BarrelTrustQuestion, info: CarrierInfo): void;
  /** How the exchange of keys went; exactly once. */
  barrelAttempted(attempt: BarrelAttempt): void;
  /** Only to be counted, and told the operator. */
  barrelNoticed(notice: LinkNotice): void;
}
