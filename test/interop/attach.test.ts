import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { addMs, type MonotonicMs } from "../../src/base/clock.ts";
import { type ConsoleEnd, RemoteConsole } from "../../src/cli/attach/console.ts";
import type { Front, FrontSink } from "../../src/cli/attach/front.ts";
import { type ConsoleLimits, DEFAULT_CONSOLE_LIMITS } from "../../src/cli/attach/limits.ts";
import { hasElixir, type ShellKind } from "../../src/cli/attach/worker-calls.ts";
import { createGateway } from "../../src/create-gateway.ts";
import type { Node } from "../../src/node/api.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { isAtom } from "../../src/term/types.ts";
import { Cli } from "../integration/cli-process.ts";
import type { BeamNode } from "./erlang-node.ts";
import { describeWithElixir, describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, type Rig, useRig } from "./rig.ts";

const SALLY = "'sally@127.0.0.1'";
const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

/** Real time, which a test can put forward. */
class PushedClock extends RealClock {
  #aheadMs = 0;

  override now(): MonotonicMs {
    return addMs(super.now(), this.#aheadMs);
  }

  push(ms: number): void {
    this.#aheadMs += ms;
  }
}

/** Everything that may ever reach a screen. */
const ALLOWED = /^(?:[^\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]|[\n\r\t]|\x1b\[[0-9;]{0,64}[A-DGHJKfm])*$/u;

/** Somebody who types, and what they see. */
class Person implements Front {
  readonly mode = "terminal" as const;
  readonly isTyped = true;
  text = "";
  /** The question that is open. */
  prompt: string | undefined;
  isClosed = false;
  readonly sink: FrontSink;

  constructor(sink: FrontSink) {
    this.sink = sink;
  }

  show(text: string): boolean {
    this.text += text;
    return true;
  }

  ask(prompt: string): void {
    this.prompt = prompt;
    this.text += `[${prompt}]`;
  }

  asked(): void {
    this.prompt = undefined;
  }

  size() {
    return { columns: 80, rows: 24 };
  }

  pause(): void {}
  resume(): void {}

  close(): void {
    this.isClosed = true;
  }

  /** Types a line once one is asked for. */
  async types(line: string): Promise<void> {
    await eventually(() => expect(this.prompt).toBeDefined());
    this.prompt = undefined;
    this.sink.line(line, false);
  }

  /** Waits for text, and answers what came since the last look. */
  async sees(text: string | RegExp): Promise<string> {
    await eventually(() => expect(this.text).toMatch(typeof text === "string" ? literally(text) : text));
    return this.text.slice(this.text.search(typeof text === "string" ? literally(text) : text));
  }
}

function literally(text: string): RegExp {
  return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
}

interface Attached {
  readonly clock: PushedClock;
  readonly shell: RemoteConsole;
  readonly person: Person;
  readonly over: Promise<ConsoleEnd>;
}

const attached: Attached[] = [];

/** Runs the shell of a worker from `node`. */
async function attach(
  node: Node,
  worker: string,
  kind: ShellKind,
  limits: Partial<ConsoleLimits> = {},
): Promise<Attached> {
  const peer = await node.connect(worker);
  let person: Person | undefined;
  const front = (sink: FrontSink): Front => {
    person = new Person(sink);
    return person;
  };
  const clock = new PushedClock();
  const shell = new RemoteConsole({
    node,
    worker: peer,
    clock,
    limits: { ...DEFAULT_CONSOLE_LIMITS, ...limits },
    front,
  });
  expect(await shell.start(kind, 20_000)).toBe(true);
  const made = { clock, shell, person: person as unknown as Person, over: shell.over };
  attached.push(made);
  return made;
}

afterEach(() => {
  for (const { shell } of attached.splice(0)) {
    shell.leave(true);
    shell.close();
  }
});

/** Number of shells that run on a node. */
const shells = (beam: BeamNode) =>
  beam.erl(
    "length([P || P <- processes(), {_, D} <- [process_info(P, dictionary)], " +
      "proplists:is_defined(shell_records, D) orelse proplists:is_defined(evaluator, D)])",
  );

async function withErlang(rig: Rig) {
  const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
  return { beam, node };
}

describeWithErlang("the shell of an Erlang node", () => {
  const t = useRig("tls", withErlang);
  const open = (limits?: Partial<ConsoleLimits>) => attach(t.node, t.beam.name, "erlang", limits);

  it("evaluates, prints and formats", async () => {
    const { person } = await open();
    await person.types("1+1.");
    await person.sees("[(beam@127.0.0.1)1> ]2\n");
    await person.types('io:format("~ts ~p ~s~n", [[1080], self(), <<"x">>]).');
    await person.sees(/и <0\.\d+\.0> x\nok\n/);
    await person.types('io:format("~p ~p~n", [fun(X) -> X end, fun lists:map/2]), io:write({a, 1}), io:nl().');
    await person.sees(/#Fun<erl_eval\S+> fun lists:map\/2\n\{a,1\}\nok\n/);
    await person.types("io:columns().");
    await person.sees("{ok,80}");
  });

  it("reads expressions over lines, several in a line, and what programs ask for", async () => {
    const { person } = await open();
    await person.types("F = fun(X) ->");
    await person.types("X * 2");
    await person.types("end. F(21). [1,");
    await person.sees("42\n");
    await person.types("2].");
    await person.sees("[1,2]\n");
    await person.types('{io:get_line("name? "), io:get_chars("c ", 3), io:read("t ")}.');
    await person.types("Bob");
    await person.sees("[name? ]");
    await person.types("abcd");
    await person.types(".");
    await person.sees('{"Bob\\n","abc",{ok,d}}\n');
    await person.types('io:put_chars("Q: "), io:get_line("").');
    await person.types("é");
    await person.sees('Q: []"é\\n"\n');
  });

  it("goes on after an error, an exit and a kill, with its bindings", async () => {
    const { person } = await open();
    await person.types("X = 7.");
    await person.types("1/0.");
    await person.sees("** exception error: an error occurred when evaluating an arithmetic expression");
    await person.types("foo bar.");
    await person.sees("syntax error before: bar");
    await person.types("$\\x{}.");
    await person.sees(/illegal character|syntax error/);
    await person.types("exit(bye).");
    await person.sees("** exception exit: bye");
    await person.types("exit(self(), kill).");
    await person.sees("** exception exit: killed");
    await person.types("X + 1.");
    await person.sees("8\n");
  });

  it("is interrupted: an evaluation, and a question", async () => {
    const { clock, person } = await open();
    await person.types("timer:sleep(60000).");
    await eventually(() => expect(person.prompt).toBeUndefined());
    await eventually(async () =>
      expect(
        await t.beam.erl(
          "length([P || P <- processes(), " +
            "{current_function, {timer, sleep, 1}} =:= process_info(P, current_function)])",
        ),
      ).toBe("1"),
    );
    person.sink.interrupt();
    await person.sees("** exception exit: killed");
    clock.push(1_000);
    await person.types("[1,");
    await eventually(() => expect(person.prompt).toBeDefined());
    person.sink.interrupt();
    await person.types("ok2.");
    await person.sees("]ok2\n");
  });

  it("is left by ctrl-D: the shell ends by itself, and the node lives", async () => {
    const { person, over } = await open();
    await person.sees("1> ]");
    expect(await shells(t.beam)).toBe("1");
    person.sink.ended();
    expect(await over).toEqual({ kind: "left" });
    await eventually(async () => expect(await shells(t.beam)).toBe("0"));
  });

  it("is left at once, whatever it does, and ends", async () => {
    const { person, over } = await open();
    await person.types("timer:sleep(infinity).");
    await eventually(() => expect(person.prompt).toBeUndefined());
    person.sink.line("~.", true);
    person.sink.line("~~.", false);
    person.sink.line("~.", false);
    expect(await over).toEqual({ kind: "left" });
    await eventually(async () => expect(await shells(t.beam)).toBe("0"));
  });

  it("says why it ended by itself", async () => {
    const { person, over } = await open();
    await person.types("exit(hd(element(2, process_info(self(), links))), kill).");
    const end = await over;
    expect(end.kind === "shell-ended" && isAtom(end.reason, "killed")).toBe(true);
  });

  it("ends with the connection", async () => {
    const { person, over } = await open();
    await person.types(`erlang:disconnect_node(${SALLY}).`);
    expect(await over).toEqual({ kind: "lost" });
    await eventually(async () => expect(await shells(t.beam)).toBe("0"));
  });

  it("ends when its node is killed", async () => {
    const doomed = await t.rig.erlang("doomed");
    const { person, over } = await attach(t.node, doomed.name, "erlang");
    await person.sees("1> ]");
    await doomed.kill();
    expect(await over).toEqual({ kind: "lost" });
  });
});

describeWithErlang("a hostile worker that is attached to", () => {
  const t = useRig("tcp", withErlang);

  /** Attaches, and lets the worker know its group leader as the process dictionary of a registered process does. */
  async function open(limits?: Partial<ConsoleLimits>) {
    const made = await attach(t.node, t.beam.name, "erlang", limits);
    const refused: string[] = [];
    t.node.on("denied", ({ verb, count }) => refused.push(...Array(count).fill(verb)));
    await t.beam.erl(
      "[begin M = monitor(process, P), exit(P, kill), receive {'DOWN', M, _, _, _} -> ok end end || P <- [whereis(held)], is_pid(P)]",
    );
    await made.person.types("register(held, spawn(fun() -> receive stop -> ok end end)).");
    await made.person.sees("]true\n");
    const run = (expressions: string) =>
      t.beam.erl(`{group_leader, G} = process_info(whereis(held), group_leader), ${expressions}`);
    return { ...made, refused, run };
  }

  /** The shell still answers, and nothing was shown that a terminal acts on. */
  async function unharmed({ person }: Attached): Promise<void> {
    await person.types('"still" ++ "here".');
    await person.sees('"stillhere"');
    expect(person.text).toMatch(ALLOWED);
    expect(await t.beam.erl("exit(whereis(held), kill)")).toBe("true");
    expect(await t.node.rpc(t.beam.name, "erlang", "abs", [-3])).toBe(3);
  }

  it("has no power but to print and to ask", async () => {
    const made = await open();
    const { run, refused, shell } = made;
    const proof = join(t.rig.home, "proof");
    const touch = `["touch ${proof}"]`;
    const io = (request: string) =>
      run(`R = make_ref(), G ! {io_request, self(), R, ${request}}, receive {io_reply, R, V} -> V end`);
    for (const request of [
      `{put_chars, unicode, os, cmd, ${touch}}`,
      `{put_chars, os, cmd, ${touch}}`,
      `{get_until, unicode, "", os, cmd, ${touch}}`,
      `{get_until, unicode, "", io_lib, fread, ["~d"]}`,
      `{get_until, "", erl_scan, string, ["x"]}`,
      `{requests, [{requests, [{requests, [getopts]}]}]}`,
      `{requests, [{put_chars, unicode, "x"}, {put_chars, unicode, os, cmd, ${touch}}]}`,
      "{requests, lists:duplicate(1000, getopts)}",
      "lists:foldl(fun(_, A) -> {requests, [A]} end, getopts, lists:seq(1, 200))",
      "{get_password, unicode}",
      "{file_request, a}",
      "not_a_request",
      "#{}",
    ]) {
      expect(await io(request), request).toBe("{error,enotsup}");
    }
    expect(await run(`rpc:call(node(G), os, cmd, [${touch}])`)).toContain("badrpc");
    expect(await run(`catch erpc:call(node(G), os, cmd, [${touch}])`)).toContain("EXIT");
    await run(`catch spawn(node(G), os, cmd, ${touch}), catch spawn_link(node(G), os, cmd, ${touch}), ok`);
    await run(
      "G ! {'$gen_call', {self(), make_ref()}, x}, G ! {'$gen_cast', x}, G ! {system, {self(), r}, get_state}, ok",
    );
    await run("G ! {'EXIT', G, kill}, G ! {'EXIT', self(), normal}, G ! plain, exit(G, kill), exit(G, normal), ok");
    await run("group_leader(self(), G), {user, node(G)} ! x, {net_kernel, node(G)} ! {spawn, x}, ok");
    await run(
      "P = spawn(fun() -> link(G), exit(bad) end), monitor(process, P), receive {'DOWN', _, _, _, _} -> ok end",
    );
    await run('G ! {io_request, hd(processes()), make_ref(), {put_chars, unicode, <<"other">>}}, ok');
    await run(
      "G ! {io_request, self(), '$gen_call', getopts}, G ! {io_request, a, b, c}, G ! {io_reply, make_ref(), ok}, ok",
    );
    await unharmed(made);
    expect(existsSync(proof)).toBe(false);
    expect(refused.length).toBeGreaterThan(10);
    expect(t.node.grants()).toHaveLength(1);
    expect(shell.refused).toBe(0);
  });

  it("shows nothing that a terminal acts on", async () => {
    const made = await open();
    const text = String.raw`"\e]52;c;AAAA\a\e]0;title\a\eP$q\"p\e\\\e[6n\e[c\e[?1049h\ec\x{9b}6n\x{202e}\e[31mred\e[0m\n"`;
    await made.run(
      `io:put_chars(G, ${text}), io:format(G, "~ts", [${text}]), io:request(G, {put_chars, latin1, <<27, "]52;c;B", 7, 155, "6n\n">>})`,
    );
    // Cut between two requests.
    await made.run(
      `io:put_chars(G, "\\e]52;c;"), io:put_chars(G, "SECRET\\a"), io:put_chars(G, "\\e[6"), io:put_chars(G, "nend\\n")`,
    );
    await made.run(`spawn(fun() -> io:get_line(G, "\\e]0;x\\apr\\e[31mompt\\n\\e[2J> ") end), ok`);
    await made.person.sees("end\n");
    made.person.sink.line('"typed for the shell".', false);
    await made.person.sees("[> ]");
    made.person.sink.line("typed for the other", false);
    await unharmed(made);
    expect(made.person.text.match(/red/g)).toHaveLength(2);
    expect(made.person.text).not.toMatch(/SECRET|AAAA|title/);
  });

  it("fills a queue and no more when it floods with text, questions or formats", async () => {
    const made = await open({ maxWaitingRequests: 16, bytesPerSecond: 100_000 });
    const { run, shell } = made;
    await run(
      '[G ! {io_request, self(), make_ref(), {put_chars, unicode, binary:copy(<<"x">>, 10000)}} || _ <- lists:seq(1, 500)], ok',
    );
    await run(
      '[G ! {io_request, self(), make_ref(), {put_chars, unicode, io_lib, format, ["~p", [x]]}} || _ <- lists:seq(1, 500)], ok',
    );
    await eventually(() => expect(shell.refused).toBeGreaterThan(900));
    const put =
      'R = make_ref(), G ! {io_request, self(), R, {put_chars, unicode, ""}}, receive {io_reply, R, V} -> V end';
    await eventually(async () => expect(await run(put)).toBe("ok"));
    await run(
      'Asker = spawn(fun() -> [G ! {io_request, self(), make_ref(), {get_line, unicode, "q"}} || _ <- lists:seq(1, 500)], receive stop -> ok end end), register(asker, Asker), ok',
    );
    await eventually(() => expect(shell.refused).toBeGreaterThan(1_350));
    // Those who asked are gone, and with them their questions.
    await run("exit(whereis(asker), kill)");
    await unharmed(made);
    await made.person.sees("[q]");
    await made.person.sees(/3> \]/);
  });

  it("that asks for what is too large is cut short", async () => {
    const made = await open({ maxRequestBytes: 10_000 });
    await made.run('io:put_chars(G, binary:copy(<<"y">>, 3000000)), io:put_chars(G, lists:duplicate(100000, $z))');
    await made.person.sees(/y{10000}\n\[the rest of this output is not shown\]\n/);
    await made.person.sees(/z{10000}\n\[the rest of this output is not shown\]\n/);
    expect(made.person.text).not.toMatch(/[yz]{10001}/);
    const long =
      'R = make_ref(), G ! {io_request, self(), R, {put_chars, unicode, io_lib, format, ["~p", [lists:seq(1, 100000)]]}}, receive {io_reply, R, V} -> V end';
    expect(await made.run(long)).toBe("{error,eagain}");
    await unharmed(made);
  });
});

describeWithErlang("the shell of an Erlang node behind a gateway", () => {
  const t = useRig("tcp", async (rig: Rig) => {
    const beam = await rig.erlang("beam");
    const port = await beam.erl("interop:dist_port()");
    const gateway = await createGateway({
      pairs: [
        {
          inside: { node: beam.name, address: `tcp://127.0.0.1:${port}`, cookie: COOKIE },
          outside: { nodes: ["sally@127.0.0.1"], listen: "tcp://127.0.0.1:0", cookie: COOKIE },
          filter: { commander: "outside", leaders: "shell", allow: {} },
        },
      ],
      dangerous: { plaintext: true },
    });
    rig.closes(() => gateway.close());
    const resolve = { [beam.name]: gateway.endpoints[0]?.endpoint ?? "" };
    return { node: await rig.sallyport("sally", { resolve }), beam, gateway };
  });

  it("is run where leaders are shells", async () => {
    const { person, over } = await attach(t.node, t.beam.name, "erlang");
    expect(t.gateway.pairs).toBe(1);
    await person.types("[1,");
    await person.types('2]. io:format("~p~n", [x]).');
    await person.sees(/\[1,2\]\n(\[.*\])?x\nok\n/);
    await person.types("exit(self(), kill).");
    await person.sees("** exception exit: killed");
    person.sink.ended();
    expect(await over).toEqual({ kind: "left" });
    expect(await t.beam.erl("1 + 1")).toBe("2");
  });
});

describeWithElixir("the shell of an Elixir node", () => {
  const t = useRig("tls", async (rig: Rig) => {
    const [beam, plain, node] = await Promise.all([rig.elixir("ex"), rig.erlang("plain"), rig.sallyport("sally")]);
    return { beam, plain, node };
  });

  it("is found where there is one", async () => {
    expect(await hasElixir(t.node, t.beam.name, 20_000)).toBe(true);
    expect(await hasElixir(t.node, t.plain.name, 20_000)).toBe(false);
  });

  it("evaluates, reads over lines, is interrupted, and left", async () => {
    const denied: string[] = [];
    t.node.on("denied", ({ verb }) => denied.push(verb));
    const { clock, person, over } = await attach(t.node, t.beam.name, "elixir");
    await person.types("1 + 1");
    await person.sees("[iex(ex@127.0.0.1)1> ]2\n");
    await person.types("Enum.map(1..3,");
    await person.types("& &1 * 2)");
    await person.sees("[...(ex@127.0.0.1)2> ][2, 4, 6]\n");
    await person.types('IO.gets("name? ")');
    await person.types("Žofie");
    await person.sees('[name? ]"Žofie\\n"\n');
    await person.types('IO.puts(IO.ANSI.format([:red, "red"], true)); fn x -> x end');
    await person.sees(/\x1b\[31mred\x1b\[0m\n#Function</);
    await person.types('raise "oops"');
    await person.sees("** (RuntimeError) oops");
    await person.types('"half');
    await person.sees("...(ex@127.0.0.1)");
    await eventually(() => expect(person.prompt).toBeDefined());
    person.sink.interrupt();
    await person.sees("** (EXIT) interrupted");
    await person.types("Process.sleep(:infinity)");
    await eventually(() => expect(person.prompt).toBeUndefined());
    clock.push(1_000);
    person.sink.interrupt();
    await person.sees(/interrupted[\s\S]*interrupted/);
    await person.types("40 + 2");
    await person.sees("42\n");
    expect(person.text).toMatch(ALLOWED);
    expect(denied).toEqual([]);
    person.sink.ended();
    expect(await over).toEqual({ kind: "left" });
    expect(await t.beam.elixir("1 + 2")).toBe("3");
  });
});

describeWithErlang("sallyport attach", () => {
  const t = useRig("tcp", async (rig: Rig) => {
    const beam = await rig.erlang("beam");
    writeFileSync(join(rig.home, "cookie"), COOKIE, { mode: 0o600 });
    return { beam };
  });
  const flags = () => [
    "--cookie-file",
    "cookie",
    "--epmd-port",
    String(t.rig.epmd.port),
    "--dangerous-plaintext",
    "--no-config",
    "--no-control",
  ];

  it("takes lines from a pipe, prints plain text and ends when they are done", async () => {
    const cli = new Cli(t.rig.home, ["attach", t.beam.name, "--erlang", ...flags()]);
    cli.child.stdin.write('1+1.\nio:format("\\e[31mred\\e]52;c;A\\a\\e[0m~n").\n~.\n"~.".\n');
    cli.child.stdin.end("lists:seq(1,\n3).\nq");
    const { code, out, err } = await cli.ended;
    expect(out).toBe(
      "Eshell V13.1.5  (abort with ^G)\n2\nred\nok\n* 1:1: syntax error before: '~'\n\"~.\"\n[1,2,3]\n".replace(
        /V\S+/,
        /V\S+/.exec(out)?.[0] ?? "",
      ),
    );
    expect(err).toContain("attached to beam@127.0.0.1 (Erlang shell)");
    expect(err).toContain("the shell of beam@127.0.0.1 has ended");
    expect(code).toBe(0);
  });

  it("says what is not to be had, and how the connection ended", async () => {
    const none = await new Cli(t.rig.home, ["attach", t.beam.name, "--elixir", ...flags()]).ended;
    expect(none.err).toContain("beam@127.0.0.1 has no IEx to run");
    expect(none.code).toBe(1);
    const doomed = await t.rig.erlang("doomed");
    const cli = new Cli(t.rig.home, ["attach", doomed.name, ...flags()]);
    await cli.says(/Eshell/);
    await doomed.kill();
    const { code, err } = await cli.ended;
    expect(err).toContain("the connection to doomed@127.0.0.1 was lost, and with it the shell");
    expect(code).toBe(4);
  });

  it("in a terminal draws its line below what is printed, takes a paste as data, and gives the terminal back", async () => {
    const command = [process.execPath, MAIN, "attach", t.beam.name, ...flags()].join(" ");
    const child = spawn("script", ["-qec", `stty rows 24 cols 100; ${command}; stty -a`, "/dev/null"], {
      cwd: t.rig.home,
      env: { ...process.env, TERM: "xterm", NO_COLOR: "1" },
    });
    let screen = "";
    child.stdout.on("data", (chunk: Buffer) => {
      screen += chunk.toString("latin1");
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    t.rig.closes(() => child.kill("SIGKILL"));
    const sees = (text: string | RegExp) =>
      eventually(() => expect(screen).toMatch(typeof text === "string" ? literally(text) : text));
    await sees("1> ");
    expect(screen).toContain("\x1b[?2004h");
    child.stdin.write('spawn(fun() -> timer:sleep(300), io:format("async\\e]52;c;A\\a\\e[6n~n") end).\r');
    await sees("2> ");
    child.stdin.write("half");
    // What was drawn is erased first, and drawn again below.
    await sees(/2> \x1b\[\d+Ghalf\r\x1b\[Jasync\r\n\x1b\[0m\x1b\[1G\x1b\[0J\S+2> half/);
    child.stdin.write("_way.\r");
    await sees(/\r\nhalf_way\r\n/);
    child.stdin.write("\x1b[200~paste_a.\r~.\r\x1b[200~paste_\x03b.\r\x1b[201~");
    await sees(/\r\npaste_a\r\n/);
    await sees("syntax error before: '~'");
    await sees(/\r\npaste_b\r\n/);
    child.stdin.write("timer:sleep(60000).\r");
    await sees(/timer:sleep\(60000\)\.\r+\n/);
    child.stdin.write("~.\r");
    await ended;
    expect(screen).toContain("left beam@127.0.0.1");
    expect(screen.lastIndexOf("\x1b[?2004l")).toBeGreaterThan(screen.lastIndexOf("\x1b[?2004h"));
    expect(screen).toMatch(/[^-]icanon/);
    expect(screen).not.toMatch(/\x1b\]|\x1b\[6n/);
  });
});
