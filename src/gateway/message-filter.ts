import type { Assurance } from "../base/assurance.ts";
import type { MonotonicMs } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { Control } from "../wire/control-types.ts";

/** Which of the two nodes of a pair. */
export type Side = "outside" | "inside";

/** One of the two nodes, as it is seen by the other through the gateway. */
export interface PairedNode {
  readonly name: NodeName;
  readonly creation: number;
  /** How its leg is authenticated. */
  readonly assurance: Assurance;
  readonly info: CarrierInfo;
}

/** What is known of a pair when it comes up. */
export interface PairFacts {
  readonly outside: PairedNode;
  readonly inside: PairedNode;
  readonly dialledBy: Side;
  /** The working set, the same on both legs. */
  readonly flags: bigint;
}

/** What becomes of one message. */
export type Verdict =
  /** It goes on as it came. */
  | typeof FORWARD
  /** Another goes on in its place. The payload term, without version byte, is `buffer[start..end)`; empty when there is none. */
  | {
      readonly kind: "replace";
      readonly control: Control;
      readonly buffer: Uint8Array;
      readonly start: number;
      readonly end: number;
    }
  | typeof DROP
  /** It goes nowhere, and its sender gets this. `payload`: an encoded term, without version byte. */
  | { readonly kind: "answer"; readonly control: Control; readonly payload?: Uint8Array | undefined }
  /** Its sender has broken the rules: the pair ends. */
  | { readonly kind: "close"; readonly error: SallyportError };

export const FORWARD: { readonly kind: "forward" } = { kind: "forward" };
export const DROP: { readonly kind: "drop" } = { kind: "drop" };

/** Who may say what to whom: the state of one pair, made when it comes up and dropped when it ends. */
export interface MessageFilter {
  /**
   * Judges one whole message. The payload, without version byte, is `buffer[start..end)`, empty when the control has none.
   * Nobody has looked at it: a payload that is forwarded must have been walked, cache references and trailing bytes included.
   * What is thrown ends the pair, as `close`.
   */
  judge(from: Side, control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): Verdict;
  /** The pair is over. */
  ended?(): void;
}

/** Makes the filter of a pair. What is thrown ends the pair. */
export type FilterFactory = (facts: PairFacts) => MessageFilter;
