import { describe, expect, it } from "vitest";
import { Atom, atom, Pid, Reference as Ref, type Reference, type Term, tuple } from "../term/types.ts";
import type { Down } from "./ports.ts";
import { type ProcessLimits, ProcessTable, type ProcessTableOptions } from "./process-table.ts";

type Meta = string;
type Table = ProcessTable<Meta, string>;

function make(limits: ProcessLimits = {}, more: Partial<ProcessTableOptions<Meta, string>> = {}) {
  const later: (() => void)[] = [];
  const errors: unknown[] = [];
  const table: Table = new ProcessTable<Meta, string>({
    node: "a@h",
    creation: 3,
    scheduler: { later: (run) => later.push(run) },
    signalMeta: (from) => `signal from ${from.node}`,
    onCrash: () => ({ exit: new Atom("crashed") }),
    onCallbackError: (error) => errors.push(error),
    limits,
    ...more,
  });
  const turn = () => {
    for (const run of later.splice(0)) run();
  };
  return { table, turn, errors, later };
}

/** A process that writes down what it gets. */
function recorder(table: Table, options: { trapExit?: boolean; tag?: string } = {}) {
  const got: Term[] = [];
  const metas: Meta[] = [];
  const ends: Term[] = [];
  const process = table.spawn(
    {
      message(term, meta) {
        got.push(term);
        metas.push(meta);
      },
      terminated: (reason) => ends.push(reason),
    },
    { tag: "t", ...options },
  );
  return { process, got, metas, ends };
}

let counter = 0;
const newRef = (): Reference => new Ref("a@h", 3, [++counter, 0, 0]);
const stranger = new Pid("b@h", 9, 0, 1);
const NORMAL = new Atom("normal");
const BOOM = new Atom("boom");
const fails = (code: string, reason: string) => expect.objectContaining({ code, reason });

describe("delivery", () => {
  it("hands messages over in order with what goes beside them, and undefined is a message", () => {
    const { table } = make();
    const { process, got, metas } = recorder(table);
    expect(process.deliver(undefined, "m1")).toBe(true);
    process.deliver(2, "m2");
    expect(got).toEqual([]);
    table.queue.run();
    expect(got).toEqual([undefined, 2]);
    expect(metas).toEqual(["m1", "m2"]);
  });

  it("loses nothing when a burst fills and empties a mailbox", () => {
    const { table } = make();
    const { process, got } = recorder(table);
    const burst = Array.from({ length: 3000 }, (_, i) => i);
    for (const n of burst) process.deliver(n, "");
    table.queue.run(5000);
    process.deliver(-1, "");
    table.queue.run();
    expect(got).toEqual([...burst, -1]);
  });

  it("runs by itself in a later turn when the owner does not run the queue", () => {
    const { table, turn } = make();
    const { process, got } = recorder(table);
    process.deliver(1, "m");
    turn();
    expect(got).toEqual([1]);
  });

  it("refuses the newest message when the mailbox is full, and keeps a reserve for signals", () => {
    const { table } = make({ maxMailboxMessages: 2, mailboxReserve: 1 });
    const { process, got } = recorder(table, { trapExit: true });
    expect([1, 2, 3].map((n) => process.deliver(n, "m"))).toEqual([true, true, false]);
    expect(table.exitSignal(process, stranger, BOOM, "exit")).toBe("message");
    expect(table.exitSignal(process, stranger, BOOM, "exit")).toBe("dropped");
    expect(process.refusedMessages).toBe(2);
    table.queue.run();
    expect(got).toEqual([1, 2, tuple(atom("EXIT"), stranger, BOOM)]);
    expect(process.deliver(4, "m")).toBe(true);
  });

  it("takes no further message of a process while its promise is pending; others go on", async () => {
    const { table } = make();
    const log: string[] = [];
    let release = () => {};
    const slow = table.spawn(
      {
        message(term) {
          log.push(`slow ${String(term)}`);
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      },
      { tag: "" },
    );
    const quick = table.spawn({ message: (term) => void log.push(`quick ${String(term)}`) }, { tag: "" });
    slow.deliver(1, "");
    slow.deliver(2, "");
    quick.deliver(1, "");
    table.queue.run();
    slow.deliver(3, "");
    table.queue.run();
    expect(log).toEqual(["slow 1", "quick 1"]);
    release();
    await Promise.resolve();
    expect(log).toEqual(["slow 1", "quick 1", "slow 2"]);
    release();
    await Promise.resolve();
    expect(log.at(-1)).toBe("slow 3");
    expect(slow.mailboxLength).toBe(0);
  });

  it("delivers nothing more to a process killed while its promise is pending", async () => {
    const { table } = make();
    let seen = 0;
    let release = () => {};
    const process = table.spawn(
      {
        message() {
          seen++;
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      },
      { tag: "" },
    );
    process.deliver(1, "");
    process.deliver(2, "");
    table.queue.run();
    table.exit(process, BOOM);
    release();
    await Promise.resolve();
    expect(seen).toBe(1);
    expect(process.deliver(3, "")).toBe(false);
  });
});

describe("a crash", () => {
  it("ends the process with the reason that the owner gives, thrown or rejected", async () => {
    const { table } = make();
    const thrown = table.spawn(
      {
        message() {
          throw new Error("x");
        },
      },
      { tag: "" },
    );
    const rejected = table.spawn({ message: () => Promise.reject(new Error("y")) }, { tag: "" });
    thrown.deliver(1, "");
    thrown.deliver(2, "");
    rejected.deliver(1, "");
    table.queue.run();
    await Promise.resolve();
    for (const process of [thrown, rejected])
      expect(process.state).toEqual({ kind: "dead", reason: new Atom("crashed") });
  });

  it("may be survived, and then the next message is taken", async () => {
    const { table } = make({}, { onCrash: () => undefined });
    let seen = 0;
    const process = table.spawn(
      {
        message(term) {
          seen++;
          if (term === 1) throw new Error("x");
          if (term === 2) return Promise.reject(new Error("y"));
          return undefined;
        },
      },
      { tag: "" },
    );
    for (const n of [1, 2, 3]) process.deliver(n, "");
    table.queue.run();
    await Promise.resolve();
    expect(seen).toBe(3);
    expect(process.alive).toBe(true);
  });

  it("ends the process with error when the crash handler breaks too", () => {
    const { table, errors } = make(
      {},
      {
        onCrash: () => {
          throw new Error("handler");
        },
      },
    );
    const process = table.spawn(
      {
        message() {
          throw new Error("x");
        },
      },
      { tag: "" },
    );
    process.deliver(1, "");
    table.queue.run();
    expect(process.state).toEqual({ kind: "dead", reason: new Atom("error") });
    expect(errors.length).toBe(1);
  });
});

// Rows as observed on OTP 25 with exit/2 and with the end of a linked process.
const SIGNALS: ["exit" | "link" | "link-as-message", string, boolean, string][] = [
  ["exit", "normal", false, "alive"],
  ["exit", "normal", true, "message normal"],
  ["exit", "kill", false, "died killed"],
  ["exit", "kill", true, "died killed"],
  ["exit", "shutdown", false, "died shutdown"],
  ["exit", "shutdown", true, "message shutdown"],
  ["link", "normal", false, "alive"],
  ["link", "normal", true, "message normal"],
  ["link", "kill", false, "died kill"],
  ["link", "kill", true, "message kill"],
  ["link", "shutdown", false, "died shutdown"],
  ["link", "shutdown", true, "message shutdown"],
  // Rulings C6, ours.
  ["link-as-message", "normal", false, "message normal"],
  ["link-as-message", "kill", false, "message kill"],
  ["link-as-message", "noconnection", false, "message noconnection"],
];

describe("an exit signal", () => {
  it.each(SIGNALS)("%s with %s, trapping %s: %s", (kind, reason, trapExit, expected) => {
    const { table } = make();
    const { process, got, metas } = recorder(table, { trapExit });
    table.exitSignal(process, stranger, new Atom(reason), kind);
    table.queue.run();
    const [what, seen] = expected.split(" ");
    expect(process.alive).toBe(what !== "died");
    expect(got).toEqual(what === "message" ? [tuple(atom("EXIT"), stranger, new Atom(seen ?? ""))] : []);
    if (what === "message") expect(metas).toEqual(["signal from b@h"]);
    if (what === "died") expect(process.state).toEqual({ kind: "dead", reason: new Atom(seen ?? "") });
  });

  it("normal ends a process that sent it to itself, unless it traps exits", () => {
    const { table } = make();
    const { process } = recorder(table);
    expect(table.exitSignal(process, process.pid, NORMAL, "exit")).toBe("exited");
    const { process: trapping } = recorder(table, { trapExit: true });
    expect(table.exitSignal(trapping, trapping.pid, NORMAL, "exit")).toBe("message");
  });
});

describe("the end of a process", () => {
  it("frees its name and pid at once, tells everyone once, and its behaviour last", () => {
    const { table, errors } = make();
    const { process, ends } = recorder(table, { tag: "kept" });
    table.names.register("calc", process);
    const downs: Down[] = [];
    table.monitors.monitor({
      ref: newRef(),
      target: "calc",
      onDown: (down) => {
        downs.push(down);
        expect(table.names.whereis("calc")).toBeUndefined();
        expect(table.lookup(process.pid)).toBeUndefined();
        expect(process.state.kind).toBe("exiting");
        expect(ends).toEqual([]);
        table.exit(process, NORMAL);
      },
    });
    process.deliver(1, "");
    table.exit(process, BOOM);
    table.exit(process, NORMAL);
    expect(errors).toEqual([]);
    expect(downs).toEqual([{ target: "calc", node: "a@h", reason: BOOM }]);
    expect(ends).toEqual([BOOM]);
    expect(process.state).toEqual({ kind: "dead", reason: BOOM });
    expect(table.exitSignal(process, stranger, BOOM, "link-as-message")).toBe("ignored");
    expect(process.mailboxLength).toBe(0);
    expect(table.size).toBe(0);
    expect(table.tagOf(process.pid)).toMatchObject({ tag: "kept" });
  });

  it("remembers the tags of the latest dead only", () => {
    const { table } = make({ maxRememberedDead: 2 });
    const pids = [1, 2, 3].map(() => {
      const { process } = recorder(table, { tag: "t" });
      table.exit(process, NORMAL);
      return process.pid;
    });
    expect(pids.map((pid) => table.tagOf(pid)?.tag)).toEqual([undefined, "t", "t"]);
    expect(table.tagOf(new Pid("a@h", 3, 0, 4))).toBeUndefined();
  });

  it("goes along a chain of links as long as the table, without recursion", () => {
    const { table } = make();
    const chain = Array.from({ length: 20_000 }, () => recorder(table).process);
    for (let i = 1; i < chain.length; i++) table.link(chain[i - 1]!, chain[i]!);
    table.exit(chain[0]!, BOOM);
    expect(table.size).toBe(0);
    expect(chain.at(-1)?.state).toEqual({ kind: "dead", reason: BOOM });
  });

  it("goes on when callbacks break", () => {
    const { table, errors } = make();
    const { process, ends } = recorder(table);
    const { process: linked } = recorder(table);
    table.link(process, linked);
    const seen: number[] = [];
    for (const n of [1, 2]) {
      table.monitors.monitor({
        ref: newRef(),
        target: process,
        onDown: () => {
          seen.push(n);
          throw new Error("callback");
        },
      });
    }
    table.exit(process, BOOM);
    expect(seen).toEqual([1, 2]);
    expect(errors.length).toBe(2);
    expect(linked.alive).toBe(false);
    expect(ends).toEqual([BOOM]);
    const { process: next } = recorder(table);
    table.exit(next, BOOM);
    expect(next.state.kind).toBe("dead");
  });

  it("refuses more processes than maxProcesses and lets one in after an end", () => {
    const { table } = make({ maxProcesses: 1 });
    const { process } = recorder(table);
    expect(() => recorder(table)).toThrow(fails("ERR_LIMIT", "PROCESS_LIMIT"));
    table.exit(process, NORMAL);
    expect(() => recorder(table)).not.toThrow();
    table.exitAll(NORMAL);
    expect(table.size).toBe(0);
  });
});

describe("local links", () => {
  it("end both ends with the reason, but not with normal, and fire once", () => {
    const { table } = make();
    const a = recorder(table);
    const b = recorder(table, { trapExit: true });
    const c = recorder(table);
    table.link(a.process, b.process);
    table.link(b.process, a.process);
    table.link(a.process, c.process);
    table.exit(a.process, NORMAL);
    table.exit(a.process, BOOM);
    table.queue.run();
    expect(b.got).toEqual([tuple(atom("EXIT"), a.process.pid, NORMAL)]);
    expect(table.linked(b.process, a.process)).toBe(false);
    expect(c.process.alive).toBe(true);
  });

  it("carry nothing after unlink", () => {
    const { table } = make();
    const a = recorder(table);
    const b = recorder(table);
    table.link(a.process, b.process);
    expect(table.linked(b.process, a.process)).toBe(true);
    expect(table.unlink(b.process, a.process)).toBe(true);
    expect(table.unlink(b.process, a.process)).toBe(false);
    table.exit(a.process, BOOM);
    expect(b.process.alive).toBe(true);
  });

  it("to a process that is not there are noproc", () => {
    const { table } = make();
    const a = recorder(table, { trapExit: true });
    const gone = new Pid("a@h", 77, 0, 3);
    table.link(a.process, gone);
    table.queue.run();
    expect(a.got).toEqual([tuple(atom("EXIT"), gone, new Atom("noproc"))]);
  });
});

describe("local monitors", () => {
  it("on nobody report noproc in a later turn, unless removed before", () => {
    const { table, turn } = make();
    const downs: Down[] = [];
    const [kept, removed] = [newRef(), newRef()];
    for (const ref of [kept, removed]) {
      table.monitors.monitor({ ref, target: "nobody", onDown: (down) => downs.push(down) });
    }
    expect(downs).toEqual([]);
    expect(table.monitors.demonitor(removed)).toBe(true);
    turn();
    expect(downs).toEqual([{ target: "nobody", node: "a@h", reason: new Atom("noproc") }]);
    expect(table.monitors.demonitor(kept)).toBe(false);
    expect(table.monitors.size).toBe(0);
  });

  it("on a name stick to the process that had it", () => {
    const { table } = make();
    const [first, second] = [recorder(table), recorder(table)];
    table.names.register("calc", first.process);
    const downs: Down[] = [];
    table.monitors.monitor({ ref: newRef(), target: "calc", onDown: (down) => downs.push(down) });
    table.names.unregister("calc");
    table.names.register("calc", second.process);
    table.exit(second.process, BOOM);
    expect(downs).toEqual([]);
    table.exit(first.process, BOOM);
    expect(downs.length).toBe(1);
  });

  it("end silently with the watcher, and are not fired when a callback before removes them", () => {
    const { table } = make();
    const target = recorder(table);
    const watcher = recorder(table);
    const downs: string[] = [];
    const later = newRef();
    table.monitors.monitor({
      ref: newRef(),
      target: target.process,
      onDown: () => {
        downs.push("first");
        expect(table.monitors.demonitor(later)).toBe(true);
      },
    });
    table.monitors.monitor({ ref: later, target: target.process, onDown: () => downs.push("later") });
    table.monitors.monitor({
      ref: newRef(),
      target: target.process,
      watcher: watcher.process,
      onDown: () => downs.push("watcher"),
    });
    table.exit(watcher.process, NORMAL);
    table.monitors.monitor({ ref: newRef(), target: "x", watcher: watcher.process, onDown: () => downs.push("dead") });
    table.exit(target.process, BOOM);
    expect(downs).toEqual(["first"]);
    expect(table.monitors.size).toBe(0);
  });

  it("refuse a reference in use, and more than maxLocalMonitors", () => {
    const { table } = make({ maxLocalMonitors: 1 });
    const { process } = recorder(table);
    const ref = newRef();
    table.monitors.monitor({ ref, target: process, onDown: () => {} });
    const again = (other: Reference) => () => table.monitors.monitor({ ref: other, target: process, onDown: () => {} });
    expect(again(ref)).toThrow(fails("ERR_API_MISUSE", "MONITOR_EXISTS"));
    expect(again(newRef())).toThrow(fails("ERR_LIMIT", "MONITOR_LIMIT"));
  });
});

describe("names", () => {
  it("are refused when reserved, taken, malformed, or for a process that has one or has ended", () => {
    const { table } = make();
    const [a, b, dead] = [recorder(table).process, recorder(table).process, recorder(table).process];
    table.exit(dead, NORMAL);
    table.names.register("calc", a);
    const cases: [string, typeof a, string][] = [
      ["net_kernel", b, "NAME_RESERVED"],
      ["erts_code_purger", b, "NAME_RESERVED"],
      ["kernel_sup", b, "NAME_RESERVED"],
      ["undefined", b, "NAME_RESERVED"],
      ["calc", b, "NAME_TAKEN"],
      ["", b, "PROCESS_NAME_INVALID"],
      ["x".repeat(256), b, "PROCESS_NAME_INVALID"],
      ["\ud800", b, "PROCESS_NAME_INVALID"],
      ["second", a, "PROCESS_NAMED"],
      ["fresh", dead, "PROCESS_DEAD"],
    ];
    const before = table.names.generation;
    for (const [name, process, reason] of cases) {
      expect(() => table.names.register(name, process)).toThrow(fails("ERR_API_MISUSE", reason));
    }
    expect(table.names.generation).toBe(before);
    table.names.registerReserved("net_kernel", b);
    expect(table.names.whereis("net_kernel")).toBe(b);
  });

  it("count a generation with each change", () => {
    const { table } = make();
    const { process } = recorder(table);
    const seen = [table.names.generation];
    const step = (act: () => void) => {
      act();
      seen.push(table.names.generation);
    };
    step(() => table.names.register("é".repeat(255), process));
    step(() => table.names.unregister("é".repeat(255)));
    step(() => table.names.unregister("nobody"));
    step(() => table.names.register("calc", process));
    step(() => table.exit(process, NORMAL));
    expect(seen).toEqual([0, 1, 2, 2, 3, 4]);
    expect(process.name).toBeUndefined();
    expect(table.names.size).toBe(0);
  });
});
