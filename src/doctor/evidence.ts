import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo, ProvenByCarrier } from "../carrier/carrier.ts";
import type { Node, Peer } from "../node/api.ts";
import type { NodeProbe, SessionEvidence } from "../node/node-probe.ts";
import { clockIn, clockQuestion, clockSkewText, MAX_CLOCK_SKEW_MS } from "../node/peer-clock.ts";
import { Atom } from "../term/types.ts";
import { flagNames } from "../wire/flags.ts";
import { describeCertificate } from "../x509/describe.ts";
import type { Evidence, Note } from "./report.ts";
import type { StageBook } from "./stage-book.ts";

/** Longest wait for the other node's time, milliseconds. An Erlang node's `net_kernel` does not answer the question. */
const MAX_CLOCK_WAIT_MS = 1_000;

/** Writes down what a TLS session shows: `tls` and `certificate`. `ms`: from the first packet to the end of TLS. */
export function passConnection(
  book: StageBook,
  info: CarrierInfo,
  probe: NodeProbe,
  target: NodeName,
  ms: number | null,
): void {
  if (info.transport === "tcp") {
    book.passed("tls", "plain TCP: whoever can read the network reads everything", { transport: "tcp" });
    book.passed("certificate", "none, without TLS");
    return;
  }
  if (info.transport === "quic") {
    passQuic(book, info, probe, target, ms);
    return;
  }
  const { tlsVersion = "none", tlsCipher = "none", alpn } = info;
  const resumed = info.resumption === "resumed";
  const how = { version: tlsVersion, cipher: tlsCipher, resumed, ...(alpn === undefined ? {} : { alpn }) };
  const note = resumed ? ", resumed: the certificate is what an earlier handshake showed" : "";
  book.passed("tls", `${tlsVersion}, ${tlsCipher}${note}`, how, ms);
  const der = info.peerCertDer;
  if (der === undefined) return;
  const evidence = certificateEvidence(der, info, probe.clock.wallMs());
  const trust = info.chainTrusted ? "of a trusted CA" : "of no trusted CA, which a session by key does not need";
  book.passed("certificate", `${target} shows one ${trust}`, evidence);
}

/** QUIC has TLS 1.3 inside, and the suite is its own affair; no chain is judged, but the key of the certificate was proven. */
function passQuic(book: StageBook, info: CarrierInfo, probe: NodeProbe, target: NodeName, ms: number | null): void {
  const { tlsVersion = "none", alpn = "none", peerCertDer } = info;
  book.passed("tls", `QUIC, ${tlsVersion}, ${alpn}`, { transport: "quic", version: tlsVersion, alpn }, ms);
  if (peerCertDer === undefined) return;
  const evidence = certificateEvidence(peerCertDer, info, probe.clock.wallMs());
  book.passed("certificate", `${target} shows one and holds its key; over QUIC no CA is asked`, evidence);
}

/** Writes down what the exchange of keys over QUIC has shown. */
export function passProven(book: StageBook, { name, publicKey, assurance }: ProvenByCarrier): void {
  const how = publicKey === undefined ? "is taken by its cookie alone" : "proved its key";
  book.passed("identity", `${name} ${how}, assurance ${assurance}`, { protocol: "barrel", assurance });
}

/** Names, dates and issuer of a certificate, and the roots that count here. */
export function certificateEvidence(der: Buffer, info: CarrierInfo, nowMs: number): Evidence {
  try {
    const { names, issuer, notBeforeMs, notAfterMs, fingerprint, serial } = describeCertificate(der);
    return {
      ...{ names, issuer, serial, fingerprint },
      notBefore: new Date(notBeforeMs).toISOString(),
      notAfter: new Date(notAfterMs).toISOString(),
      daysLeft: Math.floor((notAfterMs - nowMs) / 86_400_000),
      ...(info.chainError === undefined ? {} : { chain: info.chainError }),
      ...(info.peerChain === undefined ? {} : { certificatesSent: info.peerChain.length }),
    };
  } catch {
    return { unreadable: true };
  }
}

/** A session to be looked at. */
export interface ExaminedSession {
  readonly node: Node;
  readonly probe: NodeProbe;
  readonly peer: Peer;
  readonly session: SessionEvidence | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Writes down what a standing session shows, from `identity` on, and asks over it. */
export async function passSession(
  book: StageBook,
  { node, probe, peer, session, timeoutMs, signal }: ExaminedSession,
): Promise<{ readonly notes: readonly Note[]; readonly error: SallyportError | undefined }> {
  const { name, protocol, assurance, fingerprint } = peer;
  const key = fingerprint === null ? {} : { fingerprint };
  book.passed("identity", `${name}, protocol ${protocol}, assurance ${assurance}`, { protocol, assurance, ...key });
  const cookieBytes = probe.cookieBytes(name);
  if (cookieBytes === undefined) book.passed("cookie", "none is set here", {});
  else book.passed("cookie", "the same on both sides", { bytes: cookieBytes });
  if (session !== undefined)
    book.passed("flags", "both sides can what the other needs", { common: flagNames(session.flags) });
  const bounds = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  try {
    const { rttMs } = await node.ping(name, bounds);
    book.passed("policy", `${name} and this node let each other connect`);
    const skewMs = await clockSkew(node, probe, peer, bounds);
    const evidence = skewMs === undefined ? {} : { clockSkewMs: skewMs };
    book.passed("session", "a question was answered", { rttMs: Math.round(rttMs * 1000) / 1000, ...evidence });
    return { notes: skewMs === undefined ? [] : skewNotes(name, skewMs), error: undefined };
  } catch (error) {
    signal?.throwIfAborted();
    if (!isSallyportError(error)) throw error;
    return { notes: [], error };
  }
}

/** What the other node's clock is ahead, milliseconds, give or take half the round trip; undefined where it does not tell. */
async function clockSkew(
  node: Node,
  { clock }: NodeProbe,
  { name, protocol }: Peer,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<number | undefined> {
  const bounds = { timeoutMs: Math.min(timeoutMs, MAX_CLOCK_WAIT_MS), ...(signal === undefined ? {} : { signal }) };
  const ask = async (question: () => Promise<number | undefined>): Promise<number | undefined> => {
    const before = clock.wallMs();
    try {
      const theirs = await question();
      return theirs === undefined ? undefined : Math.round(theirs - (before + clock.wallMs()) / 2);
    } catch {
      return undefined;
    }
  };
  const asSallyport = (): Promise<number | undefined> =>
    ask(async () =>
      clockIn(await node.call({ name: "net_kernel", node: name }, clockQuestion(clock.wallMs()), bounds)),
    );
  const asErlang = (): Promise<number | undefined> =>
    ask(async () => {
      const ms = await node.rpc(name, "os", "system_time", [new Atom("millisecond")], bounds);
      return typeof ms === "number" ? ms : undefined;
    });
  if (protocol !== "otp") return asSallyport();
  return (await asSallyport()) ?? (await asErlang());
}

function skewNotes(peer: NodeName, skewMs: number): readonly Note[] {
  if (Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS) return [];
  const advice = `set the clock by NTP on ${quotePeerText(peer)} or here, whichever is wrong`;
  return [{ code: "CLOCK_SKEW", message: clockSkewText(peer, skewMs), advice }];
}
