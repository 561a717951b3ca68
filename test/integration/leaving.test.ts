import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { type Cli, configure, start } from "./cli-process.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

const { node, place, acquainted, atEnd } = new NativeRig("data/keys");

const SERVICES = `export default (node) => {
  node.register("work", { call: (n) => new Promise((resolve) => setTimeout(() => resolve(n), 10)) }, { allow: "pinned" });
  node.register("quick", { call: (n) => n }, { allow: "pinned" });
};
`;

/** A node in a process of its own that knows the others. */
async function running(name: string, more: Record<string, unknown> = {}): Promise<{ node: Cli; endpoint: string }> {
  const home = place(name);
  mkdirSync(home, { recursive: true });
  configure(home, name, more);
  writeFileSync(join(home, "services.mjs"), SERVICES);
  const started = await start(home, "--no-control", "--no-audit", "--services", "services.mjs");
  atEnd(() => started.node.kill("SIGKILL"));
  return started;
}

const nextDown = (of: Node): Promise<string> =>
  new Promise((resolve) => of.on("nodedown", (_peer, reason) => resolve(reason)));

describe("a process that is told to stop", () => {
  it("answers the calls that it has, says goodbye, and ends", async () => {
    await acquainted(A, B);
    const worker = await running(B);
    const a = await node(A, "strict", { resolve: { [B]: worker.endpoint } });
    const told: string[] = [];
    await a.call({ name: "quick", node: B }, 0);
    a.monitor({ name: "work", node: B }, () => void told.push("monitor"));
    const calls = Array.from({ length: 100 }, (_, n) => a.call({ name: "work", node: B }, n, { timeoutMs: 30_000 }));
    // All of them are there once this one, sent last, is answered.
    await a.call({ name: "quick", node: B }, 0);
    const down = nextDown(a);
    worker.node.child.kill("SIGTERM");
    const answers = await Promise.allSettled(calls);
    expect(answers.filter(({ status }) => status === "rejected")).toEqual([]);
    expect(await down).toBe("PEER_LEFT");
    expect((await worker.node.ended).code).toBe(0);
    expect(told).toEqual(["monitor"]);
  });

  it("gets its goodbye through though the other side has sent what it never reads", async () => {
    await acquainted(A, B);
    const worker = await running(B);
    const a = await node(A, "strict", { resolve: { [B]: worker.endpoint } });
    await a.connect(B);
    const down = nextDown(a);
    const flood = setInterval(() => {
      try {
        for (let i = 0; i < 20; i++) a.send({ name: "nobody", node: B }, Buffer.alloc(10_000));
      } catch {
        // It is gone, or behind.
      }
    }, 1);
    atEnd(() => clearInterval(flood));
    worker.node.child.kill("SIGTERM");
    expect(await down).toBe("PEER_LEFT");
  });

  it("is told from one that was killed", async () => {
    await acquainted(A, B);
    const worker = await running(B);
    const a = await node(A, "strict", { resolve: { [B]: worker.endpoint } });
    await a.connect(B);
    const down = nextDown(a);
    await worker.node.kill("SIGKILL");
    expect(["CONNECTION_RESET", "CLOSED", "CLOSED_EARLY"]).toContain(await down);
  });
});

/** Local addresses that a process accepts connections on, as the system tells. */
function listening(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === "0A" && inodes.has(inode ?? ""))
      .map(([, address]) => address ?? ""),
  );
}

describe.runIf(process.platform === "linux")("a process without a listener", () => {
  const CHILD = `import { createNode } from "${new URL("../../lib/index.js", import.meta.url).href}";
const [name, dir, hub, endpoint] = process.argv.slice(2);
const node = await createNode({ name, epmd: "off", identity: { dir, trust: "strict" }, resolve: { [hub]: endpoint } });
node.register("quick", { call: (n) => n }, { allow: "pinned" });
await node.connect(hub);
process.stdout.write(JSON.stringify(node.endpoints) + "\\n");
`;

  it("has no listening socket, is called over what it opened, and is offline when it is gone", async () => {
    await acquainted(A, B);
    const before = listening(process.pid).length;
    const hub = await node(A, "strict");
    const script = place("child.mjs");
    writeFileSync(script, CHILD);
    const args = [script, B, place(B, "data/keys"), A, hub.endpoints[0] ?? ""];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    atEnd(() => void child.kill("SIGKILL"));
    const said = await new Promise<string>((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk))));
    expect(JSON.parse(said)).toEqual([]);
    expect(listening(child.pid ?? 0)).toEqual([]);
    expect(listening(process.pid)).toHaveLength(before + 1);
    expect(await hub.call({ name: "quick", node: B }, 7)).toBe(7);
    const down = nextDown(hub);
    child.kill("SIGKILL");
    await down;
    expect(await failure(hub.call({ name: "quick", node: B }, 7))).toMatchObject({
      code: "ERR_UNREACHABLE",
      reason: "PEER_OFFLINE",
    });
  });
});

describe("an idle connection over TLS", () => {
  it("ends at both ends as idle, and opens again on demand", async () => {
    await acquainted(A, B);
    const idle = { afterMs: 200 };
    const b = await node(B, "strict", { idle });
    const a = await node(A, "strict", { idle, resolve: { [B]: b.endpoints[0] ?? "" } });
    for (const each of [a, b]) each.register("quick", { call: (n) => n }, { allow: "pinned" });
    const both = [nextDown(a), nextDown(b)];
    expect(await a.call({ name: "quick", node: B }, 1)).toBe(1);
    expect(await Promise.all(both)).toEqual(["IDLE", "IDLE"]);
    expect([a.peers(), b.peers()]).toEqual([[], []]);
    expect(await a.call({ name: "quick", node: B }, 2)).toBe(2);
  });
});
