import type { ErrorCode, SallyportError } from "../base/errors.ts";

/** 0 done · 1 failed · 2 usage or configuration · 3 refused · 4 unreachable or timed out (rulings U2). */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** What each class of failure means for a script that called us. */
const BY_CODE: Readonly<Record<ErrorCode, ExitCode>> = {
  // Both end a connection before a session stands: the two sides could not agree to talk.
  ERR_PEER_MISBEHAVED: 3,
  ERR_PEER_INCOMPATIBLE: 3,
  ERR_DENIED: 3,
  ERR_UNREACHABLE: 4,
  ERR_DEADLINE: 4,
  ERR_LIMIT: 1,
  ERR_CLOSED: 4,
  ERR_REMOTE: 1,
  ERR_CONFIG: 2,
  ERR_API_MISUSE: 2,
  ERR_INTERNAL: 1,
};

/** Reasons that mean something else than their class. */
const BY_REASON: Readonly<Record<string, ExitCode>> = {
  // The port answered and then closed without a word: a refusal.
  "ERR_CLOSED CLOSED_DURING_HANDSHAKE": 3,
  "ERR_CLOSED PEER_GAVE_UP": 3,
  // It left in the exchange of keys, which is how barrel says no.
  "ERR_CLOSED BARREL_STREAM_ENDED": 3,
  "ERR_CLOSED BARREL_STREAM_FAILED": 3,
  "ERR_CLOSED BARREL_STREAM_RESET": 3,
  // The demo was stopped by a signal.
  "ERR_CLOSED INTERRUPTED": 1,
  // The session stands, only this operation is not to be had.
  "ERR_PEER_INCOMPATIBLE SPAWN_UNSUPPORTED": 1,
  // The command did what it was asked for, and the answer is a "no".
  "ERR_CONFIG AUDIT_FAULTY": 1,
  "ERR_CONFIG CERTS_FAULTY": 1,
  "ERR_CONFIG MACHINE_FAULTY": 1,
  "ERR_CONFIG CERT_NOT_RENEWED": 1,
  "ERR_CONFIG DECISION_UNKNOWN": 1,
  "ERR_CONFIG GRANT_UNKNOWN": 1,
  "ERR_CONFIG POLICY_MATRIX_DIFFERS": 1,
  "ERR_LIMIT POLICY_TOO_LARGE": 2,
  // Bounds of what was given on the command line or in a file.
  "ERR_LIMIT CONFIG_TOO_LARGE": 2,
  "ERR_LIMIT VMARGS_TOO_MANY": 2,
  "ERR_LIMIT TERM_DEPTH": 2,
  "ERR_LIMIT TERM_INTEGER_BYTES": 2,
};

/** The exit code of a failure. */
export function exitCodeOf(error: SallyportError): ExitCode {
  // The answer was lost with the connection; nobody knows whether the target failed.
  if (error.reason === "TARGET_DOWN" && error.detail["remoteReason"] === "noconnection") return 4;
  return BY_REASON[`${error.code} ${error.reason}`] ?? BY_CODE[error.code] ?? 1;
}

/** For `--help`: the exit codes in words. */
export const EXIT_CODES_HELP: string = `Exit codes:
  0  done: an answer came, whatever it says ({error, x} too)
  1  failed: no such process, it crashed, the function raised; a check found something
  2  usage: wrong arguments, term, file or setting
  3  refused: certificate, name, cookie or rule; \`policy can\` says no
  4  unreachable: no address, nothing listening, or timed out`;
