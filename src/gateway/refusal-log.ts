import { quotePeerText } from "../base/escape.ts";
import { peekTupleHead, TupleHead } from "../term/peek.ts";
import { Pid, type Reference } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import type { Filled } from "./bounded-table.ts";
import type { FilterEvent, Refusal } from "./verdict.ts";

/** Collects what the operator is to hear of, and tells what is new from what was there before. */
export class RefusalLog {
  readonly #maxKinds: number;
  readonly #kinds: Set<string> = new Set();
  readonly #head: TupleHead = new TupleHead();
  readonly #counts: Map<string, number> = new Map();
  #events: FilterEvent[] = [];

  constructor(maxKinds: number) {
    this.#maxKinds = maxKinds;
  }

  /** What came up since the last call. */
  take(): readonly FilterEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** How many so far, by `commander` or `worker` and the reason: `worker:unasked`. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  filling(table: Filled): void {
    this.#events.push({ kind: "filling", limit: table.name, size: table.size, most: table.limit });
  }

  /**
   * Notes a message that is refused, or with `observed` one that would be; the payload is `b[start..end)`.
   * @param rule what would let it pass, from how it begins
   */
  denied(
    by: "commander" | "worker",
    why: Refusal,
    control: Control,
    b: Buffer,
    start: number,
    end: number,
    rule?: (target: string, head: string) => string,
    id?: string,
    observed: boolean = false,
  ): void {
    const target = quotePeerText(targetText(control));
    const head = this.#headText(b, start, end);
    const kind = `${by} ${why} ${control.kind} ${typeof targetOf(control) === "string" ? target : ""} ${head}`;
    const isFirst = !this.#kinds.has(kind) && this.#kinds.size < this.#maxKinds;
    if (isFirst) this.#kinds.add(kind);
    const counted = `${by}:${why}`;
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1);
    this.#events.push({
      kind: "denied",
      by,
      why,
      operation: control.kind,
      target,
      head,
      rule: rule?.(target, head),
      id,
      isFirst,
      observed,
    });
  }

  #headText(b: Buffer, start: number, end: number): string {
    const head = this.#head;
    if (start >= end || !peekTupleHead(b, start, end, head)) return "";
    const size = `/${head.arity}`;
    return head.atomStart < 0 ? size : quotePeerText(b.toString("utf8", head.atomStart, head.atomEnd)) + size;
  }
}

function targetOf(control: Control): Pid | string | undefined {
  switch (control.kind) {
    case "reg-send":
      return control.name;
    case "monitor":
    case "demonitor":
      return control.target;
    case "spawn-request":
      return `${control.module}:${control.function}/${control.arity}`;
    case "alias-send":
      return undefined;
    default:
      return control.to;
  }
}

function targetText(control: Control): string {
  const target = targetOf(control);
  if (target === undefined) return control.kind === "alias-send" ? refText(control.alias) : "";
  return target instanceof Pid ? `<${target.id}.${target.serial}>@${target.node}` : target;
}

function refText({ words, creation, node }: Reference): string {
  return `${words.join(".")}:${creation}@${node}`;
}
