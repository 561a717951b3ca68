import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../../base/clock.ts";
import { printTerm } from "../../term/public.ts";
import { atom, Pid, Reference, type Term, tuple } from "../../term/types.ts";
import { readScanned, type Scanned } from "./io-input.ts";
import type { LeaderSink } from "./io-job.ts";
import { IoLeader } from "./io-leader.ts";
import { readIoRequest } from "./io-requests.ts";
import { type ConsoleLimits, DEFAULT_CONSOLE_LIMITS } from "./limits.ts";

const PEER = { node: "w@h", creation: 7 };
const a = (name: string) => atom(name);
const bytes = (text: string) => Buffer.from(text, "utf8");
const UNICODE = a("unicode");

const put = (text: string) => tuple(a("put_chars"), UNICODE, bytes(text));
const format = (...args: readonly Term[]) => tuple(a("put_chars"), UNICODE, a("io_lib"), a("format"), args);
const line = (prompt = "") => tuple(a("get_line"), UNICODE, bytes(prompt));
const tokens = (prompt = "") => tuple(a("get_until"), UNICODE, bytes(prompt), a("erl_scan"), a("tokens"), [1]);
const requests = (...list: readonly Term[]) => tuple(a("requests"), list);
const binary = (value: boolean) => tuple(a("setopts"), [tuple(a("binary"), value)]);

/** A leader, and what it made happen since the last look, in words. */
class Stage implements LeaderSink {
  readonly leader: IoLeader;
  now = 0 as MonotonicMs;
  /** What `reply` and `show` answer. */
  isHeard = true;
  isReady = true;
  /** Process that was asked for last. */
  reader: Pid | undefined;
  #said: string[] = [];
  #serial = 0;
  readonly #refs = new Map<Reference, number>();

  constructor(limits: Partial<ConsoleLimits> = {}) {
    this.leader = new IoLeader(this, { ...DEFAULT_CONSOLE_LIMITS, ...limits }, this.now);
  }

  /** Sends a request; what happens of it carries the number that this answers. */
  send(request: Term): number {
    const number = ++this.#serial;
    const ref = new Reference("w@h", 7, [number]);
    const message = tuple(a("io_request"), new Pid("w@h", number, 0, 7), ref, request);
    const read = readIoRequest(message, PEER, DEFAULT_CONSOLE_LIMITS.maxRequestBytes);
    if (read === undefined) throw new Error("no request");
    this.#refs.set(ref, number);
    this.leader.request(read, this.now);
    return number;
  }

  said(): readonly string[] {
    return this.#said.splice(0);
  }

  /** Sends a request, and says what happens at once. */
  at(request: Term): readonly string[] {
    this.send(request);
    return this.said();
  }

  typed(text: string): readonly string[] {
    this.leader.typed(text, this.now);
    return this.said();
  }

  scanned(number: number, found: Scanned | undefined): readonly string[] {
    this.leader.scanned(number, found, this.now);
    return this.said();
  }

  reply({ replyAs }: { readonly replyAs: Reference | Pid }, answer: Term): boolean {
    this.#said.push(`${this.#refs.get(replyAs as Reference)}: ${printTerm(answer)}`);
    return this.isHeard;
  }

  show(text: Buffer, isCut: boolean): boolean {
    this.#said.push(`show ${text.toString("utf8")}${isCut ? " cut" : ""}`);
    return this.isReady;
  }

  ask(prompt: Buffer, from: Pid): void {
    this.reader = from;
    this.#said.push(`ask ${prompt.toString("utf8")}`.trim());
  }

  asked(): void {
    this.#said.push("asked");
  }

  format(fn: string, args: readonly Term[]): void {
    this.#said.push(`format ${fn} ${printTerm(args)}`);
  }

  scan(number: number, text: string, args: readonly Term[]): void {
    this.#said.push(`scan ${number} ${JSON.stringify(text)} ${printTerm(args)}`);
  }

  size() {
    return this.terminal;
  }
  terminal: { columns: number; rows: number } | undefined = { columns: 80, rows: 24 };
}

describe("output", () => {
  it("is shown and answered", () => {
    const stage = new Stage();
    expect(stage.at(put("é\n"))).toEqual(["show é\n", "1: ok"]);
    expect(stage.at(tuple(a("put_chars"), UNICODE, a("x")))).toEqual(["2: {error,put_chars}"]);
  });

  it("is formatted by the worker, and holds its place meanwhile", () => {
    const stage = new Stage();
    expect(stage.at(format("~p", [1]))).toEqual(['format format ["~p",[1]]'.replace('"~p"', '<<"~p">>')]);
    expect(stage.at(put("later"))).toEqual([]);
    stage.leader.formatted([0x31, bytes("!")], stage.now);
    expect(stage.said()).toEqual(["show 1!", "1: ok", "show later", "2: ok"]);
  });

  it.each<[string, Term]>([
    ["the call failed", undefined],
    ["the value is no text", tuple(1)],
    ["the value is a number", -1],
  ])("is answered as failed when %s", (_, value) => {
    const stage = new Stage();
    stage.at(format("", []));
    stage.leader.formatted(value, stage.now);
    expect(stage.said()).toEqual(["1: {error,format}"]);
  });

  it("of a format is cut at the bound of a request", () => {
    const stage = new Stage({ maxRequestBytes: 4 });
    stage.at(format("", []));
    stage.leader.formatted([bytes("12345")], stage.now);
    expect(stage.said()).toEqual(["show 1234 cut", "1: ok"]);
  });

  it("waits while the screen is behind", () => {
    const stage = new Stage();
    stage.isReady = false;
    expect(stage.at(put("a"))).toEqual(["show a", "1: ok"]);
    expect(stage.at(put("b"))).toEqual([]);
    stage.isReady = true;
    stage.leader.screenReady(stage.now);
    expect(stage.said()).toEqual(["show b", "2: ok"]);
  });

  it("keeps questions behind it, also while the screen is behind", () => {
    const stage = new Stage();
    stage.isReady = false;
    stage.send(put("a"));
    stage.send(put("b"));
    stage.said();
    expect(stage.at(line("q"))).toEqual([]);
    stage.isReady = true;
    stage.leader.screenReady(stage.now);
    expect(stage.said()).toEqual(["show b", "2: ok", "ask q"]);
  });

  it("is taken at a rate, in its order, and none is lost", () => {
    const stage = new Stage({ bytesPerSecond: 1_000 });
    expect(stage.at(put("a".repeat(900)))).toHaveLength(2);
    expect(stage.at(put("b".repeat(500)))).toEqual([]);
    expect(stage.at(put("c"))).toEqual([]);
    expect(stage.leader.wakeAt).toBe(500);
    stage.now = 300 as MonotonicMs;
    stage.leader.tick(stage.now);
    expect(stage.said()).toEqual([]);
    stage.now = 500 as MonotonicMs;
    stage.leader.tick(stage.now);
    expect(stage.said()).toEqual([`show ${"b".repeat(500)}`, "2: ok", "show c", "3: ok"]);
    expect(stage.leader.wakeAt).toBeUndefined();
  });

  it("counts the least request too, so that many small ones are no way around the rate", () => {
    const stage = new Stage({ bytesPerSecond: 640 });
    for (let i = 0; i < 20; i++) stage.send(put("x"));
    expect(stage.said().filter((said) => said === "show x")).toHaveLength(10);
  });
});

describe("a flood", () => {
  it("fills a queue of fixed size; what finds no room is answered eagain", () => {
    const stage = new Stage({ maxWaitingRequests: 3 });
    stage.isReady = false;
    stage.send(put("a"));
    stage.said();
    for (let i = 0; i < 5; i++) stage.send(put("b"));
    expect(stage.said()).toEqual(["5: {error,eagain}", "6: {error,eagain}"]);
    expect(stage.leader.refused).toBe(2);
    for (let i = 0; i < 2; i++) stage.leader.screenReady(stage.now);
    stage.said();
    stage.send(put("c"));
    expect(stage.said()).toEqual([]);
  });

  it("holds bytes up to a bound, questions among them", () => {
    const stage = new Stage({ maxWaitingBytes: 1_000 });
    stage.send(line("p".repeat(500)));
    stage.send(line("p".repeat(300)));
    stage.said();
    expect(stage.at(line("p".repeat(20)))).toEqual(["3: {error,eagain}"]);
    // An answer gives its room back, and so do those that fail.
    stage.typed("x");
    stage.at(format("", []));
    stage.leader.formatted(undefined, stage.now);
    stage.said();
    expect(stage.at(put("y".repeat(560)))).toEqual([`show ${"y".repeat(560)}`, "5: ok"]);
  });

  it("of questions fills it too, and one is asked at a time", () => {
    const stage = new Stage({ maxWaitingRequests: 2 });
    expect(stage.at(line("1> "))).toEqual(["ask 1>"]);
    expect(stage.at(line("2> "))).toEqual([]);
    expect(stage.at(line("3> "))).toEqual(["3: {error,eagain}"]);
    expect(stage.typed("x")).toEqual(["asked", '1: "x\\n"', "ask 2>"]);
  });

  it("of a worker that reads no answers is dropped until it does", () => {
    const stage = new Stage();
    stage.isHeard = false;
    stage.send(put("a"));
    stage.send(put("b"));
    stage.send(line());
    expect(stage.said()).toEqual(["show a", "1: ok"]);
    expect(stage.leader.refused).toBe(2);
    stage.isHeard = true;
    stage.leader.drained(stage.now);
    expect(stage.at(put("c"))).toEqual(["show c", "4: ok"]);
  });

  it("of a worker that stops reading them goes no further with what waits, output or question", () => {
    const stage = new Stage();
    stage.isReady = false;
    stage.send(put("a"));
    stage.send(put("b"));
    stage.send(put("c"));
    stage.said();
    stage.isReady = true;
    stage.isHeard = false;
    stage.leader.screenReady(stage.now);
    expect(stage.said()).toEqual(["show b", "2: ok"]);
    stage.isHeard = true;
    stage.leader.drained(stage.now);
    stage.said();
    stage.typed("one");
    stage.typed("two");
    stage.send(format("", []));
    stage.send(line());
    stage.said();
    stage.isHeard = false;
    stage.leader.formatted([], stage.now);
    expect(stage.said()).toEqual(["show ", "4: ok"]);
  });
});

describe("a question", () => {
  it("is answered with a line, as characters or as a binary", () => {
    const stage = new Stage();
    expect(stage.at(line("p> "))).toEqual(["ask p>"]);
    expect(stage.typed("né")).toEqual(["asked", "1: [110,233,10]"]);
    expect(stage.at(binary(true))).toEqual(["2: ok"]);
    expect(stage.at(a("getopts"))).toEqual(["3: [{expand_fun,false},{echo,true},{binary,true},{encoding,unicode}]"]);
    stage.at(line());
    expect(stage.typed("né")).toEqual(["asked", '4: <<"né\\n"/utf8>>']);
    for (const [number, option] of [a("list"), a("binary"), tuple(a("list"), true), tuple(a("binary"), 1)].entries()) {
      expect(stage.at(tuple(a("setopts"), [option]))).toEqual([`${5 + number}: ok`]);
    }
    expect(stage.at(a("getopts"))[0]).toContain("{binary,false}");
  });

  it("that is open while the worker prints stays open", () => {
    const stage = new Stage();
    stage.send(line());
    expect(stage.said()).toEqual(["ask"]);
    expect(stage.at(put("async"))).toEqual(["show async", "2: ok"]);
    expect(stage.typed("x")).toEqual(["asked", '1: "x\\n"']);
  });

  it("waits for what was printed before it", () => {
    const stage = new Stage();
    stage.send(format("", []));
    stage.send(line("q"));
    expect(stage.said()).toHaveLength(1);
    stage.leader.formatted([], stage.now);
    expect(stage.said()).toEqual(["show ", "1: ok", "ask q"]);
  });

  it("takes lines that were typed before it", () => {
    const stage = new Stage();
    stage.typed("one");
    stage.typed("two");
    expect(stage.leader.typedLines).toBe(2);
    expect(stage.at(line())).toEqual(["asked", '1: "one\\n"']);
    expect(stage.leader.typedLines).toBe(1);
  });

  it("for so many characters takes as many, over lines, and leaves the rest", () => {
    const stage = new Stage();
    stage.at(tuple(a("get_chars"), UNICODE, bytes("n"), 4));
    expect(stage.typed("a😀")).toEqual(["ask n"]);
    expect(stage.typed("bc")).toEqual(["asked", "1: [97,128512,10,98]"]);
    expect(stage.at(line())).toEqual(["asked", '2: "c\\n"']);
  });

  it("in latin1 is told when there is no such character", () => {
    const stage = new Stage();
    stage.at(tuple(a("get_line"), a("latin1"), bytes("")));
    expect(stage.typed("€")).toEqual(["asked", "1: {error,{no_translation,unicode,latin1}}"]);
  });

  it("for tokens is answered with what the worker's own scanner finds, over lines", () => {
    const stage = new Stage();
    expect(stage.at(tokens("1> "))).toEqual(["ask 1>"]);
    expect(stage.typed("F = fun() ->")).toEqual(['scan 1 "F = fun() ->\\n" [1]']);
    expect(stage.scanned(1, "more")).toEqual(["ask 1>"]);
    expect(stage.typed("ok end. x.")).toEqual(['scan 2 "F = fun() ->\\nok end. x.\\n" [1]']);
    expect(stage.scanned(1, { result: a("stale"), rest: "" })).toEqual([]);
    expect(stage.scanned(2, { result: tuple(a("ok"), [], 2), rest: " x.\n" })).toEqual(["asked", "1: {ok,[],2}"]);
    expect(stage.scanned(2, { result: a("again"), rest: "" })).toEqual([]);
    expect(stage.at(tokens("2> "))).toEqual(['scan 3 " x.\\n" [1]']);
    expect(stage.scanned(3, undefined)).toEqual(["asked", "2: {error,tokens}"]);
  });

  it("that no end is found for is given up at a bound", () => {
    const stage = new Stage({ maxInputChars: 10 });
    stage.at(tokens());
    stage.typed("0123456789");
    expect(stage.scanned(1, "more")).toEqual(["asked", "1: {error,enomem}"]);
    stage.at(tokens());
    expect(stage.typed("a.")).toEqual(['scan 2 "a.\\n" [1]']);
  });

  it("is interrupted, and what was typed for it is gone", () => {
    const stage = new Stage();
    expect(stage.leader.interrupt(stage.now)).toBe(false);
    stage.at(tokens());
    stage.typed("half");
    stage.scanned(1, "more");
    stage.said();
    expect(stage.leader.interrupt(stage.now)).toBe(true);
    expect(stage.said()).toEqual(["asked", "1: {error,interrupted}"]);
    stage.at(tokens());
    expect(stage.typed("b.")).toEqual(['scan 2 "b.\\n" [1]']);
    expect(stage.leader.interrupt(stage.now)).toBe(true);
    expect(stage.scanned(2, { result: a("late"), rest: "rest" })).toEqual(["asked", "2: {error,interrupted}"]);
    expect(stage.at(line())).toEqual(["ask"]);
    const ahead = new Stage();
    ahead.typed("for the shell that is busy");
    expect(ahead.leader.interrupt(ahead.now)).toBe(false);
    expect(ahead.at(line())).toEqual(["ask"]);
  });

  it("of a process that is gone is nobody's; the next one is asked", () => {
    const stage = new Stage({ maxWaitingBytes: 200 });
    stage.send(line("1> "));
    stage.send(line("2> "));
    const [first] = [stage.reader as Pid];
    stage.said();
    stage.leader.gone(new Pid("w@h", 9, 0, 7), stage.now);
    expect(stage.said()).toEqual([]);
    stage.leader.gone(first, stage.now);
    expect(stage.said()).toEqual(["asked", "ask 2>"]);
    expect(stage.at(put("x".repeat(60)))).toHaveLength(2);
  });

  it("is answered terminated when no line will come, after those there are", () => {
    const stage = new Stage();
    stage.typed("last");
    stage.leader.inputEnded(stage.now);
    expect(stage.at(line())).toEqual(["asked", '1: "last\\n"']);
    expect(stage.at(line())).toEqual(["asked", "2: {error,terminated}"]);
    const open = new Stage();
    open.send(line());
    open.send(tokens());
    open.said();
    open.leader.inputEnded(open.now);
    expect(open.said()).toEqual(["asked", "1: {error,terminated}", "asked", "2: {error,terminated}"]);
  });

  it("is never answered eof: the shell of Erlang stops its node on it", () => {
    const stage = new Stage();
    for (const request of [line(), tokens(), tuple(a("get_chars"), UNICODE, "", 3)]) stage.send(request);
    stage.leader.inputEnded(stage.now);
    expect(stage.said().join()).not.toContain("eof");
  });
});

describe("several requests at once", () => {
  it("are carried out one after the other, and the last is answered", () => {
    const stage = new Stage();
    expect(stage.at(requests(put("Name"), put(": "), binary(true), line("? ")))).toEqual([
      "show Name",
      "show : ",
      "ask ?",
    ]);
    expect(stage.typed("Bob")).toEqual(["asked", '1: <<"Bob\\n">>']);
    expect(stage.at(requests())).toEqual(["2: ok"]);
    expect(stage.at(requests(put("a"), tuple(a("get_geometry"), a("columns"))))).toEqual(["show a", "3: 80"]);
  });

  it("end with the first that fails", () => {
    const stage = new Stage();
    expect(stage.at(requests(put("a"), a("x"), put("b")))).toEqual(["show a", "1: {error,enotsup}"]);
    expect(stage.at(requests(format("", []), put("b")))).toHaveLength(1);
    stage.leader.formatted(undefined, stage.now);
    expect(stage.said()).toEqual(["2: {error,format}"]);
    stage.at(requests(line(), put("b")));
    stage.leader.interrupt(stage.now);
    expect(stage.said()).toEqual(["asked", "3: {error,interrupted}"]);
  });

  it("stay together, whatever else is printed", () => {
    const stage = new Stage();
    stage.send(requests(format("", []), put("b"), put("c")));
    stage.send(put("d"));
    stage.said();
    stage.leader.formatted(bytes("a"), stage.now);
    expect(stage.said()).toEqual(["show a", "show b", "show c", "1: ok", "show d", "2: ok"]);
  });
});

describe("the rest", () => {
  it("is not supported, or has fixed answers", () => {
    const stage = new Stage();
    expect(stage.at(tuple(a("put_chars"), UNICODE, a("os"), a("cmd"), [bytes("id")]))).toEqual(["1: {error,enotsup}"]);
    expect(stage.at(tuple(a("get_geometry"), a("rows")))).toEqual(["2: 24"]);
    stage.terminal = undefined;
    expect(stage.at(tuple(a("get_geometry"), a("rows")))).toEqual(["3: {error,enotsup}"]);
  });

  it.each<[Term, Scanned | undefined]>([
    [a("more"), "more"],
    [tuple(a("done"), 1, [32, 46]), { result: 1, rest: " ." }],
    [tuple(a("done"), 1, tuple()), undefined],
    [tuple(a("done"), 1), undefined],
    [tuple(a("other"), 1, []), undefined],
    [undefined, undefined],
  ])("a scan that found %j", (value, found) => {
    expect(readScanned(value, 100)).toEqual(found);
  });
});
