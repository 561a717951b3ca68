import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { isAtom } from "../../src/term/types.ts";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { endTls, passOn } from "../attack/native-relay.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

let authority: TestAuthority;
const { root, keyDir, node, makeKey, pin, acquainted, own, atEnd, twinDir } = new NativeRig();

beforeAll(async () => {
  authority = await testAuthority(join(root, "ca"));
});

describe("a native session", () => {
  it("forms at first sight when both trust on first use, and the dialler pins the key it saw", async () => {
    const b = await node(B, "tofu");
    b.register("echo", { call: (request) => request }, { allow: "tofu" });
    const a = await node(A, "tofu", dialling(b));
    const peer = await a.connect(B);
    expect(peer).toMatchObject({ name: B, protocol: "native", assurance: "tofu" });
    expect(peer.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    await a.ping(B); // the acceptor's side stands when our confirmation has come
    expect(b.peers()[0]).toMatchObject({ name: A, protocol: "native", assurance: "tofu" });
    expect(await a.call({ name: "echo", node: B }, [1, 2])).toEqual([1, 2]);
    expect(readFileSync(join(keyDir(A), "first-use", `${B}.pub`))).toEqual(readFileSync(join(keyDir(B), "node.pub")));
    // An inbound stranger reserves no name.
    expect(existsSync(join(keyDir(B), "first-use", `${A}.pub`))).toBe(false);
  });

  it("is refused at first sight by a strict dialler, and nothing is pinned", async () => {
    const b = await node(B, "tofu");
    const refused = nextRefusal(b);
    const a = await node(A, "strict", dialling(b));
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_UNTRUSTED" });
    expect((await refused).error).toMatchObject({ code: "ERR_DENIED" });
    expect(readdirSync(keyDir(A))).not.toContain("first-use");
  });

  it("is refused at first sight by a strict acceptor, which tells the dialler no more than that", async () => {
    const b = await node(B, "strict");
    const refused = nextRefusal(b);
    const a = await node(A, "tofu", dialling(b));
    const error = await failure(a.connect(B));
    expect(error).toMatchObject({ code: "ERR_DENIED" });
    expect(JSON.stringify(error)).not.toContain("UNTRUSTED");
    expect((await refused).error).toMatchObject({ code: "ERR_DENIED", reason: "KEY_UNTRUSTED" });
    // The dialler pins only after the whole handshake.
    expect(existsSync(join(keyDir(A), "first-use", `${B}.pub`))).toBe(false);
  });

  it("is pinned on both sides when both hold the other's key", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const a = await node(A, "strict", dialling(b));
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned", protocol: "native" });
    await a.ping(B);
    expect(b.peers()[0]).toMatchObject({ name: A, assurance: "pinned" });
  });

  it.each(["strict", "tofu"] as const)(
    "is refused in mode %s when the key differs from the pin, which stays",
    async (mode) => {
      await makeKey(A);
      await makeKey(C);
      pin(A, C, B);
      const pinFile = join(keyDir(A), "trusted", `${B}.pub`);
      const before = readFileSync(pinFile);
      const b = await node(B, "tofu");
      const a = await node(A, mode, dialling(b));
      expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_MISMATCH" });
      expect(readFileSync(pinFile)).toEqual(before);
    },
  );

  it("ends within a second when the peer's key is revoked", async () => {
    const b = await node(B, "tofu");
    const a = await node(A, "tofu", dialling(b));
    const peer = await a.connect(B);
    const down = new Promise<readonly [string, string]>((resolve) =>
      a.on("nodedown", (p, reason) => resolve([p.name, reason])),
    );
    const hex = Buffer.from((peer.fingerprint ?? "").slice("SHA256:".length), "base64").toString("hex");
    mkdirSync(join(keyDir(A), "revoked"), { recursive: true, mode: 0o700 });
    writeFileSync(join(keyDir(A), "revoked", hex), "");
    expect(await down).toEqual([B, "TRUST_WITHDRAWN"]);
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_REVOKED" });
  });

  it("asks for the same cookie where one is set, after the key was proven", async () => {
    const b = await node(B, "tofu", { cookie: "0123456789abcdef-right" });
    const wrong = await node(A, "tofu", { ...dialling(b), cookie: "0123456789abcdef-wrong" });
    expect(await failure(wrong.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH" });
    await wrong.close({ timeoutMs: 0 });
    const none = await node(A, "tofu", dialling(b));
    expect(await failure(none.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH" });
    await none.close({ timeoutMs: 0 });
    const right = await node(A, "tofu", { ...dialling(b), cookie: "0123456789abcdef-right" });
    expect(await right.connect(B)).toMatchObject({ assurance: "tofu" });
  });

  it("tells somebody with the wrong cookie nothing of the policy, and keeps no decision of such tries", async () => {
    const peers = { a: { names: [A], assurance: "cookie" } } as const;
    const b = await node(B, "tofu", {
      cookie: "0123456789abcdef-right",
      policy: { version: 1, node: B, peers, rules: [] },
    });
    const denied: string[] = [];
    b.on("denied", ({ peer }) => denied.push(peer));
    for (const [name, cookie] of [
      [A, "0123456789abcdef-wrong"],
      [C, "0123456789abcdef-wrong"],
      [C, undefined],
    ] as const) {
      const stranger = await node(name, "tofu", { ...dialling(b), ...(cookie === undefined ? {} : { cookie }) });
      expect((await failure(stranger.connect(B))).reason).toBe("SECRET_MISMATCH");
      await stranger.close({ timeoutMs: 0 });
    }
    expect(denied).toEqual([]);
    const known = await node(C, "tofu", { ...dialling(b), cookie: "0123456789abcdef-right" });
    expect((await failure(known.connect(B))).reason).not.toBe("SECRET_MISMATCH");
    expect(denied).toEqual([C]);
  });

  it("is not displaced by somebody with another key under the same name", async () => {
    const b = await node(B, "tofu");
    const a = await node(A, "tofu", dialling(b));
    await a.ping(B);
    const down: string[] = [];
    b.on("nodedown", (peer) => down.push(peer.name));
    const refused = nextRefusal(b);
    const impostor = await node(A, "tofu", { ...dialling(b), identity: { dir: keyDir("impostor"), trust: "tofu" } });
    const dial = failure(impostor.connect(B, { timeoutMs: 1_000 }));
    expect((await refused).error.reason).toBe("OTHER_CONNECTION_WINS");
    await dial;
    expect(down).toEqual([]);
    expect(await a.ping(B)).toMatchObject({ peer: { name: B } });
  });

  it("is replaced at once by the peer's next life", async () => {
    const b = await node(B, "tofu");
    const events: string[] = [];
    b.on("nodeup", () => events.push("up"));
    b.on("nodedown", (_peer, reason) => events.push(reason));
    const relay = await passOn(portOf(b));
    atEnd(() => relay.close());
    const first = await node(A, "tofu", { resolve: { [B]: relay.endpoint } });
    await first.ping(B);
    relay.loseDiallers();
    const second = await node(A, "tofu", { ...dialling(b), identity: { dir: twinDir(A) } });
    await second.ping(B);
    expect(events).toEqual(["up", "SESSION_REPLACED", "up"]);
  });

  it("is the only way for a name with a pin, in both directions", async () => {
    const certificate = await authority.issue(B);
    const tls = { certFile: certificate.certFile, keyFile: certificate.keyFile, caFile: authority.caFile };
    const mine = await authority.issue(A);
    const ownTls = { certFile: mine.certFile, keyFile: mine.keyFile, caFile: authority.caFile };
    const cookie = "0123456789abcdef";
    await makeKey(A);
    await makeKey(B);
    pin(A, B);
    // The same name, the right certificate and cookie, but no key: whoever holds the path could do this.
    const plain = own(await createNode({ name: B, epmd: "off", cookie, tls, listen: ["tls://127.0.0.1:0"] }));
    const a = await node(A, "strict", { ...dialling(plain), tls: ownTls, cookie });
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "NATIVE_ONLY" });
    const refused = nextRefusal(a);
    const dialler = own(await createNode({ name: B, epmd: "off", cookie, tls, ...dialling(a) }));
    expect(await failure(dialler.connect(A))).toMatchObject({ code: "ERR_DENIED" });
    expect((await refused).error).toMatchObject({ reason: "NATIVE_ONLY" });
  });

  it("is of assurance ca between strict nodes whose certificates name them", async () => {
    const options = async (name: string): Promise<Partial<NodeOptions>> => {
      const { certFile, keyFile } = await authority.issue(name);
      return { tls: { certFile, keyFile, caFile: authority.caFile } };
    };
    const b = await node(B, "strict", await options(B));
    const a = await node(A, "strict", { ...dialling(b), ...(await options(A)) });
    expect(await a.connect(B)).toMatchObject({ assurance: "ca", protocol: "native" });
    await a.ping(B);
    expect(b.peers()[0]).toMatchObject({ assurance: "ca", protocol: "native" });
  });

  it("does not form through somebody who ends TLS in the middle and passes every message on", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const { certPem: cert, keyPem: key } = await authority.selfSigned("m@127.0.0.1");
    const relay = await endTls(portOf(b), { toDialler: { cert, key }, toAcceptor: { cert, key } });
    atEnd(() => relay.close());
    const a = await node(A, "strict", { resolve: { [B]: relay.endpoint } });
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED" });
    expect(relay.passed.toAcceptor + relay.passed.toDialler).toBeGreaterThan(0);
    expect(a.peers()).toEqual([]);
    expect(b.peers()).toEqual([]);
  });

  it("ends with a goodbye when one side stops, and the other reports that it left", async () => {
    const b = await node(B, "tofu");
    const a = await node(A, "tofu", dialling(b));
    await a.ping(B);
    const reasons: string[] = [];
    const down = new Promise<void>((resolve) =>
      a.on("nodedown", (_peer, reason) => {
        reasons.push(reason);
        resolve();
      }),
    );
    await b.close();
    await down;
    expect(reasons).toEqual(["PEER_LEFT"]);
  });

  it("carries monitors and links like any other, and their ends", async () => {
    const b = await node(B, "tofu");
    b.register("worker", { call: () => 1 }, { allow: "tofu" });
    const a = await node(A, "tofu", dialling(b));
    await a.connect(B);
    const down = new Promise((resolve) => a.monitor({ name: "worker", node: B }, ({ reason }) => resolve(reason)));
    await a.ping(B);
    b.unregister("worker");
    expect(isAtom((await down) as never, "normal")).toBe(true);
  });
});
