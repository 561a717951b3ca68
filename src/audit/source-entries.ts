import type { AuditFields } from "./record.ts";

/** Why a connection was closed before a byte of TLS. */
export const SOURCE_NOT_ALLOWED = "SOURCE_NOT_ALLOWED";

/** A connection that the lists of sources turned away at accept. */
export interface SourceEntry {
  /** The address it came from, without port. */
  readonly address: string;
  /** The network that such connections are counted by: an IPv4 /24, an IPv6 /56, one loopback address. */
  readonly source: string;
}

/** The record of one that was turned away. Nothing is known of it but the address. */
export function sourceFields({ address }: SourceEntry): AuditFields {
  return {
    kind: "attempt",
    id: "",
    role: "acceptor",
    protocol: null,
    address,
    peer: null,
    peerIs: null,
    fingerprint: null,
    pinned: null,
    assurance: null,
    outcome: "refused",
    code: "ERR_DENIED",
    reason: SOURCE_NOT_ALLOWED,
    stage: "port",
    durationMs: 0,
  };
}
