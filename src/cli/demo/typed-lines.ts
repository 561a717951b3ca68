import process from "node:process";
import { createInterface } from "node:readline";
import type { Answer } from "./machine.ts";

/** What answers what is typed at a machine. */
export interface Typist<C> {
  carryOut(command: C): Promise<Answer>;
  /** What a command that threw is answered. */
  failed(error: unknown): Answer;
  /** Whoever started us is gone. Resolves when the process may end. */
  left(): Promise<void>;
}

/**
 * Answers lines `NUMBER JSON` on standard input by lines `@NUMBER JSON`, until the input ends, which ends the process. Says
 * first where the machine listens.
 */
export function answerLines<C>(endpoint: string, typist: Typist<C>): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const space = line.indexOf(" ");
    void typist
      .carryOut(JSON.parse(line.slice(space + 1)) as C)
      .catch((error: unknown) => typist.failed(error))
      .then((answer) => process.stdout.write(`@${line.slice(0, space)} ${JSON.stringify(answer)}\n`));
  });
  lines.once("close", () => void typist.left().finally(() => process.exit(0)));
  process.stdout.write(`listening ${endpoint}\n`);
}
