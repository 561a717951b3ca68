import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Peer, type Trap, trap } from "../attack/client.ts";
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, read, show, tuple, u32 } from "../attack/etf.ts";
import { firstFragment, op } from "../attack/frames.ts";
import { COOKIE, EVIL, GOOD, Rig, VICTIM } from "../attack/rig.ts";

// Attacks by quantity and by patience, and answers by the wrong peer.

const TICK_MS = 2_000;
const MIB = 1024 * 1024;

let rig: Rig;
let trapB: Trap;
beforeAll(async () => {
  trapB = await trap();
  rig = await Rig.start({
    tickTimeMs: TICK_MS,
    limits: { maxFrameMs: 1_000, maxReassemblyMs: 1_000, maxQueuedBytes: 4 * MIB },
    processLimits: { maxMailboxBytes: 32 * MIB },
    resolve: { "b@localhost": `tcp://127.0.0.1:${trapB.port}` },
  });
});
afterEach(async () => {
  await rig.dropAttackers();
  await releaseAll();
  await rig.aliveAndWell();
});
afterAll(async () => {
  trapB.close();
  await rig.stopWell();
});

const openPid = (): Bytes => pid(VICTIM, rig.victim.pids.open.id, rig.victim.pids.open.serial, rig.victim.creation);

/** Whatever the busy service and the functions that stay hold back is let go, and what waited behind it too. */
async function releaseAll(): Promise<void> {
  while ((await rig.victim.ask<number>("release")) > 0);
}

/** Ticks for the attacker as long as it lives, so that it is not silence that ends it. */
function keepTicking(peer: Peer): void {
  const timer = setInterval(() => (peer.raw.closed ? clearInterval(timer) : peer.tick()), TICK_MS / 8);
}

/** Longest time the victim may do one thing only, in milliseconds: far above what a busy machine adds by itself. */
const MAX_BUSY_MS = 5_000;

/** Starts to watch how long the victim's event loop is busy; the function returned ends it. */
async function watchLoop(): Promise<() => Promise<void>> {
  await rig.victim.ask("loop");
  return async () => {
    expect((await rig.victim.ask<{ maxMs: number }>("loop")).maxMs).toBeLessThan(MAX_BUSY_MS);
  };
}

async function growth(attack: () => Promise<void>): Promise<number> {
  const before = (await rig.victim.ask<{ rss: number }>("memory")).rss;
  await attack();
  return (await rig.victim.ask<{ rss: number }>("memory")).rss - before;
}

/** Waits until the peer's messages so far are worked off. */
async function settled(peer: Peer): Promise<void> {
  peer.send(op.regSend(peer.pid(), "echo"), genCall(peer.pid(), peer.ref(), bin("settled")));
  await peer.hear(({ control, payload }) => control.startsWith("{33,") && payload.includes("settled"));
}

/** A call whose tag is large: the tag comes back with each answer. */
function bigTag(peer: Peer, request: Bytes): Bytes {
  return tuple(atom("$gen_call"), tuple(peer.pid(), bin(Buffer.alloc(1_500, 7))), request);
}

describe("patience", () => {
  it("a frame that never ends, while ticks cannot come between (RS-08)", async () => {
    const peer = await rig.peer();
    const mark = rig.mark;
    peer.raw.write(u32(1_000));
    const timer = setInterval(
      () => (peer.raw.closed ? clearInterval(timer) : peer.raw.write(Buffer.alloc(1, 0x83))),
      50,
    );
    await peer.raw.untilClosed();
    expect((await rig.victim.down(EVIL, mark))["reason"]).toBe("FRAME_TOO_SLOW");
  });

  it("a message in fragments that is never finished, between ticks (RS-03)", async () => {
    const peer = await rig.peer();
    const mark = rig.mark;
    peer.frame(firstFragment(1n, 2n, op.regSend(peer.pid(), "echo"), Buffer.alloc(MIB)));
    keepTicking(peer);
    await peer.raw.untilClosed();
    expect((await rig.victim.down(EVIL, mark))["reason"]).toBe("FRAGMENT_EXPIRED");
  });

  it("silence (RS-07)", async () => {
    const peer = await rig.peer("tls");
    const mark = rig.mark;
    await peer.raw.untilClosed();
    expect((await rig.victim.down(EVIL, mark))["reason"]).toBe("PEER_SILENT");
  });

  it("ticking, and never reading (RS-09)", async () => {
    const peer = await rig.peer();
    const mark = rig.mark;
    peer.raw.socket.pause();
    keepTicking(peer);
    // More than the system's own buffers take, and less than the bound of the send queue: some of it waits in the victim.
    const fill = (): Promise<boolean> =>
      rig.victim.ask("send", { name: "sink", node: EVIL, bytes: 10_000, count: 100 }).then(
        () => true,
        () => false,
      );
    while (await fill());
    const { reason } = (await rig.victim.down(EVIL, mark)) as { reason?: unknown };
    expect(reason).toBe("WRITE_STALLED");
  });

  it.each<[string, (peer: Peer) => [Bytes, Bytes]]>([
    ["pings", (peer) => [op.regSend(peer.pid(), "net_kernel"), bigTag(peer, tuple(atom("is_auth"), atom(EVIL)))]],
    [
      "refused calls by rex",
      (peer) => [
        op.regSend(peer.pid(), "rex"),
        bigTag(peer, tuple(atom("call"), atom("os"), atom("cmd"), NIL, peer.pid())),
      ],
    ],
    [
      "permitted calls by rex with large results",
      (peer) => [
        op.regSend(peer.pid(), "rex"),
        genCall(peer.pid(), peer.ref(), tuple(atom("call"), atom("big"), atom("blob"), NIL, peer.pid())),
      ],
    ],
    [
      "calls of a service",
      (peer) => [op.regSend(peer.pid(), "echo"), genCall(peer.pid(), peer.ref(), bin(Buffer.alloc(2_000)))],
    ],
    ["refused monitors", (peer) => [op.monitor(peer.pid(), atom("private"), peer.ref()), Buffer.alloc(0)]],
    [
      "erpc with large results",
      (peer) => [
        op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4], "monitor"),
        list(peer.ref(), atom("big"), atom("blob"), NIL),
      ],
    ],
  ])("asking without reading the answers ends at a bound, and what answers lives on: %s", async (_, make) => {
    const peer = await rig.peer();
    const mark = rig.mark;
    peer.raw.socket.pause();
    const [control, payload] = make(peer);
    while (!peer.raw.socket.destroyed && !rig.victim.events.slice(mark).some(({ event }) => event === "nodedown")) {
      for (let i = 0; i < 500; i++) peer.send(control, payload.length === 0 ? undefined : payload);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await rig.victim.down(EVIL, mark))["reason"]).toBe("SEND_QUEUE_FULL");
    peer.raw.destroy();
    // Whatever answered still does, for everybody else.
    await rig.good.ping(VICTIM);
    await expect(rig.good.rpc(VICTIM, "math", "add", [1, 2])).resolves.toBe(3);
    expect(rig.victim.uncaught).toEqual([]);
  });
});

describe("floods (CM-22)", () => {
  it("monitors: the 4,097th is refused", async () => {
    const loopWasFree = await watchLoop();
    const peer = await rig.peer();
    const grown = await growth(async () => {
      for (let i = 0; i < 5_000; i++) peer.send(op.monitor(peer.pid(), atom("echo"), peer.ref()));
      await settled(peer);
    });
    expect(
      peer.heard.filter(({ control, payload }) => control.startsWith("{28,echo") && payload === "system_limit"),
    ).toHaveLength(5_000 - 4_096);
    expect(grown).toBeLessThan(48 * MIB);
    await loopWasFree();
  });

  it("links: the 4,097th is refused", async () => {
    const peer = await rig.peer();
    for (let i = 0; i < 5_000; i++) peer.send(op.link(peer.pid(1_000 + i), openPid()));
    await settled(peer);
    expect(
      peer.heard.filter(({ control, payload }) => control.startsWith("{24,") && payload === "system_limit"),
    ).toHaveLength(5_000 - 4_096);
  });

  it("spawns: the 4,097th is refused, also after connecting anew", async () => {
    const first = await rig.peer();
    for (let i = 0; i < 5_000; i++)
      first.send(op.spawnRequest(first.ref(), first.pid(), first.pid(), ["sallyport_fn", "stay", 0]), NIL);
    await settled(first);
    expect(first.heard.filter(({ control }) => control.includes(",0,system_limit}"))).toHaveLength(5_000 - 4_096);
    await rig.dropAttackers();
    const second = await rig.peer();
    for (let i = 0; i < 10; i++)
      second.send(op.spawnRequest(second.ref(), second.pid(), second.pid(), ["sallyport_fn", "stay", 0]), NIL);
    const mfa = tuple(atom("call"), atom("math"), atom("add"), list(int(1), int(2)), second.pid());
    second.send(op.regSend(second.pid(), "rex"), genCall(second.pid(), second.ref(), mfa));
    await settled(second);
    expect(second.heard.filter(({ control }) => control.includes(",0,system_limit}"))).toHaveLength(10);
    expect(second.heard.filter(({ payload }) => payload.includes("{badrpc,system_limit}"))).toHaveLength(1);
    // Others have places of their own.
    await expect(rig.good.rpc(VICTIM, "math", "add", [1, 2])).resolves.toBe(3);
    await releaseAll();
    second.send(op.spawnRequest(second.ref(), second.pid(), second.pid(), ["sallyport_fn", "worker", 0]), NIL);
    await second.hear(({ control }) => control.startsWith("{31,") && control.includes(`,0,<${VICTIM}`));
  });

  it("300 MiB of casts to a service that is busy", async () => {
    const peer = await rig.peer();
    const grown = await growth(async () => {
      const megabyte = bin(Buffer.alloc(MIB, 1));
      for (let i = 0; i < 300; i++) {
        peer.send(op.regSend(peer.pid(), "slow"), tuple(atom("$gen_cast"), megabyte));
        if (i % 10 === 9) await settled(peer);
      }
    });
    expect(grown).toBeLessThan(160 * MIB);
    expect((await rig.victim.counters())["dropped_mailbox_full"]).toBeGreaterThan(200);
  });

  it("300,000 refused messages", async () => {
    const loopWasFree = await watchLoop();
    const peer = await rig.peer();
    const before = (await rig.victim.counters())["denied"] ?? 0;
    const grown = await growth(async () => {
      for (let i = 0; i < 60; i++) {
        for (let n = 0; n < 5_000; n++) peer.send(op.regSend(peer.pid(), "private"), int(n & 255));
        await settled(peer);
      }
    });
    expect(((await rig.victim.counters())["denied"] ?? 0) - before).toBe(300_000);
    expect(grown).toBeLessThan(96 * MIB);
    await loopWasFree();
  });
});

describe("answers by another peer (threat-model F3)", () => {
  /** The victim dials b and asks it something; b holds its answer. */
  async function asked(operation: string, rest: Record<string, unknown>, key: string): Promise<Peer> {
    const mark = rig.mark;
    const started = rig.victim.ask(operation, { key, node: "b@localhost", timeoutMs: 60_000, ...rest });
    const raw = await trapB.next();
    const peer = await Peer.answer(raw, 2, { name: "b@localhost", cookie: COOKIE });
    await rig.victim.event(({ event, peer: who }) => event === "nodeup" && who === "b@localhost", mark);
    await started;
    return peer;
  }

  const state = async (key: string): Promise<string> =>
    (await rig.victim.ask<{ state: string }>("outcome", { key })).state;

  /** Main process and reference out of `{19, From, Name, Ref}` or `{29, Ref, From, ...}`. */
  async function heardOf(
    peer: Peer,
    start: string,
    at: { from: number; ref: number },
  ): Promise<{ from: Bytes; ref: Bytes }> {
    const heard = await peer.hear(({ control }) => control.startsWith(start));
    const control = read(heard.frame, 3).value;
    if (typeof control !== "object" || !("tuple" in control)) throw new Error(show(control));
    const raw = (index: number): Bytes => {
      const value = control.tuple[index];
      if (typeof value === "object" && value !== null && "raw" in value) return value.raw as Bytes;
      throw new Error("no identifier there");
    };
    return { from: raw(at.from), ref: raw(at.ref) };
  }

  afterEach(async () => {
    await rig.victim.ask("disconnect", { node: "b@localhost" });
  });

  it("a call is answered by the peer that was asked, and by nobody else", async () => {
    const b = await asked("call", { name: "svc" }, "call");
    const { from, ref } = await heardOf(b, "{19,", { from: 1, ref: 3 });
    const a = await rig.peer("tls");
    const tagged = (value: string): Bytes => tuple(alias(ref), atom(value));
    a.send(op.aliasSend(a.pid(), ref), tagged("forged"));
    a.send(op.sendSender(a.pid(), from), tagged("forged"));
    a.send(op.send(from), tuple(ref, atom("forged")));
    a.send(op.payloadMonitorExit(atom("svc"), from, ref), atom("forged"));
    a.send(op.monitorExit(atom("svc"), from, ref, atom("forged")));
    await settled(a);
    expect(await state("call")).toBe("open");
    b.send(op.aliasSend(b.pid(), ref), tagged("genuine"));
    await rig.victim.ask("health");
    while ((await state("call")) === "open") await rig.victim.ask("health");
    expect(await rig.victim.ask("outcome", { key: "call" })).toEqual({ state: "answered", value: "genuine" });
  });

  it("the peer that was asked answers once", async () => {
    const b = await asked("call", { name: "svc" }, "once");
    const { ref } = await heardOf(b, "{19,", { from: 1, ref: 3 });
    const before = (await rig.victim.counters())["late_replies"] ?? 0;
    for (const value of ["first", "second", "third"])
      b.send(op.aliasSend(b.pid(), ref), tuple(alias(ref), atom(value)));
    while (((await rig.victim.counters())["late_replies"] ?? 0) < before + 2) await rig.victim.ask("health");
    expect(await rig.victim.ask("outcome", { key: "once" })).toEqual({ state: "answered", value: "first" });
  });

  it("a monitor fires by the peer it hangs on, and by nobody else (CM-23)", async () => {
    const b = await asked("monitor", { name: "svc" }, "monitor");
    const { from, ref } = await heardOf(b, "{19,", { from: 1, ref: 3 });
    const a = await rig.peer("tls");
    a.send(op.payloadMonitorExit(atom("svc"), from, ref), atom("forged"));
    a.send(op.payloadMonitorExit(a.pid(), from, ref), atom("forged"));
    await settled(a);
    // The right peer with the wrong watched process does not count either.
    b.send(op.payloadMonitorExit(atom("other"), from, ref), atom("forged"));
    b.send(op.payloadMonitorExit(b.pid(), from, ref), atom("forged"));
    expect(await state("monitor")).toBe("open");
    b.send(op.payloadMonitorExit(atom("svc"), from, ref), atom("genuine"));
    while ((await state("monitor")) === "open") await rig.victim.ask("health");
    expect(await rig.victim.ask("outcome", { key: "monitor" })).toEqual({ state: "down", reason: "genuine" });
  });

  it("a spawn is answered by the peer that was asked, and by nobody else (CM-04)", async () => {
    const mark = rig.mark;
    const pending = rig.victim.ask("spawn", { key: "spawn", fn: "worker", node: "b@localhost" });
    const b = await Peer.answer(await trapB.next(), 2, { name: "b@localhost", cookie: COOKIE });
    await rig.victim.event(({ event, peer: who }) => event === "nodeup" && who === "b@localhost", mark);
    await pending;
    const { from, ref } = await heardOf(b, "{29,", { from: 2, ref: 1 });
    const a = await rig.peer("tls");
    a.send(op.spawnReply(ref, from, 2, a.pid()));
    a.send(op.spawnReply(ref, from, 0, atom("eperm")));
    await settled(a);
    expect(await state("spawn")).toBe("open");
    b.send(op.spawnReply(ref, from, 2, b.pid()));
    while ((await state("spawn")) === "open") await rig.victim.ask("health");
    expect(await state("spawn")).toBe("answered");
    a.send(op.payloadMonitorExit(a.pid(), from, ref), atom("forged"));
    await settled(a);
    expect((await rig.victim.ask<{ down?: string }>("outcome", { key: "spawn" })).down).toBeUndefined();
  });

  it("a spawn reply that plants a link nobody asked for ends the session (CM-05)", async () => {
    const mark = rig.mark;
    const pending = rig.victim.ask("spawn", { key: "planted", fn: "worker", node: "b@localhost" });
    const b = await Peer.answer(await trapB.next(), 2, { name: "b@localhost", cookie: COOKIE });
    await pending;
    const { from, ref } = await heardOf(b, "{29,", { from: 2, ref: 1 });
    b.send(op.spawnReply(ref, from, 3, b.pid()));
    await b.raw.untilClosed();
    expect((await rig.victim.down("b@localhost", mark))["reason"]).toBe("SPAWN_REPLY_FORGED");
  });

  it("a peer cannot take another one's monitors back (CM-24)", async () => {
    const a = await rig.peer("tls");
    a.send(op.demonitor(a.pid(), atom("echo"), a.ref()));
    await settled(a);
    expect(await rig.sessions()).toContain(GOOD);
  });
});
