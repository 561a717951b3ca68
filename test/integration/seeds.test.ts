import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, it, vi } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { ask, type Cli, configure, runCli, start } from "./cli-process.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

// The seed is a process of its own, which comes, is killed and comes again.
const { node, place, makeKey, pin, keyDir, atEnd } = new NativeRig("data/keys");
const QUICK = { minMs: 50, maxMs: 1_000 } as const;

const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 30_000, interval: 20 });
const seedOf = (of: Node) => of.vitals().seeds[0];

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function startSeed(port: number): Promise<Cli> {
  configure(place(B), B, { identity: { trust: "tofu" }, listen: [`tls://127.0.0.1:${port}`] });
  const { node: seed } = await start(place(B));
  atEnd(() => seed.kill("SIGKILL"));
  return seed;
}

describe("a seed", () => {
  it("that starts after the node is joined, and again each time it was killed, with one nodedown and one nodeup", async () => {
    const port = await freePort();
    const told: string[] = [];
    const a = await node(A, "tofu", { seeds: [A, `${B}:${port}`], reconnect: QUICK });
    a.on("nodeup", ({ name }) => told.push(`up ${name}`));
    a.on("nodedown", ({ name }) => told.push(`down ${name}`));
    await eventually(() => expect(seedOf(a)?.attempts).toBeGreaterThan(2));
    expect(seedOf(a)).toMatchObject({ name: B, lastReason: "PORT_CLOSED" });
    expect(a.vitals().problems).toEqual(["SEED_NOT_JOINED"]);
    let seed = await startSeed(port);
    for (const killed of [1, 2]) {
      await eventually(() => expect(seedOf(a)?.state).toBe("joined"));
      expect(a.vitals()).toMatchObject({ state: "green", connectedNodes: [B] });
      await seed.kill("SIGKILL");
      await eventually(() => expect(told).toHaveLength(2 * killed));
      seed = await startSeed(port);
    }
    await eventually(() => expect(seedOf(a)?.state).toBe("joined"));
    expect(told).toEqual([`up ${B}`, `down ${B}`, `up ${B}`, `down ${B}`, `up ${B}`]);
  });

  it("with another key than the pinned one is named by health, warned of once and tried at the cap", async () => {
    await makeKey(A);
    pin(A, A, B); // any key but that of the seed
    const port = await freePort();
    await startSeed(port);
    const warnings: string[] = [];
    const a = await node(A, "strict", {
      seeds: [`${B}:${port}`],
      reconnect: { minMs: 5, maxMs: 200 },
      identity: { dir: keyDir(A), allowReusedKeys: true },
    });
    a.on("warning", ({ reason }) => warnings.push(reason));
    await eventually(() => expect(seedOf(a)?.attempts).toBeGreaterThan(3));
    expect(seedOf(a)).toMatchObject({ name: B, lastReason: "KEY_MISMATCH" });
    expect(a.vitals()).toMatchObject({ state: "yellow", problems: ["SEED_NOT_JOINED"] });
    expect(warnings.filter((reason) => reason === "SEED_REFUSED")).toEqual(["SEED_REFUSED"]);
  });

  it("shows in status and health of a node that is a process, and in its events once", async () => {
    const port = await freePort();
    const home = place(A);
    configure(home, A, { identity: { trust: "tofu" }, seeds: [`${B}:${port}`], reconnect: QUICK });
    const started = await start(home);
    atEnd(() => started.node.kill("SIGKILL"));
    await vi.waitFor(async () => expect(await ask(home, "health")).toMatchObject({ problems: ["SEED_NOT_JOINED"] }), {
      timeout: 30_000,
      interval: 50,
    });
    expect((await runCli(home, ["status"])).out).toMatch(
      /seed +b@127\.0\.0\.1: (waiting|dialling), \d+ failed, PORT_CLOSED/,
    );
    await startSeed(port);
    await started.node.says(/"event":"nodeup"/);
    expect((await runCli(home, ["health"])).out).toMatch(/seed +b@127\.0\.0\.1: joined\n/);
    expect(started.node.events.filter(({ event }) => event === "warning" || event === "refused")).toEqual([]);
  });

  it("cannot be named in a form that nobody understands", async () => {
    const of = (seeds: readonly string[]) => failure(node(A, "tofu", { seeds })).then(({ reason }) => reason);
    expect(await of(["dns:w"])).toBe("SEED_INVALID");
    expect(await of(["b"])).toBe("NAME_INVALID");
    expect((await failure(node(A, "tofu", { reconnect: { minMs: 0 } }))).reason).toBe("RECONNECT_INVALID");
    expect((await failure(node(A, "tofu", { exchange: { connect: true } }))).reason).toBe("EXCHANGE_INVALID");
  });
});
