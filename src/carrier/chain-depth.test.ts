import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealClock } from "../system/real-clock.ts";
import { RealRandom } from "../system/real-random.ts";
import { createAuthority, issueNodeCertificate } from "../x509/issue.ts";
import { countIntermediates } from "./chain-depth.ts";

const parts = { clock: new RealClock(), random: new RealRandom() };

/** A certificate whose key cannot be read, under the name of an issuer. */
function unreadable(subject: string): X509Certificate {
  const fake = { subject, issuer: "x", raw: Buffer.from("x") };
  return Object.defineProperty(fake, "publicKey", {
    get: () => {
      throw new Error("unsupported algorithm");
    },
  }) as unknown as X509Certificate;
}

describe("countIntermediates", () => {
  it("counts none under a root, and finds no way without it", async () => {
    const [own, other] = await Promise.all([createAuthority(parts), createAuthority(parts)]);
    const root = new X509Certificate(own.certPem);
    const issued = await issueNodeCertificate(parts, own, { name: parseNodeName("a@h") });
    const leaf = new X509Certificate(issued.certPem);
    expect(countIntermediates(leaf, [root])).toBe(0);
    expect(countIntermediates(root, [root])).toBe(0);
    // The other authority has the same name and another key.
    expect(countIntermediates(leaf, [new X509Certificate(other.certPem)])).toBeUndefined();
    expect(countIntermediates(leaf, [])).toBeUndefined();
    expect(countIntermediates(leaf, [unreadable(leaf.issuer), root])).toBe(0);
  });
});
