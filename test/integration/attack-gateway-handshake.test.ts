import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Peer, type Raw } from "../attack/client.ts";
import { atom } from "../attack/etf.ts";
import { challenge, challengeAck, challengeReply, digest, FLAGS, op, sendName, status } from "../attack/frames.ts";
import { GatewayRig } from "../attack/gateway-rig.ts";
import { COMMANDER, Session, THIRD, WORKER } from "../attack/gateway-session.ts";

// What is tried before a session stands (threat model 3.5 and 5), on either leg, and what a session is starved with.

const HANDSHAKE_MS = 1_000;
const TICK_MS = 1_000;

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start("outside", undefined, {
    tickTimeMs: TICK_MS,
    limits: { maxHandshakeMs: HANDSHAKE_MS },
  });
});
afterEach(async () => {
  rig.drop();
  await vi.waitFor(() => expect(rig.gateway.pairs).toBe(0));
});
afterAll(() => rig.stop());

/** Nothing has dialled there: whoever does next is the one that is waited for here. */
async function undisturbed(side: "inside" | "outside"): Promise<void> {
  const from = side === "inside" ? "outside" : "inside";
  const probe = await rig.raw(from);
  probe.frame(sendName(rig.name(from)), 2);
  const next = rig.keep(await rig.traps[side].next());
  const hello = await next.readFrame(2);
  expect(hello.subarray(15).toString("latin1")).toBe(rig.name(from));
  probe.destroy();
  await next.untilClosed();
}

/** How it ended for who was attacking, in the words of the gateway's operator. */
async function refusal(since: number): Promise<string | undefined> {
  await vi.waitFor(() => expect(rig.events.length).toBeGreaterThan(since));
  const event = rig.events.slice(since).find(({ kind }) => kind === "refused");
  return event !== undefined && "error" in event ? event.error?.reason : undefined;
}

describe("who dials", () => {
  it.each<[string, "inside" | "outside", string, string]>([
    ["the name of the node that it dials (TR-07)", "inside", COMMANDER, "SELF_CONNECT"],
    ["the name of the node that it dials, from outside (TR-07)", "outside", WORKER, "SELF_CONNECT"],
    ["another worker's name", "inside", "worker2@127.0.0.1", "NOT_PAIRED"],
    ["a third node's name", "outside", THIRD, "NOT_PAIRED"],
    ["its name in capitals (HS-19)", "inside", "WORKER@127.0.0.1", "NOT_PAIRED"],
    ["its name with a dot (HS-19)", "inside", "worker@127.0.0.1.", "NOT_PAIRED"],
    ["a name with a line in it (HS-17)", "inside", "worker\n@127.0.0.1", "HANDSHAKE_BAD_NAME"],
    ["a name with a path in it (HS-17)", "inside", "../worker@127.0.0.1", "HANDSHAKE_BAD_NAME"],
    ["a name without a host (HS-18)", "inside", "worker@", "HANDSHAKE_BAD_NAME"],
  ])("says %s: nobody is dialled", async (_, from, name, reason) => {
    const since = rig.events.length;
    const attacker = await rig.raw(from);
    attacker.frame(sendName(name), 2);
    await attacker.untilClosed();
    const said = attacker.rest.toString("latin1");
    expect(said === "" || said === "\0\fsnot_allowed").toBe(true);
    expect(await refusal(since)).toBe(reason);
    await undisturbed(from === "inside" ? "outside" : "inside");
  });

  it.each([
    ["V4_NC (HS-15)", 0x4_0000_0000n],
    ["UNLINK_ID (HS-15)", 0x200_0000n],
    ["SEND_SENDER (HS-14)", 0x8_0000n],
    ["EXIT_PAYLOAD (HS-14)", 0x40_0000n],
    ["SPAWN (HS-14)", 0x1_0000_0000n],
    ["ALIAS (HS-14)", 0x8_0000_0000n],
    ["HANDSHAKE_23 and BIG_CREATION", 0x104_0000n | 0x400_0000n],
  ])("lacks %s: nobody is dialled", async (_, flag) => {
    const since = rig.events.length;
    const attacker = await rig.raw("inside");
    attacker.frame(sendName(WORKER, FLAGS & ~flag), 2);
    await attacker.untilClosed();
    expect(await refusal(since)).toBe("FLAGS_MISSING");
    await undisturbed("outside");
  });

  it.each<[string, (raw: Raw) => void]>([
    [
      "an old form of the name (HS-15)",
      (raw) => raw.frame(Buffer.from("6e00050007df5fbcworker@127.0.0.1", "latin1"), 2),
    ],
    ["a wish for a name (HS-16)", (raw) => raw.frame(sendName(WORKER, FLAGS | 0x2_0000_0000n), 2)],
    ["a length of 65,535 (AU-34)", (raw) => raw.write(Buffer.from([0xff, 0xff]))],
    ["a proof before its name (AU-36)", (raw) => raw.frame(challengeReply(1, Buffer.alloc(16)), 2)],
    ["a status before its name (AU-36)", (raw) => raw.frame(status("true"), 2)],
    [
      "its name twice (AU-36)",
      (raw) => {
        raw.frame(sendName(WORKER), 2);
        raw.frame(sendName(WORKER), 2);
      },
    ],
  ])("sends %s: no session", async (_, attack) => {
    const attacker = await rig.raw("inside");
    attack(attacker);
    await attacker.untilClosed();
    expect(rig.events.at(-1)?.kind).toBe("refused");
  });

  it.each<[string, (c: number) => Buffer]>([
    ["of another cookie (HS-11)", (c) => challengeReply(7, digest("not-the-cookie", c))],
    ["of the other leg's cookie", (c) => challengeReply(7, digest(rig.cookie("outside"), c))],
    ["of an empty cookie", (c) => challengeReply(7, digest("", c))],
    ["of zeroes (AU-18)", () => challengeReply(7, Buffer.alloc(16))],
    ["of 15 bytes (AU-18)", () => challengeReply(7, Buffer.alloc(15))],
  ])("has a proof %s: the far node sees no proof either", async (_, proof) => {
    const attacker = await rig.raw("inside");
    attacker.frame(sendName(WORKER), 2);
    const far = rig.keep(await rig.traps.outside.next());
    await far.readFrame(2);
    far.frame(status("ok"), 2);
    far.frame(challenge(COMMANDER, 99), 2);
    expect((await attacker.readFrame(2)).toString("latin1")).toBe("sok");
    const asked = await attacker.readFrame(2);
    attacker.frame(proof(asked.readUInt32BE(9)), 2);
    await Promise.all([attacker.untilClosed(), far.untilClosed()]);
    expect([attacker.rest, far.rest]).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
  });

  it("stays half open: both legs end at the deadline (HS-03, HS-04)", async () => {
    const attacker = await rig.raw("inside");
    attacker.frame(sendName(WORKER), 2);
    const far = rig.keep(await rig.traps.outside.next());
    const since = Date.now();
    await Promise.all([attacker.untilClosed(), far.untilClosed()]);
    expect(Date.now() - since).toBeLessThan(HANDSHAKE_MS + 1_500);
  });

  it("dribbles: the deadline is one for all bytes (HS-04)", async () => {
    const attacker = await rig.raw("inside");
    const name = sendName(WORKER);
    const bytes = Buffer.concat([Buffer.from([0, name.length]), name]);
    let at = 0;
    const timer = setInterval(() => attacker.write(bytes.subarray(at, ++at)), 100);
    await attacker.untilClosed();
    clearInterval(timer);
    expect(at).toBeLessThan(bytes.length);
  });

  it("dials again and again: the far node is dialled for a few at once (PAIRING_ATTEMPTS_FULL)", async () => {
    const attackers = await Promise.all(Array.from({ length: 20 }, () => rig.raw("inside")));
    for (const attacker of attackers) attacker.frame(sendName(WORKER), 2);
    await vi.waitFor(() => expect(attackers.filter(({ closed }) => closed)).toHaveLength(12));
    for (let i = 0; i < 8; i++) rig.keep(await rig.traps.outside.next());
    rig.drop();
    await vi.waitFor(() => expect(rig.gateway.pairs).toBe(0));
    await undisturbed("outside");
  });
});

describe("who is dialled", () => {
  /** The commander dials, and the worker is dialled for it. */
  async function dialled(): Promise<{ commander: Raw; worker: Raw }> {
    const commander = await rig.raw("outside");
    commander.frame(sendName(COMMANDER), 2);
    const worker = rig.keep(await rig.traps.inside.next());
    const hello = await worker.readFrame(2);
    expect(hello.subarray(15).toString("latin1")).toBe(COMMANDER);
    return { commander, worker };
  }

  it.each<[string, (worker: Raw) => void]>([
    ["another name in its challenge", (w) => w.frame(challenge("worker2@127.0.0.1", 9), 2)],
    ["the commander's name in its challenge", (w) => w.frame(challenge(COMMANDER, 9), 2)],
    ["a challenge without SEND_SENDER (HS-14)", (w) => w.frame(challenge(WORKER, 9, FLAGS & ~0x8_0000n), 2)],
    ["a challenge without V4_NC (HS-15)", (w) => w.frame(challenge(WORKER, 9, FLAGS & ~0x4_0000_0000n), 2)],
    ["a proof in place of a challenge", (w) => w.frame(challengeAck(Buffer.alloc(16)), 2)],
    ["a second status", (w) => w.frame(status("ok"), 2)],
  ])("answers with %s: no session", async (_, attack) => {
    const { commander, worker } = await dialled();
    worker.frame(status("ok"), 2);
    attack(worker);
    await Promise.all([commander.untilClosed(), worker.untilClosed()]);
    // The commander was told at most the status, and is shown no challenge to prove anything for.
    expect(["", "\0\u0003sok"]).toContain(commander.rest.toString("latin1"));
    expect(rig.events.at(-1)?.kind).toBe("refused");
  });

  it.each(["bogus", "named:worker@127.0.0.1", "", "true"])("says the status %j: no session", async (text) => {
    const { commander, worker } = await dialled();
    worker.frame(status(text), 2);
    await Promise.all([commander.untilClosed(), worker.untilClosed()]);
    expect(commander.rest).toEqual(Buffer.alloc(0));
  });

  it.each(["nok", "not_allowed"])("says the status %s: the commander hears it and no more", async (text) => {
    const { commander, worker } = await dialled();
    worker.frame(status(text), 2);
    await Promise.all([commander.untilClosed(), worker.untilClosed()]);
    expect(commander.rest.toString("latin1").slice(2)).toBe(`s${text}`);
  });

  it("acknowledges with a wrong digest: the commander is not acknowledged", async () => {
    const { commander, worker } = await dialled();
    worker.frame(status("ok"), 2);
    worker.frame(challenge(WORKER, 9), 2);
    await commander.readFrame(2);
    const asked = await commander.readFrame(2);
    commander.frame(challengeReply(4, digest(rig.cookie("outside"), asked.readUInt32BE(9))), 2);
    await worker.readFrame(2);
    worker.frame(challengeAck(Buffer.alloc(16, 1)), 2);
    await Promise.all([commander.untilClosed(), worker.untilClosed()]);
    expect(commander.rest).toEqual(Buffer.alloc(0));
  });

  it("hands back the gateway's own challenge: it is not answered (AU-03, HS-09)", async () => {
    const { worker } = await dialled();
    worker.frame(status("ok"), 2);
    // The same worker dials the other way, to be asked something that it can ask in turn.
    const second = await rig.raw("inside");
    second.frame(sendName(WORKER), 2);
    const far = rig.keep(await rig.traps.outside.next());
    await far.readFrame(2);
    far.frame(status("ok"), 2);
    far.frame(challenge(COMMANDER, 98), 2);
    await second.readFrame(2);
    const asked = await second.readFrame(2);
    worker.frame(challenge(WORKER, asked.readUInt32BE(9)), 2);
    await worker.untilClosed();
    expect(worker.rest).toEqual(Buffer.alloc(0));
  });
});

describe("who has a session", () => {
  it("dials again under its name: the commander decides, and the new session knows nothing of the old one (TR-06)", async () => {
    const old = await rig.session("outside");
    const raw = await rig.raw("inside");
    const claim = { name: WORKER, cookie: rig.cookie("inside"), creation: 2_002 };
    const near = Peer.dial(raw, 2, claim);
    const far = rig.keep(await rig.traps.outside.next());
    await far.readFrame(2);
    far.frame(status("alive"), 2);
    expect((await far.readFrame(2)).toString("latin1")).toBe("strue");
    far.frame(challenge(COMMANDER, 97, FLAGS, 1_001), 2);
    const answered = await far.readFrame(2);
    far.frame(challengeAck(digest(rig.cookie("outside"), answered.readUInt32BE(1))), 2);
    const worker = await near;
    worker.send(op.aliasSend(old.server, old.callRef), old.answer(atom("sneaked")));
    worker.send(op.payloadExit(old.server, old.linked), atom("sneaked"));
    const commander = new Peer(far, { name: COMMANDER, cookie: "", creation: 1_001 });
    const next = await Session.begin(commander, worker);
    expect(commander.heard.filter(({ payload }) => payload.includes("sneaked"))).toEqual([]);
    expect(await next.arrived()).toEqual([]);
    expect(await old.arrived()).toEqual([]);
  });

  it("ticks and reads nothing: both legs end within two tick times (RS-09)", async () => {
    const { commander, worker } = await rig.session();
    worker.raw.socket.pause();
    const ticks = setInterval(() => worker.tick(), TICK_MS / 8);
    const listening = commander.hear(() => false).catch(() => undefined);
    const chunk = Buffer.alloc(1_000_000);
    const flood = setInterval(() => commander.send(op.regSend(commander.pid(), "server"), atomBinary(chunk)), 20);
    const since = Date.now();
    await commander.raw.untilClosed();
    clearInterval(ticks);
    clearInterval(flood);
    await listening;
    expect(Date.now() - since).toBeLessThan(4 * TICK_MS);
    expect(rig.events.at(-1)).toMatchObject({ kind: "down", endedBy: "inside", error: { reason: "WRITE_STALLED" } });
  });

  it("says nothing at all: both legs end when it has missed its ticks (RS-07)", async () => {
    const { commander, worker } = await rig.session();
    const ticks = setInterval(() => commander.tick(), TICK_MS / 8);
    await worker.raw.untilClosed();
    clearInterval(ticks);
    await commander.raw.untilClosed();
    expect(rig.events.at(-1)).toMatchObject({ kind: "down", endedBy: "inside", error: { reason: "PEER_SILENT" } });
  });
});

function atomBinary(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = 109;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
