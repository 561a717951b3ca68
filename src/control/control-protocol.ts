import { isSallyportError, SallyportError, type Stage } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { asObject } from "../identity/pin-meta.ts";

/** Longest request, octets with its line break. */
export const MAX_REQUEST_BYTES: number = 64 * 1024;

/** Longest answer, octets with its line break: room for a large term. */
export const MAX_ANSWER_BYTES: number = 16 * 1024 * 1024;

/** Longest time one operation may ask for, milliseconds: one hour. */
export const MAX_OPERATION_MS = 3_600_000;

/** What a node does over its control socket; those of `gateway` a gateway does. */
export const CONTROL_OPS = [
  "status",
  "peers",
  "health",
  "pending",
  "reloadIdentity",
  "policy.why",
  "policy.show",
  "policy.reload",
  "grants",
  "grants.revoke",
  "ping",
  "call",
  "cast",
  "send",
  "rpc",
  "spawn",
  "doctor.connect",
  "gateway.status",
  "gateway.why",
  "gateway.reload",
  "gateway.drain",
] as const;

export type ControlOp = (typeof CONTROL_OPS)[number];

/** A JSON object without a prototype. */
export type Fields = Readonly<Record<string, unknown>>;

/** One line to the node: `{"id":1,"op":"status","args":{}}`. */
export interface ControlRequest {
  /** Chosen by the client, comes back with the answer. 0 to 2^53 - 1. */
  readonly id: number;
  readonly op: ControlOp;
  readonly args: Fields;
}

/** A failure on its way through the socket. */
export interface ControlFailure {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly advice?: string;
  readonly stage?: string;
  readonly peer?: string;
  readonly detail?: Fields;
}

/** One line from the node: `{"id":1,"ok":true,"result":{}}`; `id` is null when the request had none that can be read. */
export type ControlAnswer =
  | { readonly id: number; readonly ok: true; readonly result: Fields }
  | { readonly id: number | null; readonly ok: false; readonly error: ControlFailure };

/** What a line was read as. */
export type ReadRequest =
  | { readonly kind: "request"; readonly request: ControlRequest }
  /** `id` is null when the line is no request at all: then the connection is not worth keeping. */
  | { readonly kind: "fault"; readonly id: number | null; readonly error: SallyportError };

/** Reads a line of a client, without its line break. Never throws. */
export function readRequest(line: Buffer): ReadRequest {
  const object = parse(line);
  const id = object?.["id"];
  if (object === undefined || typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
    return { kind: "fault", id: null, error: malformed("the line is no JSON object with a whole number as id") };
  }
  const { op } = object;
  const args = object["args"] === undefined ? asObject({}) : asObject(object["args"]);
  if (typeof op !== "string" || args === undefined) {
    return { kind: "fault", id, error: malformed("op is no string, or args no object") };
  }
  const known = CONTROL_OPS.find((name) => name === op);
  if (known !== undefined) return { kind: "request", request: { id, op: known, args } };
  const error = new SallyportError(
    "ERR_API_MISUSE",
    "CONTROL_UNKNOWN_OP",
    `the node knows no operation "${quotePeerText(op)}"`,
    { advice: `use one of ${CONTROL_OPS.join(", ")}, or the version of sallyport that the node runs` },
  );
  return { kind: "fault", id, error };
}

/** Reads a line of a node, without its line break; undefined when it is no answer. */
export function readAnswer(line: Buffer): ControlAnswer | undefined {
  const object = parse(line);
  const id = object?.["id"];
  const known = typeof id === "number" ? id : null;
  if (object?.["ok"] === true) {
    const result = asObject(object["result"]);
    return known === null || result === undefined ? undefined : { id: known, ok: true, result };
  }
  const error = asObject(object?.["error"]);
  if (error === undefined) return undefined;
  const { code, reason, message, advice, stage, peer } = error;
  if (typeof code !== "string" || typeof reason !== "string" || typeof message !== "string") return undefined;
  const detail = asObject(error["detail"]);
  const failure: ControlFailure = {
    code,
    reason,
    message,
    ...(typeof advice === "string" ? { advice } : {}),
    ...(typeof stage === "string" ? { stage } : {}),
    ...(typeof peer === "string" ? { peer } : {}),
    ...(detail === undefined ? {} : { detail }),
  };
  return { id: known, ok: false, error: failure };
}

/** A message as its line. */
export function formatLine(message: ControlRequest | ControlAnswer): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}

/** What goes over the socket about a failure. The code at the front of the message stands beside it. */
export function failureOf(cause: unknown): ControlFailure {
  const error = isSallyportError(cause) ? cause : unexpected(cause);
  return {
    code: error.code,
    reason: error.reason,
    message: error.message.replace(/^\[ERR_[A-Z_]+\] /, ""),
    detail: error.detail,
    ...(error.advice === undefined ? {} : { advice: error.advice }),
    ...(error.stage === undefined ? {} : { stage: error.stage }),
    ...(error.peer === undefined ? {} : { peer: error.peer }),
  };
}

/** Does what requests ask for: what is behind a control socket. */
export type Perform = (request: ControlRequest, signal: AbortSignal) => Promise<Fields>;

/** An operation of the other kind of program. */
export function notMine(what: "node" | "gateway", op: ControlOp): SallyportError {
  const other = what === "node" ? "gateway" : "node";
  const advice =
    what === "node" ? "ask it as a node: sallyport status" : "ask it as a gateway: sallyport gateway status";
  const message = `a ${what} runs there, and "${op}" is for a ${other}`;
  return new SallyportError("ERR_API_MISUSE", "CONTROL_OTHER_KIND", message, { detail: { op }, advice });
}

/** A request whose fields are not what its operation takes. */
export function malformed(what: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "CONTROL_REQUEST", `not a request to a node: ${what}`, {
    advice: 'write one JSON object a line: {"id":1,"op":"status","args":{}}',
  });
}

/** Whether a word from the socket is one of the stages. */
export function isStage(text: string): text is Stage {
  return Object.hasOwn(STAGES, text);
}

const STAGES: Readonly<Record<Stage, true>> = {
  name: true,
  resolve: true,
  port: true,
  tls: true,
  identity: true,
  cookie: true,
  flags: true,
  policy: true,
  session: true,
  call: true,
};

function unexpected(cause: unknown): SallyportError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new SallyportError("ERR_INTERNAL", "UNEXPECTED", `unexpected failure: ${quotePeerText(text)}`, {
    cause,
    advice: "please report this with the command that caused it",
  });
}

function parse(line: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line.toString("utf8"));
    return asObject(value);
  } catch {
    return undefined;
  }
}
