import { isSallyportError, SallyportError } from "../base/errors.ts";
import { type ExitCode, exitCodeOf } from "./exit-codes.ts";
import { printable, type Terminal } from "./terminal.ts";

/** What a failure looks like in JSON (rulings U1). */
export interface FailureDocument {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly advice: string;
  readonly stage?: string;
  readonly peer?: string;
  readonly decision?: string;
}

/** Prints a result: `{"ok":true,"result":...}` with --json, the lines for people otherwise. */
export function reportResult(terminal: Terminal, result: Readonly<Record<string, unknown>>, human: string): void {
  if (terminal.json) terminal.document({ ok: true, result });
  else terminal.line(human);
}

/** Prints a term that is the result: the text alone, or `{"term": text}`. */
export function reportTerm(terminal: Terminal, text: string): void {
  reportResult(terminal, { term: text }, text);
}

/** Says on stderr what a person should know besides the result; with --json it stands in the document instead. */
export function warn(terminal: Terminal, warnings: readonly string[]): void {
  if (terminal.json) return;
  for (const text of warnings) terminal.note(`${terminal.errorColours.yellow("warning:")} ${printable(text)}`);
}

/** An answer that may be a "no": what was found, and the failure that it stands for. */
export interface Verdict {
  readonly result: Readonly<Record<string, unknown>>;
  /** For people, on stdout. */
  readonly human: string;
  readonly failure: SallyportError | undefined;
  /** Of a "no", when it is not the one of the failure. */
  readonly exit?: ExitCode;
}

/**
 * Prints what was found and, when it is a "no", why, and answers the exit code. With --json one line holds both:
 * `{"ok":false,"error":...,"result":...}`.
 */
export function reportVerdict(terminal: Terminal, { result, human, failure, exit }: Verdict): ExitCode {
  if (failure === undefined) {
    reportResult(terminal, result, human);
    return 0;
  }
  if (terminal.json) {
    terminal.document({ ok: false, error: failureDocument(failure), result });
    return exit ?? exitCodeOf(failure);
  }
  if (human !== "") terminal.line(human);
  const own = reportFailure(terminal, failure);
  return exit ?? own;
}

/** Prints a failure, one sentence and one advice, and answers its exit code. */
export function reportFailure(terminal: Terminal, failure: unknown): ExitCode {
  const error = asSallyportError(failure);
  const document = failureDocument(error);
  if (terminal.json) {
    terminal.document({ ok: false, error: document });
  } else {
    const { red, dim } = terminal.errorColours;
    terminal.note(`${red("error:")} ${document.message}`);
    if (document.advice !== "") terminal.note(`${dim("advice:")} ${document.advice}`);
  }
  return exitCodeOf(error);
}

/** The JSON of a failure. Options go by their names here. The message loses the code at its front, which stands beside it. */
export function failureDocument(error: SallyportError): FailureDocument {
  const decision = error.detail["decision"];
  return {
    code: error.code,
    reason: error.reason,
    message: printable(error.message.replace(/^\[ERR_[A-Z_]+\] /, "")),
    advice: printable((error.advice ?? "").replace(/\btimeoutMs\b/, "--timeout")),
    ...(error.stage === undefined ? {} : { stage: error.stage }),
    ...(error.peer === undefined ? {} : { peer: printable(error.peer) }),
    ...(typeof decision === "string" ? { decision: printable(decision) } : {}),
  };
}

/** Anything thrown as an error of ours; what we did not expect is our bug. */
export function asSallyportError(failure: unknown): SallyportError {
  if (isSallyportError(failure)) return failure;
  const text = failure instanceof Error ? failure.message : String(failure);
  return new SallyportError("ERR_INTERNAL", "UNEXPECTED", `unexpected failure: ${text}`, {
    cause: failure,
    advice: "please report this with the command that caused it",
  });
}
