import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { newKeys } from "../barrel-peer/identity.mjs";
import { BarrelRig, type BarrelRigOptions, EVIL, filesIn, GOOD, VICTIM } from "./barrel-rig.ts";
import { failure } from "./native-rig.ts";

// Over QUIC: who owns a name. The attacker has the cookie; a name that nobody has is pinned for whom the node dials, and for nobody else.

const OWNER = "owner@127.0.0.1";
const RACERS = 12;

let rig: BarrelRig;
const start = async (options: BarrelRigOptions = {}): Promise<BarrelRig> => {
  rig = await BarrelRig.start(options);
  return rig;
};
afterEach(() => rig.stop());

/** Pins that the node has made itself, with their keys. */
const pinned = (): readonly string[] => filesIn(rig.keyDir).filter((file) => file.startsWith("/first-use/"));
const pinOf = (name: string): string | undefined =>
  pinned()
    .find((file) => file.startsWith(`/first-use/${name}.pub `))
    ?.split(" ")[1];
const keyOf = async (peer: BarrelRig["evil"]): Promise<unknown> => (await peer.command("identity"))["key"];
const isServed = async (peer: BarrelRig["evil"], connection: unknown): Promise<boolean> => {
  const answer = await peer.command("call", { connection, name: "echo", term: 1 });
  return answer["value"] === 1;
};

/** The attacker dials in by all rules as `as`; until it is in. */
async function comes(as: string, fields: Readonly<Record<string, unknown>> = {}): Promise<number> {
  const connection = await rig.evil.dial(VICTIM, rig.address, { attack: "stranger", as, ...fields });
  await rig.evil.wait({ event: "up", connection });
  return connection;
}

/** The attacker listens under a name, and the node dials it. */
async function dialAs(as: string, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  rig.addresses.set(as, await rig.evil.listen({ attack: "stranger", as, ...fields }));
  return (await failure(rig.node.connect(as, { timeoutMs: 30_000 }))).reason;
}

describe("a key over QUIC", () => {
  it("AU-09: that is pinned for one name is refused under any other, dialled or dialling in", async () => {
    await start();
    expect(await dialAs(EVIL, { ownKey: true })).toBe("it worked");
    rig.node.disconnect(EVIL);
    await expect.poll(() => rig.holdings(), { timeout: 30_000 }).toMatchObject({ peers: [], engineSessions: 0 });
    const before = rig.holdings();
    expect(await dialAs("second@127.0.0.1", { ownKey: true })).toBe("KEY_REUSED");
    await rig.until(() => rig.refusals.length === 1);
    const dialled = await rig.dialled("stranger", { as: "third@127.0.0.1", ownKey: true });
    expect(dialled).toMatchObject({ reason: "KEY_REUSED", detail: { barrel: "untrusted_key" } });
    expect(dialled.saw).toEqual(["fail untrusted_key", "fin"]);
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("AU-09: that only dialled in is pinned for no name, and so stands for any number of them, none above cookie", async () => {
    await start();
    const names = ["one@127.0.0.1", "two@127.0.0.1"];
    for (const name of names) await comes(name, { ownKey: true });
    expect(rig.node.peers().map(({ name, assurance }) => [name, assurance])).toEqual(
      names.map((name) => [name, "cookie"]),
    );
    expect(pinned()).toEqual([]);
  });

  it("AU-47: has one session: a second connection takes its place once it is proven, and not before", async () => {
    const { evil, node } = await start();
    const first = await comes(EVIL, { ownKey: true });
    await evil.dial(VICTIM, rig.address, { attack: "wrong-cookie" });
    expect((await rig.refusal(0)).error.reason).toBe("SECRET_MISMATCH");
    expect(await isServed(evil, first)).toBe(true);
    const downs: string[] = [];
    node.on("nodedown", (_peer, why) => downs.push(why));
    const mark = evil.mark;
    const second = await comes(EVIL, { ownKey: true });
    await evil.wait({ event: "closed", connection: first }, mark);
    expect(await isServed(evil, second)).toBe(true);
    expect([node.peers().length, downs]).toEqual([1, ["SESSION_REPLACED"]]);
  });
});

describe("a name over QUIC", () => {
  it(`AU-10: of ${RACERS} who race for it with keys of their own one has the session; nobody is pinned`, async () => {
    const { evil, node } = await start();
    for (const round of [1, 2, 3]) {
      const as = `race${round}@127.0.0.1`;
      const [mark, refusals] = [evil.mark, rig.refusals.length];
      await Promise.all(
        Array.from({ length: RACERS }, () => evil.dial(VICTIM, rig.address, { attack: "stranger", as })),
      );
      await rig.until(() => rig.refusals.length - refusals === RACERS - 1 && node.peers().length === round);
      const reasons = rig.refusals.slice(refusals).map(({ error }) => error.reason);
      expect(new Set(reasons)).toEqual(new Set(["OTHER_CONNECTION_WINS"]));
      const closed = evil.since(mark, { event: "closed" }).map(({ connection }) => connection);
      const standing = evil
        .since(mark, { event: "up" })
        .map(({ connection }) => connection)
        .filter((connection) => !closed.includes(connection));
      const served = await Promise.all(standing.map((connection) => isServed(evil, connection).catch(() => false)));
      expect(served.filter(Boolean)).toHaveLength(1);
      expect(pinned()).toEqual([]);
    }
  });

  it.each(["abe@127.0.0.1", "zed@127.0.0.1"])(
    "AU-10: %s is pinned for the one that the node dials, whoever dials in under it meanwhile",
    async (as) => {
      const { evil, node } = await start();
      const owner = rig.peer(as);
      rig.addresses.set(as, await owner.listen());
      const dial = node.connect(as, { timeoutMs: 30_000 });
      await Promise.all(Array.from({ length: 6 }, () => evil.dial(VICTIM, rig.address, { attack: "stranger", as })));
      expect(await dial).toMatchObject({ name: as, assurance: "tofu" });
      await rig.until(() => rig.refusals.length === 6);
      for (const { error } of rig.refusals) expect(["KEY_MISMATCH", "OTHER_CONNECTION_WINS"]).toContain(error.reason);
      expect([pinned().length, pinOf(as)]).toEqual([1, await keyOf(owner)]);
      expect(node.peers()).toMatchObject([{ name: as, assurance: "tofu" }]);
      expect(await rig.dialled("stranger", { as })).toMatchObject({ reason: "KEY_MISMATCH" });
    },
  );

  it("AU-42: is not taken from its session by another key that has the cookie too; the owner's pin ends a squatter's", async () => {
    const { evil, node } = await start();
    const squatter = await comes(OWNER);
    const owner = rig.peer(OWNER);
    await owner.dial(VICTIM, rig.address);
    expect((await rig.refusal(0)).error.reason).toBe("OTHER_CONNECTION_WINS");
    expect(await isServed(evil, squatter)).toBe(true);
    writeFileSync(join(rig.keyDir, "trusted", `${OWNER}.pub`), readFileSync(join(owner.keyDir, "node.pub")));
    await node.identity?.reload();
    await evil.wait({ event: "closed", connection: squatter });
    const connection = await owner.dial(VICTIM, rig.address);
    await owner.wait({ event: "up", connection });
    expect(await isServed(owner, connection)).toBe(true);
    expect(await rig.dialled("stranger", { as: OWNER })).toMatchObject({ reason: "KEY_MISMATCH" });
  });

  it("AU-12: is not pinned for a listener that leaves before its proof, before OK, or without the cookie", async () => {
    const { evil } = await start();
    const before = rig.holdings();
    for (const attack of ["forged-signature", "wrong-cookie", "late-handshake"]) {
      const mark = evil.mark;
      rig.addresses.set(EVIL, await evil.listen({ attack }));
      const dial = failure(rig.node.connect(EVIL, { timeoutMs: 30_000 }));
      if (attack === "late-handshake") {
        const { connection } = await evil.wait({ event: "saw", what: "stream0" }, mark);
        await evil.command("close", { connection });
      }
      expect((await dial).reason).not.toBe("it worked");
      // What the attacker saw of this one is not to be taken for the next.
      await evil.wait({ event: "closed" }, mark);
    }
    await rig.until(() => rig.refusals.length === 3);
    await rig.expectNothingStays(before);
  });

  const NAMES = [
    "A@h",
    "a@h",
    "a@H",
    "con@h",
    "nul.pub@h",
    "a.name@h",
    "a@h.",
    "a@..",
    `${"a".repeat(253)}@h`,
    "__proto__@h",
  ];

  it("AU-22: that a file system folds, cuts or keeps for itself leads to one file inside first-use or to none", async () => {
    await start();
    const paths = (): string[] => filesIn(rig.keyDir).map((file) => file.split(" ")[0] ?? "");
    for (const as of NAMES) {
      const before = paths();
      const reason = await dialAs(as);
      const made = paths().filter((file) => !before.includes(file));
      const canonical = as.replace(/@.*/, (host) => host.toLowerCase());
      const isPlain = /^[a-z0-9@._-]{1,200}$/.test(canonical);
      const base = isPlain ? canonical : `sha256-${createHash("sha256").update(canonical).digest("hex")}`;
      const named = isPlain ? [] : [`/first-use/${base}.name`];
      const wanted = reason === "it worked" ? [...named, `/first-use/${base}.pub`, `/meta/${base}.json`] : [];
      expect({ as, made }).toEqual({ as, made: wanted });
      if (reason === "it worked") rig.node.disconnect(as);
      await rig.until(() => rig.node.peers().length === 0);
    }
    expect(pinned().filter((file) => file.includes(".pub ")).length).toBeGreaterThan(4);
  });

  it("AU-22: that differs in the case of its host is the same one, in that of its first part another", async () => {
    await start();
    expect(await dialAs("a@h")).toBe("it worked");
    rig.node.disconnect("a@h");
    await rig.until(() => rig.node.peers().length === 0);
    const one = pinned();
    expect(await dialAs("a@H")).toBe("KEY_MISMATCH");
    expect(await rig.dialled("stranger", { as: "a@H" })).toMatchObject({ reason: "KEY_MISMATCH" });
    expect(pinned()).toEqual(one);
    expect(await dialAs("A@h")).toBe("it worked");
    expect(pinned().filter((file) => file.includes(".pub "))).toHaveLength(2);
  });
});

describe("a pin over QUIC", () => {
  it("AU-13: that cannot be saved refuses the session, and the next contact is a first one again", async () => {
    const { node } = await start();
    const place = join(rig.keyDir, "first-use");
    rmSync(place, { recursive: true, force: true });
    writeFileSync(place, "not a directory");
    expect(await dialAs(EVIL, { ownKey: true })).toBe("PIN_NOT_DURABLE");
    expect(node.peers()).toEqual([]);
    rmSync(place);
    expect(await dialAs(EVIL)).toBe("it worked");
    expect(readdirSync(place)).toEqual([`${EVIL}.pub`]);
  });
});

describe("trust that goes between the exchange of keys and the cookie", () => {
  const revoke = (key: unknown): void => {
    mkdirSync(join(rig.keyDir, "revoked"), { recursive: true, mode: 0o700 });
    const digest = createHash("sha256")
      .update(Buffer.from(String(key), "hex"))
      .digest("hex");
    writeFileSync(join(rig.keyDir, "revoked", digest), "");
  };
  const pin = (name: string, key: Buffer): void => {
    mkdirSync(join(rig.keyDir, "trusted"), { recursive: true, mode: 0o700 });
    writeFileSync(join(rig.keyDir, "trusted", `${name}.pub`), key);
  };
  const CHANGES = [
    ["its key is revoked", (key: unknown) => revoke(key)],
    ["another key is pinned for its name", () => pin(EVIL, newKeys().publicKey)],
  ] as const;

  it.each(CHANGES)("lets nobody in who dialled: %s", async (_what, change) => {
    const { evil, node } = await start();
    const connection = await evil.dial(VICTIM, rig.address, { attack: "late-handshake" });
    await evil.wait({ event: "auth", connection, outcome: "ok" });
    change(await keyOf(evil));
    await node.identity?.reload();
    await evil.command("resume", { connection });
    expect((await rig.refusal(0)).error).toMatchObject({ code: "ERR_DENIED", reason: "TRUST_WITHDRAWN" });
    await evil.wait({ event: "closed", connection });
    // Not even the last word of Erlang's handshake came.
    expect(evil.since(0, { event: "handshake", connection })).toEqual([]);
    expect([node.peers(), pinned(), node.identity?.waiting()]).toEqual([[], [], []]);
    await rig.servesGood();
  });

  it.each(CHANGES)("lets nobody in whom the node dialled: %s", async (_what, change) => {
    const { evil, node } = await start();
    rig.addresses.set(EVIL, await evil.listen({ attack: "late-handshake" }));
    const dial = failure(node.connect(EVIL, { timeoutMs: 30_000 }));
    const { connection } = await evil.wait({ event: "auth", outcome: "ok" });
    change(await keyOf(evil));
    await node.identity?.reload();
    await evil.command("resume", { connection });
    expect(await dial).toMatchObject({ code: "ERR_DENIED", reason: "TRUST_WITHDRAWN" });
    expect([node.peers(), pinned()]).toEqual([[], []]);
  });

  it("lets nobody in by the cookie alone whose name has a pin by now", async () => {
    const { node } = await start({ node: { identity: { dir: "", cookieOnly: ["open@127.0.0.1"] } } });
    const open = rig.peer("open@127.0.0.1", ["--cookie-only", VICTIM]);
    const connection = await open.dial(VICTIM, rig.address, { attack: "late-handshake" });
    await open.wait({ event: "auth", connection, outcome: "ok" });
    pin(open.name, newKeys().publicKey);
    await node.identity?.reload();
    await open.command("resume", { connection });
    expect((await rig.refusal(0)).error).toMatchObject({ code: "ERR_DENIED", reason: "TRUST_WITHDRAWN" });
    await open.wait({ event: "closed", connection });
    expect(open.since(0, { event: "handshake", connection })).toEqual([]);
    expect(node.peers()).toEqual([]);
  });

  it("lets in who comes late and has lost nothing", async () => {
    const { evil, good } = await start();
    expect(good.name).toBe(GOOD);
    const connection = await evil.dial(VICTIM, rig.address, { attack: "late-handshake" });
    await evil.wait({ event: "auth", connection, outcome: "ok" });
    await evil.command("resume", { connection });
    await evil.wait({ event: "up", connection });
    expect(await isServed(evil, connection)).toBe(true);
  });
});
