import { type SallyportError, type Stage, withNote } from "./errors.ts";

/** The steps of a connection attempt as `doctor connect` reports them, in their order. */
export const PROBE_STAGES = [
  "name",
  "resolve",
  "port",
  "tls",
  "certificate",
  "identity",
  "cookie",
  "flags",
  "policy",
  "session",
] as const;

export type ProbeStage = (typeof PROBE_STAGES)[number];

/** Which side has to change something. `local`: the one that speaks here. `either`: the two differ, one has to follow the other. */
export type Fault = "local" | "remote" | "network" | "either";

/** What a failed connection attempt comes down to (docs/doctor.md). */
export interface Diagnosis {
  /** A code of the table in docs/doctor.md, the same on both ends; the reason of the error where the table has no row. */
  readonly code: string;
  readonly stage: ProbeStage;
  readonly fault: Fault;
  /** Whether the same attempt may succeed later with nothing changed on this side. */
  readonly retryable: boolean;
  /** What to do; begins with where to do it. */
  readonly fix: string;
}

/** `own`: the stage that the error itself names. */
type Row = readonly [code: string, stage: ProbeStage | "own", fault: Fault];

/** What a reason means when nothing more is known. Reasons without a row stand for themselves. */
const ROWS: Readonly<Record<string, Row>> = {
  NAME_INVALID: ["NAME_INVALID", "name", "local"],
  SELF_CONNECT: ["SELF_CONNECT", "name", "local"],
  NAME_UNRESOLVED: ["PEER_UNREACHABLE", "resolve", "local"],
  HOST_NOT_FOUND: ["PEER_UNREACHABLE", "resolve", "local"],
  HOST_LOOKUP_FAILED: ["PEER_UNREACHABLE", "resolve", "local"],
  PEER_OFFLINE: ["PEER_UNREACHABLE", "resolve", "remote"],
  HOST_UNREACHABLE: ["PEER_UNREACHABLE", "port", "network"],
  CONNECT_TIMEOUT: ["PEER_UNREACHABLE", "port", "network"],
  CONNECTION_RESET: ["PEER_UNREACHABLE", "port", "network"],
  CLOSED_WHILE_OPENING: ["PEER_UNREACHABLE", "tls", "remote"],
  CLOSED_DURING_HANDSHAKE: ["PEER_UNREACHABLE", "identity", "remote"],
  CONNECTION_LOST: ["PEER_UNREACHABLE", "identity", "network"],
  HANDSHAKE_TIMEOUT: ["PEER_UNREACHABLE", "tls", "remote"],
  TLS_HANDSHAKE_TIMEOUT: ["PEER_UNREACHABLE", "tls", "remote"],
  PORT_CLOSED: ["PORT_CLOSED", "port", "remote"],
  PORT_FILTERED: ["PORT_FILTERED", "port", "network"],
  TLS_VERSION_UNSUPPORTED: ["TLS_VERSION_MISMATCH", "tls", "either"],
  TLS_ALERT_PROTOCOL_VERSION: ["TLS_VERSION_MISMATCH", "tls", "either"],
  TLS_VERSION_MISMATCH: ["TLS_VERSION_MISMATCH", "tls", "either"],
  NATIVE_NEEDS_TLS13: ["TLS_VERSION_MISMATCH", "tls", "either"],
  TLS_NO_SHARED_CIPHER: ["CIPHER_MISMATCH", "tls", "either"],
  CIPHER_MISMATCH: ["CIPHER_MISMATCH", "tls", "either"],
  CIPHER_UNKNOWN: ["CIPHER_UNSUPPORTED", "tls", "local"],
  TLS_OPTIONS: ["CIPHER_UNSUPPORTED", "tls", "local"],
  UDP_CLOSED: ["UDP_CLOSED", "port", "remote"],
  UDP_FILTERED: ["UDP_FILTERED", "port", "network"],
  QUIC_SYSTEM_ERROR: ["QUIC_SYSTEM_ERROR", "own", "local"],
  QUIC_ENGINE_LOST: ["QUIC_ENGINE_LOST", "own", "local"],
  QUIC_ENGINE_CLOSED: ["QUIC_ENGINE_CLOSED", "port", "local"],
  QUIC_BINDING_MISSING: ["QUIC_BINDING_MISSING", "port", "local"],
  QUIC_PUBLIC_ADDRESS: ["QUIC_PUBLIC_ADDRESS", "port", "local"],
  NOT_A_QUIC_PEER: ["NOT_A_QUIC_PEER", "tls", "remote"],
  QUIC_VERSION_MISMATCH: ["QUIC_VERSION_MISMATCH", "tls", "either"],
  QUIC_NO_ALPN: ["QUIC_NO_ALPN", "tls", "either"],
  BARREL_ALPN: ["QUIC_NO_ALPN", "tls", "either"],
  QUIC_TLS_FAILED: ["QUIC_TLS_FAILED", "tls", "either"],
  QUIC_CERTIFICATE_UNPROVEN: ["QUIC_CERTIFICATE_UNPROVEN", "certificate", "remote"],
  CHANNEL_BINDING_MISSING: ["CHANNEL_BINDING_MISSING", "certificate", "remote"],
  NOT_A_TLS_PEER: ["NOT_A_TLS_PEER", "tls", "remote"],
  NOT_A_DIST_PEER: ["NOT_A_TLS_PEER", "tls", "either"],
  CERT_UNKNOWN_ISSUER: ["CERT_UNKNOWN_ISSUER", "certificate", "remote"],
  TLS_ALERT_UNKNOWN_CA: ["CERT_UNKNOWN_ISSUER", "certificate", "local"],
  CERT_EXPIRED: ["CERT_EXPIRED", "certificate", "remote"],
  TLS_ALERT_CERT_EXPIRED: ["CERT_EXPIRED", "certificate", "local"],
  CERT_NOT_YET_VALID: ["CERT_NOT_YET_VALID", "certificate", "remote"],
  CERT_NAME_MISMATCH: ["CERT_NAME_MISMATCH", "certificate", "remote"],
  TLS_ALERT_UNKNOWN_NAME: ["CERT_NAME_MISMATCH", "certificate", "either"],
  CERT_IS_AUTHORITY: ["CERT_IS_AUTHORITY", "certificate", "remote"],
  CERT_WRONG_USE: ["CERT_WRONG_USE", "certificate", "remote"],
  CERT_INVALID: ["CERT_INVALID", "certificate", "remote"],
  CHAIN_INCOMPLETE: ["CHAIN_INCOMPLETE", "certificate", "remote"],
  CHAIN_TOO_LONG: ["CHAIN_TOO_LONG", "certificate", "remote"],
  CLIENT_CERT_REQUIRED: ["CLIENT_CERT_REQUIRED", "certificate", "remote"],
  TLS_ALERT_CERT_REQUIRED: ["CLIENT_CERT_REQUIRED", "certificate", "local"],
  TLS_ALERT_BAD_CERT: ["TLS_ALERT_BAD_CERT", "certificate", "local"],
  TLS_ALERT_CERT_REVOKED: ["TLS_ALERT_CERT_REVOKED", "certificate", "local"],
  TLS_ALERT_CERT_UNSUPPORTED: ["CERT_WRONG_USE", "certificate", "local"],
  SECRET_MISMATCH: ["SECRET_MISMATCH", "cookie", "either"],
  COOKIE_MISSING: ["COOKIE_MISSING", "cookie", "local"],
  PEER_NAME_MISMATCH: ["PEER_NAME_MISMATCH", "identity", "local"],
  KEY_UNTRUSTED: ["KEY_UNTRUSTED", "identity", "local"],
  KEY_MISMATCH: ["KEY_MISMATCH", "identity", "local"],
  KEY_REVOKED: ["KEY_REVOKED", "identity", "local"],
  KEY_REUSED: ["KEY_REUSED", "identity", "local"],
  PIN_BROKEN: ["PIN_BROKEN", "identity", "local"],
  PROOF_INVALID: ["PROOF_INVALID", "identity", "remote"],
  BARREL_NAME_UNUSABLE: ["BARREL_NAME_UNUSABLE", "name", "local"],
  BARREL_STREAM_FAILED: ["BARREL_STREAM_FAILED", "identity", "remote"],
  BARREL_STREAM_ENDED: ["BARREL_STREAM_ENDED", "identity", "remote"],
  BARREL_STREAM_RESET: ["BARREL_STREAM_RESET", "identity", "remote"],
  BARREL_STREAM_LOST: ["BARREL_STREAM_LOST", "own", "remote"],
  NOT_ALLOWED: ["NOT_ALLOWED", "identity", "remote"],
  REFUSED_BY_PEER: ["REFUSED_BY_PEER", "identity", "remote"],
  FLAGS_MISSING: ["FLAGS_MISSING", "flags", "remote"],
  VERSION_MISMATCH: ["VERSION_MISMATCH", "flags", "either"],
  METHOD_MISMATCH: ["METHOD_MISMATCH", "flags", "either"],
  PEER_NOT_ALLOWED: ["PEER_NOT_ALLOWED", "policy", "local"],
  CLOCK_SKEW: ["CLOCK_SKEW", "session", "either"],
};

/** The same of a failure that belongs to one of barrel's steps, where it means something else (docs/barrel.md). */
const BARREL_ROWS: Readonly<Record<string, Row>> = {
  CLOCK_SKEW: ["CLOCK_SKEW", "identity", "either"],
  HANDSHAKE_TIMEOUT: ["PEER_UNREACHABLE", "own", "remote"],
  CONNECT_TIMEOUT: ["PEER_UNREACHABLE", "own", "remote"],
  CLOSED_DURING_HANDSHAKE: ["PEER_UNREACHABLE", "own", "remote"],
  QUIC_ENGINE_LOST: ["QUIC_ENGINE_LOST", "identity", "local"],
  SELF_CONNECT: ["SELF_CONNECT", "identity", "local"],
  VERSION_MISMATCH: ["VERSION_MISMATCH", "identity", "either"],
};

const STAGE_OF: Readonly<Record<Stage, ProbeStage>> = {
  name: "name",
  resolve: "resolve",
  port: "port",
  tls: "tls",
  identity: "identity",
  cookie: "cookie",
  flags: "flags",
  policy: "policy",
  session: "session",
  call: "session",
};

const WHERE: Readonly<Record<Fault, string>> = {
  local: "on this node",
  remote: "on the other node",
  network: "on the network between the two",
  either: "on one of the two nodes",
};

/**
 * The diagnosis of a connection that did not become a session; `nodes`: names for the fix, already escaped. Where the side that failed has found out more than its reason
 * says, its detail has `diagnosis` and `fault`, and they count.
 */
export function diagnose(
  error: SallyportError,
  nodes?: { readonly local: string; readonly remote: string },
): Diagnosis {
  const { diagnosis, fault: found } = error.detail;
  const reason = typeof diagnosis === "string" ? diagnosis : error.reason;
  const [code, stage, usual] = rowOf(reason, error);
  const fault = isFault(found) ? found : usual;
  return {
    code,
    stage: stage === "own" ? STAGE_OF[error.stage ?? "session"] : stage,
    fault,
    retryable: error.retryable && typeof diagnosis !== "string",
    fix: `${where(fault, nodes)}: ${error.advice ?? "read the log of both nodes"}`,
  };
}

function rowOf(reason: string, error: SallyportError): Row {
  const isBarrel = error.detail["barrel"] !== undefined || error.detail["step"] !== undefined;
  if (isBarrel && Object.hasOwn(BARREL_ROWS, reason)) return BARREL_ROWS[reason] as Row;
  return Object.hasOwn(ROWS, reason) ? (ROWS[reason] as Row) : [reason, "own", faultOf(error)];
}

function where(fault: Fault, nodes: { readonly local: string; readonly remote: string } | undefined): string {
  if (nodes === undefined || fault === "network") return WHERE[fault];
  const { local, remote } = nodes;
  return fault === "either" ? `on ${local} or ${remote}` : `${WHERE[fault]}, ${nodes[fault]}`;
}

/** What the side that failed has found out beyond the reason. */
export interface Finding {
  /** A code of the table in docs/doctor.md. */
  readonly code: string;
  readonly fault: Fault;
  /** Behind the message. */
  readonly says: string;
  readonly advice: string;
}

/** The same failure with what was found out about it; `diagnose` goes by that. */
export function withFinding(error: SallyportError, { code, fault, says, advice }: Finding): SallyportError {
  return withNote(error, `; ${says}`, { diagnosis: code, fault }, advice);
}

/** Of reasons without a row: our own configuration, or what the other side is and does. */
function faultOf({ code }: SallyportError): Fault {
  return code === "ERR_CONFIG" || code === "ERR_API_MISUSE" || code === "ERR_INTERNAL" ? "local" : "remote";
}

function isFault(value: unknown): value is Fault {
  return value === "local" || value === "remote" || value === "network" || value === "either";
}
