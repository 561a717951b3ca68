import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect as tcpConnect } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AuditFields, GENESIS } from "../../src/audit/record.ts";
import { verifyChain } from "../../src/audit/verify-chain.ts";
import { createNode } from "../../src/create-node.ts";
import type { Metric, Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { FLAGS, sendName } from "../attack/frames.ts";
import { configure, start } from "./cli-process.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

const FINGERPRINT = expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/);

const { place, own, makeKey, pin, node: nodeOfRig } = new NativeRig("keys");

/** A node that audits; with `to` it dials that one and does not listen. */
const node = (name: string, to?: Node, extra: Partial<NodeOptions> = {}): Promise<Node> =>
  nodeOfRig(name, "tofu", {
    audit: { dir: place(name, "audit") },
    ...(to === undefined ? {} : { listen: [], ...dialling(to) }),
    ...extra,
  });

function linesOf(name: string): string[] {
  const dir = place(name, "audit");
  return readdirSync(dir)
    .sort()
    .flatMap((file) => readFileSync(join(dir, file), "latin1").trimEnd().split("\n"));
}

/** Everything a node wrote after it was closed, checked as a chain. */
async function recordsOf(closing: Node): Promise<AuditFields[]> {
  await closing.close({ timeoutMs: 0 });
  const lines = linesOf(closing.name);
  expect(verifyChain(lines, new RealCrypto(), { from: GENESIS })).toMatchObject({ ok: true, torn: 0, lost: 0 });
  for (const line of lines) expect(line).toMatch(/^[ -~]+$/);
  return lines.map((line) => JSON.parse(line) as AuditFields).filter(({ kind }) => kind !== "log");
}

const counted = (of: Node, labels: Readonly<Record<string, string>>): Metric | undefined =>
  of
    .metrics()
    .find((metric) => metric.kind === "counter" && Object.entries(labels).every(([k, v]) => metric.labels[k] === v));

describe("the audit log of a node", () => {
  it("has a record of an accepted attempt on both sides, and of the end", async () => {
    const b = await node(B);
    const a = await node(A, b);
    const peer = await a.connect(B);
    await a.ping(B);
    expect(counted(a, { role: "initiator", protocol: "native", outcome: "accepted" })).toMatchObject({ value: 1 });
    expect(a.metrics().find(({ kind }) => kind === "histogram")).toMatchObject({
      count: 1,
      labels: { outcome: "accepted" },
    });
    expect(a.vitals()).toMatchObject({ state: "green", problems: [], counters: { audit_written: 2, audit_lost: 0 } });
    const down = new Promise((resolve) => b.on("nodedown", resolve));
    const [attempt, end] = await recordsOf(a);
    const shared = {
      role: "initiator",
      protocol: "native",
      address: peer.address,
      peer: B,
      peerIs: "proven",
      assurance: "tofu",
    };
    expect(attempt).toMatchObject({
      ...shared,
      kind: "attempt",
      outcome: "accepted",
      reason: null,
      code: null,
      stage: null,
    });
    expect(attempt).toMatchObject({ fingerprint: peer.fingerprint, durationMs: expect.any(Number) });
    expect(end).toMatchObject({
      ...shared,
      kind: "end",
      id: attempt!["id"],
      reason: "CLOSED",
      fingerprint: peer.fingerprint,
    });
    await down;
    const [accepted, ended] = await recordsOf(b);
    expect(accepted).toMatchObject({ role: "acceptor", peer: A, outcome: "accepted", fingerprint: FINGERPRINT });
    expect(ended).toMatchObject({ kind: "end", role: "acceptor", peer: A, reason: "PEER_LEFT" });
    expect(ended!["durationMs"]).toBeLessThan(60_000);
    const [file = ""] = readdirSync(place(A, "audit"));
    expect(statSync(place(A, "audit")).mode & 0o777).toBe(0o700);
    expect(statSync(join(place(A, "audit"), file)).mode & 0o777).toBe(0o600);
  });

  it("has both fingerprints where a key differs from its pin (AUC-45)", async () => {
    for (const who of [B, C]) await makeKey(who);
    pin(B, C, A);
    const b = await node(B);
    const a = await node(A, b);
    const refused = nextRefusal(b);
    const { reason } = await failure(a.connect(B));
    await refused;
    expect(counted(b, { role: "acceptor", outcome: "refused", reason: "KEY_MISMATCH" })).toMatchObject({ value: 1 });
    const [record] = await recordsOf(b);
    expect(record).toMatchObject({
      kind: "attempt",
      role: "acceptor",
      protocol: "native",
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      peer: A,
      peerIs: "claimed",
      fingerprint: FINGERPRINT,
      pinned: FINGERPRINT,
      assurance: null,
      outcome: "refused",
      code: "ERR_DENIED",
      reason: "KEY_MISMATCH",
      stage: "identity",
    });
    expect(record!["fingerprint"]).not.toBe(record!["pinned"]);
    const [told] = await recordsOf(a);
    expect(told).toMatchObject({
      role: "initiator",
      peer: B,
      peerIs: "dialled",
      outcome: "refused",
      reason,
      pinned: null,
    });
  });

  it("has a record of a secret that differs, with the key that was shown", async () => {
    const b = await node(B, undefined, { cookie: "0123456789abcdef-right" });
    const a = await node(A, b, { cookie: "0123456789abcdef-wrong" });
    const refused = nextRefusal(b);
    expect(await failure(a.connect(B))).toMatchObject({ reason: "SECRET_MISMATCH" });
    await refused;
    const [record] = await recordsOf(b);
    const shown = { role: "acceptor", peer: A, peerIs: "claimed", fingerprint: FINGERPRINT, pinned: null };
    expect(record).toMatchObject({ ...shown, outcome: "refused", reason: "SECRET_MISMATCH", stage: "cookie" });
    expect((await recordsOf(a))[0]).toMatchObject({ role: "initiator", outcome: "refused", reason: "SECRET_MISMATCH" });
    for (const name of [A, B]) expect(linesOf(name).join("\n")).not.toContain("0123456789abcdef");
  });

  it("has a record of what nobody listens to, and none of an address that was not found", async () => {
    const address = { scheme: "tls", host: "127.0.0.1", port: 1 } as const;
    const resolver = { label: "test", resolve: async (name: string) => (name === B ? [address] : []) };
    const a = await node(A, undefined, { listen: [], resolve: [resolver] });
    expect(await failure(a.connect(B))).toMatchObject({ reason: "PORT_CLOSED" });
    expect(await failure(a.connect("c@127.0.0.1"))).toMatchObject({ reason: "NAME_UNRESOLVED" });
    const records = await recordsOf(a);
    expect(records).toEqual([
      expect.objectContaining({ role: "initiator", protocol: null, peer: B, outcome: "failed", reason: "PORT_CLOSED" }),
    ]);
  });

  it("stays one line per record, whatever name is claimed (AU-25)", async () => {
    const plain = { cookie: "0123456789abcdef", dangerous: { plaintext: true }, listen: ["tcp://127.0.0.1:0"] };
    const b = own(await createNode({ name: B, epmd: "off", ...plain, audit: { dir: place(B, "audit") } }));
    const refused = nextRefusal(b);
    const body = sendName('x\r\n{"kind":"log"}\u001b[2J@127.0.0.1', FLAGS, 77);
    const socket = tcpConnect(portOf(b), "127.0.0.1");
    const frame = Buffer.alloc(2 + body.length);
    frame.writeUInt16BE(body.length);
    frame.set(Buffer.from(body), 2);
    socket.write(frame);
    await refused;
    socket.destroy();
    const records = await recordsOf(b);
    expect(records).toEqual([
      expect.objectContaining({
        protocol: "otp",
        peer: null,
        peerIs: null,
        outcome: "refused",
        reason: "HANDSHAKE_BAD_NAME",
      }),
    ]);
  });

  it("holds up nothing when it cannot be written: one warning, health yellow, every session as before", async () => {
    mkdirSync(place(A), { recursive: true });
    writeFileSync(place(A, "audit"), "in the way");
    const b = await node(B);
    const a = await node(A, b);
    const warnings: string[] = [];
    const warned = new Promise<void>((resolve) =>
      a.on("warning", ({ reason }) => {
        warnings.push(reason);
        resolve();
      }),
    );
    await a.connect(B);
    await a.ping(B);
    await warned;
    expect(warnings).toEqual(["AUDIT_NOT_WRITTEN"]);
    expect(a.vitals()).toMatchObject({
      state: "yellow",
      problems: ["AUDIT_NOT_WRITTEN"],
      counters: { audit_lost: 0, audit_waiting: 2 },
    });
  });

  it("is not kept unless it is asked for, and attempts are counted all the same", async () => {
    const b = await node(B);
    const a = await nodeOfRig(A, "tofu", dialling(b));
    await a.connect(B);
    expect(readdirSync(place(A))).toEqual(["keys"]);
    expect(counted(a, { outcome: "accepted" })).toMatchObject({ value: 1 });
    expect(a.vitals().counters).not.toHaveProperty("audit_written");
  });

  it("has the end of a session that a listener ends the moment it stands", async () => {
    const b = await node(B);
    const a = await node(A, b);
    a.on("nodeup", (peer) => a.disconnect(peer.name));
    const down = new Promise((resolve) => a.on("nodedown", resolve));
    await a.connect(B).catch(() => undefined);
    await down;
    expect(a.peers()).toEqual([]);
    expect((await recordsOf(a)).map(({ kind }) => kind)).toEqual(["attempt", "end"]);
  });
});

describe("sallyport start", () => {
  it("keeps the log beside its configuration, through a kill, and none with --no-audit", async () => {
    const home = place("start");
    configure(home, B);
    const { node: without } = await start(home, "--no-audit");
    expect((await without.kill("SIGTERM")).code).toBe(0);
    expect(readdirSync(join(home, "data"))).not.toContain("audit");
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const { node: cli } = await start(home);
      await cli.kill(signal);
    }
    const directory = join(home, "data/audit");
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const [file = "", ...more] = readdirSync(directory);
    const lines = readFileSync(join(directory, file), "latin1").split("\n");
    expect(more).toEqual([]);
    expect(verifyChain(lines, new RealCrypto(), { from: GENESIS })).toMatchObject({ ok: true, records: 3 });
    const events = lines.slice(0, -1).map((line) => (JSON.parse(line) as AuditFields)["event"]);
    expect(events).toEqual(["opened", "opened", "closed"]);
  });
});
