import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { loadNodeKey } from "../identity/key-files.ts";
import { rollbackNodeKey, rotateNodeKey } from "../identity/key-rotation.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import {
  COPY_FILE,
  certificateOptions,
  checkedFingerprint,
  DAY_MS,
  FIRST_START,
  OWNER,
  PAIR_FILE,
} from "../testkit/certificate-world.ts";
import { reasonOf } from "../testkit/failure.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { loadOwnCertificate } from "./certificate-files.ts";
import { type CertificateOptions, makePair, pairText } from "./certificate-pair.ts";
import { rollbackOwnCertificate, rotateOwnCertificate } from "./certificate-rotation.ts";

/** A second start of a clock: backups are named by it. */
const at = (files: FaultyFiles, seconds: number): CertificateOptions =>
  certificateOptions(files, { afterDays: seconds / 86_400 });

async function inUse(files: FaultyFiles, seconds: number = 0): Promise<string> {
  const { pair, warnings } = await loadOwnCertificate(at(files, seconds));
  expect(warnings).toEqual([]);
  expect(files.readText(COPY_FILE)).toBe(pair.certPem);
  return checkedFingerprint(pair);
}

async function started(): Promise<{ files: FaultyFiles; first: string }> {
  const files = new FaultyFiles();
  return { files, first: await inUse(files) };
}

describe("rotating the node's own certificate", () => {
  it("keeps the old pair in a backup, says what changed, and nothing secret", async () => {
    const { files, first } = await started();
    const before = files.readText(PAIR_FILE);
    const rotation = await rotateOwnCertificate(at(files, 5));
    expect(rotation).toEqual({
      old: { fingerprint: first, notBeforeMs: FIRST_START - 300_000, notAfterMs: FIRST_START + 365 * DAY_MS },
      current: {
        fingerprint: await inUse(files, 5),
        notBeforeMs: FIRST_START - 295_000,
        notAfterMs: FIRST_START + 365 * DAY_MS + 5000,
      },
      backup: "/keys/backups/20260101T000005Z",
      files: ["tls/node.key", "tls/node.crt"],
    });
    expect(rotation.current.fingerprint).not.toBe(first);
    const backup = "/keys/backups/20260101T000005Z/tls";
    expect(files.readText(`${backup}/node.key`)).toBe(before);
    expect(before).toContain(files.readText(`${backup}/node.crt`));
    expect([files.mode(`${backup}/node.key`), files.mode(PAIR_FILE), files.mode(COPY_FILE)]).toEqual([
      0o600, 0o600, 0o644,
    ]);
    expect(files.paths).not.toContain("/keys/rotating");
  });

  it("makes one where there was none, or none that can be read", async () => {
    const files = new FaultyFiles();
    files.put("/keys/node.key", "");
    expect(await rotateOwnCertificate(at(files, 0))).toMatchObject({ old: undefined, backup: undefined });
    const first = await inUse(files);
    files.put(PAIR_FILE, "rubbish");
    expect(await rotateOwnCertificate(at(files, 0))).toMatchObject({ old: undefined, backup: undefined });
    expect(await inUse(files)).not.toBe(first);
  });

  it("goes back to the newest other pair, and forth again", async () => {
    const { files, first } = await started();
    const second = (await rotateOwnCertificate(at(files, 1))).current.fingerprint;
    expect(rollbackOwnCertificate(at(files, 2))).toMatchObject({
      old: { fingerprint: second },
      current: { fingerprint: first },
      backup: "/keys/backups/20260101T000002Z",
    });
    expect(await inUse(files, 2)).toBe(first);
    expect(rollbackOwnCertificate(at(files, 3)).current.fingerprint).toBe(second);
    expect(await inUse(files, 3)).toBe(second);
  });

  it("goes back to a named backup, and to no other", async () => {
    const { files, first } = await started();
    const { current } = await rotateOwnCertificate(at(files, 1));
    await rotateOwnCertificate(at(files, 1));
    expect(files.list("/keys/backups")).toEqual(["20260101T000001Z", "20260101T000002Z"]);
    for (const stamp of ["20200101T000000Z", "../..", ""]) {
      expect(reasonOf(() => rollbackOwnCertificate(at(files, 3), stamp))).toBe("BACKUP_NOT_FOUND");
    }
    expect(rollbackOwnCertificate(at(files, 3), "20260101T000001Z").current.fingerprint).toBe(first);
    expect(reasonOf(() => rollbackOwnCertificate(at(files, 4), "20260101T000001Z"))).toBe("BACKUP_NOT_FOUND");
    expect(rollbackOwnCertificate(at(files, 4), "20260101T000002Z").current.fingerprint).toBe(current.fingerprint);
    expect(files.paths).not.toContain("/keys/rotating");
  });

  it("does not go back to what the next start would replace", async () => {
    const { files, first } = await started();
    await rotateOwnCertificate(at(files, 1));
    const broken = "/keys/backups/20260101T000009Z/tls/node.key";
    files.put(broken, "rubbish");
    expect(reasonOf(() => rollbackOwnCertificate(at(files, 10), "20260101T000009Z"))).toBe("BACKUP_UNFIT");
    files.put(broken, pairText(await makePair(certificateOptions(files, { name: parseNodeName("desk@h") }))));
    expect(reasonOf(() => rollbackOwnCertificate(at(files, 10), "20260101T000009Z"))).toBe("BACKUP_UNFIT");
    expect(rollbackOwnCertificate(at(files, 10)).current.fingerprint).toBe(first);
    const old = certificateOptions(files, { afterDays: 300 });
    await rotateOwnCertificate(old);
    expect(reasonOf(() => rollbackOwnCertificate(old))).toBe("BACKUP_NOT_FOUND");
  });

  it("waits for no other rotation", async () => {
    const { files } = await started();
    files.put("/keys/rotating", "");
    await expect(rotateOwnCertificate(at(files, 0))).rejects.toMatchObject({ reason: "ROTATION_BUSY" });
    expect(reasonOf(() => rollbackOwnCertificate(at(files, 0)))).toBe("ROTATION_BUSY");
  });

  it("leaves the identity and its backups alone, and they leave it", async () => {
    const files = new FaultyFiles();
    const crypto = new RealIdentityCrypto();
    const key = { files, crypto, random: new SeededRandom(1), directory: "/keys", profile: "standard" } as const;
    const keyAt = (seconds: number) => ({ ...key, name: OWNER, nowMs: FIRST_START + seconds * 1000 });
    const { fingerprint } = loadNodeKey(keyAt(0)).key;
    const first = await inUse(files);
    const second = (await rotateOwnCertificate(at(files, 1))).current.fingerprint;
    expect(loadNodeKey(keyAt(1)).key.fingerprint).toBe(fingerprint);
    expect(reasonOf(() => rollbackNodeKey(keyAt(2)))).toBe("BACKUP_NOT_FOUND");
    expect(reasonOf(() => rollbackNodeKey(keyAt(2), "20260101T000001Z"))).toBe("BACKUP_NOT_FOUND");
    const rotated = rotateNodeKey(keyAt(1)).key.fingerprint;
    expect(await inUse(files, 1)).toBe(second);
    expect(reasonOf(() => rollbackOwnCertificate(at(files, 2), "20260101T000009Z"))).toBe("BACKUP_NOT_FOUND");
    expect(rollbackOwnCertificate(at(files, 2)).current.fingerprint).toBe(first);
    expect(loadNodeKey(keyAt(3)).key.fingerprint).toBe(rotated);
    expect(rollbackNodeKey(keyAt(4)).key.fingerprint).toBe(fingerprint);
    expect(await inUse(files, 4)).toBe(first);
  });
});

const SCENES: readonly [string, (options: CertificateOptions) => unknown][] = [
  ["a rotation", (options) => rotateOwnCertificate(options)],
  ["a rollback", (options) => rollbackOwnCertificate(options)],
];

describe.each(SCENES)("the files of %s", (_, run) => {
  let rotated: { files: FaultyFiles; before: string } | undefined;

  /** A disk with a pair and a backup, the same for every step. */
  async function prepare(): Promise<{ files: FaultyFiles; before: string }> {
    if (rotated === undefined) {
      const { files } = await started();
      rotated = { files, before: (await rotateOwnCertificate(at(files, 1))).current.fingerprint };
    }
    return { ...rotated, files: rotated.files.survivor() };
  }

  async function attempt(files: FaultyFiles): Promise<unknown> {
    try {
      await run(at(files, 2));
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async function stepsOf(): Promise<number> {
    const { files } = await prepare();
    const before = files.steps;
    expect(await attempt(files)).toBeUndefined();
    return files.steps - before;
  }

  it("are the old ones after a failure at any step", async () => {
    const steps = await stepsOf();
    let failures = 0;
    for (let step = 0; step < steps; step++) {
      const { files, before } = await prepare();
      files.failAt(step, "ENOSPC");
      const error = await attempt(files);
      // Only the removal of the lock may fail without a word.
      if (error === undefined) expect(await inUse(files, 2)).not.toBe(before);
      else {
        failures++;
        expect(error).toMatchObject({ code: "ERR_CONFIG", reason: expect.stringMatching(/ROTATION_FAILED|KEY_NOT/) });
        expect(await inUse(files, 2), `step ${step}`).toBe(before);
      }
      expect(files.paths.filter((path) => path.includes(".tmp-"))).toEqual([]);
    }
    expect(failures).toBeGreaterThanOrEqual(steps - 8);
  });

  it("are the old ones or the new ones when the process is killed at any step", async () => {
    const steps = await stepsOf();
    const seen = new Set<boolean>();
    for (let step = 0; step < steps; step++) {
      const { files, before } = await prepare();
      files.crashAt(step);
      await attempt(files);
      const survivor = files.survivor();
      const { pair, warnings } = await loadOwnCertificate(at(survivor, 2));
      expect(warnings, `step ${step}`).toEqual([]);
      seen.add(checkedFingerprint(pair) === before);
      expect(survivor.readText(COPY_FILE)).toBe(pair.certPem);
      // The lock of the killed process lapses, and the next rotation works.
      if (step % 8 === 0)
        expect((await rotateOwnCertificate(at(survivor, 120))).old?.fingerprint).toBe(pair.fingerprint);
    }
    expect(seen).toEqual(new Set([true, false]));
  });
});
