import type { Terminal } from "./terminal.ts";

/** Silence after which a person is told what is going on, in milliseconds. */
const QUIET_MS = 1_000;

/** Waits for `work`; where a person watches and it takes more than a second, says on stderr what it is about. */
export async function whileWaiting<T>(terminal: Terminal, what: string, work: Promise<T>): Promise<T> {
  if (!terminal.watched) return work;
  const timer = setTimeout(() => terminal.note(terminal.errorColours.dim(`${what} ...`)), QUIET_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
