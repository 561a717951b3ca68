import { addMs, type MonotonicMs } from "../../base/clock.ts";
import { TokenBucket } from "../../guard/token-bucket.ts";
import { Atom, isAtom, type Pid, type Term, Tuple } from "../../term/types.ts";
import { IoInput, type Scanned } from "./io-input.ts";
import { failed, isFailure, type Job, type LeaderSink, type OutputStep, type ReadStep } from "./io-job.ts";
import type { IoRequest, IoStep } from "./io-requests.ts";
import { textOf } from "./io-text.ts";
import type { ConsoleLimits } from "./limits.ts";

const OK = new Atom("ok");

/** What the least request counts for, in bytes. */
const LEAST_COST = 64;

/** Longest wait for room in the rate before it is looked again, in milliseconds. */
const MAX_WAIT_MS = 1_000;

/**
 * The server side of Erlang's I/O protocol, as far as a worker may use it (docs/attach.md). Pure: requests, lines and times come
 * in, answers and text go out. Output is shown in the order in which it came; of those who read, one is asked for at a time,
 * when everything before it has been shown.
 */
export class IoLeader {
  /** Requests that found no room, or no reader of their answers. */
  refused = 0;
  readonly #sink: LeaderSink;
  readonly #limits: ConsoleLimits;
  readonly #rate: TokenBucket;
  readonly #input: IoInput;
  readonly #outputs: Job[] = [];
  /** The one whose text the worker is making; it comes before `#outputs`. */
  #formatting: Job | undefined;
  #waitingBytes = 0;
  #isScreenReady = true;
  /** The worker reads its answers. */
  #isHeard = true;
  #wakeAt: MonotonicMs | undefined;

  constructor(sink: LeaderSink, limits: ConsoleLimits, now: MonotonicMs) {
    this.#sink = sink;
    this.#limits = limits;
    this.#rate = new TokenBucket({ count: limits.bytesPerSecond, perMs: 1_000 }, now);
    this.#input = new IoInput(sink, limits, (job, result) => this.#answered(job, result));
  }

  /** When `tick` is wanted; undefined: not at all. */
  get wakeAt(): MonotonicMs | undefined {
    return this.#wakeAt;
  }

  /** Lines that were typed and not taken. */
  get typedLines(): number {
    return this.#input.typedLines;
  }

  /** A request of the worker. */
  request(request: IoRequest, now: MonotonicMs): void {
    if (!this.#isHeard) {
      this.refused++;
      return;
    }
    const cost = request.steps.reduce((sum, step) => sum + ("cost" in step ? step.cost : 0), LEAST_COST);
    const waiting = this.#outputs.length + this.#input.size;
    if (waiting >= this.#limits.maxWaitingRequests || this.#waitingBytes + cost > this.#limits.maxWaitingBytes) {
      this.refused++;
      this.#reply(request, failed("eagain"));
      return;
    }
    this.#waitingBytes += cost;
    this.#advance({ request, cost, at: 0 }, OK, false);
    this.#run(now);
  }

  /** A line was typed, without its end. */
  typed(line: string, now: MonotonicMs): void {
    this.#input.typed(line);
    this.#run(now);
  }

  /** No more lines will come: whoever asks for one is told `terminated` once those there are have been taken. */
  inputEnded(now: MonotonicMs): void {
    this.#input.ended();
    this.#run(now);
  }

  /** Answers the open question `interrupted`, and drops what was typed for it; false when there was none. */
  interrupt(now: MonotonicMs): boolean {
    const hadReader = this.#input.interrupt();
    this.#run(now);
    return hadReader;
  }

  /** The process that is being asked for, as `ask` named it, is gone. */
  gone(from: Pid, now: MonotonicMs): void {
    this.#waitingBytes -= this.#input.gone(from)?.cost ?? 0;
    this.#run(now);
  }

  /** The text that the worker made; anything else when it failed. */
  formatted(value: Term, now: MonotonicMs): void {
    const job = this.#formatting;
    this.#formatting = undefined;
    const step = job?.request.steps[job.at];
    if (job !== undefined && step?.kind === "format") {
      const text = textOf(value, "unicode", this.#limits.maxRequestBytes);
      if (text === undefined) this.#end(job, failed(step.fn));
      else this.#show(job, text.bytes, text.isCut);
    }
    this.#run(now);
  }

  /** What the scan with this number found; undefined when it failed. */
  scanned(number: number, found: Scanned | undefined, now: MonotonicMs): void {
    this.#input.scanned(number, found);
    this.#run(now);
  }

  screenReady(now: MonotonicMs): void {
    this.#isScreenReady = true;
    this.#run(now);
  }

  /** The worker reads its answers again. */
  drained(now: MonotonicMs): void {
    this.#isHeard = true;
    this.#run(now);
  }

  tick(now: MonotonicMs): void {
    this.#wakeAt = undefined;
    this.#run(now);
  }

  #run(now: MonotonicMs): void {
    do this.#runOutputs(now);
    while (this.#formatting === undefined && this.#outputs.length === 0 && this.#isHeard && this.#input.step());
  }

  #runOutputs(now: MonotonicMs): void {
    while (this.#isScreenReady && this.#isHeard && this.#formatting === undefined) {
      const job = this.#outputs[0];
      if (job === undefined) return;
      const step = job.request.steps[job.at] as OutputStep;
      const cost = Math.max(LEAST_COST, step.cost);
      if (!this.#rate.take(cost, now)) {
        const waitMs = Math.ceil((cost * 1_000) / this.#limits.bytesPerSecond);
        this.#wakeAt ??= addMs(now, Math.min(MAX_WAIT_MS, waitMs));
        return;
      }
      this.#outputs.shift();
      if (step.kind === "put") this.#show(job, step.bytes, step.isCut);
      else {
        this.#formatting = job;
        this.#sink.format(step.fn, step.args);
      }
    }
  }

  #show(job: Job, bytes: Buffer, isCut: boolean): void {
    if (!this.#sink.show(bytes, isCut)) this.#isScreenReady = false;
    job.at++;
    this.#advance(job, OK, true);
  }

  #answered(job: Job, result: Term): void {
    job.at++;
    if (isFailure(result)) this.#end(job, result);
    else this.#advance(job, result, true);
  }

  /** Goes on to the next step that takes time; `result` is that of the one before. Steps of one request stay together. */
  #advance(job: Job, result: Term, isUnderWay: boolean): void {
    const { steps } = job.request;
    let last = result;
    for (; job.at < steps.length; job.at++) {
      const step = steps[job.at] as IoStep;
      if (step.kind === "put" || step.kind === "format") {
        if (isUnderWay) this.#outputs.unshift(job);
        else this.#outputs.push(job);
        return;
      }
      if (step.kind === "line" || step.kind === "chars" || step.kind === "tokens") {
        this.#input.add(job);
        return;
      }
      last = this.#atOnce(step);
      if (isFailure(last)) break;
    }
    this.#end(job, last);
  }

  #atOnce(step: Exclude<IoStep, ReadStep | OutputStep>): Term {
    switch (step.kind) {
      case "refused":
        return failed(step.why);
      case "geometry":
        return this.#sink.size()?.[step.what] ?? failed("enotsup");
      case "getopts":
        return [
          pair("expand_fun", false),
          pair("echo", true),
          pair("binary", this.#input.isBinary),
          pair("encoding", new Atom("unicode")),
        ];
      case "setopts":
        for (const option of step.options) this.#setOption(option);
        return OK;
    }
  }

  /** Only the form of answers can be set. */
  #setOption(option: Term): void {
    const [name, value = true] = option instanceof Tuple ? option.elements : [option];
    if (typeof value !== "boolean") return;
    if (isAtom(name, "binary")) this.#input.isBinary = value;
    if (isAtom(name, "list")) this.#input.isBinary = !value;
  }

  #end(job: Job, answer: Term): void {
    this.#waitingBytes -= job.cost;
    this.#reply(job.request, answer);
  }

  #reply(request: IoRequest, answer: Term): void {
    if (!this.#sink.reply(request, answer)) this.#isHeard = false;
  }
}

function pair(name: string, value: Term): Tuple {
  return new Tuple([new Atom(name), value]);
}
