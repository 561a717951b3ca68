import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { ResumptionFault, SessionEpoch } from "./accepted-sessions.ts";
import { type CarrierInfo, UNSECURED } from "./carrier.ts";
import { chainAsSent, noteIntermediates, verifiedPath } from "./chain-depth.ts";
import type { KeptSession } from "./dialled-sessions.ts";
import { formatAddress } from "./socket-address.ts";
import type { CheckedMaterial, TlsCarrierOptions } from "./tls-context.ts";
import { DEFAULT_CHAIN_DEPTH } from "./tls-protocol.ts";
import { isWithin, type VerifiedChain, verifiedChain } from "./verified-chain.ts";

/** What TLS says of the peer, in a full handshake or in one that resumes. */
export interface PeerOfTls {
  readonly der: Buffer | undefined;
  readonly chainError: string | undefined;
  readonly chainAsSent: readonly Buffer[];
  readonly isResumed: boolean;
  /** Absent when the peer showed no certificate. */
  readonly chain: VerifiedChain | undefined;
}

/** The peer of a handshake in which it showed its certificates. */
export function peerAsShown(socket: TLSSocket, checked: CheckedMaterial, options: TlsCarrierOptions): PeerOfTls {
  const peer = socket.getPeerX509Certificate();
  // For a client without certificate the verdict is about nothing; only the absent certificate tells.
  if (peer === undefined) {
    return { der: undefined, chainError: "NO_CERTIFICATE", chainAsSent: [], isResumed: false, chain: undefined };
  }
  const { authorities, own, ownEndsMs } = checked;
  const path = socket.authorized ? verifiedPath(peer, authorities) : undefined;
  const chainError = chainErrorOf(socket, path, options);
  if (chainError === undefined) noteIntermediates(peer, own.seen);
  const chain = verifiedChain(peer, path, chainError, ownEndsMs);
  return { der: chain.leafDer, chainError, chainAsSent: chainAsSent(peer), isResumed: false, chain };
}

/** The peer of a dialled session that the other side resumed. @throws {SallyportError} ERR_DENIED RESUMPTION_REFUSED */
export function peerAsKept(
  socket: TLSSocket,
  address: string,
  offer: KeptSession | undefined,
  clock: Clock,
): PeerOfTls {
  if (offer === undefined) throw resumptionRefused(address, "not-verified");
  if (clock.now() >= offer.expiresAt || !isWithin(offer.chain, clock.wallMs())) {
    throw resumptionRefused(address, "ended");
  }
  return resumedPeer(socket, offer.chain);
}

/** The peer of an accepted session that was resumed. @throws {SallyportError} ERR_DENIED RESUMPTION_REFUSED */
export function peerAsRemembered(socket: TLSSocket, address: string, epoch: SessionEpoch | undefined): PeerOfTls {
  const peer: X509Certificate | undefined = socket.getPeerX509Certificate();
  const verdict = epoch?.judge(peer?.raw) ?? ({ kind: "refused", why: "not-verified" } as const);
  if (verdict.kind === "refused") throw resumptionRefused(address, verdict.why);
  return resumedPeer(socket, verdict.chain);
}

/** The verdict of then and the one that OpenSSL keeps with a session have to agree that the chain is trusted. */
function resumedPeer(socket: TLSSocket, chain: VerifiedChain): PeerOfTls {
  const { leafDer: der } = chain;
  const chainError = chain.chainError ?? verdictOf(socket);
  return { der, chainError, chainAsSent: [der], isResumed: true, chain };
}

/** What is known once TLS stands. */
export function openInfo(
  socket: TLSSocket,
  remoteAddress: string,
  { certDer: ownCertDer, own }: CheckedMaterial,
  options: TlsCarrierOptions,
  { der: peerCertDer, chainError, chainAsSent: peerChain, isResumed }: PeerOfTls,
): CarrierInfo {
  const alpn = socket.alpnProtocol;
  return {
    transport: "tls",
    remoteAddress,
    localAddress: formatAddress(socket.localAddress, socket.localPort),
    tlsVersion: socket.getProtocol() ?? undefined,
    tlsCipher: socket.getCipher().name,
    alpn: typeof alpn === "string" && options.alpn?.includes(alpn) === true ? alpn : undefined,
    ownCertDer,
    peerCertDer,
    chainTrusted: chainError === undefined,
    chainError,
    ...(chainError === undefined ? {} : { peerChain }),
    ...(isResumed ? { resumption: "resumed" } : {}),
    own,
    exporter: (label, length) => exportKey(socket, label, length),
  };
}

/** What is known before that. */
export function openingInfo(
  remoteAddress: string,
  socket: Socket,
  { own }: CheckedMaterial,
  isOffering: boolean = false,
): CarrierInfo {
  return {
    transport: "tls",
    remoteAddress,
    localAddress: formatAddress(socket.localAddress, socket.localPort),
    ...UNSECURED,
    ...(isOffering ? { resumption: "offered" } : {}),
    own,
  };
}

/** OpenSSL's limit of the chain's length is out of Node's reach, so its own code for it comes from here. */
function chainErrorOf(
  socket: TLSSocket,
  path: readonly X509Certificate[] | undefined,
  options: TlsCarrierOptions,
): string | undefined {
  const verdict = verdictOf(socket);
  if (verdict !== undefined) return verdict;
  // Of the way, only what stands between its ends counts.
  const isTooLong = path === undefined || path.length - 2 > (options.depth ?? DEFAULT_CHAIN_DEPTH);
  return isTooLong ? "CERT_CHAIN_TOO_LONG" : undefined;
}

/** Node types the verdict as Error; it is the stable code as text, or null. */
function verdictOf(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined;
  const error: unknown = socket.authorizationError;
  return typeof error === "string" ? error : error instanceof Error ? error.message : "UNSPECIFIED";
}

function exportKey(socket: TLSSocket, label: string, length: number): Buffer {
  try {
    return socket.exportKeyingMaterial(length, label, Buffer.alloc(0));
  } catch (cause) {
    throw new SallyportError(
      "ERR_CLOSED",
      "EXPORTER_CLOSED",
      "the TLS session is gone and gives no keying material any more",
      {
        stage: "identity",
        advice: "connect again",
        cause,
      },
    );
  }
}

const FAULTS: Readonly<Record<ResumptionFault, string>> = {
  "no-certificate": "it comes without a certificate",
  "not-verified": "the chain of its certificate has not been verified here, or does not count any more",
  ended: "a certificate of its chain has ended since, or the session is more than an hour old",
};

function resumptionRefused(address: string, why: ResumptionFault): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "RESUMPTION_REFUSED",
    `${address} resumed a TLS session that does not count any more: ${FAULTS[why]}`,
    {
      detail: { address, why },
      stage: "tls",
      advice: "nothing: the next connection runs a full handshake; a node that dials does so at once",
    },
  );
}
