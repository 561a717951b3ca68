import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { CertificateOptions, CertificatePair } from "../node/certificate-pair.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { checkKeyBelongs } from "../x509/check-key.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

// What the tests of the node's own certificate share.

/** Unix time of the first start, milliseconds. */
export const FIRST_START: number = Date.UTC(2026, 0, 1);
export const DAY_MS = 86_400_000;
export const OWNER: NodeName = parseNodeName("shop@db1.example");
/** The file of the pair, and the copy of the certificate. */
export const PAIR_FILE = "/keys/tls/node.key";
export const COPY_FILE = "/keys/tls/node.crt";

const random = new SeededRandom(7);

/** What the functions under test take, on a disk in memory and at a time that the test sets. */
export function certificateOptions(
  files: CertificateOptions["files"] = new FaultyFiles(),
  change: Partial<CertificateOptions> & { readonly afterDays?: number } = {},
): CertificateOptions {
  const { afterDays = 0, ...rest } = change;
  return {
    files,
    crypto: new RealIdentityCrypto(),
    random,
    clock: new VirtualClock(FIRST_START + afterDays * DAY_MS),
    directory: "/keys",
    name: OWNER,
    profile: "standard",
    ...rest,
  };
}

/** The fingerprint of a pair whose key was checked to be that of its certificate. */
export function checkedFingerprint({ certPem, keyPem, fingerprint }: CertificatePair): string {
  checkKeyBelongs(certPem, keyPem);
  return fingerprint;
}

/** A disk of which nothing can be written any more, as a secret mount. */
export function readOnly(files: FaultyFiles): FaultyFiles {
  const refuse = (): never => {
    throw Object.assign(new Error("read-only file system"), { code: "EROFS" });
  };
  return new Proxy(files, {
    get(target, property) {
      if (["writeAtomic", "writeNew", "makeDirectory", "remove"].includes(String(property))) return refuse;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
