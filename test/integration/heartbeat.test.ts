import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EVIL, KeyRig } from "../attack/key-rig.ts";
import { pingFrame } from "../attack/native-frames.ts";
import { startSallyport } from "../interop/sallyport-process.ts";
import { A, B, NativeRig } from "./native-rig.ts";

const INTERVAL_MS = 400;
const TIMEOUT_MS = 300;
/** What the design allows from the last byte of a peer to the news of its death. */
const BOUND_MS = INTERVAL_MS + TIMEOUT_MS + 1_000;
const heartbeat = { intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS };

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

describe("the heartbeat of a native session, against a hand-made peer", () => {
  let rig: KeyRig;
  beforeAll(async () => {
    rig = await KeyRig.start({ trust: "strict", node: { heartbeat } });
  });
  afterEach(() => rig.dropAttackers());
  afterAll(() => rig.stopWell());

  const down = async (mark: number): Promise<unknown> => (await rig.victim.down(EVIL, mark))["reason"];
  const strayPongs = async (): Promise<number> => {
    const { counters } = await rig.victim.ask<{ counters: Record<string, number> }>("health");
    return counters["pongs_stray"] ?? 0;
  };
  const PONG = (token: bigint): Buffer => {
    const frame = pingFrame(Buffer.alloc(8));
    frame.writeUInt8(2, 5);
    frame.writeBigUInt64BE(token, 6);
    return frame;
  };

  it("asks one that is silent, and ends the session within the bound when no byte comes", async () => {
    const raw = await rig.honestSession();
    const [mark, since] = [rig.mark, performance.now()];
    const frame = await raw.readFrame(4);
    expect([frame.length, frame[0], frame[1]]).toEqual([10, 0xf0, 1]);
    expect(await down(mark)).toBe("HEARTBEAT_TIMEOUT");
    const took = performance.now() - since;
    console.log(`heartbeat ${INTERVAL_MS}+${TIMEOUT_MS} ms: a silent peer was down after ${took.toFixed(0)} ms`);
    expect(took).toBeGreaterThan(INTERVAL_MS);
    expect(took).toBeLessThan(BOUND_MS);
  });

  it("takes a byte now and then for life, a piece of a frame as well", async () => {
    const raw = await rig.honestSession();
    const mark = rig.mark;
    const ping = pingFrame(Buffer.alloc(8, 7));
    for (const byte of ping.subarray(0, -1)) {
      raw.write(Buffer.from([byte]));
      await wait(INTERVAL_MS / 2);
    }
    expect(await rig.sessions()).toContain(EVIL);
    expect(await down(mark)).toBe("HEARTBEAT_TIMEOUT");
  });

  it("counts PONGs that answer nothing, and nothing else comes of them", async () => {
    const raw = await rig.honestSession();
    const before = await strayPongs();
    raw.write(Buffer.concat([PONG(0n), PONG(5_000n), PONG(0xffff_ffff_ffff_ffffn)]));
    while ((await strayPongs()) < before + 3);
    expect(await rig.sessions()).toContain(EVIL);
    expect(await strayPongs()).toBe(before + 3);
  });

  it("answers a flood of PINGs only as far as they are read, and ends who never reads", async () => {
    const raw = await rig.honestSession();
    const mark = rig.mark;
    raw.socket.pause();
    const burst = Buffer.concat(Array.from({ length: 10_000 }, () => pingFrame(Buffer.alloc(8, 1))));
    const flood = setInterval(() => raw.socket.destroyed || raw.write(burst), 20);
    const reason = await down(mark);
    clearInterval(flood);
    expect(reason).toBe("WRITE_STALLED");
  });
});

describe("the heartbeat of a native session, between processes", () => {
  const rig = new NativeRig();

  it("keeps an idle session, finds a frozen process within the bound, and lets it come again", async () => {
    await rig.acquainted(A, B);
    const a = await rig.node(A, "strict", { heartbeat });
    const events: string[] = [];
    a.on("nodeup", (peer) => events.push(`up ${peer.name}`));
    a.on("nodedown", (peer, reason) => events.push(`down ${peer.name} ${reason}`));
    const b = await startSallyport({
      name: B,
      epmd: "off",
      identity: { dir: rig.keyDir(B) },
      resolve: { [A]: a.endpoints[0] ?? "" },
      heartbeat,
    });
    rig.atEnd(() => b.kill());
    b.connect(A);
    while (events.length < 1) await wait(5);
    await wait(3 * (INTERVAL_MS + TIMEOUT_MS));
    expect(events).toEqual([`up ${B}`]);

    b.freeze();
    const since = performance.now();
    while (events.length < 2) await wait(5);
    const took = performance.now() - since;
    console.log(`heartbeat ${INTERVAL_MS}+${TIMEOUT_MS} ms: a frozen process was down after ${took.toFixed(0)} ms`);
    expect(events).toEqual([`up ${B}`, `down ${B} HEARTBEAT_TIMEOUT`]);
    expect(took).toBeLessThan(BOUND_MS);

    b.thaw();
    while (!b.events.some(({ event }) => event === "nodedown")) await wait(5);
    b.connect(A);
    while (events.length < 3) await wait(5);
    expect(events.slice(2)).toEqual([`up ${B}`]);
    expect(a.peers().map((peer) => peer.name)).toEqual([B]);
  });
});
