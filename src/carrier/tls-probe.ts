import { connect, isIP, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContextOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { ProbeAnswer, ProbeQuestion } from "./carrier.ts";
import { chainAsSent } from "./chain-depth.ts";
import { formatAddress } from "./socket-address.ts";
import { explainSocketError } from "./tls-errors.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** Octets of the other side that are kept as evidence. */
export const FIRST_BYTES = 8;

/** Every suite the platform has, weak ones too: what is asked is whether the other side takes it, nothing is sent over it. */
const ALL_CIPHERS = "ALL:@SECLEVEL=0";

/** A suite of TLS 1.2 for where only suites of TLS 1.3 are named: without one OpenSSL does not take the security level. */
const STAND_IN = "ECDHE-ECDSA-AES256-GCM-SHA384";

/** What a probe needs beside its question. */
export interface ProbeParts {
  readonly clock: Clock;
  /** Absent: no certificate is shown. */
  readonly material?: TlsMaterial;
  /** As the node itself dials; empty for a node without TLS. */
  readonly configured: SecureContextOptions;
  readonly alpn: readonly string[];
}

/** Runs one TLS handshake and closes: sends no byte of its own. Never rejects. */
export function probeTls(parts: ProbeParts, question: ProbeQuestion): Promise<ProbeAnswer> {
  const { address, serverName, timeoutMs } = question;
  const where = { address: formatAddress(address.host, address.port), role: "dial", opening: true } as const;
  return new Promise((resolve) => {
    const seen = new FirstBytes();
    const socket = connect({ host: address.host, port: address.port, autoSelectFamilyAttemptTimeout: 2000 });
    let tls: TLSSocket | undefined;
    const finish = (answer: Omit<ProbeAnswer, "firstBytes">): void => {
      timer.cancel();
      tls?.destroy();
      socket.destroy();
      resolve({ ...answer, firstBytes: seen.bytes });
    };
    const failed = (error: unknown): void => finish({ opened: undefined, error: explainSocketError(error, where) });
    const late = (): void =>
      failed(
        Object.assign(new Error("no answer"), { code: tls === undefined ? "ETIMEDOUT" : "ERR_TLS_HANDSHAKE_TIMEOUT" }),
      );
    const timer = parts.clock.at(addMs(parts.clock.now(), timeoutMs), late);
    socket.on("error", failed);
    socket.once("close", () => finish({ opened: undefined, error: closedEarly(where.address) }));
    socket.once("connect", () => {
      try {
        tls = handshake(parts, question, seen.around(socket), serverName);
      } catch (error) {
        failed(error);
        return;
      }
      const secure = tls;
      secure.on("error", failed);
      secure.once("secureConnect", () => {
        const peer = secure.getPeerX509Certificate();
        const peerChain = peer === undefined ? [] : chainAsSent(peer);
        const opened = { version: secure.getProtocol() ?? "unknown", cipher: secure.getCipher().name, peerChain };
        finish({ opened, error: undefined });
      });
    });
  });
}

function handshake(parts: ProbeParts, question: ProbeQuestion, stream: Duplex, serverName: string): TLSSocket {
  const { material, configured } = parts;
  const { version, ciphers, asConfigured = false } = question;
  const { cert, key, passphrase } = configured;
  const open: SecureContextOptions = {
    ...(cert === undefined ? {} : { cert, key, passphrase }),
    ca: material?.caPem ?? [],
    minVersion: version ?? "TLSv1.2",
    maxVersion: version ?? "TLSv1.3",
    ciphers:
      ciphers === undefined
        ? ALL_CIPHERS
        : [...ciphers, ...(version === "TLSv1.3" ? [STAND_IN] : []), "@SECLEVEL=0"].join(":"),
  };
  return tlsConnect({
    socket: stream,
    ...(isIP(serverName) === 0 && serverName !== "" ? { servername: serverName } : {}),
    secureContext: createSecureContext(asConfigured ? configured : open),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(parts.alpn.length === 0 ? {} : { ALPNProtocols: [...parts.alpn] }),
  });
}

/** Hands bytes through in both directions, and keeps the first that come in. */
class FirstBytes {
  bytes: Buffer = Buffer.alloc(0);

  around(socket: Socket): Duplex {
    const stream = new Duplex({
      read: () => void socket.resume(),
      write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, (error) => done(error)),
      final: (done) => {
        socket.end();
        done();
      },
      destroy: (error, done) => {
        socket.destroy();
        done(error);
      },
    });
    socket.on("data", (chunk: Buffer) => {
      if (this.bytes.length < FIRST_BYTES) this.bytes = Buffer.concat([this.bytes, chunk]).subarray(0, FIRST_BYTES);
      if (!stream.push(chunk)) socket.pause();
    });
    socket.once("end", () => stream.push(null));
    return stream;
  }
}

function closedEarly(address: string): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_WHILE_OPENING",
    `${address} closed before the tls connection was up`,
    {
      detail: { address },
      stage: "tls",
      advice: "check that this is the port of a node that expects TLS, and read its log",
    },
  );
}
