import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { CERTS_DAY_MS, CERTS_START, certFilesIn, certsWorld } from "../testkit/certs-world.ts";
import { failureOf } from "../testkit/failure.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { checkKeyBelongs, readPemCertificates } from "../x509/check-key.ts";
import { keyText } from "../x509/key-strength.ts";
import { rollbackChanges } from "./backups.ts";
import { type Changed, changeFolder } from "./change-folder.ts";
import { FolderView } from "./folder-view.ts";
import type { RotationStep } from "./layout.ts";
import { type IssueOptions, planAuthority, planIssue } from "./make.ts";
import { planRenewal, type Renewal, type RenewFolderOptions } from "./renew.ts";
import { planRotation, type RotationOptions, rotationState } from "./rotate-ca.ts";

const DIR = "/certs";
const SHOP = "shop@db1.example";
const DESK = "desk@home.example";

/** The commands, on one disk at one time. */
function folder(files: FaultyFiles = new FaultyFiles(), afterDays = 0) {
  const world = certsWorld(files, afterDays);
  return {
    files,
    world,
    ca: (options = {}) => changeFolder(world, DIR, "ca", (texts) => planAuthority(world, texts, options)),
    issue: (name: string, options: Partial<IssueOptions> = {}) =>
      changeFolder(world, DIR, "issue", (texts) => planIssue(world, texts, { ...options, name: parseNodeName(name) })),
    renew: (options: Partial<RenewFolderOptions> = {}) =>
      changeFolder(world, DIR, "renew", (texts) =>
        planRenewal(world, texts, { only: [], force: false, newKey: false, ...options }),
      ),
    rotate: (step: RotationStep, options: Partial<RotationOptions> = {}) =>
      changeFolder(world, DIR, `rotate-ca ${step}`, (texts) =>
        planRotation(world, texts, step, { overlapMs: 0, ...options }),
      ),
    rollback: (stamp?: string) =>
      changeFolder(world, DIR, "rollback", (texts) => {
        const { changes, backup } = rollbackChanges(world, DIR, texts, stamp);
        return { changes, result: backup.stamp };
      }),
    state: () => rotationState(new FolderView(files, DIR)),
    cert: (file: string) => new X509Certificate(files.readText(`${DIR}/${file}`)),
    texts: () => certFilesIn(files, DIR),
  };
}

const issuerOf = ({ issuer }: X509Certificate): string => issuer.replace(/^CN=/, "");
const outcomes = ({ result }: Changed<readonly Renewal[]>): Record<string, string> =>
  Object.fromEntries(result.map(({ stem, outcome }) => [stem, outcome]));

/** A folder with a CA of ten years and two certificates of one. */
async function started(): Promise<FaultyFiles> {
  if (made === undefined) {
    const { files, ca, issue } = folder();
    await ca({ days: 3650 });
    await issue(SHOP);
    await issue(DESK, { as: "desk", key: "rsa" });
    made = files;
  }
  return made.survivor();
}
let made: FaultyFiles | undefined;

const reasonOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) =>
      failureOf(() => {
        throw error;
      }),
  );

describe("a folder of certificates", () => {
  it("gets a CA once: nothing overwrites it", async () => {
    const { files, ca, cert, texts } = folder();
    const made = await ca({ commonName: "Cluster CA" });
    expect(made).toMatchObject({ files: ["ca.key", "ca.crt"], backup: undefined });
    expect([files.mode(`${DIR}/ca.key`), files.mode(`${DIR}/ca.crt`), files.mode(DIR)]).toEqual([0o600, 0o644, 0o700]);
    expect(cert("ca.crt").subject).toBe("CN=Cluster CA");
    expect(cert("ca.crt").ca).toBe(true);
    expect(Date.parse(cert("ca.crt").validTo)).toBe(CERTS_START + 365 * CERTS_DAY_MS);
    const before = texts();
    expect(await reasonOf(ca())).toBe("ERR_CONFIG CA_EXISTS");
    files.take(`${DIR}/ca.crt`);
    expect(await reasonOf(ca())).toBe("ERR_CONFIG CA_EXISTS");
    expect(texts()).toEqual({ "ca.key": before["ca.key"] });
  });

  it("issues certificates of nodes, each once", async () => {
    const files = await started();
    const { cert, issue, texts } = folder(files);
    for (const [stem, name, key] of [
      [SHOP, SHOP, "EC P-256"],
      ["desk", DESK, "RSA 2048"],
    ] as const) {
      const names = readCertificateNames(cert(`${stem}.crt`).raw);
      expect(names).toMatchObject({ version: 3, uris: [`dist://${name}`], commonNames: [name], authority: false });
      expect(names.keyUsages).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
      expect(keyText(cert(`${stem}.crt`).publicKey)).toBe(key);
      checkKeyBelongs(texts()[`${stem}.crt`] ?? "", texts()[`${stem}.key`] ?? "");
      expect(files.mode(`${DIR}/${stem}.key`)).toBe(0o600);
    }
    expect(await reasonOf(issue(SHOP))).toBe("ERR_CONFIG CERT_EXISTS");
    expect(await reasonOf(issue("q@db1.example", { as: "desk" }))).toBe("ERR_CONFIG CERT_EXISTS");
    for (const as of ["ca", "CA-next", "../x", ".hidden", "a/b", "", "x".repeat(201)]) {
      expect(await reasonOf(issue("q@db1.example", { as })), as).toBe("ERR_CONFIG NAME_INVALID");
    }
    expect(await reasonOf(folder(new FaultyFiles()).issue(SHOP))).toBe("ERR_CONFIG CA_MISSING");
    files.put(`${DIR}/ca.key`, texts()["desk.key"] ?? "");
    expect(await reasonOf(issue("q@db1.example"))).toBe("ERR_CONFIG KEY_CERT_MISMATCH");
  });

  it("renews what has less than a third of its life left, with the same key, names and uses", async () => {
    const files = await started();
    expect(outcomes(await folder(files, 243).renew())).toEqual({ [SHOP]: "not-due", desk: "not-due" });
    const before = folder(files).texts();
    const old = folder(files).cert(`${SHOP}.crt`);
    const { renew, cert, texts } = folder(files, 244);
    const renewed = await renew();
    expect(outcomes(renewed)).toEqual({ [SHOP]: "renewed", desk: "renewed" });
    expect(renewed.files).toEqual(["desk.crt", `${SHOP}.crt`].sort());
    const now = cert(`${SHOP}.crt`);
    expect(now.serialNumber).not.toBe(old.serialNumber);
    expect(Date.parse(now.validTo)).toBe(CERTS_START + (244 + 365) * CERTS_DAY_MS);
    expect(readCertificateNames(now.raw)).toMatchObject({
      ...readCertificateNames(old.raw),
      notBeforeMs: expect.any(Number),
      notAfterMs: expect.any(Number),
    });
    expect(texts()[`${SHOP}.key`]).toBe(before[`${SHOP}.key`]);
    expect(outcomes(await renew())).toEqual({ [SHOP]: "not-due", desk: "not-due" });
  });

  it("renews by name, by force, for other days, with a new key, and without the keys at hand", async () => {
    const files = await started();
    const { renew, cert, texts } = folder(files);
    const before = texts();
    expect(outcomes(await renew({ only: ["desk"], force: true, days: 7 }))).toEqual({ desk: "renewed" });
    expect(Date.parse(cert("desk.crt").validTo)).toBe(CERTS_START + 7 * CERTS_DAY_MS);
    expect(texts()).toEqual({ ...before, "desk.crt": texts()["desk.crt"] });
    expect(outcomes(await renew({ only: ["desk"], force: true, newKey: true }))).toEqual({ desk: "renewed" });
    expect(texts()["desk.key"]).not.toBe(before["desk.key"]);
    checkKeyBelongs(texts()["desk.crt"] ?? "", texts()["desk.key"] ?? "");
    expect(keyText(cert("desk.crt").publicKey)).toBe("RSA 2048");
    files.take(`${DIR}/desk.key`);
    expect(outcomes(await renew({ force: true }))).toEqual({ [SHOP]: "renewed", desk: "renewed" });
    expect(await reasonOf(renew({ only: ["nobody"] }))).toBe("ERR_CONFIG CERT_UNKNOWN");
  });

  it("leaves alone what it cannot renew, says so, and renews the rest", async () => {
    const files = await started();
    const other = folder(new FaultyFiles());
    await other.ca();
    await other.issue("guest@x.example");
    files.put(`${DIR}/guest.crt`, other.texts()["guest@x.example.crt"] ?? "");
    files.put(`${DIR}/rubbish.crt`, "rubbish");
    files.put(`${DIR}/desk.key`, other.texts()["guest@x.example.key"] ?? "");
    const { renew } = folder(files, 300);
    const expected = { [SHOP]: "renewed", desk: "unfit", guest: "other-ca", rubbish: "unfit" };
    expect(outcomes(await renew())).toEqual(expected);
    expect(outcomes(await renew({ newKey: true, only: ["desk"] }))).toEqual({ desk: "renewed" });
  });

  it("writes no certificate that would end no later than the old one, because the CA ends", async () => {
    const { files, ca, issue } = folder();
    await ca();
    await issue(SHOP);
    const late = folder(files, 300);
    const before = late.texts();
    expect(outcomes(await late.renew())).toEqual({ [SHOP]: "ca-ends" });
    expect(late.texts()).toEqual(before);
    expect(await reasonOf(folder(files, 366).renew())).toBe("ERR_CONFIG CA_EXPIRED");
  });

  it("gives plain openssl certificates, v1 with a name in the CN, the names of their node when it renews them", async () => {
    const files = await started();
    const { V1_LEAF, V1_CA, V1_CA_KEY } = await seedCertificates();
    files.put(`${DIR}/ca.crt`, V1_CA);
    files.put(`${DIR}/ca.key`, V1_CA_KEY);
    files.put(`${DIR}/seed.crt`, V1_LEAF);
    const { renew, cert } = folder(files, -1);
    expect(readCertificateNames(cert("seed.crt").raw)).toMatchObject({ version: 1, hasAlternativeNames: false });
    expect(outcomes(await renew({ only: ["seed"], force: true }))).toEqual({ seed: "renewed" });
    const names = readCertificateNames(cert("seed.crt").raw);
    expect(names).toMatchObject({ version: 3, uris: ["dist://node1@host1.example"], dnsNames: ["host1.example"] });
    expect(cert("seed.crt").verify(cert("ca.crt").publicKey)).toBe(true);
  });
});

describe("the rotation of a CA", () => {
  const roots = (files: FaultyFiles): string[] =>
    readPemCertificates(files.readText(`${DIR}/ca.crt`), "ca.crt").map((der) => new X509Certificate(der).subject);

  it("goes in three steps, each of them once, with both CAs trusted in between", async () => {
    const files = await started();
    const at = folder(files);
    const before = at.texts();
    expect(at.state()).toEqual({ phase: "steady", issuer: "Sallyport CA", next: "trust", ofOld: [] });

    const trust = await at.rotate("trust");
    expect(trust).toMatchObject({ result: { changed: true }, files: ["ca-next.key", "ca.crt"] });
    expect(roots(files)).toEqual(["CN=Sallyport CA", "CN=Sallyport CA G2"]);
    expect(files.mode(`${DIR}/ca-next.key`)).toBe(0o600);
    expect(at.state()).toMatchObject({
      phase: "trusted",
      issuer: "Sallyport CA",
      next: "issue",
      ofOld: ["desk", SHOP],
    });
    expect(at.texts()).toMatchObject({ "desk.crt": before["desk.crt"], "ca.key": before["ca.key"] });
    const trusted = at.texts();
    expect(await at.rotate("trust")).toMatchObject({ result: { changed: false }, files: [] });
    expect(at.texts()).toEqual(trusted);
    await at.issue("late@x.example");
    expect(issuerOf(at.cert("late@x.example.crt"))).toBe("Sallyport CA");

    const issued = await at.rotate("issue");
    expect(issued.result.renewals.map(({ outcome }) => outcome)).toEqual(["renewed", "renewed", "renewed"]);
    for (const file of ["desk.crt", `${SHOP}.crt`, "late@x.example.crt"]) {
      expect(issuerOf(at.cert(file))).toBe("Sallyport CA G2");
    }
    expect(at.texts()["desk.key"]).toBe(before["desk.key"]);
    expect(at.state()).toMatchObject({ phase: "issued", issuer: "Sallyport CA G2", next: "drop", ofOld: [] });
    expect(roots(files)).toHaveLength(2);
    expect(await at.rotate("issue")).toMatchObject({ result: { changed: false }, files: [] });
    await at.issue("new@x.example");
    expect(issuerOf(at.cert("new@x.example.crt"))).toBe("Sallyport CA G2");

    await at.rotate("drop");
    expect(roots(files)).toEqual(["CN=Sallyport CA G2"]);
    expect(at.state()).toEqual({ phase: "steady", issuer: "Sallyport CA G2", next: "trust", ofOld: [] });
    expect(await at.rotate("drop")).toMatchObject({ result: { changed: false }, files: [] });
    expect(files.paths.filter((path) => /ca-(?:next|old)/.test(path) && !path.includes("backups"))).toEqual([]);
    await at.rotate("trust");
    expect(roots(files)).toEqual(["CN=Sallyport CA G2", "CN=Sallyport CA G3"]);
  });

  it("refuses steps that are not the next", async () => {
    const at = folder(await started());
    expect(await reasonOf(at.rotate("issue"))).toBe("ERR_CONFIG CA_ROTATION_STEP");
    await at.rotate("trust");
    expect(await reasonOf(at.rotate("drop"))).toBe("ERR_CONFIG CA_ROTATION_STEP");
    await at.rotate("issue");
    expect(await reasonOf(at.rotate("trust"))).toBe("ERR_CONFIG CA_ROTATION_STEP");
  });

  it("refuses a step before every node can have the files of the one before", async () => {
    const files = await started();
    const overlapMs = 2 * CERTS_DAY_MS;
    await folder(files).rotate("trust");
    expect(await reasonOf(folder(files, 1.99).rotate("issue", { overlapMs }))).toBe("ERR_CONFIG CA_ROTATION_EARLY");
    await folder(files, 2).rotate("issue", { overlapMs });
    expect(await reasonOf(folder(files, 3.99).rotate("drop", { overlapMs }))).toBe("ERR_CONFIG CA_ROTATION_EARLY");
    await folder(files, 4).rotate("drop", { overlapMs });
  });

  it("does not drop a CA of which a certificate is in use, and keeps the other roots", async () => {
    const files = await started();
    const other = folder(new FaultyFiles());
    await other.ca({ commonName: "Partner CA" });
    files.put(`${DIR}/ca.crt`, `${other.texts()["ca.crt"]}${files.readText(`${DIR}/ca.crt`)}`);
    const at = folder(files);
    const stray = at.texts()["desk.crt"] ?? "";
    await at.rotate("trust");
    await at.rotate("issue");
    files.put(`${DIR}/stray.crt`, stray);
    expect(at.state().ofOld).toEqual(["stray"]);
    expect(await reasonOf(at.rotate("drop"))).toBe("ERR_CONFIG CA_STILL_IN_USE");
    // Once it has ended it is nobody's any more.
    await folder(files, 366).rotate("drop");
    expect(roots(files)).toEqual(["CN=Partner CA", "CN=Sallyport CA G2"]);
  });

  it("issues anew in a second run what could not be issued in the first", async () => {
    const files = await started();
    const at = folder(files);
    const key = at.texts()["desk.key"] ?? "";
    await at.rotate("trust");
    files.put(`${DIR}/desk.key`, at.texts()[`${SHOP}.key`] ?? "");
    const first = await at.rotate("issue");
    expect(first.result.renewals.map(({ stem, outcome }) => `${stem} ${outcome}`)).toEqual([
      `desk unfit`,
      `${SHOP} renewed`,
    ]);
    expect(await reasonOf(at.rotate("drop"))).toBe("ERR_CONFIG CA_STILL_IN_USE");
    files.put(`${DIR}/desk.key`, key);
    expect((await at.rotate("issue")).files).toEqual(["desk.crt"]);
    await at.rotate("drop");
    expect(issuerOf(at.cert("desk.crt"))).toBe("Sallyport CA G2");
  });
});

describe("backups of certificates", () => {
  it("hold what was replaced, and lead back and forth", async () => {
    const files = await started();
    const at = folder(files);
    const before = at.texts();
    const renewed = await at.renew({ force: true });
    expect(renewed.backup).toBe(`${DIR}/backups/20260101T000000Z`);
    const after = at.texts();
    const back = await at.rollback();
    expect(back).toMatchObject({ result: "20260101T000000Z", backup: `${DIR}/backups/20260101T000001Z` });
    expect(at.texts()).toEqual(before);
    await at.rollback();
    expect(at.texts()).toEqual(after);
    await at.rollback("20260101T000000Z");
    expect(at.texts()).toEqual(before);
    expect((await at.rollback("20260101T000000Z")).files).toEqual([]);
    expect(await reasonOf(at.rollback("20200101T000000Z"))).toBe("ERR_CONFIG BACKUP_NOT_FOUND");
    expect(await reasonOf(folder().rollback())).toBe("ERR_CONFIG BACKUP_NOT_FOUND");
  });

  it("lead back through a whole rotation, step by step", async () => {
    const files = await started();
    const states: Readonly<Record<string, string>>[] = [];
    for (const [i, step] of (["trust", "issue", "drop"] as const).entries()) {
      states.push(folder(files, i).texts());
      await folder(files, i).rotate(step);
    }
    const stamps = ["20260103T000000Z", "20260102T000000Z", "20260101T000000Z"];
    for (const stamp of stamps) {
      await folder(files, 5).rollback(stamp);
      expect(folder(files).texts()).toEqual(states.pop());
    }
  });

  it("are refused when they would cut somebody off, or are not what was backed up", async () => {
    const files = await started();
    const at = folder(files);
    await at.rotate("trust");
    const trust = "20260101T000000Z";
    await at.rotate("issue");
    await at.rotate("drop");
    const before = at.texts();
    // The old CA alone again, with certificates of the new one.
    expect(await reasonOf(at.rollback(trust))).toBe("ERR_CONFIG CERTS_CUT_OFF");
    files.put(`${DIR}/backups/20260101T000002Z/ca.crt`, before["ca.crt"] ?? "");
    expect(await reasonOf(at.rollback())).toBe("ERR_CONFIG BACKUP_UNFIT");
    // One that was never finished is none.
    files.take(`${DIR}/backups/20260101T000002Z/manifest.json`);
    // So the newest is of the step before, and alone it would leave a key without its CA.
    expect(await reasonOf(at.rollback())).toBe("ERR_CONFIG CERTS_CUT_OFF");
    expect(at.texts()).toEqual(before);
  });
});

/** Made as the TLS guide of the seed says: RSA, and a leaf of X.509 v1. */
async function seedCertificates(): Promise<{ V1_LEAF: string; V1_CA: string; V1_CA_KEY: string }> {
  const home = mkdtempSync(join(tmpdir(), "sp-seed-"));
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: home, stdio: "ignore" });
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-sha256",
    "-days",
    "365",
    "-subj",
    "/CN=DistributeCA",
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
  );
  openssl(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    "/CN=node1@host1.example",
    "-keyout",
    "node.key",
    "-out",
    "node.csr",
  );
  openssl(
    "x509",
    "-req",
    "-in",
    "node.csr",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "365",
    "-sha256",
    "-out",
    "node.crt",
  );
  const read = (file: string): string => readFileSync(join(home, file), "utf8");
  const made = { V1_LEAF: read("node.crt"), V1_CA: read("ca.crt"), V1_CA_KEY: read("ca.key") };
  rmSync(home, { recursive: true });
  return made;
}
