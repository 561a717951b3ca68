import { isIP } from "node:net";
import { type CarrierInfo, UNSECURED } from "../carrier.ts";
import { formatAddress } from "../socket-address.ts";
import { FrameError } from "./engine-frames.ts";
import type { JsonBody } from "./json-body.ts";

/** QUIC version 1 knows no other. */
const TLS_VERSION = "TLSv1.3";
const MAX_CERTIFICATE_BYTES = 16 * 1024;

/**
 * The facts of a connection that stands. The chain is never trusted: who the peer is has to be proven above. The engine gives
 * out no keying material. `ownCert` is what this side showed: a dialling side shows none.
 * @throws {FrameError} when the engine does not say them properly
 */
export function openedInfo(fields: JsonBody, ownCert: Buffer | undefined): CarrierInfo {
  const remote = fields.text("remoteHost");
  const local = fields.text("localHost");
  if (isIP(remote) === 0 || isIP(local) === 0) throw new FrameError("no address");
  const certificate = Buffer.from(fields.text("peerCert"), "base64");
  if (certificate.length > MAX_CERTIFICATE_BYTES) throw new FrameError("a certificate that is too long");
  const alpn = fields.text("alpn");
  return {
    ...UNSECURED,
    transport: "quic",
    remoteAddress: formatAddress(remote, fields.port("remotePort")),
    localAddress: formatAddress(local, fields.port("localPort")),
    tlsVersion: TLS_VERSION,
    alpn: alpn === "" ? undefined : alpn,
    ownCertDer: ownCert,
    peerCertDer: certificate.length === 0 ? undefined : certificate,
  };
}
