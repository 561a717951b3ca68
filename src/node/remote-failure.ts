import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { printTerm } from "../term/text-print.ts";
import { Atom, atomName, ExportFun, Float, isAtom, Pid, Port, Reference, type Term, Tuple } from "../term/types.ts";

/** Parts of a peer's term that go into a message; the rest is written as `...`. */
const MAX_QUOTED_PARTS = 64;

/** Bytes of one binary of a peer's term that go into a message. */
const MAX_QUOTED_BYTES = 64;

/** A term of a peer as text for a message: one escaped line, cut at 300 characters, at a cost that does not follow its size. */
export function quoteTerm(term: Term): string {
  return quotePeerText(printTerm(abbreviate(term, { left: MAX_QUOTED_PARTS })));
}

function abbreviate(term: Term, budget: { left: number }): Term {
  if (budget.left-- <= 0) return CUT;
  if (term instanceof Tuple) return new Tuple(abbreviateAll(term.elements, budget));
  if (Array.isArray(term)) return abbreviateAll(term, budget);
  if (term instanceof Uint8Array && term.length > MAX_QUOTED_BYTES) return term.subarray(0, MAX_QUOTED_BYTES);
  if (typeof term === "bigint" && (term > MAX_QUOTED_INTEGER || term < -MAX_QUOTED_INTEGER)) return CUT;
  return isPlain(term) ? term : CUT;
}

function abbreviateAll(terms: readonly Term[], budget: { left: number }): Term[] {
  const out: Term[] = [];
  for (const term of terms) {
    out.push(abbreviate(term, budget));
    if (budget.left <= 0) break;
  }
  return out;
}

/** Small by its nature: atoms, numbers, identifiers, short binaries. Maps, funs and improper lists are cut. */
function isPlain(term: Term): boolean {
  if (term === null || typeof term !== "object") return typeof term !== "string" || term.length <= MAX_QUOTED_BYTES;
  return (
    term instanceof Atom ||
    term instanceof Float ||
    term instanceof Pid ||
    term instanceof Reference ||
    term instanceof Port ||
    term instanceof ExportFun ||
    term instanceof Uint8Array
  );
}

const CUT = new Atom("...");
const MAX_QUOTED_INTEGER = 10n ** 30n;

/** The id inside `{sallyport_denied, <<"ID">>}`, when it is one. */
export function deniedId(reason: Term): string | undefined {
  if (!(reason instanceof Tuple) || reason.length !== 2 || !isAtom(reason.elements[0], "sallyport_denied"))
    return undefined;
  const id = reason.elements[1];
  if (!(id instanceof Uint8Array) || id.length > 64) return undefined;
  return quotePeerText(Buffer.from(id).toString("latin1"));
}

/** How ids of decisions look. What a peer sends otherwise is put into no command. */
const DECISION_ID = /^[0-9A-Za-z]{1,64}$/;

/** A refusal by the policy of the other side. */
export function deniedByPeer(peer: string, what: string, decision: string | undefined): SallyportError {
  return new SallyportError("ERR_DENIED", "POLICY_DENIED", `${peer} refused ${what}`, {
    stage: "policy",
    peer,
    ...(decision === undefined ? {} : { detail: { decision } }),
    advice:
      decision === undefined || !DECISION_ID.test(decision)
        ? `ask the owner of ${peer} for a rule that allows it`
        : `on ${peer}, \`sallyport policy why ${decision}\` explains it; add a rule there if it should be allowed`,
  });
}

/** Why a call ended: what the DOWN of its target says. `what`: what was asked. */
export function callFailure(
  peer: string,
  target: string,
  reason: Term,
  what: string = `a call to ${target}`,
): SallyportError {
  const decision = deniedId(reason);
  if (decision !== undefined) return deniedByPeer(peer, what, decision);
  if (isAtom(reason, "noproc")) {
    return new SallyportError("ERR_REMOTE", "NOPROC", `there is no ${target} on ${peer}`, {
      stage: "call",
      peer,
      advice: "check the name, and that the process was started",
    });
  }
  if (reason instanceof Tuple && isAtom(reason.elements[0], "handler_error")) {
    return new SallyportError("ERR_REMOTE", "HANDLER_ERROR", `${target} on ${peer} failed: ${quoteTerm(reason)}`, {
      stage: "call",
      peer,
      detail: { remoteReason: quoteTerm(reason) },
      advice: `look up the id in the log of ${peer}`,
    });
  }
  return new SallyportError("ERR_REMOTE", "TARGET_DOWN", `${target} on ${peer} went down: ${quoteTerm(reason)}`, {
    stage: "call",
    peer,
    detail: { remoteReason: quoteTerm(reason) },
    advice:
      atomName(reason) === "noconnection"
        ? "connect again; the call may or may not have been carried out"
        : "see why it ended on the other side",
  });
}

/** A deadline of ours passed. */
export function timedOut(peer: string, what: string, timeoutMs: number): SallyportError {
  return new SallyportError("ERR_DEADLINE", "CALL_TIMEOUT", `no answer to ${what} on ${peer} within ${timeoutMs} ms`, {
    stage: "call",
    peer,
    detail: { timeoutMs },
    advice: "raise timeoutMs, or find out what keeps the other side busy",
  });
}

/** No session stood in time. */
export function connectTimeout(peer: string, timeoutMs: number): SallyportError {
  return new SallyportError("ERR_DEADLINE", "CONNECT_TIMEOUT", `no session with ${peer} within ${timeoutMs} ms`, {
    stage: "session",
    peer,
    detail: { timeoutMs },
    advice: "check the address and the firewall between the two, or allow more time",
  });
}

/** The session ended under an open request. */
export function connectionLost(peer: string, what: string): SallyportError {
  return new SallyportError("ERR_REMOTE", "TARGET_DOWN", `the connection to ${peer} was lost during ${what}`, {
    stage: "call",
    peer,
    detail: { remoteReason: "noconnection" },
    advice: "connect again; the request may or may not have been carried out",
  });
}
