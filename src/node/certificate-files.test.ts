import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import {
  COPY_FILE,
  checkedFingerprint,
  FIRST_START,
  OWNER,
  certificateOptions as options,
  PAIR_FILE,
  readOnly,
} from "../testkit/certificate-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { issueSelfSigned } from "../x509/issue.ts";
import { type LoadedCertificate, loadOwnCertificate } from "./certificate-files.ts";
import { type CertificatePair, makePair, pairText } from "./certificate-pair.ts";

type Change = Parameters<typeof options>[1];

async function load(files: FaultyFiles, change: Change = {}): Promise<LoadedCertificate> {
  const loaded = await loadOwnCertificate(options(files, change));
  checkedFingerprint(loaded.pair);
  return loaded;
}

const reasons = ({ warnings }: LoadedCertificate): readonly string[] => warnings.map((warning) => warning.reason);

async function started(): Promise<{ files: FaultyFiles; pair: CertificatePair }> {
  const files = new FaultyFiles();
  return { files, pair: (await load(files)).pair };
}

describe("the certificate that a node makes for itself", () => {
  it("is made at the first start and found by the next ones", async () => {
    const files = new FaultyFiles();
    const first = await load(files, { profile: "strict" });
    expect(first).toMatchObject({ saved: true, warnings: [] });
    expect(files.paths).toEqual([COPY_FILE, PAIR_FILE]);
    expect([files.mode(PAIR_FILE), files.mode(COPY_FILE), files.mode("/keys/tls")]).toEqual([0o600, 0o644, 0o700]);
    expect(files.readText(COPY_FILE)).toBe(first.pair.certPem);
    expect(files.readText(COPY_FILE)).not.toContain("PRIVATE");
    const before = files.steps;
    for (let i = 0; i < 3; i++) expect(await load(files, { profile: "strict" })).toEqual(first);
    expect(files.steps).toBe(before);
  });

  it("is self-signed on P-256, with names, uses, dates and a serial number of its own", async () => {
    const { pair } = await started();
    const certificate = new X509Certificate(pair.certPem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    const names = readCertificateNames(certificate.raw);
    expect(names).toMatchObject({ version: 3, authority: false, uris: [`dist://${OWNER}`], dnsNames: ["db1.example"] });
    expect(names.keyUsages).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    expect(pair.fingerprint).toBe(certificate.fingerprint256);
    expect([pair.notBeforeMs, pair.notAfterMs]).toEqual([FIRST_START - 300_000, FIRST_START + 365 * 86_400_000]);
    const other = new X509Certificate((await started()).pair.certPem);
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(other.serialNumber).not.toBe(certificate.serialNumber);
  });

  it.each<[string, string, (files: FaultyFiles) => Promise<Change | undefined> | Change | undefined]>([
    ["a file that may not be read", "OWN_CERT_UNREADABLE", (files) => void files.forbid(PAIR_FILE)],
    ["an empty file", "OWN_CERT_UNREADABLE", (files) => void files.put(PAIR_FILE, "")],
    ["a key alone", "OWN_CERT_UNREADABLE", (files) => void files.put(PAIR_FILE, keyOf(files))],
    ["a certificate alone", "OWN_CERT_UNREADABLE", (files) => void files.put(PAIR_FILE, files.read(COPY_FILE))],
    [
      "a file cut short",
      "OWN_CERT_UNREADABLE",
      (files) => void files.put(PAIR_FILE, files.read(PAIR_FILE).subarray(0, -60)),
    ],
    ["a file of rubbish", "OWN_CERT_UNREADABLE", (files) => void files.put(PAIR_FILE, Buffer.alloc(900, 0xff))],
    [
      "a file beyond all measure",
      "OWN_CERT_UNREADABLE",
      (files) => void files.put(PAIR_FILE, `${files.readText(PAIR_FILE)}${" ".repeat(70_000)}`),
    ],
    [
      "a key that is not of P-256",
      "OWN_CERT_UNREADABLE",
      async (files) => {
        const rsa = await issueSelfSigned(options(), { name: OWNER, key: "rsa" });
        files.put(PAIR_FILE, `${rsa.keyPem}${rsa.certPem}`);
        return undefined;
      },
    ],
    ["a pair that TLS refuses", "OWN_CERT_UNREADABLE", () => ({ usable: () => false })],
    [
      "the certificate of another key",
      "OWN_CERT_MISMATCH",
      async (files) => {
        files.put(PAIR_FILE, `${keyOf(files)}${(await makePair(options())).certPem}`);
        return undefined;
      },
    ],
    ["a certificate for another node", "OWN_CERT_OTHER_NODE", () => ({ name: parseNodeName("desk@db1.example") })],
    ["a certificate that ended", "OWN_CERT_EXPIRED", () => ({ afterDays: 366 })],
    ["a certificate of the future", "OWN_CERT_NOT_YET_VALID", () => ({ afterDays: -1 })],
    ["a certificate near its end", "OWN_CERT_ENDING", () => ({ afterDays: 244 })],
  ])("is made anew in the place of %s", async (_, reason, spoil) => {
    const { files, pair } = await started();
    const change = await Promise.resolve(spoil(files));
    const loaded = await load(files, { ...change });
    expect(reasons(loaded)).toEqual([reason]);
    expect(loaded.warnings[0]?.message).toMatch(/^\/keys\/tls\/node\.key: /);
    expect(loaded).toMatchObject({ saved: true });
    expect(loaded.pair.fingerprint).not.toBe(pair.fingerprint);
    // What was made is what the next start finds.
    const healed = new FaultyFiles(files);
    expect(await load(healed, { ...change, usable: () => true })).toEqual({
      pair: loaded.pair,
      saved: true,
      warnings: [],
    });
  });

  it("is kept until a third of its life is left", async () => {
    const { files, pair } = await started();
    expect(await load(files, { afterDays: 243 })).toEqual({ pair, saved: true, warnings: [] });
  });

  it("has a copy that is repaired and never used", async () => {
    const { files, pair } = await started();
    files.put(COPY_FILE, (await makePair(options())).certPem);
    expect((await load(files)).pair).toEqual(pair);
    expect(files.readText(COPY_FILE)).toBe(pair.certPem);
    files.take(COPY_FILE);
    expect((await load(files)).pair).toEqual(pair);
    expect(files.readText(COPY_FILE)).toBe(pair.certPem);
    files.take(PAIR_FILE);
    expect((await load(files)).pair.fingerprint).not.toBe(pair.fingerprint);
  });

  it("is made in memory where nothing can be written, with a warning", async () => {
    const empty = readOnly(new FaultyFiles());
    const loaded = await load(empty);
    expect([loaded.saved, reasons(loaded)]).toEqual([false, ["OWN_CERT_NOT_SAVED"]]);
    const { files, pair } = await started();
    expect(await load(readOnly(files))).toEqual({ pair, saved: true, warnings: [] });
    expect(reasons(await load(readOnly(files), { afterDays: 400 }))).toEqual([
      "OWN_CERT_EXPIRED",
      "OWN_CERT_NOT_SAVED",
    ]);
    expect(files.readText(PAIR_FILE)).toBe(pairText(pair));
    const odd = new FaultyFiles();
    odd.put(`${PAIR_FILE}/x`, "");
    expect(reasons(await load(readOnly(odd)))).toEqual(["OWN_CERT_UNREADABLE", "OWN_CERT_NOT_SAVED"]);
  });

  it("has a copy that another process may remove at any moment", async () => {
    const { files, pair } = await started();
    let reads = 0;
    // The first is of the pair, the second of the copy that was just seen.
    const removing = interrupting(files, (_, property) => {
      if (property === "readText" && ++reads === 2) files.take(COPY_FILE);
    });
    expect(await load(removing)).toEqual({ pair, saved: true, warnings: [] });
    expect(files.readText(COPY_FILE)).toBe(pair.certPem);
  });

  it("is that of a process that was faster", async () => {
    for (const afterDays of [0, 400]) {
      const files = afterDays === 0 ? new FaultyFiles() : (await started()).files;
      const rival = await makePair(options(undefined, { afterDays }));
      let raced = false;
      // It writes its pair while this one computes its own, or right before this one writes.
      const racing = interrupting(files, (_, property) => {
        if (raced || property !== (afterDays === 0 ? "writeNew" : "list")) return;
        raced = true;
        files.put(PAIR_FILE, pairText(rival));
      });
      expect(await load(racing, { afterDays })).toEqual({ pair: rival, saved: true, warnings: [] });
      expect(files.readText(COPY_FILE)).toBe(rival.certPem);
    }
  });

  it.each([
    ["the key's mode", (files: FaultyFiles) => files.put(PAIR_FILE, files.read(PAIR_FILE), 0o640)],
    ["the directory's mode", (files: FaultyFiles) => files.pretend("/keys/tls", { mode: 0o777 })],
    ["its owner", (files: FaultyFiles) => files.pretend(PAIR_FILE, { foreign: true })],
    ["a directory above it", (files: FaultyFiles) => files.expose(PAIR_FILE)],
  ])("is warned of in profile standard and refused in profile strict for %s", async (_, expose) => {
    const { files, pair } = await started();
    expose(files);
    const loaded = await load(files);
    expect([loaded.pair, reasons(loaded)]).toEqual([pair, ["KEY_PERMISSIONS"]]);
    await expect(load(files, { profile: "strict" })).rejects.toMatchObject({
      code: "ERR_DENIED",
      reason: "KEY_PERMISSIONS",
    });
  });
});

const one = await started();

const SCENES: readonly [string, number, () => Promise<FaultyFiles>][] = [
  ["the first start", 0, async () => new FaultyFiles()],
  ["a start that makes it anew", 400, async () => one.files.survivor()],
];

describe.each(SCENES)("the files of %s", (_, afterDays, prepare) => {
  async function stepsOf(): Promise<number> {
    const files = await prepare();
    const before = files.steps;
    await load(files, { afterDays });
    return files.steps - before;
  }

  it("never keep a start from a pair, whichever step of a write fails", async () => {
    const steps = await stepsOf();
    expect(steps).toBeGreaterThan(100);
    for (let step = 0; step < steps; step++) {
      const files = await prepare();
      const before = files.steps;
      files.failAt(step, "ENOSPC");
      const loaded = await load(files, { afterDays });
      // Signatures, and so certificates, differ in length by an octet or two: the last step may not be reached.
      const failed = files.steps > before + step;
      expect(reasons(loaded).includes("OWN_CERT_NOT_SAVED"), `step ${step}`).toBe(failed);
      expect(failed || step >= steps - 4).toBe(true);
      expect(files.paths.filter((path) => path.includes(".tmp-"))).toEqual([]);
      const next = await load(files, { afterDays });
      expect(reasons(next)).not.toContain("OWN_CERT_MISMATCH");
      expect(files.readText(COPY_FILE)).toBe(next.pair.certPem);
    }
  });

  it("leave the old pair or the new one when the process is killed at any step", async () => {
    const steps = await stepsOf();
    for (let step = 0; step < steps; step++) {
      const files = await prepare();
      const before = files.exists(PAIR_FILE) ? files.readText(PAIR_FILE) : undefined;
      files.crashAt(step);
      const { pair } = await load(files, { afterDays });
      const survivor = files.survivor();
      const left = survivor.exists(PAIR_FILE) ? survivor.readText(PAIR_FILE) : undefined;
      expect([before, pairText(pair)], `step ${step}`).toContain(left);
      const next = await load(survivor, { afterDays });
      expect(reasons(next)).toEqual(left === before && before !== undefined ? ["OWN_CERT_EXPIRED"] : []);
      if (left !== before) expect(next.pair).toEqual(pair);
      expect(survivor.readText(COPY_FILE)).toBe(next.pair.certPem);
    }
  });

  it("never join two processes' halves, however their steps mix", async () => {
    const rival = await makePair(options(undefined, { afterDays }));
    const operations = await countOperations(await prepare(), afterDays);
    expect(operations).toBeGreaterThan(8);
    const used = new Set<boolean>();
    for (let key = 0; key <= operations; key++) {
      for (let copy = key; copy <= operations; copy++) {
        const files = await prepare();
        const mixed = interrupting(files, (operation) => {
          if (operation === key) files.put(PAIR_FILE, pairText(rival));
          if (operation === copy) files.put(COPY_FILE, rival.certPem, 0o644);
        });
        const loaded = await load(mixed, { afterDays });
        used.add(loaded.pair.fingerprint === rival.fingerprint);
        const next = await load(files, { afterDays });
        expect(reasons(next), `${key} ${copy}`).toEqual([]);
        expect([loaded.pair.fingerprint, rival.fingerprint]).toContain(next.pair.fingerprint);
        expect(files.readText(COPY_FILE)).toBe(next.pair.certPem);
      }
    }
    // Both outcomes came up: this start was the faster one, or the other.
    expect(used).toEqual(new Set([true, false]));
  });

  it("are the same for five processes that start at once", async () => {
    const files = await prepare();
    const loaded = await Promise.all([1, 2, 3, 4, 5].map(() => load(files, { afterDays })));
    expect(new Set(loaded.map(({ pair }) => pair.fingerprint)).size).toBe(1);
    expect((await load(files, { afterDays })).pair).toEqual(loaded[0]?.pair);
  });
});

function keyOf(files: FaultyFiles): string {
  return files.readText(PAIR_FILE).replace(/-----BEGIN CERTIFICATE-----[\s\S]*/, "");
}

/** Lets `before` run ahead of every operation on the disk, with its number. */
function interrupting(files: FaultyFiles, before: (operation: number, property: string) => void): FaultyFiles {
  let operation = 0;
  return new Proxy(files, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        before(operation++, String(property));
        return value.apply(target, args);
      };
    },
  });
}

async function countOperations(files: FaultyFiles, afterDays: number): Promise<number> {
  let count = 0;
  await load(
    interrupting(files, () => count++),
    { afterDays },
  );
  return count;
}
