import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as tcpConnect } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { describe, expect, it } from "vitest";
import type { AuditFields } from "../../src/audit/record.ts";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { configure, type Fields, start } from "./cli-process.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

const { place, own, node: nodeOfRig } = new NativeRig("accept");

const listening = (name: string, extra: Partial<NodeOptions>): Promise<Node> =>
  nodeOfRig(name, "tofu", { audit: { dir: place(name, "audit") }, ...extra });

const dialler = (name: string, to: Node, extra: Partial<NodeOptions> = {}): Promise<Node> =>
  nodeOfRig(name, "tofu", { listen: [], ...dialling(to), ...extra });

/** Speaks TLS from one loopback address: the bytes that came back before the end, and whether TLS stood. */
function tlsFrom(localAddress: string, port: number): Promise<{ readonly bytes: number; readonly secure: boolean }> {
  return new Promise((resolve) => {
    const socket = tcpConnect({ host: "127.0.0.1", port, localAddress });
    let secure = false;
    const tls = tlsConnect({ socket, rejectUnauthorized: false, ALPNProtocols: ["sallyport/1"] }, () => {
      secure = true;
      tls.destroy();
    });
    tls.on("error", () => undefined);
    socket.on("error", () => undefined);
    socket.once("close", () => resolve({ bytes: socket.bytesRead, secure }));
  });
}

function recordsOf(name: string): AuditFields[] {
  const dir = place(name, "audit");
  const lines = readdirSync(dir).flatMap((file) => readFileSync(join(dir, file), "latin1").trimEnd().split("\n"));
  return lines.map((line) => JSON.parse(line) as AuditFields).filter(({ kind }) => kind !== "log");
}

describe("accept.sources", () => {
  it("gives a source outside the list not one byte of TLS, counts it, and records it as a summary", async () => {
    const b = await listening(B, { accept: { sources: ["127.0.0.2", "127.0.0.16/28"], refuse: ["127.0.0.18"] } });
    const outcomes: Record<string, unknown> = {};
    for (const address of ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.17", "127.0.0.18"]) {
      outcomes[address] = await tlsFrom(address, portOf(b));
    }
    const nothing = { bytes: 0, secure: false };
    expect(outcomes).toMatchObject({
      "127.0.0.1": nothing,
      "127.0.0.2": { secure: true },
      "127.0.0.3": nothing,
      "127.0.0.17": { secure: true },
      "127.0.0.18": nothing,
    });
    for (let i = 0; i < 4; i++) expect(await tlsFrom("127.0.0.3", portOf(b))).toEqual(nothing);
    expect(b.vitals().counters).toMatchObject({ accept_refused_address: 7, accept_admitted: 2 });
    await b.close({ timeoutMs: 0 });
    const told = recordsOf(B).filter(({ reason }) => reason === "SOURCE_NOT_ALLOWED");
    expect(told.filter(({ kind }) => kind === "attempt").map(({ address, outcome }) => [address, outcome])).toEqual([
      ["127.0.0.1", "refused"],
      ["127.0.0.3", "refused"],
      ["127.0.0.18", "refused"],
    ]);
    expect(told.filter(({ kind }) => kind === "summary")).toMatchObject([
      { of: "source", source: "127.0.0.3", count: 4 },
    ]);
  });

  it("costs a stranger's connection no place at the gate, so that a flood shuts nobody out", async () => {
    const b = await listening(B, { accept: { sources: ["127.0.0.2"] }, acceptLimits: { maxHalfOpen: 4 } });
    const flood = Array.from({ length: 40 }, () => tlsFrom("127.0.0.9", portOf(b)));
    expect(await tlsFrom("127.0.0.2", portOf(b))).toMatchObject({ secure: true });
    for (const { bytes } of await Promise.all(flood)) expect(bytes).toBe(0);
    expect(b.vitals().counters).toMatchObject({ accept_refused_address: 40, accept_dropped: 0 });
  });

  it("lets configured peers in by their addresses, and changes while it runs, all or nothing", async () => {
    const b = await listening(B, {
      accept: { sources: ["peers"] },
      resolve: { [A]: "127.0.0.2:9", "c@c.test": "127.0.0.3:9" },
    });
    const secure = async (...addresses: string[]): Promise<string[]> => {
      const secured: string[] = [];
      for (const address of addresses) if ((await tlsFrom(address, portOf(b))).secure) secured.push(address);
      return secured;
    };
    expect(await secure("127.0.0.2", "127.0.0.3", "127.0.0.1")).toEqual(["127.0.0.2", "127.0.0.3"]);
    const wrong = [{ sources: ["127.0.0.1/8"] }, { sources: ["127.0.0.0/8"], nodes: ["no pattern"] }];
    for (const option of wrong) await expect(b.admission.replace(option)).rejects.toMatchObject({ code: "ERR_CONFIG" });
    expect(await secure("127.0.0.1")).toEqual([]);
    await b.admission.replace({ refuse: ["127.0.0.2"] });
    expect(await secure("127.0.0.2", "127.0.0.1")).toEqual(["127.0.0.1"]);
    expect(b.admission.option).toEqual({ refuse: ["127.0.0.2"] });
  });

  it("is read anew at SIGHUP, and stays as it was where the file is wrong", async () => {
    const home = place("reload");
    const accept = (sources: string[]): void =>
      configure(home, "a@127.0.0.1", { accept: { sources }, audit: false } as unknown as Fields);
    accept(["127.0.0.2"]);
    const { node, endpoint } = await start(home);
    const port = Number(/\d+$/.exec(endpoint)?.[0]);
    expect((await tlsFrom("127.0.0.3", port)).bytes).toBe(0);
    accept(["127.0.0.3"]);
    node.child.kill("SIGHUP");
    await node.says(/"what":"accept","generation":null,"ok":true/);
    expect(await tlsFrom("127.0.0.3", port)).toMatchObject({ secure: true });
    accept(["127.0.0.300"]);
    node.child.kill("SIGHUP");
    await node.says(/"what":"accept","generation":null,"ok":false,"reason":"SOURCE_INVALID"/);
    expect(await tlsFrom("127.0.0.3", port)).toMatchObject({ secure: true });
    expect((await node.kill("SIGTERM")).code).toBe(0);
  });

  it("is no start when it is wrong", async () => {
    await expect(listening(B, { accept: { sources: ["everywhere"] } })).rejects.toMatchObject({
      reason: "SOURCE_INVALID",
    });
    await expect(listening(B, { accept: { nodes: ["b"] } })).rejects.toMatchObject({ reason: "NAME_PATTERN" });
  });
});

describe("accept.nodes", () => {
  it("refuses a name outside the list at its claim, like everybody who is not let in, and reserves nothing for it", async () => {
    const b = await listening(B, { accept: { nodes: [A] } });
    const a = await dialler(A, b);
    const c = await dialler(C, b);
    expect((await a.connect(B)).name).toBe(B);
    expect(await failure(c.connect(B))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    expect(b.identity?.waiting().map(({ name }) => name)).toEqual([A]);
    await b.admission.replace({ nodes: ["*@*"] });
    expect((await c.connect(B)).name).toBe(B);
    await b.close({ timeoutMs: 0 });
    const refused = recordsOf(B).filter(({ outcome }) => outcome === "refused");
    expect(refused).toMatchObject([{ peer: C, peerIs: "claimed", reason: "NODE_NOT_ALLOWED", stage: "policy" }]);
  });

  it("answers not_allowed to such a name in Erlang's handshake", async () => {
    const plain = { epmd: "off", cookie: "a cookie for both of them", dangerous: { plaintext: true } } as const;
    const b = own(await createNode({ ...plain, name: B, listen: ["tcp://127.0.0.1:0"], accept: { nodes: ["a@*"] } }));
    const [a, c] = [A, C].map((name) => createNode({ ...plain, name, ...dialling(b) }));
    expect((await own(await (a as Promise<Node>)).connect(B)).name).toBe(B);
    const refused = nextRefusal(b);
    expect(await failure(own(await (c as Promise<Node>)).connect(B))).toMatchObject({ reason: "NOT_ALLOWED" });
    expect(await refused).toMatchObject({ error: { code: "ERR_DENIED", reason: "NODE_NOT_ALLOWED" } });
    expect(b.peers().map(({ name }) => name)).toEqual([A]);
  });

  it("has nothing against whom the node dials itself", async () => {
    const b = await listening(B, {});
    const a = await dialler(A, b, { accept: { nodes: [] } });
    expect((await a.connect(B)).name).toBe(B);
  });
});

describe("audit.failClosed", () => {
  it("takes and makes no connection while the log cannot be written, says so in red, and lets sessions be", async () => {
    const dir = place(B, "closed");
    const b = await listening(B, { audit: { dir, failClosed: true } });
    const a = await dialler(A, b);
    const first = new Promise((resolve) => b.on("nodeup", resolve));
    await a.connect(B);
    await first;
    expect(b.vitals()).toMatchObject({ state: "green", counters: { audit_waiting: 0, audit_lost: 0 } });
    const warned = new Promise((resolve) => b.on("warning", ({ reason }) => resolve(reason)));
    rmSync(dir, { recursive: true });
    writeFileSync(dir, "a file stands in the way");
    // Its own record is the first that cannot be written.
    const c = await dialler(C, b);
    const up = c.connect(B).then(
      () => new Promise((resolve) => c.on("nodedown", (_, reason) => resolve(reason))),
      (error: unknown) => error,
    );
    expect(await warned).toBe("AUDIT_NOT_WRITTEN");
    await up;
    expect(b.peers().map(({ name }) => name)).toEqual([A]);
    expect(b.vitals()).toMatchObject({ state: "red", problems: ["AUDIT_NOT_WRITTEN"] });
    expect((await tlsFrom("127.0.0.4", portOf(b))).bytes).toBe(0);
    expect(await failure(b.connect("d@127.0.0.1:9"))).toMatchObject({
      code: "ERR_DENIED",
      reason: "AUDIT_NOT_WRITTEN",
    });
    expect(typeof (await a.ping(B)).rttMs).toBe("number");
    const { counters } = b.vitals();
    expect(counters["accept_refused_shut"]).toBe(1);
    expect(counters["audit_waiting"]).toBeGreaterThan(0);
    expect(b.metrics()).toContainEqual({
      kind: "counter",
      name: "dist.audit.records",
      labels: { outcome: "lost" },
      value: 0,
    });
    // What waited is written when the disk is as it was, at the end at the latest.
    rmSync(dir);
    await b.close({ timeoutMs: 0 });
    const lines = readdirSync(dir).flatMap((file) => readFileSync(join(dir, file), "latin1").trimEnd().split("\n"));
    const kinds = lines.map((line) => JSON.parse(line) as AuditFields).map(({ kind, peer }) => `${kind} ${peer}`);
    expect(kinds).toContain(`end ${A}`);
    expect(kinds.at(-1)).toBe("log undefined");
  });

  it("goes on without it by default, in yellow", async () => {
    const dir = place(B, "open");
    mkdirSync(place(B), { recursive: true });
    writeFileSync(dir, "a file stands in the way");
    const b = await listening(B, { audit: { dir } });
    const a = await dialler(A, b);
    expect((await a.connect(B)).name).toBe(B);
    expect(b.vitals()).toMatchObject({ state: "yellow", problems: ["AUDIT_NOT_WRITTEN"] });
    expect(existsSync(dir)).toBe(true);
  });
});
