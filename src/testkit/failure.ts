import { isSallyportError, type SallyportError } from "../base/errors.ts";

/** `CODE REASON` of what `run` throws; `no error` when it returns. Anything but a SallyportError goes through. */
export function failureOf(run: () => unknown): string {
  const error = caught(run);
  return error === undefined ? "no error" : `${error.code} ${error.reason}`;
}

/** The reason of what `run` throws; `no error` when it returns. Anything but a SallyportError goes through. */
export function reasonOf(run: () => unknown): string {
  return caught(run)?.reason ?? "no error";
}

function caught(run: () => unknown): SallyportError | undefined {
  try {
    run();
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  return undefined;
}
