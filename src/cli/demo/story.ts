import type { Cell } from "../table.ts";
import { table } from "../table.ts";
import type { Colours, Terminal } from "../terminal.ts";
import type { Row, RowOutcome } from "./rows.ts";

/** Longest text of an answer in the table. */
const MAX_SEEN_CHARS = 44;

/** A step as `demo --json` shows it. */
interface Step {
  readonly title: string;
  readonly lines: string[];
}

/** Tells the demo: numbered steps and tables on a terminal as they happen, or all of it in one document at the end. */
export class Story {
  readonly steps: Step[] = [];
  readonly rows: Row[] = [];
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  get colours(): Colours {
    return this.#terminal.colours;
  }

  /** The rows that are not as expected. */
  get wrong(): readonly Row[] {
    return this.rows.filter((row) => !row.ok);
  }

  title(text: string): void {
    this.#print(this.colours.bold(text));
  }

  /** Begins a step. */
  step(title: string): void {
    this.steps.push({ title, lines: [] });
    this.#print(`\n${this.colours.cyan(`${this.steps.length}.`)} ${this.colours.bold(title)}`);
  }

  /** A sentence of the step. Text from a peer comes through printTerm or quotePeerText. */
  say(text: string): void {
    this.steps.at(-1)?.lines.push(text);
    this.#print(`   ${text}`);
  }

  /** Text of several lines that is in the document in another form. */
  show(text: string): void {
    this.#print(text.replace(/^(?=.)/gm, "   "));
  }

  /** What one machine tried on another. */
  attempts(rows: readonly Row[]): void {
    this.rows.push(...rows);
    const [first] = rows;
    if (first === undefined) return;
    const { bold, dim } = this.colours;
    this.#print(`\n   ${bold(`${shortName(first.from)} -> ${shortName(first.to)}`)}`);
    const cells = rows.map((row) => cellsOf(row, this.colours));
    this.show(table(["ATTEMPT", "OUTCOME", "BY", "SEEN"], cells, dim));
  }

  /** An empty line, for people only. */
  gap(): void {
    this.#print("");
  }

  #print(text: string): void {
    if (!this.#terminal.json) this.#terminal.line(text);
  }
}

/** The part before the `@`: all machines of the demo are on one host. */
export function shortName(name: string): string {
  return name.replace(/@.*$/, "");
}

function cellsOf({ attempt, observed, expected, decision, answer, ok }: Row, colours: Colours): readonly Cell[] {
  const seen = decision ?? shortened(answer === "nothing" ? UNSAID[observed.outcome] : answer);
  if (ok) {
    const colour = colourOf(observed.outcome, colours);
    return [attempt, { text: observed.outcome, colour }, observed.by, { text: seen, colour: colours.dim }];
  }
  const { inverse, red } = colours;
  const text = `EXPECTED ${expected.outcome} by ${expected.by}: ${answer}`;
  return [attempt, { text: observed.outcome, colour: inverse }, observed.by, { text, colour: red }];
}

/** What there is to say where nothing came back. */
const UNSAID: Readonly<Record<RowOutcome, string>> = {
  done: "it arrived",
  refused: "",
  silence: "dropped and counted",
  "cut off": "",
  limited: "",
  "no way": "",
  unclear: "nothing",
};

function shortened(text: string): string {
  return text.length > MAX_SEEN_CHARS ? `${text.slice(0, MAX_SEEN_CHARS - 3)}...` : text;
}

function colourOf(outcome: RowOutcome, { green, red, yellow, magenta }: Colours): (text: string) => string {
  switch (outcome) {
    case "done":
      return green;
    case "limited":
      return yellow;
    case "silence":
    case "no way":
      return magenta;
    case "refused":
    case "cut off":
    case "unclear":
      return red;
  }
}
