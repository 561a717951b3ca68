import type { Terminal } from "../terminal.ts";

/** One step as `demo --json` shows it. */
interface Step {
  readonly title: string;
  readonly lines: string[];
}

/** Tells the demo: numbered steps on a terminal as they happen, or all of them in one document at the end. */
export class Story {
  readonly #terminal: Terminal;
  readonly #steps: Step[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  title(text: string): void {
    if (!this.#terminal.json) this.#terminal.line(this.#terminal.colours.bold(text));
  }

  /** Begins a step. */
  step(title: string): void {
    this.#steps.push({ title, lines: [] });
    const { bold, cyan } = this.#terminal.colours;
    if (!this.#terminal.json) this.#terminal.line(`\n${cyan(`${this.#steps.length}.`)} ${bold(title)}`);
  }

  /** A sentence of the step. Text from a peer comes through printTerm or quotePeerText. */
  say(text: string): void {
    this.#steps.at(-1)?.lines.push(text);
    if (!this.#terminal.json) this.#terminal.line(`   ${text}`);
  }

  /** Something done, and what came of it. */
  outcome(what: string, came: string): void {
    this.#steps.at(-1)?.lines.push(`${what} -> ${came}`);
    const { dim, green } = this.#terminal.colours;
    if (!this.#terminal.json) this.#terminal.line(`   ${what} ${dim("->")} ${green(came)}`);
  }
}
