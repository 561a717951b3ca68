import type { DialTarget, NodeName } from "../base/node-name.ts";
import type { CarrierDialer, DialAddress } from "../carrier/carrier.ts";

/** Finds where a node may be reached. An answer is a hint, never identity. */
export interface Resolver {
  /**
   * Addresses to try, best first; empty when this resolver knows none. May reject; the message says why. `note` takes what
   * the operator should know about an empty answer, such as `no entry`; it stands in the error of a failed dial.
   */
  resolve(name: NodeName, signal: AbortSignal, note?: (said: string) => void): Promise<readonly DialAddress[]>;
  /** For messages: what was asked, such as `the static table`. */
  readonly label: string;
  /** Longest wait for this resolver within a chain, in milliseconds. Default 2,000. */
  readonly maxResolveMs?: number;
  /** Its answer is a guess: when nobody is found there, the error also says what the others had answered. Default false. */
  readonly isGuess?: boolean;
}

/** Says which nodes there are to connect to, such as the members of a service in DNS. */
export interface SeedSource {
  /** For health and messages: what is asked, such as `dns:worker@workers.example`. */
  readonly label: string;
  /** The nodes at this moment. May reject: those of the last answer go on counting. */
  list(signal: AbortSignal): Promise<readonly DialTarget[]>;
}

/** Dialers by scheme; a missing scheme is not allowed on this node. */
export type Dialers = Readonly<Partial<Record<DialAddress["scheme"], CarrierDialer>>>;

/** Says whether a certificate (DER) vouches for a node name. `presented`: the names it holds, escaped. */
export type CertificateJudge = (
  certDer: Buffer,
  name: NodeName,
) => {
  readonly matched: boolean;
  readonly presented: readonly string[];
  readonly warning?: string | undefined;
  /** The certificate may issue others: it is no node's, whatever it names. */
  readonly isAuthority?: boolean;
};

/** What a verified certificate (DER) says beside names; undefined when it cannot be read. */
export type CertificateReader = (
  certDer: Buffer,
) => { readonly spki: string; readonly notBeforeMs: number; readonly notAfterMs: number } | undefined;
