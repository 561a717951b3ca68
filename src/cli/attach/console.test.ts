import { describe, expect, it } from "vitest";
import { Atom, ExportFun, Pid, type Term, type Tuple, tuple } from "../../term/types.ts";
import { type Answer, ScriptedNode, type ScriptedPeer } from "../../testkit/scripted-peer.ts";
import { type ConsoleEnd, RemoteConsole } from "./console.ts";
import type { Front, FrontSink } from "./front.ts";
import { type ConsoleLimits, DEFAULT_CONSOLE_LIMITS } from "./limits.ts";

const a = (name: string) => new Atom(name);

/** Somebody in front, of whom a test writes everything. */
class Person implements Front {
  readonly mode = "terminal" as const;
  isTyped = true;
  said: string[] = [];

  show(text: string): boolean {
    if (text !== "") this.said.push(text);
    return true;
  }
  ask(prompt: string): void {
    this.said.push(`ask ${prompt}`);
  }
  asked(): void {
    this.said.push("asked");
  }
  size(): undefined {
    return undefined;
  }
  pause(): void {
    this.said.push("pause");
  }
  resume(): void {}
  close(): void {
    this.said.push("closed");
  }
}

class Stage {
  readonly world = new ScriptedNode();
  readonly person = new Person();
  readonly peer: ScriptedPeer;
  readonly console: RemoteConsole;
  end: ConsoleEnd | undefined;
  /** What came to the peer and is no call. */
  #heard: Answer[] = [];
  #calls: Answer[] = [];
  leader: Pid | undefined;
  readonly shell: Pid;
  sink: FrontSink | undefined;

  private constructor(world: ScriptedNode, peer: ScriptedPeer, limits: Partial<ConsoleLimits>) {
    this.world = world;
    this.peer = peer;
    this.shell = peer.pid(40);
    const worker = world.node.peers()[0];
    if (worker === undefined) throw new Error("no session");
    this.console = new RemoteConsole({
      node: world.node,
      worker,
      clock: world.clock,
      limits: { ...DEFAULT_CONSOLE_LIMITS, ...limits },
      front: (sink) => {
        this.sink = sink;
        return this.person;
      },
    });
    void this.console.over.then((end) => {
      this.end = end;
    });
  }

  static async make(limits: Partial<ConsoleLimits> = {}, answer?: Term): Promise<Stage> {
    const world = new ScriptedNode();
    const stage = new Stage(world, await world.connect(), limits);
    const started = stage.console.start("erlang", 5_000);
    expect(await stage.answerCall(answer ?? stage.shell)).toBe("shell:start/0");
    expect(await started).toBe(answer === undefined);
    await stage.look();
    return stage;
  }

  get front(): FrontSink {
    if (this.sink === undefined) throw new Error("no front");
    return this.sink;
  }

  async look(): Promise<readonly Answer[]> {
    for (const one of await this.peer.answers()) {
      if (one.kind === "spawn-request") this.#calls.push(one);
      else this.#heard.push(one);
    }
    return this.#heard.splice(0);
  }

  /** Answers the oldest call that has not been, and says what it was. */
  async answerCall(value: Term): Promise<string> {
    this.#heard.push(...(await this.look()));
    const call = this.#calls.shift();
    if (call?.kind !== "spawn-request" || !Array.isArray(call.payload)) throw new Error("no call");
    const [tag, module, fn, args] = call.payload as readonly Term[];
    this.leader = call.groupLeader;
    const child = this.peer.pid(90);
    this.peer.write({ kind: "spawn-reply", ref: call.ref, to: call.from, flags: 2, result: child });
    const target = { target: child, to: call.from, ref: call.ref };
    this.peer.write({ kind: "monitor-exit", ...target, reason: "payload" }, tuple(tag, a("return"), value));
    await this.world.settle();
    return `${(module as Atom).name}:${(fn as Atom).name}/${(args as readonly Term[]).length}`;
  }

  /** Sends an io request of a process of the peer; answers the replies so far. */
  async request(request: Term, from: Pid = this.peer.from): Promise<void> {
    const leader = this.leader as Pid;
    this.peer.write({ kind: "send", from, to: leader }, tuple(a("io_request"), from, this.peer.ref(), request));
    await this.world.settle();
  }

  put(text: string): Promise<void> {
    return this.request(tuple(a("put_chars"), a("unicode"), Buffer.from(text)));
  }

  line(prompt: string, from?: Pid): Promise<void> {
    return this.request(tuple(a("get_line"), a("unicode"), Buffer.from(prompt)), from);
  }

  /** What the person saw since the last look. */
  saw(): readonly string[] {
    return this.person.said.splice(0);
  }

  /** Exit signals that were sent to the shell since the last look. */
  async signals(): Promise<readonly string[]> {
    const heard = await this.look();
    return heard.flatMap((one) => (one.kind === "exit2" ? [(one.payload as Atom).name] : []));
  }

  exit(from: Pid, reason: string): void {
    this.peer.write({ kind: "exit", from, to: this.leader as Pid, reason: "payload" }, a(reason));
  }
}

describe("the console of a worker", () => {
  it("is linked to the shell, and hands out one process, for io, monitors and links", async () => {
    const stage = await Stage.make();
    expect(stage.world.node.grants().map(({ pid, to, verbs }) => [pid, to, verbs])).toEqual([
      [stage.leader, "p@h", ["io", "monitor", "link"]],
    ]);
    stage.console.leave(true);
    expect(stage.world.node.peers()).toHaveLength(1);
  });

  it.each<[string, Term]>([
    ["a process of another node", new Pid("x@h", 40, 0, 77)],
    ["a process of this node", new Pid("n@h", 40, 0, 77)],
    ["a process of another life", new Pid("p@h", 40, 0, 78)],
    ["no process", a("ok")],
  ])("does not start when the worker answers with %s", async (_, answer) => {
    const stage = await Stage.make({}, answer).catch((error: unknown) => error);
    // An identifier of a third node is not even taken as a value.
    if (!(stage instanceof Stage)) expect(String(stage)).toMatch(/sallyport_scrubbed|third node|went down/);
    else expect((await stage.look()).filter(({ kind }) => kind === "link")).toEqual([]);
  });

  it("ends with the shell, and with nothing else that links itself to it", async () => {
    const stage = await Stage.make();
    const other = stage.peer.pid(41);
    stage.peer.write({ kind: "link", from: other, to: stage.leader as Pid });
    stage.exit(other, "noconnection");
    await stage.world.settle();
    expect(stage.end).toBeUndefined();
    stage.exit(stage.shell, "bad");
    await stage.world.settle();
    expect(stage.end).toEqual({ kind: "shell-ended", reason: a("bad") });
  });

  it("is lost with the session", async () => {
    const stage = await Stage.make();
    stage.peer.connection.end();
    await stage.world.settle();
    expect(stage.end).toEqual({ kind: "lost" });
  });

  it("shows what is printed, filtered, and begins anew at a prompt", async () => {
    const stage = await Stage.make();
    await stage.put("a\x1b]52;c;A\x07\x1b[31mb\x1b[6n\n");
    await stage.put("\x1b]0;never ended");
    await stage.line("\x1b]0;x\x07first\nsecond\x1b[2J \u202e> ");
    await stage.put("text");
    expect(stage.saw()).toEqual(["a\x1b[31mb\n", "first\n", "ask second \\u{202e}> ", "text"]);
    stage.front.line("", false);
    await stage.line("p".repeat(500));
    expect(stage.saw()).toEqual(["asked", `ask ${"p".repeat(200)}`]);
  });

  it("says where it cut", async () => {
    const stage = await Stage.make({ maxRequestBytes: 4 });
    await stage.put("123456");
    expect(stage.saw()).toEqual(["1234\n[the rest of this output is not shown]\n"]);
  });

  it("lets the worker format and scan, and gives back what comes of it", async () => {
    const stage = await Stage.make();
    await stage.request(tuple(a("put_chars"), a("unicode"), a("io_lib"), a("format"), [Buffer.from("~p"), [1]]));
    expect(await stage.answerCall([0x31])).toBe("io_lib:format/2");
    expect(stage.saw()).toEqual(["1"]);
    await stage.request(tuple(a("get_until"), a("unicode"), "1> ", a("erl_scan"), a("tokens"), [1]));
    stage.front.line("x.", false);
    const tokens = tuple(a("ok"), [], 1);
    await stage.look();
    expect(await stage.answerCall(tuple(a("value"), tuple(a("done"), tokens, []), []))).toBe("erl_eval:expr/2");
    const replies = (await stage.look()).flatMap((one) =>
      one.kind === "send" ? [(one.payload as Tuple).elements[2]] : [],
    );
    expect(replies).toEqual([tokens]);
  });

  it("takes requests that hold funs and identifiers of third nodes, which go back as they came", async () => {
    const stage = await Stage.make();
    const held = [new ExportFun("m", "f", 1), new Pid("x@h", 1, 0, 1)];
    for (const one of held) await stage.request(tuple(a("put_chars"), a("unicode"), a("io_lib"), a("write"), [one]));
    expect(await stage.answerCall([0x31])).toBe("io_lib:write/1");
    expect(await stage.answerCall([0x32])).toBe("io_lib:write/1");
    expect(stage.saw()).toEqual(["1", "2"]);
  });

  it("fails a request whose call hangs, after its time", async () => {
    const stage = await Stage.make({ callMs: 100 });
    await stage.request(tuple(a("put_chars"), a("unicode"), a("io_lib"), a("write"), [1]));
    await stage.look();
    stage.world.clock.advance(100);
    await stage.world.settle();
    const replies = (await stage.look()).flatMap((one) =>
      one.kind === "send" ? [(one.payload as Tuple).elements[2]] : [],
    );
    expect(replies).toEqual([tuple(a("error"), a("write"))]);
  });

  it("does not scan what cannot be written as code", async () => {
    const stage = await Stage.make();
    await stage.request(tuple(a("get_until"), a("unicode"), "", a("erl_scan"), a("tokens"), [Buffer.from("x")]));
    stage.front.line("x.", false);
    const replies = (await stage.look()).flatMap((one) =>
      one.kind === "send" ? [(one.payload as Tuple).elements[2]] : [],
    );
    expect(replies).toEqual([tuple(a("error"), a("tokens"))]);
  });

  it("takes text again when its rate allows", async () => {
    const stage = await Stage.make({ bytesPerSecond: 100 });
    await stage.put("a".repeat(90));
    await stage.put("b".repeat(90));
    await stage.put("c".repeat(90));
    expect(stage.saw()).toEqual(["a".repeat(90)]);
    for (let i = 0; i < 3; i++) {
      stage.world.clock.advance(900);
      await stage.world.settle();
    }
    expect(stage.saw()).toEqual(["b".repeat(90), "c".repeat(90)]);
  });

  it("asks the next one when the one that asked is gone", async () => {
    const stage = await Stage.make();
    const first = stage.peer.pid(50);
    await stage.line("1> ", first);
    await stage.line("2> ");
    const monitor = (await stage.look()).find(
      (one) => one.kind === "monitor" && one.target instanceof Pid && one.target.id === 50,
    );
    if (monitor?.kind !== "monitor") throw new Error("no monitor");
    expect(stage.saw()).toEqual(["ask 1> "]);
    const down = { target: first, to: monitor.from, ref: monitor.ref };
    stage.peer.write({ kind: "monitor-exit", ...down, reason: "payload" }, a("killed"));
    await stage.world.settle();
    expect(stage.saw()).toEqual(["asked", "ask 2> "]);
  });

  it("takes a monitor back when its question is answered", async () => {
    const stage = await Stage.make();
    await stage.line("1> ");
    stage.front.line("x", false);
    const kinds = (await stage.look()).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "monitor")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "demonitor")).toHaveLength(1);
  });
});

describe("the person in front of it", () => {
  it("interrupts a question by its answer, an evaluation by a signal, and leaves by a second time within a second", async () => {
    const stage = await Stage.make();
    await stage.line("1> ");
    stage.front.interrupt();
    expect(await stage.signals()).toEqual([]);
    stage.world.clock.advance(1_000);
    stage.front.interrupt();
    expect(await stage.signals()).toEqual(["interrupt"]);
    stage.world.clock.advance(999);
    stage.front.interrupt();
    expect(await stage.signals()).toEqual(["kill"]);
    expect(stage.end).toEqual({ kind: "left" });
  });

  it("leaves by ctrl-D: the shell has half a second to end by itself", async () => {
    const stage = await Stage.make();
    await stage.line("1> ");
    stage.front.ended();
    stage.front.ended();
    const replies = (await stage.look()).flatMap((one) =>
      one.kind === "send" ? [(one.payload as Tuple).elements[2]] : [],
    );
    expect(replies).toEqual([tuple(a("error"), a("terminated"))]);
    stage.world.clock.advance(499);
    await stage.world.settle();
    expect(stage.end).toBeUndefined();
    stage.exit(stage.shell, "normal");
    await stage.world.settle();
    expect(stage.end).toEqual({ kind: "left" });
    const stubborn = await Stage.make();
    stubborn.front.ended();
    stubborn.world.clock.advance(400);
    const { pendingTimers } = stubborn.world.clock;
    stubborn.front.ended();
    expect(stubborn.world.clock.pendingTimers).toBe(pendingTimers);
    stubborn.world.clock.advance(100);
    expect(await stubborn.signals()).toEqual(["kill"]);
    expect(stubborn.end).toEqual({ kind: "left" });
  });

  it("leaves by a line of its own, which is no part of a paste, nor of a pipe", async () => {
    const stage = await Stage.make();
    const replies = async () =>
      (await stage.look()).flatMap((one) =>
        one.kind === "send" ? [String.fromCodePoint(...((one.payload as Tuple).elements[2] as number[]))] : [],
      );
    for (const [text, isPasted] of [
      ["~.", true],
      ["~~.", false],
      [" ~.", false],
    ] as const) {
      await stage.line("");
      stage.front.line(text, isPasted);
    }
    expect(await replies()).toEqual(["~.\n", "~.\n", " ~.\n"]);
    stage.person.isTyped = false;
    await stage.line("");
    stage.front.line("~~.", false);
    await stage.line("");
    stage.front.line("~.", false);
    expect(await replies()).toEqual(["~~.\n", "~.\n"]);
    expect(stage.end).toBeUndefined();
    stage.person.isTyped = true;
    stage.front.line("~.", false);
    await stage.world.settle();
    expect(stage.end).toEqual({ kind: "left" });
  });

  it("types ahead up to a bound; a pipe is read no further", async () => {
    const stage = await Stage.make({ maxTypedLines: 3 });
    for (let i = 0; i < 6; i++) stage.front.line(String(i), false);
    for (let i = 0; i < 4; i++) await stage.line("");
    const asked = stage.saw().filter((said) => said.startsWith("ask "));
    expect(asked).toHaveLength(1);
    const piped = await Stage.make({ maxTypedLines: 3 });
    piped.person.isTyped = false;
    for (let i = 0; i < 4; i++) piped.front.line(String(i), false);
    expect(piped.saw()).toEqual(["pause"]);
    for (let i = 0; i < 4; i++) await piped.line("");
    expect(piped.saw().filter((said) => said.startsWith("ask "))).toEqual([]);
  });

  it("is not asked or told anything after the end", async () => {
    const stage = await Stage.make();
    stage.console.close();
    await stage.put("late");
    await stage.line("late");
    stage.front.line("late", false);
    expect(stage.saw()).toEqual(["closed"]);
    expect(stage.world.handlerErrors).toEqual([]);
  });
});
