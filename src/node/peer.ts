import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { NodeName } from "../base/node-name.ts";

/** A peer as an application sees it: who it is, how sure we are, and over what it came. */
export interface Peer {
  readonly name: NodeName;
  /** `SHA256:...` of the identity key, or null where the protocol has none (otp). */
  readonly fingerprint: string | null;
  readonly publicKey: Buffer | null;
  readonly assurance: Assurance;
  readonly protocol: ProtocolName;
  /** DER of the certificate the peer showed, or null. */
  readonly certificate: Buffer | null;
  /**
   * TLS version (`TLSv1.3`) and cipher suite (`TLS_AES_256_GCM_SHA384`) of the connection, and whether it resumed an earlier TLS
   * session, so that `certificate` is what was shown then; null without TLS.
   */
  readonly tls: { readonly version: string; readonly cipher: string; readonly resumed: boolean } | null;
  /** The peer's creation: changes when it restarts. */
  readonly incarnation: number;
  /** `host:port` of the other end. */
  readonly address: string;
  /** Which side dialled the connection: `initiator`, where this node did. */
  readonly role: "initiator" | "acceptor";
}
