import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import { createNode } from "../../src/create-node.ts";
import { InviteStore } from "../../src/identity/invite.ts";
import { rotateNodeKey } from "../../src/identity/key-rotation.ts";
import type { Node } from "../../src/node/api.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { A, B, dialling, NativeRig, nextRefusal } from "./native-rig.ts";

// Who may hold a name, and what becomes of those that lose it.

const { keyDir, node, own, makeKey, pin, twinDir } = new NativeRig();
const COOKIE = "a cookie of 27 random bytes";

const reason = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "it worked",
    (error) => error.reason,
  );

const nextDown = (of: Node): Promise<string> =>
  new Promise((resolve) => of.on("nodedown", (_peer, why) => resolve(why)));

/** A node under the name of A with a key of its own. */
const impostor = (of: Parameters<typeof node>[2] = {}): Promise<Node> =>
  node(A, "tofu", { ...of, identity: { dir: keyDir("impostor"), ...of.identity } });

describe("a stranger that dialled in under a name", () => {
  it("gets nothing that this node sends to the name: that goes to who answers at its address", async () => {
    const real = await node(A, "tofu");
    const heard: unknown[] = [];
    real.register("inbox", { info: (message) => void heard.push(message) }, { allow: "tofu" });
    const b = await node(B, "tofu", dialling(real));
    const stranger = await impostor(dialling(b));
    const stolen: unknown[] = [];
    stranger.register("inbox", { info: (message) => void stolen.push(message) }, { allow: "tofu" });
    await stranger.ping(B);
    expect(b.peers()[0]).toMatchObject({ name: A, fingerprint: stranger.identity?.fingerprint });
    const down = nextDown(b);
    b.send({ name: "inbox", node: A }, 1);
    expect(await down).toMatch(/SESSION_REPLACED|TRUST_WITHDRAWN/);
    expect(await b.connect(A)).toMatchObject({ fingerprint: real.identity?.fingerprint });
    await b.ping(A);
    expect([heard, stolen]).toEqual([[1], []]);
  });

  it("keeps its session when it is the one that answers there", async () => {
    const real = await node(A, "tofu");
    const b = await node(B, "tofu", dialling(real));
    await real.close();
    // The same node, dialling in first this time.
    const again = await node(A, "tofu", { ...dialling(b), listen: [(real.endpoints[0] ?? "").replace("tcp", "tls")] });
    await again.ping(B);
    const before = b.peers()[0];
    const downs: string[] = [];
    b.on("nodedown", (_peer, why) => downs.push(why));
    expect(await b.connect(A)).toBe(before);
    await b.ping(A);
    expect(downs).toEqual([]);
  });

  it("does not keep out a peer whose key is pinned", async () => {
    await makeKey(A);
    const b = await node(B, "tofu");
    const stranger = await impostor(dialling(b));
    await stranger.ping(B);
    pin(B, A);
    const down = nextDown(b);
    await b.identity?.reload();
    expect(await down).toBe("TRUST_WITHDRAWN");
    await stranger.close();
    const real = await node(A, "tofu", dialling(b));
    expect(await reason(real.connect(B))).toBe("it worked");
    await real.ping(B);
    expect(b.peers().map(({ assurance }) => assurance)).toEqual(["pinned"]);
  });
});

describe("a name that gets a key", () => {
  it("ends sessions of that name that came by the cookie alone, and lets them not come again", async () => {
    await makeKey(A);
    const only = (who: string) => ({ cookie: COOKIE, identity: { dir: keyDir(who), cookieOnly: ["*@127.0.0.1"] } });
    const b = await node(B, "strict", only(B));
    const a = await node(A, "strict", { ...dialling(b), ...only("other") });
    await a.ping(B);
    const downs = [nextDown(b), nextDown(a)];
    pin(B, A);
    expect(await b.identity?.reload()).toBe(1);
    expect((await Promise.all(downs))[0]).toBe("TRUST_WITHDRAWN");
    expect(await reason(a.connect(B))).toBe("METHOD_MISMATCH");
  });

  it("in a file that is broken is known by nothing weaker", async () => {
    const only = (who: string) => ({ cookie: COOKIE, identity: { dir: keyDir(who), cookieOnly: ["*@127.0.0.1"] } });
    await makeKey(A);
    await makeKey(B);
    pin(B, A);
    writeFileSync(join(keyDir(B), "trusted", `${A}.pub`), Buffer.alloc(31, 7));
    const b = await node(B, "strict", only(B));
    const a = await node(A, "strict", { ...dialling(b), ...only("other") });
    expect(await reason(a.connect(B))).toBe("METHOD_MISMATCH");
  });

  it("by plain OTP is not taken once it has one", async () => {
    await makeKey(A);
    const b = await node(B, "strict", {
      cookie: COOKIE,
      dangerous: { plaintext: true },
      listen: ["tcp://127.0.0.1:0"],
    });
    const plain = own(
      await createNode({ name: A, cookie: COOKIE, epmd: "off", dangerous: { plaintext: true }, ...dialling(b) }),
    );
    await plain.ping(B);
    const downs = [nextDown(b), nextDown(plain)];
    pin(B, A);
    await b.identity?.reload();
    expect((await Promise.all(downs))[0]).toBe("TRUST_WITHDRAWN");
    const refused = nextRefusal(b);
    expect(await reason(plain.connect(B))).not.toBe("it worked");
    expect((await refused).error.reason).toBe("NATIVE_ONLY");
  });
});

describe("a key that was rotated because it was stolen", () => {
  it("does not keep the new one out", async () => {
    await makeKey(A);
    await makeKey(B);
    pin(B, A);
    pin(A, B);
    const b = await node(B, "strict");
    const thief = await node(A, "strict", { ...dialling(b), identity: { dir: twinDir(A) } });
    await thief.ping(B);
    const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom() };
    const { key } = rotateNodeKey({
      ...world,
      directory: keyDir(A),
      profile: "standard",
      nowMs: Date.now(),
      name: parseNodeName(A),
    });
    const down = nextDown(b);
    const rotated = await node(A, "strict", { ...dialling(b), identity: { dir: keyDir(A) } });
    expect(await reason(rotated.connect(B))).toBe("it worked");
    await down;
    await rotated.ping(B);
    expect(b.peers()[0]).toMatchObject({ assurance: "pinned", fingerprint: key.fingerprint });
  });
});

describe("an invite that is held", () => {
  it("is not passed over for the cookie", async () => {
    const only = (who: string) => ({ cookie: COOKIE, identity: { dir: keyDir(who), cookieOnly: ["*@127.0.0.1"] } });
    await makeKey(B);
    const b = await node(B, "strict", only("impostor"));
    const a = await node(A, "strict", { ...dialling(b), ...only(A) });
    const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom() };
    const inviter = await node(B, "strict", { listen: [] });
    const token = new InviteStore({ ...world, directory: keyDir(B) }).issue({
      invitee: parseNodeName(A),
      acceptor: parseNodeName(B),
      acceptorKey: inviter.identity?.fingerprint as never,
      nowMs: Date.now(),
    });
    a.identity?.join(token.text());
    expect(await reason(a.connect(B))).toBe("INVITE_WRONG_NODE");
  });
});

describe("a key directory that vanishes", () => {
  it("in part or whole changes nothing, and is told once", async () => {
    for (const who of [A, B]) await makeKey(who);
    pin(A, B);
    pin(B, A);
    const b = await node(B, "strict");
    const hex = Buffer.from((await node("r@127.0.0.1", "strict")).identity?.fingerprint.slice(7) ?? "", "base64");
    mkdirSync(join(keyDir(B), "revoked"));
    writeFileSync(join(keyDir(B), "revoked", hex.toString("hex")), "");
    pin(B, "r@127.0.0.1");
    await b.identity?.reload();
    const warnings: string[] = [];
    b.on("warning", ({ reason: why }) => warnings.push(why));
    const a = await node(A, "strict", dialling(b));
    await a.ping(B);
    renameSync(join(keyDir(B), "revoked"), join(keyDir(B), "moved"));
    expect(await reason(Promise.resolve(b.identity?.reload()))).toBe("TRUST_UNREADABLE");
    const revoked = await node("r@127.0.0.1", "tofu", { ...dialling(b), identity: { dir: twinDir("r@127.0.0.1") } });
    expect(await reason(revoked.connect(B))).toBe("REFUSED_BY_PEER");
    renameSync(keyDir(B), `${keyDir(B)}-gone`);
    while (!warnings.includes("TRUST_UNREADABLE")) await new Promise((resolve) => setImmediate(resolve));
    expect(b.peers().map(({ name }) => name)).toEqual([A]);
    const stranger = await impostor(dialling(b));
    expect(await reason(stranger.connect(B))).toBe("REFUSED_BY_PEER");
    renameSync(`${keyDir(B)}-gone`, keyDir(B));
    renameSync(join(keyDir(B), "moved"), join(keyDir(B), "revoked"));
    expect(await b.identity?.reload()).toBe(0);
  });
});
