import type { NativeBinding, NativeConfig } from "./binding.ts";
import { MAX_DATAGRAM_BYTES } from "./packet-size.ts";

/** Windows announced to the peer, octets. Erlang peers stop for ever at the end of a smaller one. barrel-auth section 1.1. */
const STREAM_WINDOW = 2 ** 50;
const CONNECTION_WINDOW = 2 ** 52;
/** Streams of a kind that the peer may have open at once. barrel-auth section 1. */
const MAX_STREAMS = 100;
const MAX_RECEIVED_DATAGRAM = 65_527;
const CONNECTION_IDS = 4;

/** Signature schemes of barrel-auth section 1, without RSA-PKCS1, which TLS 1.3 does not allow in CertificateVerify. */
const SIGNATURES =
  "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512";

export interface ConfigFacts {
  readonly alpn: readonly string[];
  readonly idleTimeoutMs: number;
  /** PEM; a listener has both. */
  readonly certPem?: string;
  readonly keyPem?: string;
}

/**
 * QUIC and TLS parameters of barrel-auth section 1. Chains are never verified; that the peer holds the key of the
 * certificate it shows always is. No early data, no sessions to resume.
 */
export function makeConfig(binding: NativeBinding, facts: ConfigFacts): NativeConfig {
  const keys = facts.keyPem === undefined ? null : [Buffer.from(facts.keyPem)];
  const certificates = facts.certPem === undefined ? null : [Buffer.from(facts.certPem)];
  const config = binding.Config.withBoringSslCtx(false, true, null, keys, certificates, SIGNATURES);
  config.setApplicationProtos([...facts.alpn]);
  config.grease(false);
  config.enablePacing(false);
  config.setMaxIdleTimeout(facts.idleTimeoutMs);
  config.setMaxRecvUdpPayloadSize(MAX_RECEIVED_DATAGRAM);
  config.setMaxSendUdpPayloadSize(MAX_DATAGRAM_BYTES);
  config.setInitialMaxData(CONNECTION_WINDOW);
  config.setInitialMaxStreamDataBidiLocal(STREAM_WINDOW);
  config.setInitialMaxStreamDataBidiRemote(STREAM_WINDOW);
  config.setInitialMaxStreamDataUni(STREAM_WINDOW);
  config.setInitialMaxStreamsBidi(MAX_STREAMS);
  config.setInitialMaxStreamsUni(MAX_STREAMS);
  config.setActiveConnectionIdLimit(CONNECTION_IDS);
  config.setDisableActiveMigration(false);
  return config;
}
