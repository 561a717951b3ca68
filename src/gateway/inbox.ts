import type { MonotonicMs } from "../base/clock.ts";
import { classifyMessage } from "../guard/classify.ts";
import { TokenBucket } from "../guard/token-bucket.ts";
import type { Rate } from "../policy/bounds.ts";
import type { ShapeEntry } from "../policy/document.ts";
import { compileShape, type Shape } from "../policy/shape.ts";
import { headIs, TupleHead } from "../term/peek.ts";

/** Lets messages of the worker in that answer nothing. */
export interface InboxEntry {
  /** A registered name of the commander, or its processes whose pids the worker was sent. */
  readonly to: string | { readonly revealed: true };
  /** What the message must look like, as in a policy. */
  readonly shape: ShapeEntry;
  readonly rate?: Rate;
  /** Longest message, bytes. */
  readonly maxBytes?: number;
  /** Messages in one session. */
  readonly uses?: number;
}

/** Heads that the commander's runtime acts upon, besides all that `classifyMessage` knows and all that begin with `$`. */
const DANGEROUS: readonly string[] = ["log", "file_request", "notify", "sync_notify", "nodedown", "nodeup"];
const CLASSIFIED: readonly string[] = ["$gen_call", "$gen_cast", "io_request", "system", "EXIT", "DOWN", "io_reply"];
const DOLLAR = 0x24;

interface Rule {
  readonly entry: InboxEntry;
  readonly shape: Shape;
  /** Dangerous heads that the shape spells out. */
  readonly spelled: readonly string[];
  readonly bucket: TokenBucket | undefined;
  uses: number;
}

/** The inbox rules of one session, in order; the first that fits lets a message in. */
export class Inbox {
  readonly #entriesOf: () => readonly InboxEntry[] | undefined;
  #entries: readonly InboxEntry[] | undefined;
  #rules: readonly Rule[] = [];
  readonly #head: TupleHead = new TupleHead();

  /** @param entriesOf asked each time: another list counts from then on, with uses and rates anew */
  constructor(entriesOf: () => readonly InboxEntry[] | undefined) {
    this.#entriesOf = entriesOf;
  }

  /**
   * True when a rule takes the message `b[start..end)`; it is charged for it. A message that the commander's runtime would
   * act upon fits only a shape that spells its first atom out.
   * @param name undefined: to a pid that was revealed
   */
  takes(name: string | undefined, b: Buffer, start: number, end: number, now: MonotonicMs): boolean {
    return this.#rulesAt(now).some((rule) => {
      const { to, maxBytes } = rule.entry;
      if (typeof to === "string" ? to !== name : name !== undefined) return false;
      if (rule.uses <= 0 || end - start > (maxBytes ?? Number.POSITIVE_INFINITY)) return false;
      if (!this.#isHarmless(rule, b, start, end) || !rule.shape.matches(b, start, end)) return false;
      if (rule.bucket?.take(1, now) === false) return false;
      rule.uses--;
      return true;
    });
  }

  #rulesAt(now: MonotonicMs): readonly Rule[] {
    const entries = this.#entriesOf();
    if (entries === this.#entries) return this.#rules;
    this.#entries = entries;
    this.#rules = (entries ?? []).map((entry) => ({
      entry,
      shape: compileShape(entry.shape),
      spelled: spelledHeads(entry.shape),
      bucket: entry.rate === undefined ? undefined : new TokenBucket(entry.rate, now),
      uses: entry.uses ?? Number.POSITIVE_INFINITY,
    }));
    return this.#rules;
  }

  #isHarmless(rule: Rule, b: Buffer, start: number, end: number): boolean {
    const head = this.#head;
    const verb = classifyMessage(b, start, end, head);
    if (head.atomStart < 0) return true;
    const isDangerous =
      verb !== "send" || b[head.atomStart] === DOLLAR || DANGEROUS.some((name) => headIs(head, b, name));
    return !isDangerous || rule.spelled.some((name) => headIs(head, b, name));
  }
}

/** Heads that a shape names as the first element of its tuple. */
function spelledHeads(shape: ShapeEntry): readonly string[] {
  if (typeof shape !== "object") return [];
  if ("oneOf" in shape) return shape.oneOf.flatMap(spelledHeads);
  if (!("tuple" in shape)) return [];
  const first = shape.tuple[0];
  const name = typeof first === "object" && "atom" in first ? first.atom : first;
  if (typeof name !== "string") return [];
  return name.startsWith("$") || DANGEROUS.includes(name) || CLASSIFIED.includes(name) ? [name] : [];
}
