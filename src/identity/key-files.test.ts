import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { type KeyFilesOptions, loadNodeKey } from "./key-files.ts";
import { type RotationOptions, rollbackNodeKey, rotateNodeKey } from "./key-rotation.ts";
import { encodeChain, judgeChain } from "./succession.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const name = parseNodeName("a@h");
let seeds = 1;
const KEY = "/keys/node.key";
const PUB = "/keys/node.pub";

const options = (files: FaultyFiles, change: Partial<RotationOptions> = {}): RotationOptions => ({
  files,
  crypto,
  random: new SeededRandom(seeds++),
  directory: "/keys",
  profile: "standard",
  nowMs: NOW,
  name,
  ...change,
});
const load = (files: FaultyFiles, change: Partial<KeyFilesOptions> = {}) => loadNodeKey(options(files, change));
const fails = (reason: string, code = "ERR_CONFIG") => expect.objectContaining({ code, reason });

function made(): { files: FaultyFiles; fingerprint: string } {
  const files = new FaultyFiles();
  return { files, fingerprint: load(files).key.fingerprint };
}

describe("loading the node's key", () => {
  it("makes a pair of raw bytes at the first start and finds it at the next", () => {
    const files = new FaultyFiles();
    const first = load(files);
    expect(first).toMatchObject({ created: true, chain: [], warnings: [] });
    expect(files.paths).toEqual([KEY, PUB]);
    expect(files.read(KEY)).toHaveLength(32);
    expect(files.facts(KEY)?.mode).toBe(0o600);
    expect(files.facts(PUB)?.mode).toBe(0o644);
    expect(files.read(PUB).equals(crypto.ed25519PublicKey(files.read(KEY)))).toBe(true);
    const second = load(files);
    expect(second.created).toBe(false);
    expect(second.key.fingerprint).toBe(first.key.fingerprint);
  });

  it("writes a missing public file anew, and goes on when it cannot", () => {
    const { files, fingerprint } = made();
    files.take(PUB);
    files.failAt(0, "EROFS");
    const loaded = load(files);
    expect(loaded.key.fingerprint).toBe(fingerprint);
    expect(loaded.warnings.map((warning) => warning.reason)).toEqual(["PUB_NOT_WRITTEN"]);
    load(files);
    expect(files.paths).toEqual([KEY, PUB]);
  });

  it("refuses a public file that is not the key's", () => {
    const { files } = made();
    files.put(PUB, crypto.ed25519PublicKey(Buffer.alloc(32, 9)));
    expect(() => load(files)).toThrow(fails("KEYPAIR_MISMATCH"));
    const { files: other } = made();
    other.put(KEY, Buffer.alloc(32, 9));
    expect(() => load(other)).toThrow(fails("KEYPAIR_MISMATCH"));
  });

  it("does not take a statement that the old key did not sign for an interrupted rotation", () => {
    const { files } = made();
    const { chain } = rotateNodeKey(options(files));
    const [good] = chain;
    const former = files.read("/keys/backups/20260101T000000Z/node.pub");
    files.put(PUB, former);
    files.put("/keys/succession", encodeChain([{ ...good!, signature: Buffer.alloc(64) }]));
    expect(() => load(files)).toThrow(fails("KEYPAIR_MISMATCH"));
    files.put("/keys/succession", encodeChain(chain));
    expect(load(files).key.publicKey.equals(good!.newKey)).toBe(true);
    expect(files.read(PUB).equals(good!.newKey)).toBe(true);
  });

  it.each([0, 1, 31, 33, 64])("refuses files of %d bytes", (length) => {
    for (const path of [KEY, PUB]) {
      const { files } = made();
      files.put(path, Buffer.alloc(length, 7));
      expect(() => load(files)).toThrow(fails("KEY_SIZE"));
    }
  });

  it("refuses a key of zeros, as a power cut leaves it", () => {
    const { files } = made();
    files.put(KEY, Buffer.alloc(32));
    files.take(PUB);
    expect(() => load(files)).toThrow(fails("KEY_ZERO"));
  });

  it.each([KEY, PUB])("refuses when %s cannot be read", (path) => {
    const { files } = made();
    files.forbid(path);
    expect(() => load(files)).toThrow(fails("KEY_UNREADABLE"));
  });

  it("refuses a directory in the place of the key", () => {
    const files = new FaultyFiles();
    files.put(`${KEY}/x`, "");
    expect(() => load(files)).toThrow(fails("KEY_UNREADABLE"));
  });

  it.each([PUB, "/keys/trusted/b@h.pub", "/keys/first-use/b@h.pub", "/keys/backups/20260101T000000Z/node.key"])(
    "refuses to make a new identity beside %s, unless told",
    (path) => {
      const files = new FaultyFiles();
      files.put(path, crypto.ed25519PublicKey(Buffer.alloc(32, 9)));
      expect(() => load(files)).toThrow(fails("IDENTITY_LOST"));
      expect(files.paths).toEqual([path]);
      expect(load(files, { lost: "create" }).created).toBe(true);
      expect(load(files).created).toBe(false);
    },
  );

  it("says what fails when the pair cannot be made", () => {
    for (let step = 0; step < 3; step++) {
      const files = new FaultyFiles();
      files.failAt(step, "ENOSPC");
      expect(() => load(files)).toThrow(fails("KEY_NOT_WRITTEN"));
      expect(files.paths).toEqual([]);
    }
  });

  it("takes the pair of a process that was faster", () => {
    const { files, fingerprint } = made();
    // The file appears between the look and the create.
    let looks = 0;
    const racing = new Proxy(files, {
      get(target, property) {
        if (property === "facts") return (path: string) => (looks++ === 0 ? undefined : target.facts(path));
        if (property === "list") return () => [];
        if (property === "remove") return () => {};
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const files2 = racing as FaultyFiles;
    const loaded = loadNodeKey({ ...options(files2), lost: "create" });
    expect(loaded.created).toBe(false);
    expect(loaded.key.fingerprint).toBe(fingerprint);
  });

  it.each([
    ["the key's mode", (files: FaultyFiles) => files.put(KEY, files.read(KEY), 0o640)],
    ["the directory's mode", (files: FaultyFiles) => files.pretend("/keys", { mode: 0o777 })],
    ["its owner", (files: FaultyFiles) => files.pretend(KEY, { foreign: true })],
    ["the directory's owner", (files: FaultyFiles) => files.pretend("/keys", { foreign: true })],
    ["a directory above it", (files: FaultyFiles) => files.expose(KEY)],
  ])("warns of %s in the standard profile and refuses in the strict one", (_, spoil) => {
    const { files } = made();
    expect(load(files, { profile: "strict" }).warnings).toEqual([]);
    spoil(files);
    expect(load(files).warnings.map((warning) => warning.reason)).toEqual(["KEY_PERMISSIONS"]);
    expect(() => load(files, { profile: "strict" })).toThrow(fails("KEY_PERMISSIONS", "ERR_DENIED"));
  });

  it("follows a link in a read-only mount, unless others could redirect it", () => {
    const { files } = made();
    files.pretend(KEY, { link: true });
    expect(load(files, { profile: "strict" }).warnings).toEqual([]);
    files.expose(KEY);
    expect(() => load(files)).toThrow(fails("KEY_PERMISSIONS", "ERR_DENIED"));
  });

  it("takes a sticky directory for safe", () => {
    const { files } = made();
    files.pretend("/keys", { mode: 0o1777 });
    expect(load(files, { profile: "strict" }).warnings).toEqual([]);
  });

  it("removes old temporary files of killed processes, and no other file", () => {
    const { files } = made();
    const old = `/keys/.tmp-${"a".repeat(24)}`;
    files.wallMs = NOW - 600_001;
    files.put(old, "half a secret");
    files.put("/keys/.tmp-notes", "mine");
    files.wallMs = NOW;
    files.put(`/keys/.tmp-${"b".repeat(24)}`, "being written");
    load(files);
    expect(files.paths).toEqual([`/keys/.tmp-${"b".repeat(24)}`, "/keys/.tmp-notes", KEY, PUB].sort());
  });
});

describe("rotating the node's key", () => {
  it("keeps the old pair in a backup and vouches for the new one", () => {
    const { files, fingerprint } = made();
    const oldSeed = files.read(KEY);
    const old = load(files).key.publicKey;
    const rotation = rotateNodeKey(options(files));
    expect(rotation).toMatchObject({
      oldFingerprint: fingerprint,
      backup: "/keys/backups/20260101T000000Z",
      files: ["succession", "node.key", "node.pub"],
    });
    expect(files.read("/keys/backups/20260101T000000Z/node.key").equals(oldSeed)).toBe(true);
    expect(files.read("/keys/backups/20260101T000000Z/node.pub").equals(old)).toBe(true);
    const loaded = load(files, { profile: "strict" });
    expect(loaded.key.fingerprint).toBe(rotation.key.fingerprint);
    expect(loaded.key.fingerprint).not.toBe(fingerprint);
    expect(loaded.chain).toEqual(rotation.chain);
    const facts = { name, pinned: old, shown: loaded.key.publicKey, nowMs: NOW, accepted: undefined };
    expect(judgeChain(loaded.chain, { ...facts, isRevoked: () => false }, crypto).kind).toBe("holds");
    expect(files.paths).not.toContain("/keys/rotating");
  });

  it("keeps the last eight statements, with rising serials, also within one second", () => {
    const { files } = made();
    for (let i = 0; i < 10; i++) rotateNodeKey(options(files));
    const { chain } = load(files);
    expect(chain).toHaveLength(8);
    const serials = chain.map((statement) => statement.serial);
    expect(serials).toEqual([...serials].sort((a, b) => a - b));
    expect(new Set(serials).size).toBe(8);
    expect(files.list("/keys/backups")).toHaveLength(10);
  });

  it("goes back to the newest backup, so that peers of either key can follow", () => {
    const { files, fingerprint } = made();
    const rotated = rotateNodeKey(options(files));
    const back = rollbackNodeKey(options(files, { nowMs: NOW + 5000 }));
    expect(back.key.fingerprint).toBe(fingerprint);
    expect(load(files).key.fingerprint).toBe(fingerprint);
    const facts = { name, pinned: rotated.key.publicKey, shown: back.key.publicKey, nowMs: NOW, accepted: undefined };
    expect(judgeChain(back.chain, { ...facts, isRevoked: () => false }, crypto).kind).toBe("holds");
    const again = rollbackNodeKey(options(files, { nowMs: NOW + 9000 }));
    expect(again.key.fingerprint).toBe(rotated.key.fingerprint);
  });

  it("passes over a backup of the key in use, as a killed rotation leaves it", () => {
    const { files, fingerprint } = made();
    rotateNodeKey(options(files));
    files.put("/keys/backups/20270101T000000Z/node.key", files.read(KEY));
    files.put("/keys/backups/20270101T000000Z/node.pub", files.read(PUB));
    files.put("/keys/backups/20280101T000000Z/node.key", "");
    expect(rollbackNodeKey(options(files)).key.fingerprint).toBe(fingerprint);
  });

  it("finds a named backup and no other", () => {
    const { files, fingerprint } = made();
    rotateNodeKey(options(files));
    rotateNodeKey(options(files, { nowMs: NOW + 60_000 }));
    for (const stamp of ["20200101T000000Z", "../..", ""]) {
      expect(() => rollbackNodeKey(options(files), stamp)).toThrow(fails("BACKUP_NOT_FOUND"));
    }
    expect(rollbackNodeKey(options(files), "20260101T000000Z").key.fingerprint).toBe(fingerprint);
    expect(() => rollbackNodeKey(options(files), "20260101T000000Z")).toThrow(fails("BACKUP_NOT_FOUND"));
  });

  it("starts a new chain under a new name, and after the file was lost with a higher serial", () => {
    const { files } = made();
    const first = rotateNodeKey(options(files));
    expect(rotateNodeKey(options(files, { name: parseNodeName("b@h") })).chain).toHaveLength(1);
    files.take("/keys/succession");
    const later = rotateNodeKey(options(files, { nowMs: NOW + 3000 }));
    expect(later.chain).toHaveLength(1);
    expect(later.chain[0]!.serial).toBeGreaterThan(first.chain[0]!.serial);
  });

  it("warns of a broken file of statements and goes on without them", () => {
    const { files } = made();
    rotateNodeKey(options(files));
    files.put("/keys/succession", "nonsense");
    const loaded = load(files);
    expect(loaded.chain).toEqual([]);
    expect(loaded.warnings.map((warning) => warning.reason)).toEqual(["SUCCESSION_BROKEN"]);
  });

  it("lets one of two processes rotate, and forgets the lock of a killed one", () => {
    const { files } = made();
    files.put("/keys/rotating", "");
    expect(() => rotateNodeKey(options(files))).toThrow(fails("ROTATION_BUSY"));
    expect(rotateNodeKey(options(files, { nowMs: NOW + 60_001 })).chain).toHaveLength(1);
  });
});

interface Outcome {
  readonly before: string | undefined;
  readonly files: FaultyFiles;
}

const SCENES: readonly (readonly [string, () => Outcome, (files: FaultyFiles) => unknown])[] = [
  ["the first start", () => ({ before: undefined, files: new FaultyFiles() }), (files) => load(files)],
  [
    "a rotation",
    () => {
      const { files, fingerprint } = made();
      return { before: fingerprint, files };
    },
    (files) => rotateNodeKey(options(files)),
  ],
  [
    "a second rotation",
    () => {
      const { files } = made();
      return { before: rotateNodeKey(options(files)).key.fingerprint, files };
    },
    (files) => rotateNodeKey(options(files, { nowMs: NOW + 2000 })),
  ],
  [
    "a rollback",
    () => {
      const { files } = made();
      return { before: rotateNodeKey(options(files)).key.fingerprint, files };
    },
    (files) => rollbackNodeKey(options(files, { nowMs: NOW + 2000 })),
  ],
];

function stepsOf(prepare: () => Outcome, run: (files: FaultyFiles) => unknown): number {
  const { files } = prepare();
  const before = files.steps;
  run(files);
  return files.steps - before;
}

describe("writes of key files", () => {
  it("have at least 200 points at which these tests stop them", () => {
    const points = SCENES.reduce((sum, [, prepare, run]) => sum + stepsOf(prepare, run), 0);
    expect(points * 2).toBeGreaterThanOrEqual(200);
  });

  it.each(SCENES)("leave the old or the new pair when %s is killed at any point", (_, prepare, run) => {
    const steps = stepsOf(prepare, run);
    const seen = new Set<string>();
    let killed = 0;
    for (let step = 0; step < steps; step++) {
      const { before, files } = prepare();
      files.crashAt(step);
      try {
        run(files);
      } catch {
        killed++;
      }
      const survivor = files.survivor();
      for (const path of survivor.paths) {
        if (/\/node\.(key|pub)$/.test(path)) expect(survivor.read(path), `${path} after step ${step}`).toHaveLength(32);
      }
      const loaded = load(survivor);
      seen.add(loaded.created ? "none" : loaded.key.fingerprint === before ? "old" : "new");
      // What was repaired stays, and the next rotation works.
      expect(load(survivor).key.fingerprint).toBe(loaded.key.fingerprint);
      expect(load(survivor).warnings).toEqual([]);
      const next = rotateNodeKey(options(survivor, { nowMs: NOW + 120_000 }));
      expect(load(survivor).key.fingerprint).toBe(next.key.fingerprint);
      const facts = { name, pinned: loaded.key.publicKey, shown: next.key.publicKey, nowMs: NOW, accepted: undefined };
      expect(judgeChain(next.chain, { ...facts, isRevoked: () => false }, crypto).kind).toBe("holds");
    }
    // Nobody waits for the copy node.pub at the first start, nor for the removal of the lock.
    expect(killed).toBeGreaterThanOrEqual(steps - 8);
    expect(seen).toEqual(new Set(["new", _ === "the first start" ? "none" : "old"]));
  });

  it.each(SCENES.slice(1))("put the old pair back when %s fails at any point", (_, prepare, run) => {
    const steps = stepsOf(prepare, run);
    let failures = 0;
    for (let step = 0; step < steps; step++) {
      const { before, files } = prepare();
      const succession = files.exists("/keys/succession") ? files.read("/keys/succession") : undefined;
      files.failAt(step, "ENOSPC");
      let error: unknown;
      try {
        run(files);
      } catch (cause) {
        error = cause;
        failures++;
      }
      const loaded = load(files);
      // Only the removal of the lock may fail without a word.
      if (error === undefined) expect(loaded.key.fingerprint).not.toBe(before);
      else {
        expect(error).toMatchObject({ code: "ERR_CONFIG", reason: expect.stringMatching(/ROTATION_FAILED|KEY_NOT/) });
        expect(loaded.key.fingerprint, `step ${step}`).toBe(before);
        if (succession !== undefined) expect(files.read("/keys/succession").equals(succession)).toBe(true);
      }
      expect(files.paths.filter((path) => path.includes(".tmp-"))).toEqual([]);
    }
    expect(failures).toBeGreaterThanOrEqual(steps - 4);
  });
});

describe("the secret", () => {
  it("is in no print, JSON or error of anything that touched it", () => {
    const seen: string[] = [];
    const note = (value: unknown) => {
      seen.push(inspect(value, { depth: 10, showHidden: true }), JSON.stringify(value) ?? "", String(value));
      if (value instanceof Error) seen.push(value.stack ?? "", inspect(value.cause));
    };
    const secrets: Buffer[] = [];
    const attempt = (run: () => unknown) => {
      try {
        note(run());
      } catch (cause) {
        note(cause);
      }
    };
    for (const [, prepare, run] of SCENES) {
      const steps = stepsOf(prepare, run);
      for (let step = 0; step <= steps; step += 3) {
        const { files } = prepare();
        files.failAt(step);
        attempt(() => run(files));
        for (const path of files.paths) if (path.endsWith("node.key")) secrets.push(files.read(path));
      }
    }
    const { files } = made();
    secrets.push(files.read(KEY));
    attempt(() => load(files).key.sign("sallyport/1 bundle", Buffer.from("x")).length);
    files.put(PUB, crypto.ed25519PublicKey(Buffer.alloc(32, 9)));
    attempt(() => load(files));
    files.put(KEY, Buffer.concat([files.read(KEY), Buffer.from("\n")]));
    attempt(() => load(files));
    const text = seen.join("\n");
    expect(secrets.length).toBeGreaterThan(50);
    for (const secret of secrets) {
      const forms = [secret.toString("hex"), secret.toString("base64"), secret.toString("base64url"), secret.join(",")];
      forms.push(secret.toString("base64").replace(/=/g, ""), inspect(secret).slice(8, 60));
      for (const form of forms) expect(text.includes(form)).toBe(false);
    }
  });

  it("is overwritten on destroy, after which nothing can be signed", () => {
    const { files } = made();
    const { key } = load(files);
    key.destroy();
    key.destroy();
    expect(() => key.sign("sallyport/1 bundle", Buffer.from("x"))).toThrow(RangeError);
    expect(() => key.succeed({ serial: 1, notBefore: 0, notAfter: 1, newKey: key.publicKey, name })).toThrow(
      RangeError,
    );
  });
});
