import { withFinding } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { hostPart } from "../base/node-name.ts";
import type { CarrierDialer, DialAddress, OwnTls, ProbeAnswer, ProbeQuestion } from "../carrier/carrier.ts";
import { probeTls } from "../carrier/tls-probe.ts";
import { type NetworkWorld, type PlainAnswer, probePlain } from "./network-probes.ts";
import type { Evidence } from "./report.ts";

/** Longest wait for one handshake asked for as evidence, milliseconds. */
export const MAX_TLS_PROBE_MS = 2_000;
/** Suites of the other side that are found out at most; each is one handshake. */
export const MAX_ASKED_SUITES = 8;

const TLS13_SUITES: readonly string[] = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
];

/** ContentType alert or handshake, then the version 3.x (RFC 8446 section 5.1). */
const TLS_RECORD = /^1[56]03/;

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

/** A failed dial, and what may be asked to find out more. */
export interface FailedDial {
  readonly error: SallyportError;
  readonly target: NodeName;
  readonly own: NodeName;
  readonly address: DialAddress;
  readonly dialer: CarrierDialer | undefined;
  readonly world: NetworkWorld;
}

/** The failure with what was found out, and the evidence for it. */
export interface Refined {
  readonly error: SallyportError;
  readonly evidence: Evidence;
}

/** Asks the other side again, in other ways, where its first answer leaves open what is wrong. Never rejects. */
export async function refineTls(dial: FailedDial): Promise<Refined> {
  const { error } = dial;
  if (error.detail["diagnosis"] !== undefined) return { error, evidence: {} };
  switch (error.reason) {
    case "TLS_ALERT_PROTOCOL_VERSION":
    case "TLS_VERSION_UNSUPPORTED":
      return versions(dial);
    case "TLS_ALERT_HANDSHAKE_FAILURE":
    case "TLS_NO_SHARED_CIPHER":
      return suites(dial);
    case "NOT_A_TLS_PEER":
    case "CLOSED_WHILE_OPENING":
    case "CONNECTION_RESET":
    case "CONNECTION_LOST":
    case "TLS_HANDSHAKE_TIMEOUT":
    case "HANDSHAKE_TIMEOUT":
    case "CONNECT_TIMEOUT":
    case "NOT_A_DIST_PEER":
    case "CLOSED_DURING_HANDSHAKE":
      return plain(dial);
    default:
      return { error, evidence: {} };
  }
}

async function versions(dial: FailedDial): Promise<Refined> {
  const taken: string[] = [];
  for (const version of VERSIONS) if ((await ask(dial, { version }))?.opened !== undefined) taken.push(version);
  const remote = taken.length === 0 ? "none of TLSv1.2 and TLSv1.3" : taken.join(", ");
  const own = ownVersions(dial.dialer?.own);
  const says = `this node allows ${own}, ${dial.target} takes ${remote}`;
  const advice = `allow one version on both: minVersion and maxVersion here, {versions, [...]} in ssl_dist.conf`;
  const error = withFinding(dial.error, { code: "TLS_VERSION_MISMATCH", fault: "either", says, advice });
  return { error, evidence: { localVersions: own, remoteVersions: remote } };
}

async function suites(dial: FailedDial): Promise<Refined> {
  const { target, error } = dial;
  const own = dial.dialer?.own;
  const taken = await takenSuites(dial);
  if (taken.length === 0)
    return { error, evidence: { localVersions: ownVersions(own), remoteSuites: "none was taken" } };
  const local = own?.ciphers ?? ["those of the platform"];
  const shared = own?.ciphers?.filter((suite) => taken.includes(suite)) ?? [];
  const says = `this node offers ${local.join(", ")}, ${target} takes ${taken.join(", ")}`;
  const advice =
    "put one suite of the other side into both lists; an ECDSA certificate needs ECDSA suites, an RSA one RSA suites";
  return {
    error: withFinding(error, { code: "CIPHER_MISMATCH", fault: "either", says, advice }),
    evidence: { localSuites: local, remoteSuites: taken, sharedSuites: shared },
  };
}

/** What the other side takes of all that the platform has, best first as it chooses. */
async function takenSuites(dial: FailedDial): Promise<readonly string[]> {
  const taken: string[] = [];
  for (const suite of TLS13_SUITES) {
    if ((await ask(dial, { version: "TLSv1.3", ciphers: [suite] }))?.opened !== undefined) taken.push(suite);
  }
  const old: string[] = [];
  while (old.length < MAX_ASKED_SUITES) {
    const answer = await ask(dial, { version: "TLSv1.2", ciphers: ["ALL", ...old.map((suite) => `!${suite}`)] });
    const suite = answer?.opened?.cipher;
    if (suite === undefined || old.includes(suite)) break;
    old.push(suite);
  }
  return [...taken, ...old];
}

/** Whether the two speak at all: with TLS here and without it there, or the other way round. */
async function plain(dial: FailedDial): Promise<Refined> {
  const { error, address, target } = dial;
  const answer = await probePlain(dial.world, address, dial.own);
  const bytes = answer.firstBytes !== "" ? answer.firstBytes : await firstTlsBytes(dial);
  const evidence = { plainHandshake: answer.speaks, ...(bytes === "" ? {} : { firstBytes: bytes }) };
  const speaksTls = answer.speaks === "tls" || TLS_RECORD.test(bytes);
  const finding = address.scheme === "tls" ? withoutTls(answer, target) : withTls(speaksTls, target);
  return { error: finding === undefined ? error : withFinding(error, finding), evidence };
}

function withoutTls({ speaks }: PlainAnswer, target: NodeName): Parameters<typeof withFinding>[1] | undefined {
  if (speaks !== "dist") return undefined;
  return {
    code: "NOT_A_TLS_PEER",
    fault: "remote",
    says: `${target} answers the distribution handshake without TLS`,
    advice: "let it distribute over TLS (Erlang: -proto_dist inet_tls with -ssl_dist_optfile)",
  };
}

function withTls(speaksTls: boolean, target: NodeName): Parameters<typeof withFinding>[1] | undefined {
  if (!speaksTls) return undefined;
  return {
    code: "NOT_A_TLS_PEER",
    fault: "local",
    says: `${target} speaks TLS, and this node dials it without`,
    advice: "give this node certificates, and the address of the other as tls://HOST:PORT",
  };
}

/** What the other side says to a TLS hello; of this node's own, or one without certificate where it has no TLS. */
async function firstTlsBytes(dial: FailedDial): Promise<string> {
  const { address, target, world } = dial;
  const answer =
    (await ask(dial, { asConfigured: true })) ??
    (await probeTls(
      { clock: world.clock, configured: {}, alpn: [] },
      { address, serverName: hostPart(target), timeoutMs: MAX_TLS_PROBE_MS },
    ));
  return answer.firstBytes.toString("hex");
}

function ask(
  { address, target, dialer }: FailedDial,
  question: Omit<ProbeQuestion, "address" | "serverName" | "timeoutMs">,
): Promise<ProbeAnswer | undefined> {
  const asked = { ...question, address, serverName: hostPart(target), timeoutMs: MAX_TLS_PROBE_MS };
  return dialer?.probe?.(asked) ?? Promise.resolve(undefined);
}

function ownVersions(own: OwnTls | undefined): string {
  if (own === undefined) return "no TLS";
  return own.minVersion === own.maxVersion ? own.minVersion : `${own.minVersion} to ${own.maxVersion}`;
}
