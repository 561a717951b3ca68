import { afterEach, describe, expect, it, vi } from "vitest";
import { Atom, atom, Pid, Reference, type Term, tuple } from "../term/types.ts";
import { type Control, hasPayload } from "../wire/control-types.ts";
import { PeerTables, type PeerTablesOptions } from "./peer-tables.ts";
import type { Down } from "./ports.ts";
import { ProcessTable } from "./process-table.ts";

const NOPROC = new Atom("noproc");
const NOCONNECTION = new Atom("noconnection");
const LIMIT = new Atom("system_limit");
const BOOM = new Atom("boom");
const ERROR = new Atom("error");

/** A process of the peer. */
const R = new Pid("b@h", 5, 0, 9);
const R2 = new Pid("b@h", 6, 0, 9);
/** A process that this node never had, and one of an earlier creation. */
const MISSING = new Pid("a@h", 99, 0, 3);
let counter = 0;
/** A callback that must not be called. Errors thrown in callbacks do not reach the test. */
const unwanted = vi.fn();
afterEach(() => expect(unwanted).not.toHaveBeenCalled());

const newRef = (): Reference => new Reference("b@h", 9, [++counter, 1, 2]);

function make(options: PeerTablesOptions<null, null> = {}, onSignal: () => void = () => {}) {
  const later: (() => void)[] = [];
  const sent: unknown[] = [];
  const errors: unknown[] = [];
  const table = new ProcessTable<null, null>({
    node: "a@h",
    creation: 3,
    scheduler: { later: (run) => later.push(run) },
    signalMeta: () => null,
    onCrash: () => undefined,
    onCallbackError: (error) => errors.push(error),
  });
  const remote = {
    node: "b@h",
    creation: 9,
    signal(control: Control, payload?: Term) {
      sent.push(hasPayload(control) ? { ...control, payload } : control);
      onSignal();
    },
  };
  const peer = new PeerTables(remote, table, options);
  const spawn = (trapExit = false, exposeReasons = false) => {
    const got: Term[] = [];
    const process = table.spawn({ message: (term) => void got.push(term) }, { tag: null, trapExit, exposeReasons });
    return { process, pid: process.pid, got };
  };
  const turn = () => {
    for (const run of later.splice(0)) run();
  };
  /** What was sent since the last look. */
  const took = () => sent.splice(0);
  return { table, peer, spawn, turn, took, errors };
}

const exit = (from: Pid, to: Pid, payload: Term) => ({ kind: "exit", from, to, reason: "payload", payload });
const down = (target: Pid | string, to: Pid, ref: Reference, payload: Term) => ({
  kind: "monitor-exit",
  target,
  to,
  ref,
  reason: "payload",
  payload,
});

describe("LINK (4.1)", () => {
  it("to a living process makes a link and answers nothing", () => {
    const { peer, spawn, took } = make();
    const { process, pid } = spawn();
    expect(peer.linkRequested(R, pid)).toBe("linked");
    expect(took()).toEqual([]);
    expect(peer.linked(process, R)).toBe(true);
  });

  it("to nobody, or to another creation, answers EXIT noproc from that same pid", () => {
    const { peer, spawn, took } = make();
    const { pid } = spawn();
    const old = new Pid("a@h", pid.id, pid.serial, 2);
    expect(peer.linkRequested(R, MISSING)).toBe("noproc");
    expect(peer.linkRequested(R, old)).toBe("noproc");
    expect(took()).toEqual([exit(MISSING, R, NOPROC), exit(old, R, NOPROC)]);
  });

  it("is ignored where a record exists, also one that waits for an acknowledgement", () => {
    const { peer, spawn, took } = make();
    const { process, pid } = spawn();
    peer.link(process, R);
    expect(peer.linkRequested(R, pid)).toBe("ignored");
    peer.unlink(process, R);
    took();
    expect(peer.linkRequested(R, pid)).toBe("ignored");
    expect(peer.linked(process, R)).toBe(false);
    expect(took()).toEqual([]);
    expect(peer.counters.ignoredLinks).toBe(2);
  });

  it("above the limit answers system_limit, whether or not the process exists, until one is gone", () => {
    const { peer, spawn, took } = make({ maxLinksIn: 1 });
    const { pid } = spawn();
    peer.linkRequested(R, pid);
    expect(peer.linkRequested(R2, pid)).toBe("over-limit");
    expect(peer.linkRequested(R2, MISSING)).toBe("over-limit");
    expect(took()).toEqual([exit(pid, R2, LIMIT), exit(MISSING, R2, LIMIT)]);
    expect(peer.counters.refusedLinks).toBe(2);
    peer.unlinkRequested(1n, R, pid);
    expect(peer.linkRequested(R2, pid)).toBe("linked");
  });

  it("frees the peer's share when our own link takes the record over", () => {
    const { peer, spawn } = make({ maxLinksIn: 1 });
    const { process, pid } = spawn();
    peer.linkRequested(R, pid);
    peer.unlink(process, R);
    expect(peer.linkRequested(R2, pid)).toBe("over-limit");
    peer.link(process, R);
    expect(peer.linkRequested(R2, pid)).toBe("linked");
    peer.disconnected();
    expect(peer.sizes).toEqual({ links: 0, monitorsIn: 0, monitorsOut: 0 });
  });
});

describe("our links", () => {
  it("send LINK once, UNLINK_ID with a fresh id, and LINK again while the acknowledgement is on its way", () => {
    const { peer, spawn, took } = make();
    const { process, pid } = spawn();
    peer.link(process, R);
    peer.link(process, R);
    expect(peer.unlink(process, R)).toBe(true);
    expect(peer.unlink(process, R)).toBe(false);
    peer.link(process, R);
    peer.unlinkAcked(1n, R, pid);
    expect(peer.linked(process, R)).toBe(true);
    peer.unlink(process, R);
    expect(took()).toEqual([
      { kind: "link", from: pid, to: R },
      { kind: "unlink-id", id: 1n, from: pid, to: R },
      { kind: "link", from: pid, to: R },
      { kind: "unlink-id", id: 2n, from: pid, to: R },
    ]);
  });

  it("are limited by maxLinks", () => {
    const { peer, spawn } = make({ maxLinks: 1 });
    const { process } = spawn();
    peer.link(process, R);
    expect(() => peer.link(process, R2)).toThrow(expect.objectContaining({ code: "ERR_LIMIT", reason: "LINK_LIMIT" }));
  });

  it("adopted from a spawn are active without a LINK", () => {
    const { peer, spawn, took } = make();
    const { process, pid } = spawn();
    peer.adoptLink(process, R);
    expect(took()).toEqual([]);
    peer.exitReceived(R, pid, BOOM);
    expect(process.alive).toBe(false);
  });

  it("are not made for a process that ended", () => {
    const { peer, table, spawn, took } = make();
    const { process } = spawn();
    table.exit(process, BOOM);
    peer.link(process, R);
    expect(took()).toEqual([]);
    expect(peer.sizes.links).toBe(0);
  });
});

describe("UNLINK_ID (4.1)", () => {
  it("is acknowledged with its id before anything else, and removes the link", () => {
    const { peer, spawn, took } = make();
    const { process, pid } = spawn();
    peer.linkRequested(R, pid);
    peer.unlinkRequested(2n ** 64n - 1n, R, pid);
    expect(took()).toEqual([{ kind: "unlink-id-ack", id: 2n ** 64n - 1n, from: pid, to: R }]);
    expect(peer.exitReceived(R, pid, BOOM)).toBe(false);
    expect(process.alive).toBe(true);
  });

  it("is acknowledged for an unknown process too", () => {
    const { peer, took } = make();
    peer.unlinkRequested(7n, R, MISSING);
    expect(took()).toEqual([{ kind: "unlink-id-ack", id: 7n, from: MISSING, to: R }]);
  });

  it("leaves a record alone that waits for our own acknowledgement", () => {
    const { peer, spawn } = make();
    const { process, pid } = spawn();
    peer.link(process, R);
    peer.unlink(process, R);
    peer.unlinkRequested(1n, R, pid);
    expect(peer.sizes.links).toBe(1);
    peer.unlinkAcked(1n, R, pid);
    expect(peer.sizes.links).toBe(0);
  });
});

describe("UNLINK_ID_ACK (4.1)", () => {
  it("counts only with the id that is waited for", () => {
    const { peer, spawn } = make();
    const { process, pid } = spawn();
    peer.link(process, R);
    peer.unlinkAcked(1n, R, pid);
    peer.unlink(process, R);
    peer.unlinkAcked(2n, R, pid);
    peer.unlinkAcked(1n, R2, pid);
    peer.unlinkAcked(1n, R, MISSING);
    expect(peer.sizes.links).toBe(1);
    expect(peer.counters.ignoredUnlinkAcks).toBe(4);
    peer.unlinkAcked(1n, R, pid);
    expect(peer.sizes.links).toBe(0);
  });
});

describe("EXIT (4.1)", () => {
  it("over a link ends the process once and removes the link", () => {
    const { peer, spawn, took, table } = make();
    const { process, pid, got } = spawn(true);
    peer.link(process, R);
    expect(peer.exitReceived(R, pid, BOOM)).toBe(true);
    expect(peer.exitReceived(R, pid, BOOM)).toBe(false);
    table.queue.run();
    expect(got).toEqual([tuple(atom("EXIT"), R, BOOM)]);
    expect(took().length).toBe(1);
    expect(peer.counters.ignoredExits).toBe(1);
  });

  it("without a link, from another process, or after unlink is ignored", () => {
    const { peer, spawn } = make();
    const { process, pid } = spawn();
    peer.exitReceived(R, pid, BOOM);
    peer.link(process, R);
    peer.exitReceived(R2, pid, BOOM);
    peer.exitReceived(new Pid("b@h", 5, 0, 8), pid, BOOM);
    peer.exitReceived(R, MISSING, BOOM);
    peer.unlink(process, R);
    peer.exitReceived(R, pid, BOOM);
    expect(process.alive).toBe(true);
    expect(peer.counters.ignoredExits).toBe(5);
  });

  it("comes as a message when the peer may not end the process (C6), also at disconnect", () => {
    const asked: Pid[] = [];
    const { peer, spawn, table } = make({
      exitAsMessage: (_process, from) => {
        asked.push(from);
        return true;
      },
    });
    const { process, pid, got } = spawn(false);
    peer.link(process, R);
    peer.link(process, R2);
    peer.exitReceived(R, pid, new Atom("kill"));
    peer.disconnected();
    table.queue.run();
    expect(process.alive).toBe(true);
    expect(got).toEqual([tuple(atom("EXIT"), R, new Atom("kill")), tuple(atom("EXIT"), R2, NOCONNECTION)]);
    expect(asked).toEqual([R, R2]);
  });
});

describe("MONITOR_P (4.1, 6.3)", () => {
  it("of nobody answers noproc at once, with target and reference as they came", () => {
    const { peer, spawn, took, table } = make();
    const { pid } = spawn();
    const old = new Pid("a@h", pid.id, pid.serial, 2);
    const [a, b, c] = [newRef(), newRef(), newRef()];
    expect(peer.monitorRequested(R, "nobody", a)).toBe("noproc");
    expect(peer.monitorRequested(R, MISSING, b)).toBe("noproc");
    expect(peer.monitorRequested(R, old, c)).toBe("noproc");
    expect(took()).toEqual([down("nobody", R, a, NOPROC), down(MISSING, R, b, NOPROC), down(old, R, c, NOPROC)]);
    expect(table.size).toBe(1);
    expect(peer.sizes.monitorsIn).toBe(0);
  });

  it("tells the watcher once, and a name monitor sticks to the process that had the name", () => {
    const { peer, spawn, took, table } = make();
    const { process } = spawn();
    const other = spawn();
    table.names.register("calc", process);
    const [byName, byPid] = [newRef(), newRef()];
    expect(peer.monitorRequested(R, "calc", byName)).toBe("monitored");
    expect(peer.monitorRequested(R2, process.pid, byPid)).toBe("monitored");
    table.names.unregister("calc");
    table.names.register("calc", other.process);
    table.exit(other.process, BOOM);
    expect(took()).toEqual([]);
    table.exit(process, new Atom("shutdown"));
    expect(took()).toEqual([
      down("calc", R, byName, new Atom("shutdown")),
      down(process.pid, R2, byPid, new Atom("shutdown")),
    ]);
  });

  it("above maxMonitorsIn answers system_limit, whether or not the target exists", () => {
    const { peer, spawn, took } = make({ maxMonitorsIn: 1 });
    const { pid } = spawn();
    const first = newRef();
    peer.monitorRequested(R, pid, first);
    const [a, b] = [newRef(), newRef()];
    expect(peer.monitorRequested(R, pid, a)).toBe("over-limit");
    expect(peer.monitorRequested(R, "nobody", b)).toBe("over-limit");
    expect(took()).toEqual([down(pid, R, a, LIMIT), down("nobody", R, b, LIMIT)]);
    peer.demonitorRequested(R, pid, first);
    expect(peer.monitorRequested(R, pid, a)).toBe("monitored");
  });

  it("with a reference in use is ignored", () => {
    const { peer, spawn, took, table } = make();
    const [a, b] = [spawn(), spawn()];
    const ref = newRef();
    peer.monitorRequested(R, a.pid, ref);
    expect(peer.monitorRequested(R, b.pid, ref)).toBe("ignored");
    table.exit(b.process, BOOM);
    expect(took()).toEqual([]);
    expect(peer.counters.duplicateMonitors).toBe(1);
  });
});

describe("DEMONITOR_P (4.1)", () => {
  it("removes only the sender's own monitor, without an answer", () => {
    const { peer, spawn, took, table } = make();
    const { process, pid } = spawn();
    const ref = newRef();
    peer.monitorRequested(R, pid, ref);
    expect(peer.demonitorRequested(R2, pid, ref)).toBe(false);
    expect(peer.sizes.monitorsIn).toBe(1);
    expect(peer.demonitorRequested(R, pid, ref)).toBe(true);
    expect(peer.demonitorRequested(R, pid, ref)).toBe(false);
    table.exit(process, BOOM);
    expect(took()).toEqual([]);
    expect(peer.counters.ignoredDemonitors).toBe(2);
  });
});

describe("MONITOR_P_EXIT (4.1, CM-23)", () => {
  it("counts only when reference, target and watcher fit, and only once", () => {
    const { peer, spawn, took } = make();
    const { pid } = spawn();
    const ref = newRef();
    const downs: Down[] = [];
    peer.monitor(pid, R, ref, (told) => downs.push(told));
    expect(took()).toEqual([{ kind: "monitor", from: pid, target: R, ref }]);
    expect(peer.monitorExitReceived(R2, pid, ref, BOOM)).toBe(false);
    expect(peer.monitorExitReceived("calc", pid, ref, BOOM)).toBe(false);
    expect(peer.monitorExitReceived(R, MISSING, ref, BOOM)).toBe(false);
    expect(peer.monitorExitReceived(R, pid, newRef(), BOOM)).toBe(false);
    expect(downs).toEqual([]);
    expect(peer.monitorExitReceived(R, pid, ref, BOOM)).toBe(true);
    expect(peer.monitorExitReceived(R, pid, ref, BOOM)).toBe(false);
    expect(downs).toEqual([{ target: R, node: "b@h", reason: BOOM }]);
    expect(peer.counters.ignoredDowns).toBe(5);
  });

  it("of a name names the peer's node, and a demonitored one is not told", () => {
    const { peer, spawn, took } = make();
    const { pid } = spawn();
    const [kept, removed] = [newRef(), newRef()];
    const downs: Down[] = [];
    for (const ref of [kept, removed]) peer.monitor(pid, "calc", ref, (told) => downs.push(told));
    took();
    expect(peer.demonitor(removed)).toBe(true);
    expect(peer.demonitor(removed)).toBe(false);
    expect(took()).toEqual([{ kind: "demonitor", from: pid, target: "calc", ref: removed }]);
    peer.monitorExitReceived("calc", pid, removed, BOOM);
    peer.monitorExitReceived("calc", pid, kept, BOOM);
    expect(downs).toEqual([{ target: "calc", node: "b@h", reason: BOOM }]);
  });
});

describe("our monitors", () => {
  it("refuse a reference in use and more than maxMonitorsOut, and then send nothing", () => {
    const { peer, spawn, took } = make({ maxMonitorsOut: 1 });
    const { pid } = spawn();
    const ref = newRef();
    peer.monitor(pid, R, ref, () => {});
    took();
    expect(() => peer.monitor(pid, R, ref, () => {})).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "MONITOR_EXISTS" }),
    );
    expect(() => peer.monitor(pid, R, newRef(), () => {})).toThrow(
      expect.objectContaining({ code: "ERR_LIMIT", reason: "MONITOR_LIMIT" }),
    );
    expect(took()).toEqual([]);
  });

  it("adopted from a spawn are told without a MONITOR_P", () => {
    const { peer, took } = make();
    const ref = newRef();
    const downs: Down[] = [];
    peer.adoptMonitor(MISSING, R, ref, (told) => downs.push(told));
    expect(took()).toEqual([]);
    peer.monitorExitReceived(R, MISSING, ref, BOOM);
    expect(downs.length).toBe(1);
  });
});

describe("the end of a local process", () => {
  it("sends EXIT over active links, then DOWN, then takes its own monitors back", () => {
    const { peer, spawn, took, table } = make();
    const { process, pid } = spawn();
    const [theirs, ours] = [newRef(), newRef()];
    peer.monitorRequested(R, pid, theirs);
    peer.link(process, R);
    peer.link(process, R2);
    peer.unlink(process, R2);
    peer.monitor(pid, "calc", ours, unwanted);
    took();
    table.exit(process, new Atom("secret"));
    expect(took()).toEqual([
      exit(pid, R, ERROR),
      down(pid, R, theirs, ERROR),
      { kind: "demonitor", from: pid, target: "calc", ref: ours },
    ]);
    expect(peer.sizes).toEqual({ links: 0, monitorsIn: 0, monitorsOut: 0 });
    expect(peer.monitorExitReceived("calc", pid, ours, BOOM)).toBe(false);
  });

  it("tells the reason as it is only when the process exposes reasons", () => {
    const { peer, spawn, took, table } = make();
    const { process, pid } = spawn(false, true);
    peer.linkRequested(R, pid);
    table.exit(process, tuple(BOOM, 1));
    expect(took()).toEqual([exit(pid, R, tuple(BOOM, 1))]);
  });
});

describe("disconnected (4.1)", () => {
  it("tells each active link and each monitor of ours once, empties the tables, and ignores late frames", () => {
    const { peer, spawn, took, table } = make();
    const { process, pid, got } = spawn(true);
    const plain = spawn();
    const downs: Down[] = [];
    const [theirs, ours] = [newRef(), newRef()];
    peer.link(process, R);
    peer.linkRequested(R2, pid);
    peer.unlink(process, R2);
    peer.linkRequested(R, plain.pid);
    peer.monitorRequested(R, pid, theirs);
    peer.monitor(pid, "calc", ours, (told) => downs.push(told));
    took();
    peer.disconnected();
    peer.disconnected(BOOM);
    expect(peer.sizes).toEqual({ links: 0, monitorsIn: 0, monitorsOut: 0 });
    expect(plain.process.state).toEqual({ kind: "dead", reason: NOCONNECTION });
    expect(downs).toEqual([{ target: "calc", node: "b@h", reason: NOCONNECTION }]);

    expect(peer.linkRequested(R, MISSING)).toBe("ignored");
    expect(peer.linkRequested(R, pid)).toBe("ignored");
    peer.unlinkRequested(1n, R, pid);
    peer.unlinkAcked(1n, R, pid);
    expect(peer.exitReceived(R, pid, BOOM)).toBe(false);
    expect(peer.monitorRequested(R, MISSING, theirs)).toBe("ignored");
    expect(peer.demonitorRequested(R, pid, theirs)).toBe(false);
    expect(peer.monitorExitReceived("calc", pid, ours, BOOM)).toBe(false);
    table.queue.run();
    expect(got).toEqual([tuple(atom("EXIT"), R, NOCONNECTION)]);
    table.exit(process, BOOM);
    expect(took()).toEqual([]);
  });

  it("then answers new links and monitors in a later turn, unless they are removed before", () => {
    const { peer, spawn, turn, took } = make();
    const { process, pid } = spawn();
    peer.disconnected();
    const downs: Down[] = [];
    const [kept, removed] = [newRef(), newRef()];
    peer.link(process, R);
    peer.monitor(MISSING, R, kept, (told) => downs.push(told));
    peer.monitor(MISSING, R, removed, (told) => downs.push(told));
    peer.monitor(pid, R, newRef(), unwanted);
    expect(peer.demonitor(removed)).toBe(true);
    expect([downs.length, process.alive]).toEqual([0, true]);
    turn();
    expect(downs).toEqual([{ target: R, node: "b@h", reason: NOCONNECTION }]);
    expect(process.alive).toBe(false);
    expect(peer.sizes.monitorsOut).toBe(0);
    expect(took()).toEqual([]);
  });

  it("lets callbacks change the tables while it tells", () => {
    const { peer, spawn, turn, errors } = make();
    const { process } = spawn();
    const [a, b] = [newRef(), newRef()];
    const downs: string[] = [];
    peer.monitor(MISSING, R, a, () => {
      downs.push("a");
      expect(peer.demonitor(b)).toBe(true);
      peer.disconnected();
      peer.link(process, R);
      peer.monitor(MISSING, R, a, () => downs.push("again"));
      throw new Error("callback");
    });
    peer.monitor(MISSING, R, b, () => downs.push("b"));
    peer.monitor(MISSING, R, newRef(), () => downs.push("c"));
    peer.disconnected();
    expect(downs).toEqual(["a", "c"]);
    expect(process.alive).toBe(true);
    turn();
    expect(downs).toEqual(["a", "c", "again"]);
    expect(process.alive).toBe(false);
    expect(errors.length).toBe(1);
  });

  it("tells no monitor whose watcher a link just ended", () => {
    const { peer, spawn } = make();
    const { process, pid } = spawn();
    peer.monitor(pid, R, newRef(), unwanted);
    peer.link(process, R);
    peer.disconnected();
    expect(process.alive).toBe(false);
    expect(peer.sizes.monitorsOut).toBe(0);
  });

  it("may come from inside a signal", () => {
    let lose = () => {};
    const { peer, spawn, took } = make({}, () => lose());
    const { process, pid } = spawn();
    lose = () => peer.disconnected();
    peer.linkRequested(R, pid);
    peer.link(process, R2);
    expect(process.alive).toBe(false);
    expect(took().length).toBe(1);
    expect(peer.sizes.links).toBe(0);
  });
});
