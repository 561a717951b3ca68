import type { MonotonicMs } from "../base/clock.ts";
import { forgedField } from "../guard/ownership.ts";
import { TokenBucket } from "../guard/token-bucket.ts";
import { Atom, type Pid, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import { atomAt, isPid, isTuple, ownPidKey, pidAt, Step, stepInto, tupleAt } from "./encoded-terms.ts";
import type { FilterParts } from "./filter-parts.ts";
import { pidKey, refKey, targetKey } from "./identifier-keys.ts";
import { Inbox, type InboxEntry } from "./inbox.ts";
import type { Initiative } from "./initiative.ts";
import { EAGAIN, ENOTSUP, ioReply } from "./io-answers.ts";
import { judgeRequest, readsReservedWords } from "./io-requests.ts";
import { resultKind, withoutFuns } from "./reasons.ts";
import { isMessage, ruleFor, SHELL_RULE, tooManyRefusals } from "./refusal-advice.ts";
import type { AnswerForm, Right } from "./return-paths.ts";
import { ValueFilter } from "./value-filter.ts";
import {
  bare,
  DROP,
  downFor,
  encoded,
  exitFor,
  NOCONNECTION,
  type Outgoing,
  type Refusal,
  type Verdict,
  withPayload,
} from "./verdict.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;
type MessageControl = Kind<"send" | "alias-send">;

/** What the commander is told in place of an answer with something in it that may not cross. */
const REJECTED: Buffer = encoded(new Tuple([new Atom("gateway"), new Atom("reply_rejected")]));
/** What passes while a pair is observed; the worker's own operations are judged by rules then. */
const OBSERVED: readonly Refusal[] = ["fun", "foreign", "io-request", "rate"];
const REFUSAL_WINDOW_MS = 10_000;
const NO_ENTRIES: readonly InboxEntry[] = [];

/** Judges what the worker sends (threat model 4.3, D0 to D10). */
export class WorkerSide {
  readonly values: ValueFilter;
  readonly #parts: FilterParts;
  #entries: readonly InboxEntry[] = NO_ENTRIES;
  #inbox: Inbox;
  readonly #childMessages: TokenBucket;
  readonly #childBytes: TokenBucket;
  readonly #refusals: TokenBucket;
  readonly #step: Step = new Step();
  readonly #initiative: Initiative | undefined;

  /** @param initiative what it may do besides answering; undefined: nothing */
  constructor(parts: FilterParts, now: MonotonicMs, initiative?: Initiative) {
    this.#parts = parts;
    this.#initiative = initiative;
    const { limits, nodes } = parts;
    this.values = new ValueFilter(nodes, limits.maxAtoms);
    this.#inbox = new Inbox(NO_ENTRIES, now);
    this.#childMessages = new TokenBucket({ count: limits.childMessagesPerSecond, perMs: 1_000 }, now);
    this.#childBytes = new TokenBucket({ count: limits.childBytesPerSecond, perMs: 1_000 }, now);
    this.#refusals = new TokenBucket({ count: limits.maxRefusals, perMs: REFUSAL_WINDOW_MS }, now);
  }

  /** @throws {SallyportError} for what ends the session */
  judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { commander, worker } = this.#parts.options;
    const forged = forgedField(control, worker, commander);
    if (forged !== undefined && forged !== "group leader") {
      throw misbehaved("FORGED_IDENTIFIER", `the ${forged} of a ${control.kind} message is not the worker's`);
    }
    this.values.inspect(b, start, end);
    const { objection } = this.values;
    if (objection !== undefined && this.#isObserved) {
      this.#note(objection, control, b, start, end, now);
      this.values.waive();
    }
    const verdict = this.#judge(control, b, start, end, now);
    const { forward } = verdict;
    if (forward !== undefined) this.values.admit(forward.control, forward.buffer !== REJECTED);
    return verdict;
  }

  /** The inbox by the rules of now: they may have changed since the session came up. */
  #inboxAt(now: MonotonicMs): Inbox {
    const entries = this.#parts.options.inbox ?? NO_ENTRIES;
    if (entries !== this.#entries) {
      this.#entries = entries;
      this.#inbox = new Inbox(entries, now);
    }
    return this.#inbox;
  }

  #judge(control: Control, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    switch (control.kind) {
      case "send":
      case "alias-send":
        return this.#message(control, b, start, end, now);
      case "reg-send":
        if (this.values.objection === undefined && this.#inboxAt(now).takes(control.name, b, start, end, now)) {
          return { forward: { control, buffer: b, start, end } };
        }
        return this.#refuse("operation", control, b, start, end, now);
      case "exit2":
      case "group-leader":
        return this.#refuse("operation", control, b, start, end, now);
      case "spawn-request": {
        const { ref, from: to } = control;
        const answer = bare({ kind: "spawn-reply", ref, to, flags: 0, result: "noconnection" });
        return this.#refuse("operation", control, b, start, end, now, answer);
      }
      case "link": {
        const answer = exitFor(control.to, control.from, NOCONNECTION);
        return this.#refuse("operation", control, b, start, end, now, answer);
      }
      case "monitor":
        return this.#monitor(control, b, now);
      case "demonitor":
        if (paths.endWorkerMonitor(control.from, control.target, control.ref)) return { forward: bare(control) };
        return this.#refuse("unasked", control, b, start, end, now);
      case "monitor-exit":
        return this.#down(control, b, start, end, now);
      case "exit":
        return this.#exit(control, b, start, end, now);
      case "spawn-reply":
        return this.#spawnReply(control, b, now);
      case "unlink-id":
        return this.#unlink(control);
      case "unlink-id-ack": {
        const found = paths.acknowledge(control.to, control.from, control.id);
        if (found === "overtaken") return DROP;
        return found === "ends" ? { forward: bare(control) } : this.#refuse("unasked", control, b, start, end, now);
      }
      case "unlink":
        throw misbehaved("CONTROL_UNKNOWN_OP", "the old form of unlink, which was not negotiated");
    }
  }

  /** D4. An honest server monitors whoever calls it or starts a task; names, and pids it was not shown, are none of its business. */
  #monitor(control: Kind<"monitor">, b: Buffer, now: MonotonicMs): Verdict {
    const { target, from, ref } = control;
    const { paths } = this.#parts;
    const key = targetKey(target);
    const isShown = typeof target !== "string" && (paths.leaders.use(key) ?? paths.revealed.use(key)) !== undefined;
    if (isShown && paths.addWorkerMonitor(from, target as Pid, ref)) return { forward: bare(control) };
    const down = downFor(target, from, ref, NOCONNECTION);
    if (isShown) return this.#refuse("full", control, b, 0, 0, now, down, "maxWorkerMonitors");
    return this.#refuse("unasked", control, b, 0, 0, now, down);
  }

  /** D6 */
  #down(control: Kind<"monitor-exit">, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    const { target, to, ref } = control;
    const monitor = paths.monitors.get(refKey(ref));
    const isAsked =
      monitor !== undefined && pidKey(monitor.from) === pidKey(to) && targetKey(monitor.target) === targetKey(target);
    if (!isAsked) return this.#refuse("unasked", control, b, start, end, now);
    paths.endMonitor(ref);
    const result = resultKind(b, start, monitor.resultTag);
    const { objection } = this.values;
    // A value that was returned is an answer like any other; all else that ends a process is told without what it may not hold.
    if (objection !== undefined && (result === "return" || result === "throw")) {
      this.#note(objection, control, b, start, end, now);
      return { forward: downFor(target, to, ref, REJECTED) };
    }
    return { forward: this.#withReason(control, b, start, end) };
  }

  /** D7 */
  #exit(control: Kind<"exit">, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    const link = paths.link(control.to, control.from);
    if (link === undefined) return this.#refuse("unasked", control, b, start, end, now);
    // The commander unlinked before it heard: it ignores this and awaits the acknowledgement.
    if (link.unlinking !== undefined) return DROP;
    paths.endLink(link);
    return { forward: this.#withReason(control, b, start, end) };
  }

  /** D8 */
  #spawnReply(control: Kind<"spawn-reply">, b: Buffer, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    const { ref, to, flags, result } = control;
    const spawn = paths.spawns.get(refKey(ref));
    if (spawn === undefined || pidKey(spawn.from) !== pidKey(to)) {
      return this.#refuse("unasked", control, b, 0, 0, now);
    }
    const child = typeof result === "string" ? undefined : result;
    const isTwice = child !== undefined && paths.children.get(pidKey(child)) !== undefined;
    if ((flags & ~spawn.flags) !== 0 || (child === undefined && flags !== 0) || isTwice) {
      throw misbehaved("SPAWN_REPLY_FORGED", "a spawn reply reports a link, monitor or process that cannot be");
    }
    paths.endSpawn(spawn, flags, child);
    return { forward: bare(control) };
  }

  /** D9. One that meets no link crossed with its end; the worker keeps its record until somebody acknowledges. */
  #unlink(control: Kind<"unlink-id">): Verdict {
    const { paths } = this.#parts;
    const { id, from, to } = control;
    const link = paths.link(to, from);
    if (link === undefined || link.hasCrossed)
      return { answer: bare({ kind: "unlink-id-ack", id, from: to, to: from }) };
    if (link.unlinking === undefined) paths.endLink(link);
    else link.hasCrossed = true;
    return { forward: bare(control) };
  }

  /** D10 */
  #message(control: MessageControl, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    const to = control.kind === "send" ? pidKey(control.to) : undefined;
    // Without a sender: SEND_SENDER is required, and only this way would a message be nobody's.
    if (control.from === undefined) return this.#refuse("operation", control, b, start, end, now);
    const places = this.#elements(b, start);
    const head = places === undefined ? undefined : atomAt(b, places[0] as number);
    if (places !== undefined && head === "io_request" && places.length === 5 && control.kind === "send") {
      const verdict = this.#ioRequest(control, places, b, start, end, now);
      if (verdict !== undefined) return verdict;
    }
    if (places !== undefined) {
      const right = this.#rightFor(to, head, places, b, now);
      const isMet =
        right !== undefined &&
        (to === undefined
          ? right.refs.includes(refKey((control as Kind<"alias-send">).alias))
          : right.pids.includes(to));
      if (right !== undefined && isMet) return this.#answer(right, control, b, start, end, now);
      if (to !== undefined && isPid(b[places[0] as number])) {
        const verdict = this.#fromChild(to, places[0] as number, control, b, start, end, now);
        if (verdict !== undefined) return verdict;
      }
    }
    if (this.values.objection === undefined && to !== undefined && paths.revealed.use(to) !== undefined) {
      if (this.#inboxAt(now).takes(undefined, b, start, end, now))
        return { forward: { control, buffer: b, start, end } };
    }
    return this.#refuse("unasked", control, b, start, end, now);
  }

  /** Offsets of the elements of a tuple of 1 to 5, and after them; undefined for what no row can match. */
  #elements(b: Buffer, start: number): number[] | undefined {
    stepInto(b, start, this.#step);
    const { inside } = this.#step;
    if (inside < 1) return undefined;
    // Larger tuples can only come from a child: where the first element stands is all that is asked.
    return inside <= 5 ? tupleAt(b, start, inside) : isTuple(this.#step.tag) ? [this.#step.next] : undefined;
  }

  /** D10 b, c: the right that an answer of this form would use. */
  #rightFor(
    to: string | undefined,
    head: string | undefined,
    places: readonly number[],
    b: Buffer,
    now: MonotonicMs,
  ): Right | undefined {
    const { paths, options } = this.#parts;
    const [first = 0, second = 0, third = 0] = places;
    const find = (form: AnswerForm, tag: string) => paths.right(form, tag, now);
    // Each tag that is kept holds a reference, so nothing that the runtime acts upon, which begins with an atom, is an answer.
    if (places.length === 3) return find("tag", b.toString("latin1", first, second));
    if (places.length !== 4) return undefined;
    if (head === "io_reply" || head === "file_reply") return find("io", b.toString("latin1", second, third));
    const isFeatures = head === "features_reply" && atomAt(b, second) === options.worker.node;
    return isFeatures && to !== undefined ? find("features", to) : undefined;
  }

  #answer(right: Right, control: MessageControl, b: Buffer, start: number, end: number, now: MonotonicMs): Verdict {
    const { paths } = this.#parts;
    const { objection } = this.values;
    if (objection === undefined) {
      paths.consume(right);
      return { forward: { control, buffer: b, start, end } };
    }
    this.#note(objection, control, b, start, end, now);
    for (const key of right.refs) {
      const monitor = paths.monitors.get(key);
      if (monitor === undefined) continue;
      paths.endMonitor(monitor.ref);
      const { target, from, ref } = monitor;
      return {
        forward: downFor(target, from, ref, REJECTED),
        answer: bare({ kind: "demonitor", from, target, ref }),
      };
    }
    paths.consume(right);
    return DROP;
  }

  /** D10 d: what a spawned process tells its parent, as much of it as `send` would be allowed (rulings S9). */
  #fromChild(
    to: string,
    at: number,
    control: MessageControl,
    b: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): Verdict | undefined {
    const { paths, options } = this.#parts;
    const key = ownPidKey(b, at, options.worker.node, options.worker.creation);
    const child = key === undefined ? undefined : paths.children.get(key);
    if (child === undefined || pidKey(child.parent) !== to) return undefined;
    const { objection } = this.values;
    if (objection !== undefined) return this.#refuse(objection, control, b, start, end, now);
    const size = end - start;
    const hasRate = this.#childMessages.has(1, now);
    if (!hasRate || !this.#childBytes.has(size, now)) {
      const limit = hasRate ? "childBytesPerSecond" : "childMessagesPerSecond";
      return this.#refuse("rate", control, b, start, end, now, undefined, limit);
    }
    this.#childMessages.take(1, now);
    this.#childBytes.take(size, now);
    return { forward: { control, buffer: b, start, end } };
  }

  /** D10 a; undefined when the target is no group leader. */
  #ioRequest(
    control: Kind<"send">,
    places: readonly number[],
    b: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
  ): Verdict | undefined {
    const { paths, options, limits } = this.#parts;
    const leader = paths.leaders.use(pidKey(control.to));
    if (leader === undefined) return undefined;
    const [, fromAt = 0, asStart = 0, request = 0] = places;
    const { worker } = options;
    if (ownPidKey(b, fromAt, worker.node, worker.creation) === undefined) {
      return this.#refuse("foreign", control, b, start, end, now);
    }
    const from = pidAt(b, fromAt) as Pid;
    const reply = (value: Buffer): Outgoing => ioReply(control.to, from, b.subarray(asStart, request), value);
    const { objection } = this.values;
    if (objection !== undefined && !(objection === "fun" && readsReservedWords(b, start, end, request))) {
      return this.#refuse(objection, control, b, start, end, now, reply(ENOTSUP));
    }
    const allowed = judgeRequest(b, start, end, request, options.leaders ?? "output");
    if (allowed === undefined) {
      const rule = judgeRequest(b, start, end, request, "shell") === undefined ? undefined : SHELL_RULE;
      return this.#refuse("io-request", control, b, start, end, now, reply(ENOTSUP), rule);
    }
    // What is not there yet has no size of its own: a full budget does not let more of it through than it holds.
    const isWide = allowed.cost - (end - start) > limits.leaderBytesPerSecond;
    if (isWide || !leader.bytes.take(allowed.cost, now)) {
      return this.#refuse("rate", control, b, start, end, now, reply(EAGAIN), "leaderBytesPerSecond");
    }
    paths.addPrinting(pidKey(from), b.toString("latin1", asStart, request), now);
    if (allowed.cleaned === undefined) return { forward: { control, buffer: b, start, end } };
    return { forward: withPayload(control, allowed.cleaned) };
  }

  #withReason(control: Kind<"exit" | "monitor-exit">, b: Buffer, start: number, end: number): Outgoing {
    if (this.values.objection === undefined) return { control, buffer: b, start, end };
    return withPayload(control, withoutFuns(b, start, end, this.#parts.nodes));
  }

  /** @param rule the option or limit that would let it pass, where that is no inbox rule */
  #refuse(
    why: Refusal,
    control: Control,
    b: Buffer,
    start: number,
    end: number,
    now: MonotonicMs,
    answer?: Outgoing,
    rule?: string,
  ): Verdict {
    if (this.#initiative !== undefined && (why === "unasked" || why === "operation")) {
      return this.#initiative.judge(control, b, start, end, now);
    }
    this.#note(this.#beyondRules(why, control), control, b, start, end, now, rule);
    if (this.#isObserved && OBSERVED.includes(why)) return { forward: { control, buffer: b, start, end } };
    return answer === undefined ? DROP : { answer };
  }

  /** Of a message that an inbox rule might let in, what no rule can. */
  #beyondRules(why: Refusal, control: Control): Refusal {
    const mightBeLetIn = isMessage(control) && (why === "unasked" || why === "operation");
    return mightBeLetIn ? (this.values.objection ?? why) : why;
  }

  get #isObserved(): boolean {
    return this.#parts.options.observation?.isOn === true;
  }

  /** @throws {SallyportError} ERR_LIMIT GATEWAY_REFUSALS */
  #note(why: Refusal, control: Control, b: Buffer, start: number, end: number, now: MonotonicMs, rule?: string): void {
    const observed = this.#isObserved && OBSERVED.includes(why);
    if (!observed && !this.#refusals.take(1, now)) throw tooManyRefusals(this.#parts.limits.maxRefusals);
    const ruleOf = rule === undefined ? ruleFor(why, control) : () => rule;
    this.#parts.log.denied("worker", why, control, b, start, end, ruleOf, undefined, observed);
  }
}
