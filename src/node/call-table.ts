import type { MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import type { CallOptions } from "./api.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { ownRefKey, type RefMaker, sameRef } from "./refs.ts";
import { timedOut } from "./remote-failure.ts";
import type { Session } from "./session.ts";

/** Open calls of this node at once. */
export const DEFAULT_MAX_OPEN_CALLS = 100_000;

/** Longest time a call may take; a longer one is a mistake in units. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** What is asked, of whom, and how it is sent and taken back. */
export interface CallRequest {
  /** Undefined for a call within this node. */
  readonly session: Session | undefined;
  /** Whom the answer must come from when it is a DOWN. */
  readonly target: Pid | string;
  /** For messages: the node, and what was asked. */
  readonly peer: string;
  readonly what: string;
  readonly options: CallOptions;
  /** True: its answer comes through a spawn request, and no message or DOWN under its reference is one. Default false. */
  readonly isSpawn?: boolean;
  /** Takes back what the request left on the other side; called when it ends without an answer. */
  abandon(ref: Reference): void;
  /** Sends the request once the entry stands. May throw: the call is rejected then. */
  start(ref: Reference): void;
}

/** One request of ours that waits for its answer. Its own deadline, so that a call is one object. */
export class OpenCall implements Deadline {
  readonly ref: Reference;
  readonly request: CallRequest;
  readonly resolve: (value: Term) => void;
  readonly reject: (error: unknown) => void;
  forget: (() => void) | undefined = undefined;
  at: MonotonicMs = 0 as MonotonicMs;
  durationMs = 0;
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  readonly #table: CallTable;

  constructor(
    table: CallTable,
    ref: Reference,
    request: CallRequest,
    resolve: (value: Term) => void,
    reject: (error: unknown) => void,
  ) {
    this.#table = table;
    this.ref = ref;
    this.request = request;
    this.resolve = resolve;
    this.reject = reject;
  }

  get session(): Session | undefined {
    return this.request.session;
  }

  get target(): Pid | string {
    return this.request.target;
  }

  expired(): void {
    this.#table.giveUp(this, timedOut(this.request.peer, this.request.what, this.durationMs));
  }
}

/** All open calls of a node, by reference. Each settles exactly once: answer, DOWN, lost session, deadline or signal. */
export class CallTable {
  readonly #open = new Map<number, OpenCall>();
  readonly #refs: RefMaker;
  readonly #deadlines: Deadlines;
  readonly #maxOpen: number;

  constructor(refs: RefMaker, deadlines: Deadlines, maxOpen: number = DEFAULT_MAX_OPEN_CALLS) {
    this.#refs = refs;
    this.#deadlines = deadlines;
    this.#maxOpen = maxOpen;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a call and starts it.
   * @throws (as rejection) {SallyportError} ERR_LIMIT OPEN_CALLS; ERR_DEADLINE CALL_TIMEOUT; ERR_REMOTE; signal.reason
   */
  open(request: CallRequest): Promise<Term> {
    return new Promise<Term>((resolve, reject) => {
      const timeoutMs = checkedTimeout(request.options.timeoutMs);
      request.options.signal?.throwIfAborted();
      if (this.#open.size >= this.#maxOpen) throw tooManyCalls(this.#maxOpen);
      let ref = this.#refs.next();
      while (this.#open.has(ownRefKey(ref))) ref = this.#refs.next();
      const call = new OpenCall(this, ref, request, resolve, reject);
      this.#open.set(ownRefKey(ref), call);
      if (request.session !== undefined) request.session.openCalls++;
      try {
        request.start(ref);
      } catch (error) {
        this.#remove(call);
        throw error;
      }
      this.#deadlines.add(call, timeoutMs);
      const signal = request.options.signal;
      if (signal !== undefined) {
        const aborted = (): void => this.giveUp(call, signal.reason);
        signal.addEventListener("abort", aborted, { once: true });
        call.forget = (): void => signal.removeEventListener("abort", aborted);
      }
    });
  }

  /** The open call that `ref` names, if the answer comes over the session it went out on. */
  find(ref: Reference, session: Session | undefined): OpenCall | undefined {
    const call = this.#open.get(ownRefKey(ref));
    return call !== undefined && call.session === session && sameRef(call.ref, ref) ? call : undefined;
  }

  /** As `find`, for what comes as an answer by itself: a message with its tag, or a DOWN of its target. */
  awaitingMessage(ref: Reference, session: Session): OpenCall | undefined {
    const call = this.find(ref, session);
    return call?.request.isSpawn === true ? undefined : call;
  }

  /** Ends a call with its answer. */
  answer(call: OpenCall, value: Term): void {
    if (this.#close(call)) call.resolve(value);
  }

  /** Ends a call with a failure that the other side knows of. */
  fail(call: OpenCall, error: unknown): void {
    if (this.#close(call)) call.reject(error);
  }

  /** Ends all calls of a lost session. */
  sessionLost(session: Session, error: (call: OpenCall) => unknown): void {
    for (const call of [...this.#open.values()]) if (call.session === session) this.fail(call, error(call));
  }

  /** Ends a call from this side: its deadline passed, or its caller wants it no more. */
  giveUp(call: OpenCall, error: unknown): void {
    if (!this.#close(call)) return;
    call.request.abandon(call.ref);
    call.reject(error);
  }

  /** Gives all open calls up. */
  giveUpAll(error: unknown): void {
    for (const call of [...this.#open.values()]) this.giveUp(call, error);
  }

  #remove(call: OpenCall): boolean {
    const key = ownRefKey(call.ref);
    if (this.#open.get(key) !== call) return false;
    this.#open.delete(key);
    if (call.session !== undefined) call.session.openCalls--;
    return true;
  }

  #close(call: OpenCall): boolean {
    if (!this.#remove(call)) return false;
    this.#deadlines.clear(call);
    call.forget?.();
    return true;
  }
}

/** Default time a call may take, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 5_000;

/** @throws {SallyportError} ERR_API_MISUSE TIMEOUT_INVALID */
export function checkedTimeout(timeoutMs: number | undefined): number {
  if (timeoutMs === undefined) return DEFAULT_TIMEOUT_MS;
  if (timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS) return Math.trunc(timeoutMs);
  if (timeoutMs < 0) return 0;
  throw new SallyportError("ERR_API_MISUSE", "TIMEOUT_INVALID", `timeoutMs ${timeoutMs} is not 0..${MAX_TIMEOUT_MS}`, {
    advice: "give a finite number of milliseconds",
  });
}

function tooManyCalls(limit: number): SallyportError {
  return new SallyportError("ERR_LIMIT", "OPEN_CALLS", `${limit} calls are open, which is maxOpenCalls`, {
    detail: { limit, option: "maxOpenCalls" },
    advice: "wait for answers before calling again, or raise maxOpenCalls",
  });
}
