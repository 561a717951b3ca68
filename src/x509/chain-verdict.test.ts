import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealClock } from "../system/real-clock.ts";
import { RealRandom } from "../system/real-random.ts";
import { judgeChain } from "./chain-verdict.ts";
import { readPemCertificates } from "./check-key.ts";
import { createAuthority, issueNodeCertificate } from "./issue.ts";

const parts = { clock: new RealClock(), random: new RealRandom() };
const NOW = parts.clock.wallMs();
const DAY_MS = 86_400_000;

async function made(days?: number): Promise<{ leaf: Buffer; root: Buffer; other: Buffer }> {
  const [own, other] = await Promise.all([createAuthority(parts), createAuthority(parts, { commonName: "Other" })]);
  const name = parseNodeName("a@h");
  const issued = await issueNodeCertificate(parts, own, { name, ...(days === undefined ? {} : { days }) });
  const [leaf, root, foreign] = [issued, own, other].map(({ certPem }) => readPemCertificates(certPem, "x")[0]);
  return { leaf, root, other: foreign } as { leaf: Buffer; root: Buffer; other: Buffer };
}

describe("judgeChain", () => {
  it("finds nothing wrong, an unknown issuer, and dates, with the evidence for each", async () => {
    const { leaf, root, other } = await made(3);
    const ground = { authorities: [root], known: [], depth: 0, nowMs: NOW };
    expect(judgeChain([leaf], ground)).toMatchObject({ fault: undefined, detail: { intermediates: 0 } });
    expect(judgeChain([leaf], { ...ground, authorities: [other] })).toMatchObject({
      fault: "CERT_UNKNOWN_ISSUER",
      detail: {
        issuer: "CN=Sallyport CA",
        issuerKeyId: expect.stringMatching(/^[0-9A-F]{40}$/),
        trusted: expect.stringMatching(/^CN=Other \(SHA-256 (?:[0-9A-F]{2}:){31}[0-9A-F]{2}\)$/),
      },
    });
    expect(judgeChain([leaf], { ...ground, nowMs: NOW + 4 * DAY_MS })).toMatchObject({
      fault: "CERT_EXPIRED",
      says: expect.stringMatching(/^is valid from .+ to .+, and the clock here says .+/),
    });
    expect(judgeChain([leaf], { ...ground, nowMs: NOW - DAY_MS })).toMatchObject({ fault: "CERT_NOT_YET_VALID" });
    // The root ends after its leaf: it is named.
    expect(judgeChain([root], { ...ground, nowMs: NOW + 400 * DAY_MS }).fault).toBe("CERT_EXPIRED");
  });

  it("never throws for what is no certificate, and nobody is trusted without a root", async () => {
    const { leaf } = await made();
    const ground = { authorities: [], known: [], depth: 2, nowMs: NOW };
    expect(judgeChain([Buffer.from("junk")], ground)).toMatchObject({
      fault: "CERT_UNKNOWN_ISSUER",
      says: "cannot be read",
    });
    expect(judgeChain([], ground)).toMatchObject({ fault: "CERT_UNKNOWN_ISSUER" });
    expect(judgeChain([leaf], ground).detail).toMatchObject({ trusted: "nobody" });
  });
});
