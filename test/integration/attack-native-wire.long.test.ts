import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Raw } from "../attack/client.ts";
import { EVIL, GOOD, KeyRig } from "../attack/key-rig.ts";
import { NONE } from "../attack/native-bends.ts";
import { accept, type Bend, dial, type Step } from "../attack/native-client.ts";
import { ALPN, helloFrame, TOLD } from "../attack/native-frames.ts";
import { passOnUntilReset, type ResettingRelay } from "../attack/native-relay.ts";

// Connections that break off, are reset, crawl or stall at every point of a native handshake.

const LIMITS = { maxTlsHandshakeMs: 1_000, maxHandshakeMs: 1_500 };
/** Resets by default; the list of attacks asks for 100,000. */
const RESETS = Number(process.env["SALLYPORT_ATTACK_RESETS"] ?? 600);
const AT_ONCE = 16;

let rig: KeyRig;
let relay: ResettingRelay;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "tofu", pinned: [GOOD], node: { limits: LIMITS } });
  relay = await passOnUntilReset(rig.victim.ports[0] ?? 0);
});
afterEach(() => rig.dropAttackers());
afterAll(async () => {
  relay.close();
  await rig.stopWell();
});

/** Runs `one` for 0 to `count`, a few at a time. */
async function each(count: number, one: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Says the honest bytes up to `budget`, then ends its side. */
function cutAfter(raw: Raw, budget: number): Bend {
  let left = budget;
  return {
    say: (_step, honest) => {
      const part = honest.subarray(0, left);
      left -= part.length;
      // The end follows the bytes: `say` returns them to be written first.
      if (part.length < honest.length || left === 0) queueMicrotask(() => raw.socket.end());
      return part.length === 0 ? NONE : part;
    },
  };
}

describe("a handshake that is cut off (AU-35)", () => {
  it("after each byte of a dialler leaves nothing", async () => {
    const honest = await dial(await rig.raw(), rig.evil);
    expect(honest.end).toBe("up");
    await rig.dropAttackers();
    const total = Buffer.concat(honest.sent).length;
    expect(total).toBe(4 + 1 + 88 + EVIL.length + 4 + 1 + 1 + 64 + 4 + 1 + 1);
    const files = rig.files();
    const reasons = new Set<string>();
    // One after the other: connections of one key at once know of each other, and give way.
    for (let bytes = 0; bytes < total; bytes++) {
      const raw = await rig.raw();
      if (bytes === 0) raw.socket.end();
      await dial(raw, rig.evil, cutAfter(raw, bytes));
      reasons.add(await rig.refusalOf(raw));
      await raw.untilClosed();
    }
    expect([...reasons]).toEqual(["CLOSED_DURING_HANDSHAKE"]);
    expect(await rig.sessions()).toEqual([]);
    expect(rig.files()).toEqual(files);
  });

  it("after each byte of a listener leaves nothing, not even a pin", async () => {
    const files = rig.files();
    const total = 4 + 1 + 88 + EVIL.length + 4 + 1 + 1 + 64 + 4 + 1 + 1;
    for (let bytes = 0; bytes < total; bytes++) {
      const { raw, outcome } = await rig.dialled();
      if (bytes === 0) raw.socket.end();
      const run = await accept(raw, rig.evil, cutAfter(raw, bytes));
      expect([run.end, await outcome]).toEqual(["closed", "CLOSED_DURING_HANDSHAKE"]);
      raw.destroy();
    }
    expect(rig.files()).toEqual(files);
    expect(await rig.sessions()).toEqual([]);
  });
});

/** Where a connection can be reset: below TLS, within it, and before or after each message. */
const RESET_POINTS = ["tcp", "tls", "connected", "hello", "proof", "confirm", "up"] as const;

async function resetAt(point: (typeof RESET_POINTS)[number]): Promise<void> {
  const tcp = connectTcp(rig.victim.ports[0] ?? 0, "127.0.0.1");
  tcp.on("error", () => undefined);
  await once(tcp, "connect");
  if (point === "tcp") return void tcp.resetAndDestroy();
  if (point === "tls") {
    tcp.write(Buffer.from("16030100c8010000c40303", "hex"));
    await new Promise((resolve) => setImmediate(resolve));
    return void tcp.resetAndDestroy();
  }
  tcp.destroy();
  const raw = await Raw.tls(relay.port, { ...rig.certificate, ALPNProtocols: [ALPN] });
  const reset = (): void => relay.reset(raw.socket.localPort ?? 0);
  if (point !== "connected") {
    await dial(raw, rig.evil, {
      say: (step: Step, honest) => {
        if (step === point) reset();
        return honest;
      },
    });
  }
  reset();
  await raw.untilClosed();
}

describe("a handshake that is reset (AU-48)", () => {
  it(
    `at any point, ${RESETS} times, leaves the node alive and its memory as it was`,
    async () => {
      const before = (await rig.victim.counters())["connections_refused"] ?? 0;
      await each(RESETS, (i) => resetAt(RESET_POINTS[i % RESET_POINTS.length] ?? "tcp"));
      await rig.aliveAndWell();
      while ((await rig.sessions()).length > 0);
      expect((await rig.victim.counters())["connections_refused"]).toBeGreaterThan(before);
      await rig.memoryAsBefore();
    },
    60_000 + RESETS * 20,
  );
});

/** Sends one byte after the other; `paceMs` between them. */
function crawl(socket: Socket, bytes: Buffer, paceMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at >= bytes.length) clearInterval(timer);
    else socket.write(bytes.subarray(at, ++at));
  }, paceMs);
}

describe("a handshake that does not go on (AU-38)", () => {
  it("ends at its one deadline, wherever it stalls or crawls", async () => {
    const stalls: readonly (readonly [string, (raw: Raw) => void])[] = [
      ["silence", () => undefined],
      [
        "one byte after the other",
        (raw) => crawl(raw.socket, helloFrame({ ...HONEST, publicKey: rig.evil.publicKey }), 50),
      ],
      [
        "before PROOF",
        (raw) => void dial(raw, rig.evil, { say: (step, honest) => (step === "hello" ? honest : NONE) }),
      ],
      [
        "in the middle of PROOF",
        (raw) =>
          void dial(raw, rig.evil, { say: (step, honest) => (step === "proof" ? honest.subarray(0, 40) : honest) }),
      ],
      [
        "before CONFIRM",
        (raw) => void dial(raw, rig.evil, { say: (step, honest) => (step === "confirm" ? NONE : honest) }),
      ],
    ];
    const started = performance.now();
    await Promise.all(
      stalls.map(async ([what, stall]) => {
        const raw = await rig.raw();
        stall(raw);
        expect([what, await rig.refusalOf(raw)]).toEqual([what, "HANDSHAKE_TIMEOUT"]);
        await raw.untilClosed();
      }),
    );
    const took = performance.now() - started;
    expect(took).toBeGreaterThan(LIMITS.maxHandshakeMs - 100);
    expect(await rig.sessions()).toEqual([]);
  });

  it("ends for a victim that dials, also when the listener only says that another connection wins", async () => {
    const silent = await rig.dialled();
    expect(await silent.outcome).toMatch(/^(HANDSHAKE|CONNECT)_TIMEOUT$/);
    const told = await rig.dialled();
    await accept(told.raw, rig.evil, { say: () => Buffer.from([0, 0, 0, 2, 15, TOLD["other-wins"]]) });
    expect(await told.outcome).toBe("CONNECT_TIMEOUT");
  });

  it("does not keep an honest peer out meanwhile", async () => {
    await Promise.all(Array.from({ length: 30 }, () => rig.raw()));
    await rig.honestSession();
  });
});

const HONEST = {
  versionLow: 1,
  versionHigh: 1,
  method: 1,
  flags: 0n,
  creation: 77,
  incarnation: 1n,
  nonce: Buffer.alloc(32, 3),
  name: Buffer.from(EVIL),
};
