import { parseTermText, printTerm } from "../term/public.ts";
import type { Term } from "../term/types.ts";
import { type ControlRequest, type Fields, MAX_OPERATION_MS, malformed, notMine } from "./control-protocol.ts";
import type { ControlTarget, OperationBounds } from "./control-target.ts";

/** Default time of an operation, milliseconds. */
export const DEFAULT_OPERATION_MS = 5_000;

/**
 * Does what a request asks for, and answers the fields of its result.
 * @throws {SallyportError} ERR_API_MISUSE CONTROL_REQUEST, ERR_CONFIG TERM_SYNTAX, and what the target throws
 */
export async function perform(target: ControlTarget, request: ControlRequest, signal: AbortSignal): Promise<Fields> {
  const { args } = request;
  switch (request.op) {
    case "status":
      return { ...target.status() };
    case "peers":
      return { peers: target.peers() };
    case "health":
      return args["peers"] === false ? { ...target.vitals() } : { ...(await target.health()) };
    case "pending":
      return { pending: target.pending() };
    case "reloadIdentity":
      return { ...(await target.reloadIdentity()) };
    case "policy.why":
      return { decision: target.why(text(args, "id")) };
    case "policy.show":
      return { ...target.policy() };
    case "policy.reload":
      return { ...target.reloadPolicy() };
    case "grants":
      return { grants: target.grants() };
    case "grants.revoke":
      target.revokeGrant(text(args, "id"));
      return {};
    case "ping":
      return { ...(await target.ping(text(args, "node"), boundsOf(args, signal))) };
    case "doctor.connect":
      return await target.examine(text(args, "node"), dialBoundsOf(args, signal));
    case "call":
      return { term: printTerm(await target.call(messageOf(args), boundsOf(args, signal))) };
    case "cast":
      await target.cast(messageOf(args), boundsOf(args, signal));
      return {};
    case "send":
      await target.send(messageOf(args), boundsOf(args, signal));
      return {};
    case "rpc": {
      const to = { node: text(args, "node"), module: text(args, "module"), function: text(args, "function") };
      return { term: printTerm(await target.rpc({ ...to, args: listOf(args) }, boundsOf(args, signal))) };
    }
    case "spawn": {
      const to = { node: text(args, "node"), function: text(args, "function"), args: listOf(args) };
      return { term: printTerm(await target.spawn(to, boundsOf(args, signal))) };
    }
    case "gateway.status":
    case "gateway.why":
    case "gateway.reload":
    case "gateway.drain":
      throw notMine("node", request.op);
  }
}

function messageOf(args: Fields): { node: string; name: string; message: Term } {
  return { node: text(args, "node"), name: text(args, "name"), message: parseTermText(text(args, "term")) };
}

function listOf(args: Fields): readonly Term[] {
  const term = parseTermText(text(args, "args"));
  if (!Array.isArray(term)) throw malformed("args is no list of terms");
  return term;
}

function boundsOf(args: Fields, signal: AbortSignal): OperationBounds {
  const timeoutMs = args["timeoutMs"] ?? DEFAULT_OPERATION_MS;
  if (typeof timeoutMs === "number" && Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs <= MAX_OPERATION_MS) {
    return { timeoutMs, signal };
  }
  throw malformed(`timeoutMs is no whole number from 1 to ${MAX_OPERATION_MS}`);
}

/** `dialMs` bounds the dial alone; what is asked after its failure comes within `timeoutMs`. */
function dialBoundsOf(args: Fields, signal: AbortSignal): OperationBounds {
  const { dialMs } = args;
  return boundsOf(dialMs === undefined ? args : { ...args, timeoutMs: dialMs }, signal);
}

/** A field that is text. @throws {SallyportError} ERR_API_MISUSE CONTROL_REQUEST */
export function text(args: Fields, name: string): string {
  const value = args[name];
  if (typeof value === "string" && value !== "") return value;
  throw malformed(`${name} is missing or no text`);
}
