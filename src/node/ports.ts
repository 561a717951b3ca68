import type { NodeName } from "../base/node-name.ts";
import type { CarrierDialer, DialAddress } from "../carrier/carrier.ts";

/** Finds where a node may be reached. An answer is a hint, never identity. */
export interface Resolver {
  /** Addresses to try, best first; empty when this resolver knows none. May reject; the message says why. */
  resolve(name: NodeName, signal: AbortSignal): Promise<readonly DialAddress[]>;
  /** For messages: what was asked, such as `the static table`. */
  readonly label: string;
}

/** Says which nodes there are to connect to, such as the members of a service in DNS. */
export interface SeedSource {
  /** For health and messages: what is asked, such as `dns:worker@workers.example`. */
  readonly label: string;
  /** The names at this moment. May reject: those of the last answer go on counting. */
  list(signal: AbortSignal): Promise<readonly NodeName[]>;
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
export type CertificateReader = (certDer: Buffer) => { readonly spki: string; readonly notAfterMs: number } | undefined;
