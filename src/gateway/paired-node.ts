import type { ProvenPeer } from "../dist/sink.ts";
import { type Leg, protocolOf } from "./leg.ts";
import type { PairedNode } from "./message-filter.ts";

/**
 * The peer of a leg, as rules go by it. The key of one that dialled over QUIC counts for none: whoever stands between an Erlang
 * dialler and us can have its proof made for our certificate, and then speaks in its place (rulings S3).
 */
export function pairedNode(leg: Leg, peer: ProvenPeer): PairedNode {
  const { name, creation, info, native, role } = peer;
  const shown = native?.publicKey ?? info.proven?.publicKey;
  const publicKey = info.proven !== undefined && role === "acceptor" ? undefined : shown;
  return {
    name,
    creation,
    assurance: leg.assurance,
    info,
    protocol: protocolOf(peer),
    fingerprints: publicKey === undefined ? [] : leg.fingerprintsOf(name, publicKey),
    publicKey,
    shownFingerprint: shown === undefined ? undefined : leg.fingerprintOf(shown),
    spki: info.chainTrusted && info.peerCertDer !== undefined ? leg.spkiOf(info.peerCertDer) : undefined,
  };
}
