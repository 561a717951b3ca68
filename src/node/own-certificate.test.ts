import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { TlsMaterial } from "../carrier/tls-material.ts";
import {
  COPY_FILE,
  certificateOptions,
  DAY_MS,
  FIRST_START,
  PAIR_FILE,
  readOnly,
} from "../testkit/certificate-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { CertificateOptions } from "./certificate-pair.ts";
import { rotateOwnCertificate } from "./certificate-rotation.ts";
import { OwnCertificate } from "./own-certificate.ts";

interface Opened {
  readonly certificate: OwnCertificate;
  readonly options: CertificateOptions;
  readonly clock: VirtualClock;
  /** What the watcher heard: materials, and the reasons of warnings. */
  readonly heard: (TlsMaterial | string)[];
}

async function opened(files: FaultyFiles, change: Partial<CertificateOptions> = {}): Promise<Opened> {
  const clock = new VirtualClock(FIRST_START);
  const options = { ...certificateOptions(files), clock, ...change };
  const { certificate } = await OwnCertificate.open(options);
  const heard: (TlsMaterial | string)[] = [];
  certificate.watch({
    replaced: (material) => heard.push(material),
    warned: ({ reason }) => heard.push(reason),
  });
  return { certificate, options, clock, heard };
}

describe("the own certificate of a running node", () => {
  it("is that of the files after a reload, and the watcher hears of it once", async () => {
    const files = new FaultyFiles();
    const { certificate, options, heard } = await opened(files);
    const before = certificate.current;
    await rotateOwnCertificate(options);
    expect(certificate.current).toEqual(before);
    await certificate.reload();
    expect(certificate.current.certPem).not.toBe(before.certPem);
    expect(certificate.current.certPem).toBe(files.readText(COPY_FILE));
    expect(certificate.current).toMatchObject({ caPem: undefined });
    expect(heard).toEqual([certificate.current]);
    await certificate.reload();
    expect(heard).toHaveLength(1);
  });

  it("is made anew by a reload when it nears its end or its files are gone", async () => {
    const files = new FaultyFiles();
    const { certificate, clock, heard } = await opened(files);
    clock.setWallMs(FIRST_START + 300 * DAY_MS);
    await certificate.reload();
    expect(heard).toEqual(["OWN_CERT_ENDING", certificate.current]);
    files.take(PAIR_FILE);
    await certificate.reload();
    expect(heard.slice(2)).toEqual([certificate.current]);
  });

  it("stays when nothing can be saved, and when strict refuses what is there", async () => {
    const files = new FaultyFiles();
    const { certificate: mounted, heard } = await opened(readOnly(files));
    const first = mounted.current;
    await mounted.reload();
    expect([mounted.current, heard]).toEqual([first, ["OWN_CERT_NOT_SAVED"]]);
    const { certificate, options } = await opened(files, { profile: "strict" });
    const before = certificate.current;
    await rotateOwnCertificate(options);
    files.expose(PAIR_FILE);
    await expect(certificate.reload()).rejects.toMatchObject({ code: "ERR_DENIED", reason: "KEY_PERMISSIONS" });
    await expect(certificate.reload()).rejects.toMatchObject({ reason: "KEY_PERMISSIONS" });
    expect(certificate.current).toEqual(before);
  });

  it("is read once for all that ask while a reload waits", async () => {
    const files = new FaultyFiles();
    let reads = 0;
    const counted = new Proxy(files, {
      get(target, property) {
        if (property === "readText") reads++;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { certificate } = await opened(counted);
    reads = 0;
    await certificate.reload();
    const once = reads;
    await Promise.all(Array.from({ length: 100 }, () => certificate.reload()));
    expect(reads).toBe(2 * once);
  });

  it("shows no key when it is printed", async () => {
    const { certificate } = await opened(new FaultyFiles());
    const shown = inspect(certificate, { depth: 10, showHidden: true }) + JSON.stringify(certificate);
    expect(shown).not.toContain("PRIVATE");
  });
});
