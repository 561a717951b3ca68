import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Metric } from "../../src/node/api.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { encodeChallenge, encodeHello, framed } from "../barrel-peer/auth-codec.mjs";
import { BarrelRig, type BarrelRigOptions, EVIL, VICTIM } from "./barrel-rig.ts";
import { failure } from "./native-rig.ts";

// Over QUIC, while the node runs: downgrades through a relay, a clock that is set, floods beside honest peers, and what is told of it.

const OTHER = "other@127.0.0.1";
const PINNED = "pinned@127.0.0.1";
const KEY = Buffer.alloc(32, 0x11);
const DAY_MS = 86_400_000;

let rig: BarrelRig;
const start = async (options: BarrelRigOptions = {}): Promise<BarrelRig> => {
  rig = await BarrelRig.start(options);
  return rig;
};
afterEach(async () => {
  vi.restoreAllMocks();
  await rig.stop();
});

const helloOf = async (): Promise<string> => {
  const { key } = await rig.evil.command("identity");
  return framed(encodeHello(EVIL, Buffer.from(String(key), "hex"))).toString("hex");
};

describe("a relay that takes the keys out (AU-19)", () => {
  /** The node dials `OTHER` through it: the node hears OK for all that the other says of keys. */
  async function downgraded(
    listsOther: boolean,
    otherLists: boolean,
  ): Promise<{ readonly dialled: string; readonly sessions: readonly unknown[]; readonly refused: unknown }> {
    await start({ node: { identity: { dir: "", cookieOnly: listsOther ? [OTHER] : [] } } });
    const other = await rig.second(OTHER, otherLists ? { cookieOnly: [VICTIM] } : {});
    const refused = new Promise((resolve) => other.on("refused", ({ error }) => resolve(error.reason)));
    const files = { certFile: join(rig.evil.keyDir, "quic/node.crt"), keyFile: join(rig.evil.keyDir, "quic/node.key") };
    const target = new URL(other.endpoints[0] ?? "").host;
    const { port } = await rig.evil.command("relay", { address: "127.0.0.1:0", target, onlyOk: true, ...files });
    rig.addresses.set(OTHER, `127.0.0.1:${port}`);
    const { reason: dialled } = await failure(rig.node.connect(OTHER, { timeoutMs: 30_000 }));
    const told = otherLists ? undefined : await refused;
    return { dialled, sessions: [...rig.node.peers(), ...other.peers()], refused: told };
  }

  it("gets no session between two nodes that want keys", async () => {
    expect(await downgraded(false, false)).toEqual({
      dialled: "METHOD_MISMATCH",
      sessions: [],
      refused: "BARREL_STREAM_ENDED",
    });
  });

  it("gets none where only the one that dialled would do without", async () => {
    const { dialled, sessions, refused } = await downgraded(true, false);
    expect({ sessions, refused }).toEqual({ sessions: [], refused: "BARREL_STREAM_ENDED" });
    expect(["CLOSED_DURING_HANDSHAKE", "BARREL_STREAM_ENDED"]).toContain(dialled);
  });

  it("gets one where both sides were told to do without: that is what cookie-only means", async () => {
    const { dialled, sessions } = await downgraded(true, true);
    expect(dialled).toBe("it worked");
    expect(sessions).toMatchObject([
      { name: OTHER, assurance: "cookie", publicKey: null },
      { name: VICTIM, assurance: "cookie", publicKey: null },
    ]);
  });
});

describe("a clock that is set in the middle of an exchange (AU-32)", () => {
  const ahead = (ms: number): unknown =>
    vi.spyOn(RealClock.prototype, "wallMs").mockImplementation(() => Date.now() + ms);
  const fresh = (): string => framed(encodeChallenge(Buffer.alloc(32, 7), Date.now())).toString("hex");

  it.each([DAY_MS, -DAY_MS])("by %i ms does not keep the node that dials from its proof", async (ms) => {
    const { evil, node } = await start();
    rig.addresses.set(EVIL, await evil.listen({ attack: "silence" }));
    const dial = failure(node.connect(EVIL, { timeoutMs: 30_000 }));
    const { connection } = await evil.wait({ event: "saw", what: "hello" });
    await evil.command("raw", { connection, stream: 3, hex: await helloOf() });
    await evil.wait({ event: "saw", what: "challenge", connection });
    ahead(ms);
    await evil.command("raw", { connection, stream: 3, hex: fresh() });
    await evil.wait({ event: "saw", what: "response", connection });
    await evil.command("close", { connection });
    expect((await dial).reason).toBe("CLOSED_DURING_HANDSHAKE");
  });

  it.each([DAY_MS, -DAY_MS])("by %i ms does not keep the node that listens from its proof", async (ms) => {
    const { evil } = await start();
    const connection = await evil.dial(VICTIM, rig.address, { attack: "silence" });
    await evil.wait({ event: "tls", connection });
    await evil.command("raw", { connection, stream: 2, hex: await helloOf() });
    await evil.wait({ event: "saw", what: "challenge", connection });
    ahead(ms);
    await evil.command("raw", { connection, stream: 2, hex: fresh() });
    await evil.wait({ event: "saw", what: "response", connection });
    await evil.command("close", { connection });
    expect((await rig.refusal(0)).error.reason).toBe("CLOSED_DURING_HANDSHAKE");
  });

  it("and is wrong by a day from then on: the next exchange names it", async () => {
    const { evil } = await start();
    ahead(DAY_MS);
    const outcome = await rig.dialled("no-fin");
    expect(outcome).toMatchObject({ reason: "CLOCK_SKEW", detail: { barrel: "peer_ts_skew" } });
    expect(evil.name).toBe(EVIL);
  });
});

describe("bad proofs without end (AU-39, AU-40)", () => {
  it("from many addresses keep no honest peer from its session and its calls", async () => {
    // Few places for each address, so that one that was not given back would show.
    const { evil } = await start({ node: { acceptLimits: { maxHalfOpenPerLoopback: 8 } } });
    let isOn = true;
    const flood = (async () => {
      for (let i = 0; isOn; i++) {
        const mark = evil.mark;
        const from = `127.0.0.${20 + (i % 8)}`;
        const { connections } = await evil.command("dial", {
          to: VICTIM,
          address: rig.address,
          attack: "forged-signature",
          count: 8,
          from,
        });
        await Promise.all(
          (connections as readonly number[]).map((connection) => evil.wait({ event: "closed", connection }, mark)),
        );
      }
    })();
    const badProofs = (): number => rig.refusals.filter(({ error }) => error.reason === "PROOF_INVALID").length;
    for (let i = 0; i < 8; i++) {
      const before = badProofs();
      await rig.servesGood(`127.0.1.${i + 1}`);
      // It did not come in a pause of the flood.
      await rig.until(() => badProofs() >= before + 16);
    }
    isOn = false;
    await flood;
    await rig.servesGood();
    expect(rig.refusals.map(({ error }) => error.reason).filter((reason) => reason !== "PROOF_INVALID")).toEqual([]);
  });
});

describe("what a node tells of attacks over QUIC", () => {
  const attempts = (): unknown =>
    Object.fromEntries(
      rig.node
        .metrics()
        .filter((metric): metric is Extract<Metric, { kind: "counter" }> => metric.kind === "counter")
        .filter(({ name }) => name === "barrel_p2p.dist.auth.attempts")
        .map(({ labels, value }) => [`${labels?.["role"]} ${labels?.["outcome"]}`, value]),
    );

  it("counts exchanges that failed, by role, beside those that did not", async () => {
    await start();
    await rig.dialled("forged-signature");
    await rig.dialled("bad-name-slash");
    await rig.lured("forged-signature");
    await rig.servesGood();
    expect(attempts()).toEqual({ "incoming fail": 2, "incoming ok": 1, "outgoing fail": 1 });
    // The keys were in order, and the cookie was not.
    await rig.dialled("wrong-cookie");
    expect(attempts()).toEqual({ "incoming fail": 2, "incoming ok": 2, "outgoing fail": 1 });
  });

  it("records both fingerprints where a key is not the pinned one, in both roles (AUC-45)", async () => {
    const dir = mkdtempSync(join(tmpdir(), "attack-quic-audit-"));
    try {
      const { node } = await start({ pins: { [PINNED]: KEY }, node: { audit: { dir } } });
      await rig.dialled("other-key", { as: PINNED });
      await rig.lured("other-key", { as: PINNED }, PINNED);
      await node.close({ timeoutMs: 0 });
      const records = readdirSync(dir)
        .flatMap((file) => readFileSync(join(dir, file), "utf8").trim().split("\n"))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ kind }) => kind === "attempt");
      const pinned = `SHA256:${createHash("sha256").update(KEY).digest("base64").replace(/=+$/, "")}`;
      const shared = {
        protocol: "barrel",
        peer: PINNED,
        outcome: "refused",
        code: "ERR_DENIED",
        reason: "KEY_MISMATCH",
        pinned,
      };
      expect(records).toMatchObject([
        { ...shared, role: "acceptor", peerIs: "claimed" },
        { ...shared, role: "initiator", peerIs: "dialled" },
      ]);
      for (const { address, fingerprint } of records) {
        expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
        expect(fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
        expect(fingerprint).not.toBe(pinned);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
