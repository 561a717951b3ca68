import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROBE_STAGES } from "../../src/base/diagnosis.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import { unstarted } from "../../src/doctor/connect.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { DEFAULT_FLAGS } from "../../src/wire/flags.ts";
import { encodeHandshake, prefixHandshake } from "../../src/wire/handshake.ts";
import { failure } from "../interop/rig.ts";
import { COOKIE, DoctorRig, everything, failedStage, MovedClock, type RecordedNode } from "./doctor-rig.ts";

const FAR = "far@localhost";
const NEAR = "near@localhost";

let rig: DoctorRig;
beforeAll(async () => {
  rig = await DoctorRig.make();
});
afterAll(() => rig.stop());

/** A dialling node with the usual certificate, and where it looks for the far one. */
async function near(at: string, options: Partial<NodeOptions> = {}, clock?: MovedClock): Promise<RecordedNode> {
  return rig.node({ name: NEAR, resolve: { [FAR]: at }, tls: await rig.tls(NEAR), ...options }, clock);
}

async function far(options: Partial<NodeOptions> = {}): Promise<RecordedNode> {
  return rig.node({ name: FAR, listen: ["tls://127.0.0.1:0"], tls: await rig.tls(FAR), ...options });
}

/** A foreign service; `answer` is sent to whoever connects. */
async function service(answer: string | Buffer): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(answer);
  });
  rig.closes(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a peer that is not there", () => {
  it("is told by the name that is none, and by its own", async () => {
    const dialling = await near("127.0.0.1:1");
    expect((await rig.examine(dialling, "no name")).failure?.diagnosis).toMatchObject({
      code: "NAME_INVALID",
      stage: "name",
      fault: "local",
    });
    expect((await rig.examine(dialling, NEAR)).failure?.diagnosis).toMatchObject({
      code: "SELF_CONNECT",
      stage: "name",
    });
  });

  it.each([
    ["only dials", "none", FAR, "remote"],
    ["is on a host without address", "tls://nowhere.invalid:9100", FAR, "local"],
  ])("PEER_UNREACHABLE: it %s", async (_, at, target, fault) => {
    const { failure } = await rig.examine(await near(at), target);
    expect(failure?.diagnosis).toMatchObject({ code: "PEER_UNREACHABLE", stage: "resolve", fault, retryable: true });
  });

  it("PORT_CLOSED: nothing listens, and the fix is on the other node", async () => {
    const port = await freePort();
    const report = await rig.examine(await near(`127.0.0.1:${port}`), FAR);
    expect(report.failure?.diagnosis).toMatchObject({ code: "PORT_CLOSED", stage: "port", fault: "remote" });
    expect(failedStage(report)).toMatchObject({
      stage: "port",
      evidence: { tried: [expect.stringContaining(`tls://127.0.0.1:${port}: ECONNREFUSED`)], epmd: expect.any(String) },
    });
  });
});

describe("a peer that is something else", () => {
  it("NOT_A_TLS_PEER: a web server, with its first bytes", async () => {
    const port = await service("HTTP/1.1 400 Bad Request\r\n\r\n");
    const report = await rig.examine(await near(`127.0.0.1:${port}`), FAR);
    expect(report.failure?.diagnosis).toMatchObject({ code: "NOT_A_TLS_PEER", stage: "tls", fault: "remote" });
    expect(failedStage(report)?.evidence).toMatchObject({
      plainHandshake: "something else",
      firstBytes: Buffer.from("HTTP/1.1").toString("hex"),
    });
  });

  it("NOT_A_TLS_PEER: a web browser, at the listener", async () => {
    const accepting = await far();
    const socket = connect(accepting.port, "127.0.0.1", () => socket.end("GET / HTTP/1.1\r\n\r\n"));
    socket.on("error", () => undefined);
    expect(await accepting.diagnosed("NOT_A_TLS_PEER")).toMatchObject({ fault: "remote" });
  });

  it("CLIENT_CERT_REQUIRED: a dialler without certificate, at the listener", async () => {
    const accepting = await far();
    const socket = tlsConnect({ port: accepting.port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const hello = {
        kind: "send-name",
        flags: DEFAULT_FLAGS,
        creation: 7,
        name: parseNodeName("bare@localhost"),
      } as const;
      socket.write(prefixHandshake(encodeHandshake(hello), 4));
    });
    socket.on("error", () => undefined);
    expect(await accepting.diagnosed("CLIENT_CERT_REQUIRED")).toMatchObject({
      stage: "certificate",
      fault: "remote",
      fix: expect.stringMatching(/^on the other node: give the other side a certificate/),
    });
    socket.destroy();
  });

  it("CLIENT_CERT_REQUIRED: at the dialler that is told so", async () => {
    // type:8 version:16 length:16 level:8 description:8 (RFC 8446 section 6): certificate_required
    const port = await service(Buffer.from([21, 3, 3, 0, 2, 2, 116]));
    const report = await rig.examine(await near(`127.0.0.1:${port}`), FAR);
    expect(report.failure?.diagnosis).toMatchObject({
      code: "CLIENT_CERT_REQUIRED",
      stage: "certificate",
      fault: "local",
    });
  });
});

describe("a node that cannot even be made", () => {
  it("CIPHER_UNSUPPORTED: names the suite", async () => {
    const tls = { ...(await rig.tls(NEAR)), ciphers: ["NO-SUCH-SUITE"] };
    const error = await failure(rig.node({ name: NEAR, tls }));
    const { failure: found, stages } = unstarted(FAR, error);
    expect(found?.diagnosis).toMatchObject({ code: "CIPHER_UNSUPPORTED", stage: "tls", fault: "local" });
    expect(stages.filter(({ state }) => state === "failed")).toHaveLength(1);
  });
});

describe("peers known by key", () => {
  async function byKey(
    cookies: readonly [string, string] = [COOKIE, COOKIE],
    trust: "tofu" | "strict" = "tofu",
    name = FAR,
  ): Promise<[RecordedNode, RecordedNode]> {
    const dir = (): string => join(rig.home, `keys${Math.random().toString(36).slice(2)}`);
    const accepting = await rig.node({
      name,
      cookie: cookies[0],
      listen: ["tls://127.0.0.1:0"],
      identity: { dir: dir(), trust },
    });
    const dialling = await rig.node({
      name: NEAR,
      cookie: cookies[1],
      resolve: { [FAR]: `127.0.0.1:${accepting.port}` },
      identity: { dir: dir(), trust: "tofu" },
    });
    return [accepting, dialling];
  }

  it("are in order stage by stage, with evidence and without a note", async () => {
    const [, dialling] = await byKey();
    const report = await rig.examine(dialling, FAR);
    expect(report.failure).toBeUndefined();
    expect(report.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual(
      PROBE_STAGES.map((stage) => `${stage} ok`),
    );
    expect(report.stages.find(({ stage }) => stage === "tls")).toMatchObject({
      ms: expect.any(Number),
      evidence: { version: "TLSv1.3", alpn: "sallyport/1" },
    });
    expect(report.stages.find(({ stage }) => stage === "session")?.evidence).toMatchObject({
      clockSkewMs: expect.any(Number),
    });
    // Of a session that stands already the same is told.
    const again = await rig.examine(dialling, FAR);
    expect(again.stages.map(({ state }) => state)).toEqual(report.stages.map(() => "ok"));
  });

  it("SECRET_MISMATCH: two cookies", async () => {
    const [accepting, dialling] = await byKey([COOKIE, "another-cookie-of-the-tests"]);
    const report = await rig.examine(dialling, FAR);
    expect(report.failure?.diagnosis).toMatchObject({ code: "SECRET_MISMATCH", stage: "cookie", fault: "either" });
    expect(await accepting.diagnosed("SECRET_MISMATCH")).toMatchObject({ stage: "cookie", fault: "either" });
    expect(everything(report, accepting, dialling)).not.toMatch(/cookie-of-the-tests/);
  });

  it("PEER_NAME_MISMATCH: another node at the address", async () => {
    const [accepting, dialling] = await byKey([COOKIE, COOKIE], "tofu", "wrong@localhost");
    const { failure: found } = await rig.examine(dialling, FAR);
    expect(found?.diagnosis).toMatchObject({ code: "PEER_NAME_MISMATCH", stage: "identity", fault: "local" });
    expect(await accepting.diagnosed("PEER_NAME_MISMATCH")).toMatchObject({ stage: "identity" });
  });

  it("a key that the other side does not know: it says why, and to us only that it refused", async () => {
    const [accepting, dialling] = await byKey([COOKIE, COOKIE], "strict");
    const { failure: found } = await rig.examine(dialling, FAR);
    expect(found?.diagnosis).toMatchObject({ code: "REFUSED_BY_PEER", stage: "identity", fault: "remote" });
    expect(await accepting.diagnosed("KEY_UNTRUSTED")).toMatchObject({ stage: "identity", fault: "local" });
  });
});

describe("CLOCK_SKEW", () => {
  it.each([
    ["behind", -600],
    ["ahead", 600],
  ])("a dialler whose clock is %s is told, and so is the other side", async (way, seconds) => {
    const accepting = await far();
    const clock = new MovedClock();
    const dialling = await near(`127.0.0.1:${accepting.port}`, {}, clock);
    clock.movedMs = seconds * 1000;
    const report = await rig.examine(dialling, FAR);
    expect(report.failure).toBeUndefined();
    const skew = report.notes.find(({ code }) => code === "CLOCK_SKEW");
    // The other clock, seen from here.
    expect(skew?.message).toContain(`the clock of ${FAR} is 600 s ${way === "behind" ? "ahead of" : "behind"}`);
    await accepting.warned("CLOCK_SKEW");
    expect(accepting.said.find((text) => text.includes("clock of"))).toContain(
      `600 s ${way === "behind" ? "behind" : "ahead of"}`,
    );
  });
});

describe("what an Erlang node would refuse", () => {
  it("is noted of names and certificates that are taken here", async () => {
    const accepting = await far();
    const { notes, failure: found } = await rig.examine(await near(`127.0.0.1:${accepting.port}`), FAR);
    expect(found).toBeUndefined();
    expect(notes.filter(({ code }) => code === "NAME_SHORT_HOST").map(({ message }) => message)).toEqual([
      expect.stringContaining(`the host of ${NEAR} has no dot`),
      expect.stringContaining(`the host of ${FAR} has no dot`),
    ]);
    expect(notes.map(({ code }) => code)).not.toContain("CERT_NOT_FOR_ERLANG");
  });

  it("is noted of a certificate of version 1 with nothing but a common name", async () => {
    const bare = rig.bare(FAR);
    const accepting = await far({ tls: bare });
    const { notes, failure: found } = await rig.examine(await near(`127.0.0.1:${accepting.port}`), FAR);
    expect(found).toBeUndefined();
    expect(notes.find(({ code }) => code === "CERT_NOT_FOR_ERLANG")).toMatchObject({
      message: expect.stringMatching(/certificate of far@localhost is refused by Erlang nodes .* whole node name/),
      advice: expect.stringContaining("sallyport certs issue far@localhost"),
    });
  });
});

describe("the audit log", () => {
  it("has the same code on both ends, and each end's view of the fault", async () => {
    const logs = [join(rig.home, "audit-far"), join(rig.home, "audit-near")] as const;
    const accepting = await far({ audit: { dir: logs[0] } });
    const at = `127.0.0.1:${accepting.port}`;
    const dialling = await near(at, { audit: { dir: logs[1] }, tls: await rig.tls(NEAR, { by: "i3" }) });
    await rig.examine(dialling, FAR);
    await accepting.diagnosed("CHAIN_TOO_LONG");
    for (const { node } of [accepting, dialling]) await node.close({ timeoutMs: 0 });
    const records = logs.map((log) =>
      readdirSync(log)
        .flatMap((file) => readFileSync(join(log, file), "utf8").trimEnd().split("\n"))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ kind }) => kind === "attempt"),
    );
    expect(records).toMatchObject([
      [{ role: "acceptor", diagnosis: "CHAIN_TOO_LONG", fault: "remote" }],
      [{ role: "initiator", diagnosis: "CHAIN_TOO_LONG", fault: "local" }],
    ]);
  });
});
