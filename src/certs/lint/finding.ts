import { isSallyportError, type SallyportError } from "../../base/errors.ts";

/** What `certs check` finds (docs/certificates.md). */
export interface Finding {
  /** UPPER_SNAKE. */
  readonly code: string;
  /** Profile `strict` makes errors of warnings. */
  readonly severity: "warning" | "error";
  /** Path of the file that it is about. */
  readonly file: string;
  readonly message: string;
  /** What to do, one sentence. */
  readonly advice: string;
}

export function fault(code: string, file: string, message: string, advice: string): Finding {
  return { code, severity: "error", file, message, advice };
}

export function doubt(code: string, file: string, message: string, advice: string): Finding {
  return { code, severity: "warning", file, message, advice };
}

/** What a failure to read or to use something says. @throws what is no failure of ours */
export function faultOf(error: unknown, file: string): Finding {
  if (!isSallyportError(error)) throw error;
  return fault(error.reason, file, textOf(error), error.advice ?? "correct the file");
}

/** As profile `strict` sees them. */
export function strictly(findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) => ({ ...finding, severity: "error" }));
}

function textOf(error: SallyportError): string {
  return error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
}
