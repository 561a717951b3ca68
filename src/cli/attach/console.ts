import { addMs, type Clock, type MonotonicMs, type Timer } from "../../base/clock.ts";
import type { LocalProcessHandle, Node, Peer } from "../../node/api.ts";
import { samePid } from "../../process/term-keys.ts";
import { Atom, isAtom, Pid, type Reference, type Term, Tuple } from "../../term/types.ts";
import type { Front, FrontSink } from "./front.ts";
import { readScanned } from "./io-input.ts";
import type { LeaderSink } from "./io-job.ts";
import { IoLeader } from "./io-leader.ts";
import { type IoRequest, readIoRequest } from "./io-requests.ts";
import type { ConsoleLimits } from "./limits.ts";
import { TerminalFilter } from "./terminal-filter.ts";
import { evaluated, ownPidOf, SHELLS, type ShellKind, scanExpression } from "./worker-calls.ts";

/** How a console ended: the person or the input left, the shell did, or the connection did. */
export type ConsoleEnd =
  | { readonly kind: "left" }
  | { readonly kind: "shell-ended"; readonly reason: Term }
  | { readonly kind: "lost" };

/** What a console is made of. */
export interface ConsoleParts {
  readonly node: Node;
  readonly worker: Peer;
  readonly clock: Clock;
  readonly limits: ConsoleLimits;
  /** Makes where lines come from and text goes to. */
  front(sink: FrontSink): Front;
}

/** Time in which a second ctrl-C leaves, in milliseconds. */
const AGAIN_MS = 1_000;

/** How long a shell may take to end by itself, in milliseconds. */
const LEAVE_MS = 500;

/** Longest prompt, in characters. */
const MAX_PROMPT_CHARS = 200;

/** What leaves at once, and what is typed where that is to be sent, each on a line of its own. */
const LEAVE_LINE = "~.";
const SEND_LEAVE_LINE = "~~.";

const CUT = "\n[the rest of this output is not shown]\n";

/**
 * The joint of a console: one process of this node as group leader of a shell on the worker. The worker gets a right to this
 * process, to no other, and the process does what `IoLeader` lets it do.
 */
export class RemoteConsole implements LeaderSink, FrontSink {
  /** Resolves with how it ended; never rejects. */
  readonly over: Promise<ConsoleEnd>;
  readonly #parts: ConsoleParts;
  readonly #front: Front;
  readonly #filter: TerminalFilter;
  readonly #leader: IoLeader;
  readonly #process: LocalProcessHandle;
  #shell: Pid | undefined;
  #watched: Reference | undefined;
  #wake: Timer | undefined;
  #leaving: Timer | undefined;
  #interruptedAt = Number.NEGATIVE_INFINITY;
  #settle: (end: ConsoleEnd) => void = () => undefined;
  #isClosed = false;

  constructor(parts: ConsoleParts) {
    const { node, clock, limits, worker } = parts;
    this.#parts = parts;
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#leader = new IoLeader(this, limits, clock.now());
    this.#process = node.spawn((message) => this.#message(message), { trapExit: true });
    node.grant(this.#process, { to: worker.name, verbs: ["io", "monitor", "link"], funs: true, foreign: true });
    this.#front = parts.front(this);
    this.#filter = new TerminalFilter(this.#front.mode);
  }

  /** Requests that found no room. */
  get refused(): number {
    return this.#leader.refused;
  }

  /**
   * Starts the shell. False when what the worker answers is no process of its own.
   * @throws as `node.rpc`
   */
  async start(kind: ShellKind, timeoutMs: number): Promise<boolean> {
    const { node, worker } = this.#parts;
    const { module, fn } = SHELLS[kind];
    const answer = await node.rpc(worker.name, module, fn, [], { timeoutMs, groupLeader: this.#process });
    this.#shell = ownPidOf(answer, worker);
    if (this.#shell === undefined) return false;
    node.link(this.#process, this.#shell);
    return true;
  }

  /** Ends the console: with time for the shell to end by itself, or at once. */
  leave(isUrgent: boolean): void {
    if (this.#leaving !== undefined && !isUrgent) return;
    const { clock, node } = this.#parts;
    const kill = (): void => {
      const shell = this.#shell;
      if (shell !== undefined) this.#attempt(() => node.exit(shell, new Atom("kill")));
      this.#settle({ kind: "left" });
    };
    if (isUrgent) kill();
    else {
      this.#leaving = clock.at(addMs(clock.now(), LEAVE_MS), kill);
      this.#with((leader, now) => leader.inputEnded(now));
    }
  }

  /** Gives the terminal back; nothing is shown or read any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.cancel();
    this.#leaving?.cancel();
    this.#front.close();
  }

  // What comes from the front.

  line(text: string, isPasted: boolean): void {
    const isCommand = this.#front.isTyped && !isPasted;
    if (isCommand && text === LEAVE_LINE) {
      this.leave(true);
      return;
    }
    const isFull = this.#leader.typedLines >= this.#parts.limits.maxTypedLines;
    if (isFull && this.#front.isTyped) return;
    if (isFull) this.#front.pause();
    const line = isCommand && text === SEND_LEAVE_LINE ? LEAVE_LINE : text;
    this.#with((leader, now) => leader.typed(line, now));
  }

  ended(): void {
    if (this.#front.isTyped) this.leave(false);
    else this.#with((leader, now) => leader.inputEnded(now));
  }

  interrupt(): void {
    const { clock, node } = this.#parts;
    const now = clock.now();
    const isSecond = now - this.#interruptedAt < AGAIN_MS;
    this.#interruptedAt = now;
    if (isSecond) {
      this.leave(true);
      return;
    }
    let hadReader = false;
    this.#with((leader) => {
      hadReader = leader.interrupt(now);
    });
    const shell = this.#shell;
    // Who asks for input hears it as the answer; a shell that evaluates, as the signal.
    if (!hadReader && shell !== undefined) this.#attempt(() => node.exit(shell, new Atom("interrupt")));
  }

  ready(): void {
    this.#with((leader, now) => leader.screenReady(now));
  }

  // What the leader makes happen.

  reply({ from, replyAs }: IoRequest, answer: Term): boolean {
    const { node, worker } = this.#parts;
    let isHeard = true;
    this.#attempt(() => {
      isHeard = node.send(from, new Tuple([new Atom("io_reply"), replyAs, answer]));
    });
    if (!isHeard) void node.drained(worker.name).then(() => this.#with((leader, now) => leader.drained(now)));
    return isHeard;
  }

  show(bytes: Buffer, isCut: boolean): boolean {
    const text = this.#filter.push(bytes);
    return this.#front.show(isCut ? text + this.#filter.end() + CUT : text);
  }

  ask(prompt: Buffer, from: Pid): void {
    const plain = new TerminalFilter("plain");
    const text = plain.push(prompt) + plain.end();
    const start = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    // A sequence that was begun and not ended takes nothing of the question along.
    this.#front.show(this.#filter.end() + text.slice(0, start));
    this.#front.ask([...text.slice(start)].slice(0, MAX_PROMPT_CHARS).join(""));
    this.#watched = this.#parts.node.monitor(from, () => {
      this.#watched = undefined;
      this.#with((leader, now) => leader.gone(from, now));
    });
  }

  asked(): void {
    if (this.#watched !== undefined) this.#parts.node.demonitor(this.#watched);
    this.#watched = undefined;
    this.#front.asked();
  }

  format(fn: string, args: readonly Term[]): void {
    const done = (value: Term): void => this.#with((leader, now) => leader.formatted(value, now));
    this.#call("io_lib", fn, args).then(done, () => done(undefined));
  }

  scan(number: number, text: string, args: readonly Term[]): void {
    const { maxInputChars } = this.#parts.limits;
    const done = (value: Term): void => {
      const found = readScanned(evaluated(value), maxInputChars);
      this.#with((leader, now) => leader.scanned(number, found, now));
    };
    const expression = scanExpression(text, args);
    const answer = expression === undefined ? Promise.reject() : this.#call("erl_eval", "expr", expression);
    answer.then(done, () => done(undefined));
  }

  size(): ReturnType<Front["size"]> {
    return this.#front.size();
  }

  /** A message to the leader's process; io requests of the worker, and ends of what is linked to it. */
  #message(message: Term): void {
    if (message instanceof Tuple && message.length === 3 && isAtom(message.elements[0], "EXIT")) {
      this.#exited(message.elements[1], message.elements[2]);
      return;
    }
    const { worker, limits } = this.#parts;
    const peer = { node: worker.name, creation: worker.incarnation };
    const request = readIoRequest(message, peer, limits.maxRequestBytes);
    if (request !== undefined) this.#with((leader, now) => leader.request(request, now));
  }

  /** The worker may link what it likes to the leader: only the shell's end counts. */
  #exited(from: Term, reason: Term): void {
    if (this.#shell === undefined || !(from instanceof Pid) || !samePid(from, this.#shell)) return;
    if (isAtom(reason, "noconnection")) this.#settle({ kind: "lost" });
    else if (this.#leaving === undefined) this.#settle({ kind: "shell-ended", reason });
    else this.#settle({ kind: "left" });
  }

  #call(module: string, fn: string, args: readonly Term[]): Promise<Term> {
    const { node, worker, limits } = this.#parts;
    return node.rpc(worker.name, module, fn, args, { timeoutMs: limits.callMs, groupLeader: this.#process });
  }

  /** Lets the leader do something, and looks after it. */
  #with(run: (leader: IoLeader, now: MonotonicMs) => void): void {
    if (this.#isClosed) return;
    const { clock, limits } = this.#parts;
    run(this.#leader, clock.now());
    if (this.#leader.typedLines < limits.maxTypedLines / 2) this.#front.resume();
    const { wakeAt } = this.#leader;
    if (wakeAt === undefined || this.#wake !== undefined) return;
    this.#wake = clock.at(wakeAt, () => {
      this.#wake = undefined;
      this.#with((leader, now) => leader.tick(now));
    });
  }

  /** What cannot be sent any more ends the console. */
  #attempt(send: () => void): void {
    try {
      send();
    } catch {
      this.#settle({ kind: "lost" });
    }
  }
}
