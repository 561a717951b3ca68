/** Closed list of failure classes. Users branch on `code`; the finer `reason` names the one failure. See docs/errors.md. */
export type ErrorCode =
  /** The peer broke the protocol: the connection is closed and never retried at once. */
  | "ERR_PEER_MISBEHAVED"
  /** No common version, flag or method: change configuration. */
  | "ERR_PEER_INCOMPATIBLE"
  /** Trust or policy said no. */
  | "ERR_DENIED"
  /** No route, no listener, no entry. */
  | "ERR_UNREACHABLE"
  /** A deadline passed. */
  | "ERR_DEADLINE"
  /** A named limit was exceeded. */
  | "ERR_LIMIT"
  /** The node or the connection is closed. */
  | "ERR_CLOSED"
  /** The remote side failed: dead target, exception, no such function. */
  | "ERR_REMOTE"
  /** A file, option, variable or argument is wrong. */
  | "ERR_CONFIG"
  /** The caller's bug: fix by reading the call. */
  | "ERR_API_MISUSE"
  /** Our bug: please report. */
  | "ERR_INTERNAL";

/** Plain values about a failure. Never keys, cookies, challenges, digests or payloads. */
export type Detail = Readonly<Record<string, string | number | boolean>>;

/** Where in setting up or using a connection a failure happened. */
export type Stage =
  | "name"
  | "resolve"
  | "port"
  | "tls"
  | "identity"
  | "cookie"
  | "flags"
  | "policy"
  | "session"
  | "call";

export interface ErrorContext {
  readonly detail?: Detail;
  /** What the reader of the error should do, one sentence. */
  readonly advice?: string;
  readonly stage?: Stage;
  /** Node name of the other side, already escaped. */
  readonly peer?: string;
  readonly cause?: unknown;
}

/**
 * The one error class of Sallyport. `message` starts with the code, because many tools show only the message.
 * `reason` is UPPER_SNAKE and stable; every (code, reason) pair stands in docs/errors.md.
 */
export class SallyportError extends Error {
  override readonly name: "SallyportError" = "SallyportError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly detail: Detail;
  readonly advice: string | undefined;
  readonly stage: Stage | undefined;
  readonly peer: string | undefined;

  constructor(code: ErrorCode, reason: string, message: string, context: ErrorContext = {}) {
    super(`[${code}] ${message}`, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.reason = reason;
    this.detail = context.detail ?? {};
    this.advice = context.advice;
    this.stage = context.stage;
    this.peer = context.peer;
  }

  /** Whether the same thing may succeed later with nothing changed on this side: nobody said no, and nothing is set wrong here. */
  get retryable(): boolean {
    return this.code === "ERR_UNREACHABLE" || this.code === "ERR_DEADLINE" || this.code === "ERR_CLOSED";
  }
}

/** The same failure with more behind its message, more detail, and another advice and stage where they are given. */
export function withNote(
  error: SallyportError,
  note: string,
  detail: Detail,
  fix?: string,
  at?: Stage,
): SallyportError {
  const { code, reason, peer, cause } = error;
  const stage = at ?? error.stage;
  const advice = fix ?? error.advice;
  const message = sentenceOf(error) + note;
  return new SallyportError(code, reason, message, {
    detail: { ...error.detail, ...detail },
    ...(advice === undefined ? {} : { advice }),
    ...(stage === undefined ? {} : { stage }),
    ...(peer === undefined ? {} : { peer }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What an error says, without its code: for messages that go on behind it, or stand where the code says nothing. */
export function sentenceOf({ code, message }: SallyportError): string {
  return message.slice(`[${code}] `.length);
}

/** True also for errors made by a second copy of this package. */
export function isSallyportError(value: unknown): value is SallyportError {
  return value instanceof Error && value.name === "SallyportError" && "code" in value && "reason" in value;
}

/**
 * The code of an error of the system or of Node, such as `ENOENT`; `UNKNOWN` when it has none. Of several addresses that
 * were tried, that of the first.
 */
export function systemCode(cause: unknown): string {
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  if (cause instanceof AggregateError && cause.errors.length > 0) return systemCode(cause.errors[0]);
  return "UNKNOWN";
}

/** Marks a branch the compiler proves unreachable. */
export function assertNever(value: never): never {
  throw new SallyportError("ERR_INTERNAL", "UNREACHABLE", `unreachable state ${String(value)}; please report this`);
}
