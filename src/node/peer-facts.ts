import type { Assurance, ProtocolName } from "../base/assurance.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { KnownConnection } from "./connection-host.ts";
import type { ConnectionParts } from "./connection-parts.ts";

/** What `peerFacts` is made from. */
export interface KnownPeer {
  readonly name: NodeName;
  readonly assurance: Assurance;
  readonly protocol: ProtocolName;
  /** The proven key's fingerprint first, then those it follows; empty where there is none. */
  readonly fingerprints: readonly string[];
  /** The raw key, where there is one. */
  readonly publicKey: Uint8Array | undefined;
  readonly spki: string | undefined;
  /** `host:port`. */
  readonly address: string;
}

/** What a policy decides on, of one peer that is authenticated. */
export function peerFacts(peer: KnownPeer): PeerFacts {
  const { name, assurance, protocol, fingerprints, publicKey, spki, address } = peer;
  return {
    name: canonicalName(name),
    assurance,
    protocol,
    fingerprints,
    publicKeys: publicKey === undefined ? [] : [Buffer.from(publicKey).toString("base64")],
    spki,
    source: hostOfAddress(address),
  };
}

/** The same of an authenticated peer on one connection. */
export function factsOfConnection(
  { name, assurance, protocol, publicKey, info }: KnownConnection,
  { identity, readCertificate }: Pick<ConnectionParts, "identity" | "readCertificate">,
): PeerFacts {
  const fingerprints = publicKey === undefined ? [] : (identity?.fingerprintsOf(name, publicKey) ?? []);
  const certificate = info.chainTrusted ? info.peerCertDer : undefined;
  const spki = certificate === undefined ? undefined : readCertificate?.(certificate)?.spki;
  return peerFacts({ name, assurance, protocol, fingerprints, publicKey, spki, address: info.remoteAddress });
}

/** The address without its port and brackets; undefined when it has no such form. */
function hostOfAddress(address: string): string | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):\d+$/.exec(address);
  return match?.[1] ?? match?.[2];
}

/**
 * The key of a peer that we dialled over QUIC. That of one that dialled us counts for no rule: whoever stands between an Erlang
 * dialler and us can have its proof made for our certificate, and then speaks in its place (rulings S3).
 */
export function dialledKeyOf({ role, info }: ProvenPeer): PublicKey | undefined {
  return role === "initiator" ? info.proven?.publicKey : undefined;
}
