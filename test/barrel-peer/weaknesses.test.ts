// Hostile switches that succeed against the original, and so against the peer (barrel-auth sections 14 and 15).
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Match, makeRoom, type PeerEvent, PeerProcess } from "./harness.ts";

const V = "victim@127.0.0.1";
const E = "evil@127.0.0.1";
const room = makeRoom();
let victim: PeerProcess;
let strict: PeerProcess;
let evil: PeerProcess;
let address: string;

async function listeningOn(peer: PeerProcess): Promise<string> {
  return `127.0.0.1:${(await peer.wait({ event: "listening" }))["port"]}`;
}

beforeAll(async () => {
  const common = ["--auth-timeout", "60000", "--listen", "127.0.0.1:0", "--trace"];
  victim = new PeerProcess(room, V, common);
  strict = new PeerProcess(room, "strict@127.0.0.1", [...common, "--trust", "strict"]);
  evil = new PeerProcess(room, E);
  address = await listeningOn(victim);
});

afterAll(async () => {
  await Promise.all([victim, strict, evil].map((peer) => peer.stop()));
  room.remove();
});

/** The attacker dials and comes up; gives both ends' `up`, and closes again afterwards when told so. */
async function upAs(name: string, attack: string, fields: Match = {}, of = victim, at = address): Promise<PeerEvent> {
  const mark = of.mark;
  const connection = await evil.dial(of.name, at, { attack, ...fields });
  const up = await of.wait({ event: "up", name }, mark);
  await evil.wait({ event: "up", connection });
  return up;
}

async function closeAll(): Promise<void> {
  await evil.command("closeAll");
}

async function phaseOf(peer: PeerProcess, connection: unknown): Promise<unknown> {
  const { connections } = await peer.command("status");
  return (connections as readonly { id: number; phase: string }[]).find(({ id }) => id === connection)?.phase;
}

describe("what is accepted although it is odd", () => {
  it.each(["hello-on-bidi", "no-fin", "early-stream-0"])("%s, from a dialler", async (attack) => {
    await upAs(E, attack);
    expect(await evil.command("ping", { node: V })).toEqual({ answer: "pong" });
    await closeAll();
  });

  it.each(["hello-on-bidi", "no-fin"])("%s, from a listener", async (attack) => {
    const mark = victim.mark;
    await victim.dial(E, await evil.listen({ attack }));
    await victim.wait({ event: "up", name: E }, mark);
    expect(await victim.command("ping", { node: E })).toEqual({ answer: "pong" });
    await closeAll();
  });

  it("a distribution frame on stream 2", async () => {
    const mark = victim.mark;
    await upAs(E, "frame-on-stream-2");
    const got = await victim.wait({ event: "received", to: { atom: "echo" } }, mark);
    expect(got["message"]).toMatchObject({ tuple: [{}, "on stream 2"] });
    await closeAll();
  });

  it("but not the message form that was not negotiated", async () => {
    const [mine, mark] = [evil.mark, victim.mark];
    await evil.dial(V, address, { attack: "wrong-form" });
    expect(await victim.wait({ event: "bad_frame" }, mark)).toMatchObject({
      error: "message from incompatible erlang",
    });
    expect(await evil.wait({ event: "down", name: V }, mine)).toMatchObject({ reason: "peer" });
  });

  it("and not status and challenge in one frame, for a dialler", async () => {
    const [mine, mark] = [evil.mark, victim.mark];
    await victim.dial(E, await evil.listen({ attack: "merged-status-challenge" }));
    const failed = await victim.wait({ event: "handshake" }, mark);
    expect(failed).toMatchObject({ outcome: "fail", error: "{recv_status_failed,unknown}" });
    expect(await evil.wait({ event: "closed" }, mine)).toMatchObject({ by: "peer", code: 0 });
  });
});

describe("connections that stay open for good", () => {
  const H = "hasty@127.0.0.1";

  it("after a wrong cookie, a missing flag, no handshake and a stall after OK, none past any deadline closed", async () => {
    const hasty = new PeerProcess(room, H, ["--auth-timeout", "3000", "--listen", "127.0.0.1:0"]);
    const at = await listeningOn(hasty);
    const kept: (readonly [unknown, string])[] = [];
    const mine = evil.mark;
    for (const [attack, error] of [
      ["wrong-cookie", "bad_cookie"],
      ["missing-v4-nc", "missing_flags"],
    ] as const) {
      const mark = hasty.mark;
      await evil.dial(H, at, { attack });
      const failed = await hasty.wait({ event: "handshake" }, mark);
      expect(failed).toMatchObject({ outcome: "fail", error });
      kept.push([failed["connection"], "stuck"]);
    }
    const mark = hasty.mark;
    await evil.dial(H, at, { attack: "no-handshake" });
    const inward = await hasty.wait({ event: "auth", role: "incoming", outcome: "ok" }, mark);
    await hasty.dial(E, await evil.listen({ attack: "stall-after-ok" }));
    const outward = await hasty.wait({ event: "auth", role: "outgoing", outcome: "ok" }, mark);
    for (const { connection } of [inward, outward]) kept.push([connection, "handshake"]);
    // A silent connection is the clock: when it has been ended, every deadline set before it has passed too.
    await evil.dial(H, at, { attack: "silence" });
    await hasty.wait({ event: "auth", error: "auth_stream_timeout" }, mark);
    for (const [connection, phase] of kept) expect(await phaseOf(hasty, connection)).toBe(phase);
    // To the wrong cookie nothing was answered after the challenge; to the missing flag one status. The last is what
    // the dialler said to the listener that stalls.
    const answers = evil.since(mine, { event: "saw", what: "stream0" }).map(({ hex }) => String(hex).slice(0, 2));
    expect(answers.map((byte) => Buffer.from(byte, "hex").toString())).toEqual(["s", "N", "s", "N"]);
    const refusal = evil.since(mine, { event: "saw", what: "stream0" })[2]!;
    expect(Buffer.from(String(refusal["hex"]), "hex").toString()).toBe("snot_allowed");
    await Promise.all([hasty.stop(), closeAll()]);
  });

  it("but a dialler gives up on a wrong cookie and on a missing flag of the listener", async () => {
    for (const [attack, error] of [
      ["wrong-cookie", "{recv_challenge_ack_failed,bad_cookie}"],
      ["missing-v4-nc", "{recv_challenge_failed,missing_flags}"],
    ]) {
      const [mine, mark] = [evil.mark, victim.mark];
      await victim.dial(E, await evil.listen({ attack }));
      expect(await victim.wait({ event: "handshake" }, mark)).toMatchObject({ outcome: "fail", error });
      expect(await evil.wait({ event: "closed" }, mine)).toMatchObject({ by: "peer", code: 0 });
    }
  });
});

describe("identity", () => {
  it("reflection makes a tofu listener believe a dialler without any key", async () => {
    const up = await upAs("ghost@127.0.0.1", "reflection", { as: "ghost@127.0.0.1" });
    const auth = victim.since(0, { event: "auth", connection: up["connection"] })[0];
    expect(auth).toMatchObject({
      outcome: "ok",
      peer: "ghost@127.0.0.1",
      key: (await victim.command("identity"))["key"],
    });
    await closeAll();
  });

  it("reflection makes a tofu dialler believe a listener without any key", async () => {
    const as = "mirror@127.0.0.1";
    const mark = victim.mark;
    await victim.dial(as, await evil.listen({ attack: "reflection", as }));
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ role: "outgoing", outcome: "ok", peer: as });
    await victim.wait({ event: "up", name: as }, mark);
    await closeAll();
  });

  it("reflection enters a strict listener whose own key is among its pins", async () => {
    const { key } = await strict.command("identity");
    const as = "intruder@127.0.0.1";
    await strict.command("pin", { name: as, key });
    await upAs(as, "reflection", { as, victimKey: key }, strict, await listeningOn(strict));
    await closeAll();
  });

  it("a dialler that proved one name is up under another", async () => {
    const up = await upAs("zz@127.0.0.1", "other-dist-name", { distName: "zz@127.0.0.1" });
    expect(victim.since(0, { event: "auth", connection: up["connection"] })[0]).toMatchObject({ peer: E });
    await closeAll();
  });

  it("a listener may prove another name than the one dialled, but not handshake under another", async () => {
    const mark = victim.mark;
    await victim.dial(E, await evil.listen({ attack: "other-hello-name", as: "other@127.0.0.1" }));
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ outcome: "ok", peer: "other@127.0.0.1" });
    await victim.wait({ event: "up", name: E }, mark);
    await closeAll();
    const again = victim.mark;
    await victim.dial(E, await evil.listen({ attack: "other-dist-name", distName: "zz@127.0.0.1" }));
    const failed = await victim.wait({ event: "handshake" }, again);
    expect(failed).toMatchObject({ error: "{recv_challenge_failed,{name,zz@127.0.0.1}}" });
    await closeAll();
  });

  it("a name can be squatted without the cookie, and its owner is locked out", async () => {
    const mark = victim.mark;
    const owner = "owner@127.0.0.1";
    await evil.dial(V, address, { attack: "squat", as: owner });
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ outcome: "ok", peer: owner });
    expect(Object.keys((await victim.command("status"))["pins"] as object)).toContain(owner);
    const real = new PeerProcess(room, owner);
    const connection = await real.dial(V, address);
    expect(await real.wait({ event: "auth", connection })).toMatchObject({ error: "{auth_rejected,key_mismatch}" });
    await real.stop();
    await closeAll();
  });

  it("a cookie-only pattern gives OK and FIN at once, and any name after it", async () => {
    const open = new PeerProcess(room, "open@127.0.0.1", ["--cookie-only", "*@127.0.0.1", "--listen", "127.0.0.1:0"]);
    const easy = new PeerProcess(room, "easy@127.0.0.1", ["--cookie-only", "open@*", "--trace"]);
    const at = await listeningOn(open);
    const connection = await easy.dial("open@127.0.0.1", at, { attack: "other-dist-name", distName: "what@elsewhere" });
    await open.wait({ event: "up", name: "what@elsewhere" });
    const saw = easy.since(0, { event: "saw", connection }).map(({ what }) => what);
    expect(saw.slice(0, 2)).toEqual(["ok", "fin"]);
    expect((await open.wait({ event: "auth" }))["peer"]).toBeUndefined();
    const refused = await evil.dial("open@127.0.0.1", at);
    expect(await evil.wait({ event: "auth", connection: refused })).toMatchObject({ error: "unexpected_auth_ok" });
    await Promise.all([open.stop(), easy.stop()]);
  });
});

describe("resources", () => {
  it("a flood on a stream of no use is kept in memory before HELLO, beyond the first window", async () => {
    const bytes = 8 * 1024 * 1024;
    const patient = new PeerProcess(room, "patient@127.0.0.1", [
      "--listen",
      "127.0.0.1:0",
      "--trace",
      "--auth-timeout",
      "60000",
    ]);
    const at = await listeningOn(patient);
    const before = (await patient.command("memory"))["external"] as number;
    await evil.dial("patient@127.0.0.1", at, { attack: "flood", bytes });
    await patient.wait({ event: "saw", what: "early", stream: 4, bytes });
    expect(((await patient.command("memory"))["external"] as number) - before).toBeGreaterThan(bytes);
    await closeAll();
    expect(await patient.wait({ event: "auth" })).toMatchObject({
      error: "{recv_hello_failed,{connection_closed,closed}}",
    });
    await patient.stop();
  });

  it("a flood on the first stream is taken for the auth stream", async () => {
    const mark = victim.mark;
    await evil.dial(V, address, { attack: "flood", bytes: 65_536, unrelatedFirst: true });
    const { error } = await victim.wait({ event: "auth" }, mark);
    expect(error).toBe("{unexpected_message,{error,{unknown_message_type,90}}}");
    await closeAll();
  });

  it("a window that grows late stops whole frames for good; one without end does not", async () => {
    for (const [streamBytes, stalls] of [
      [1_048_576, true],
      [2 ** 50, false],
    ] as const) {
      const [mine, mark] = [evil.mark, victim.mark];
      await victim.dial(E, await evil.listen({ streamBytes, attack: "no-fin" }));
      await victim.wait({ event: "up", name: E }, mark);
      await victim.command("burst", { node: E, to: "sink", bytes: 65_000, count: 24 });
      const received = (): PeerEvent[] => evil.since(mine, { event: "received", to: { atom: "sink" } });
      while (received().length < (stalls ? 16 : 24)) await evil.wait({ event: "received" }, evil.mark);
      // Neither another message nor what goes on on other streams wakes it: the connection itself is well.
      await victim.command("burst", { node: E, to: "sink", bytes: 1, count: 1 });
      await victim.command("tick", { node: E });
      await evil.wait({ event: "tick" }, mine);
      const { parkedFrames } = await victim.command("stats", { node: E });
      while (!stalls && received().length < 25) await evil.wait({ event: "received" }, evil.mark);
      expect(received()).toHaveLength(stalls ? 16 : 25);
      if (stalls) expect(parkedFrames).toBeGreaterThanOrEqual(8);
      else expect(parkedFrames).toBe(0);
      await closeAll();
    }
  });
});

describe("a relay", () => {
  it("with the listener's stolen TLS key passes for it: both ends authenticate each other through it", async () => {
    const listener = "real@127.0.0.1";
    const real = new PeerProcess(room, listener, ["--listen", "127.0.0.1:0"]);
    const target = await listeningOn(real);
    const files = { certFile: join(real.keyDir, "quic/node.crt"), keyFile: join(real.keyDir, "quic/node.key") };
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target, ...files });
    const mark = victim.mark;
    await victim.dial(listener, `127.0.0.1:${port}`);
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ outcome: "ok", peer: listener });
    expect(await real.wait({ event: "auth" })).toMatchObject({ outcome: "ok", peer: V });
    await victim.wait({ event: "up", name: listener }, mark);
    await victim.command("send", { node: listener, to: "echo", term: { tuple: ["$self", "top secret"] } });
    await real.wait({ event: "received", to: { atom: "echo" } });
    const plain = Buffer.from("top secret").toString("hex");
    expect(evil.since(0, { event: "relayed" }).some(({ hex }) => String(hex).includes(plain))).toBe(true);
    await real.stop();
  });

  it("with a certificate of its own is found out by the channel binding", async () => {
    const files = { certFile: join(evil.keyDir, "quic/node.crt"), keyFile: join(evil.keyDir, "quic/node.key") };
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target: address, ...files });
    const other = new PeerProcess(room, "third@127.0.0.1");
    const connection = await other.dial(V, `127.0.0.1:${port}`);
    const { outcome, error } = await other.wait({ event: "auth", connection });
    expect(outcome).toBe("fail");
    expect(["signature_verification_failed", "{auth_rejected,signature_invalid}"]).toContain(error);
    await other.stop();
  });

  it("that shows a certificate without its key is refused by TLS, with alert 51", async () => {
    const files = { certFile: join(victim.keyDir, "quic/node.crt") };
    const trap = await evil.listen({ attack: "certificate-without-key", ...files });
    const [mine, mark] = [evil.mark, victim.mark];
    const connection = await victim.dial(E, trap);
    expect(await victim.wait({ event: "closed", connection }, mark)).toMatchObject({
      by: "own",
      isApp: false,
      code: 0x133,
    });
    expect(victim.since(mark, { event: "tls" })).toEqual([]);
    expect(await evil.wait({ event: "forged" }, mine)).toMatchObject({ outcome: "refused", code: 0x133, isApp: false });
    // The same handshake by hand with the right key passes: nothing else in it is wrong.
    const key = { ...files, keyFile: join(victim.keyDir, "quic/node.key"), control: true };
    const [mineAgain, again] = [evil.mark, victim.mark];
    await victim.dial(E, await evil.listen({ attack: "certificate-without-key", ...key }));
    await victim.wait({ event: "tls" }, again);
    expect(await evil.wait({ event: "forged" }, mineAgain)).toMatchObject({ outcome: "accepted" });
  });
});

describe("the command line", () => {
  it("starts a hostile listener and a hostile dialler, and refuses what it does not know", async () => {
    const cookieFile = join(room.dir, "newline");
    writeFileSync(cookieFile, "secret\n");
    const listen = ["--listen", "127.0.0.1:0", "--listen-attack", "stall-after-ok", "--cookie-file", cookieFile];
    const trap = new PeerProcess(room, "trap@127.0.0.1", listen);
    const at = await listeningOn(trap);
    const skew = JSON.stringify({ skewMs: 70_000 });
    const dial = ["--dial", `trap@127.0.0.1=${at}`, "--dial-attack", "timestamp-skew", "--attack-options", skew];
    const dialler = new PeerProcess(room, "dialler@127.0.0.1", dial);
    expect(await trap.wait({ event: "auth" })).toMatchObject({ outcome: "fail", error: "peer_ts_skew" });
    await expect(dialler.command("dial", { to: V, address: at, attack: "nothing" })).rejects.toThrow("unknown attack");
    await expect(dialler.command("dial", { to: V, address: at, attack: "stall-after-ok" })).rejects.toThrow("listener");
    await expect(dialler.command("nothing")).rejects.toThrow("unknown command");
    await Promise.all([trap.stop(), dialler.stop()]);
  });
});
