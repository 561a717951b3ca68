import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import { createNode } from "../../src/create-node.ts";
import { InviteStore } from "../../src/identity/invite.ts";
import { rotateNodeKey } from "../../src/identity/key-rotation.ts";
import { parseFingerprint } from "../../src/identity/public-key.ts";
import type { Node } from "../../src/node/api.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { A, B, C, dialling, failure, NativeRig, nextRefusal } from "./native-rig.ts";

const rig = new NativeRig();
const { keyDir, node, makeKey, pin, acquainted } = rig;
const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom() };
const COOKIE = "a cookie of 27 random bytes";

/** What `keys invite` does beside the running node. */
function invite(acceptor: Node, invitee: string, of: { ttlMs?: number; nowMs?: number } = {}): string {
  const store = new InviteStore({ ...world, directory: keyDir(acceptor.name) });
  const { ttlMs = 60_000, nowMs = Date.now() } = of;
  const acceptorKey = parseFingerprint(acceptor.identity?.fingerprint ?? "");
  const to = { invitee: parseNodeName(invitee), acceptor: acceptor.name, acceptorKey };
  return store.issue({ ...to, ttlMs, nowMs }).text();
}

const joiningFiles = (who: string): readonly string[] => readdirSync(join(keyDir(who), "joining"));

describe("an invite", () => {
  it("makes two strict nodes pin each other at their first connection, once", async () => {
    const b = await node(B, "strict");
    const a = await node(A, "strict", dialling(b));
    expect(await failure(a.connect(B))).toMatchObject({ reason: "KEY_UNTRUSTED" });
    const held = a.identity?.join(invite(b, A));
    expect(held).toMatchObject({ acceptor: B, fingerprint: b.identity?.fingerprint });
    expect(joiningFiles(A)).toEqual([`${B}.invite`]);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned", fingerprint: b.identity?.fingerprint });
    await a.ping(B);
    expect(b.peers()[0]).toMatchObject({ name: A, assurance: "pinned", fingerprint: a.identity?.fingerprint });
    expect(readFileSync(join(keyDir(A), "trusted", `${B}.pub`))).toEqual(b.identity?.publicKey);
    expect(readFileSync(join(keyDir(B), "trusted", `${A}.pub`))).toEqual(a.identity?.publicKey);
    expect(joiningFiles(A)).toEqual([]);
    expect(readdirSync(join(keyDir(B), "invites"))).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.burned$/)]);
    // Without it from now on, in both directions.
    expect(a.disconnect(B)).toBe(true);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
  });

  it("that somebody else used before is worth nothing, and the operator reads why", async () => {
    const b = await node(B, "strict");
    const text = invite(b, A);
    const thief = await node(A, "strict", { ...dialling(b), identity: { dir: keyDir("thief") } });
    thief.identity?.join(text);
    await thief.connect(B);
    await thief.ping(B);
    await thief.close();
    // The thief was seen, and its key taken back.
    renameSync(join(keyDir(B), "trusted", `${A}.pub`), join(keyDir(B), "gone"));
    await b.identity?.reload();
    const a = await node(A, "strict", dialling(b));
    a.identity?.join(text);
    const refused = nextRefusal(b);
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "REFUSED_BY_PEER" });
    const { error } = await refused;
    expect(error).toMatchObject({ reason: "KEY_UNTRUSTED", detail: { invite: "burned" } });
    expect(error.message).toContain("its invite was used before");
    expect(existsSync(join(keyDir(A), "trusted", `${B}.pub`))).toBe(false);
  });

  it("for another name opens nothing", async () => {
    const b = await node(B, "strict");
    const a = await node(A, "strict", dialling(b));
    expect(() => a.identity?.join(invite(b, C))).toThrow(expect.objectContaining({ reason: "INVITE_OTHER_NODE" }));
    // Neither does one that lies there all the same.
    const c = await node(C, "strict", dialling(b));
    c.identity?.join(invite(b, C));
    renameSync(join(keyDir(C), "joining"), join(keyDir(A), "joining"));
    const refused = nextRefusal(b);
    expect(await failure(a.connect(B))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    expect((await refused).error).toMatchObject({ reason: "KEY_UNTRUSTED", detail: { invite: "other-name" } });
  });

  it("is shown to no node but the one whose key it names", async () => {
    const b = await node(B, "strict");
    const text = invite(b, A);
    await b.close();
    const impostor = await node(B, "tofu", { identity: { dir: keyDir("impostor") } });
    const a = await node(A, "tofu", dialling(impostor));
    a.identity?.join(text);
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "INVITE_WRONG_NODE" });
    expect(impostor.peers()).toEqual([]);
    expect(joiningFiles(A)).toEqual([`${B}.invite`]);
  });
});

describe("a node that is full", () => {
  it("says so to a peer that it trusts, and nothing to others", async () => {
    for (const who of [A, B, C]) await makeKey(who);
    for (const who of [A, C]) {
      pin(B, who);
      pin(who, B);
    }
    const b = await node(B, "strict", { maxSessions: 1 });
    const a = await node(A, "strict", dialling(b));
    await a.ping(B);
    const c = await node(C, "strict", dialling(b));
    const refused = nextRefusal(b);
    expect(await failure(c.connect(B))).toMatchObject({ code: "ERR_CLOSED", reason: "PEER_BUSY" });
    expect((await refused).error).toMatchObject({ code: "ERR_LIMIT", reason: "SESSIONS_FULL" });
    const stranger = await node("d@127.0.0.1", "tofu", dialling(b));
    expect(await failure(stranger.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "REFUSED_BY_PEER" });
    // One that has a session keeps its place.
    a.disconnect(B);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
  });
});

describe("cookie-only mode", () => {
  const cookieOnly = (who: string): { dir: string; cookieOnly: string[] } => ({
    dir: keyDir(who),
    cookieOnly: ["*@127.0.0.1"],
  });

  it("pairs two strict nodes that list each other, at the lowest assurance, with a warning", async () => {
    const b = await node(B, "strict", { cookie: COOKIE, identity: cookieOnly(B) });
    const warned = new Promise<string>((resolve) => b.on("warning", ({ reason }) => resolve(reason)));
    expect(await warned).toBe("COOKIE_ONLY");
    const a = await node(A, "strict", { ...dialling(b), cookie: COOKIE, identity: cookieOnly(A) });
    const peer = await a.connect(B);
    expect(peer).toMatchObject({ protocol: "native", assurance: "cookie", fingerprint: null, publicKey: null });
    await a.ping(B);
    expect(b.peers()[0]).toMatchObject({ name: A, assurance: "cookie", fingerprint: null });
    for (const who of [A, B]) expect(existsSync(join(keyDir(who), "trusted"))).toBe(false);
  });

  it.each(["acceptor", "dialler"])("is refused where only the %s lists the other", async (only) => {
    const both = { cookie: COOKIE };
    const b = await node(B, "strict", { ...both, ...(only === "acceptor" ? { identity: cookieOnly(B) } : {}) });
    const refused = nextRefusal(b);
    const a = await node(A, "strict", {
      ...dialling(b),
      ...both,
      ...(only === "dialler" ? { identity: cookieOnly(A) } : {}),
    });
    expect(await failure(a.connect(B))).toMatchObject({
      reason: only === "dialler" ? "METHOD_MISMATCH" : "KEY_UNTRUSTED",
    });
    await refused;
    expect([...a.peers(), ...b.peers()]).toEqual([]);
  });

  it("is refused with another cookie", async () => {
    const b = await node(B, "strict", { cookie: COOKIE, identity: cookieOnly(B) });
    const refused = nextRefusal(b);
    const a = await node(A, "strict", { ...dialling(b), cookie: `${COOKIE}!`, identity: cookieOnly(A) });
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH" });
    expect((await refused).error).toMatchObject({ reason: "SECRET_MISMATCH" });
  });

  it("never stands in for a pinned key", async () => {
    await makeKey(A);
    await makeKey(B);
    pin(B, A);
    const b = await node(B, "strict", { cookie: COOKIE, identity: cookieOnly(B) });
    const refused = nextRefusal(b);
    const a = await node(A, "strict", { ...dialling(b), cookie: COOKIE, identity: cookieOnly(A) });
    expect(await failure(a.connect(B))).toMatchObject({ reason: "METHOD_MISMATCH" });
    expect((await refused).error).toMatchObject({ reason: "METHOD_MISMATCH" });
    await a.close();
    // With the other's key pinned as well, the two prove their keys although they list each other.
    pin(A, B);
    const keyed = await node(A, "strict", { ...dialling(b), cookie: COOKIE, identity: cookieOnly(A) });
    expect(await keyed.connect(B)).toMatchObject({ assurance: "pinned" });
  });

  it.each([
    ["COOKIE_MISSING", {}],
    ["COOKIE_TOO_SHORT", { cookie: "fifteen bytes.." }],
    ["NAME_PATTERN", { cookie: COOKIE, identity: { dir: "unused", cookieOnly: ["a*@h"] } }],
  ])("does not start: %s", async (reason, options) => {
    const start = node(A, "strict", { identity: cookieOnly(A), ...options });
    expect(await failure(start)).toMatchObject({ code: "ERR_CONFIG", reason });
  });

  it("takes a short cookie only when that is called dangerous", async () => {
    const options = { cookie: "short", dangerous: { shortCookie: true } };
    const b = await node(B, "strict", { ...options, identity: cookieOnly(B) });
    const a = await node(A, "strict", { ...dialling(b), ...options, identity: cookieOnly(A) });
    expect(await a.connect(B)).toMatchObject({ assurance: "cookie" });
  });
});

describe("a running node", () => {
  it("takes a rotated key for its next handshakes, and peers that pinned the old one follow", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict");
    const a = await node(A, "strict", dialling(b));
    const before = await a.connect(B);
    const { key } = rotateNodeKey({
      ...world,
      directory: keyDir(B),
      profile: "standard",
      nowMs: Date.now(),
      name: parseNodeName(B),
    });
    expect(b.identity?.fingerprint).toBe(before.fingerprint);
    expect(await b.identity?.reload()).toBe(0);
    expect(b.identity?.fingerprint).toBe(key.fingerprint);
    // The session of before goes on.
    expect(await a.ping(B)).toMatchObject({ peer: { fingerprint: before.fingerprint } });
    a.disconnect(B);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned", fingerprint: key.fingerprint });
    expect(readFileSync(join(keyDir(A), "trusted", `${B}.pub`))).toEqual(b.identity?.publicKey);
  });

  it("goes on with its key when the files are gone, and never makes itself another", async () => {
    const b = await node(B, "tofu");
    const before = b.identity?.fingerprint;
    renameSync(keyDir(B), `${keyDir(B)}-gone`);
    await expect(b.identity?.reload()).rejects.toMatchObject({ reason: "KEY_MISSING" });
    expect(b.identity?.fingerprint).toBe(before);
    expect(existsSync(keyDir(B))).toBe(false);
  });

  it("names the strangers that dialled it, until the operator trusts one", async () => {
    const b = await node(B, "tofu");
    const a = await node(A, "tofu", dialling(b));
    await a.ping(B);
    expect(b.identity?.waiting()).toEqual([
      expect.objectContaining({ name: A, fingerprint: a.identity?.fingerprint, publicKey: a.identity?.publicKey }),
    ]);
    pin(B, A);
    await b.identity?.reload();
    a.disconnect(B);
    await a.ping(B);
    expect(b.peers()[0]).toMatchObject({ name: A, assurance: "pinned" });
  });

  it("without identity has none", async () => {
    const plain = rig.own(await createNode({ name: A, dangerous: { plaintext: true } }));
    expect(plain.identity).toBeNull();
  });
});
