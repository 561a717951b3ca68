import { beforeAll, describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { buildChain } from "./chain.ts";
import { readPemCertificates } from "./check-key.ts";
import { createAuthority, issueNodeCertificate } from "./issue.ts";

let own: Buffer;
let namesake: Buffer;
let leaf: Buffer;
let other: Buffer;
beforeAll(async () => {
  const parts = { clock: new VirtualClock(Date.UTC(2026, 0, 1)), random: new SeededRandom(5) };
  const der = (pem: string): Buffer => readPemCertificates(pem, "it")[0] ?? Buffer.alloc(0);
  const authority = await createAuthority(parts);
  own = der(authority.certPem);
  namesake = der((await createAuthority(parts)).certPem);
  leaf = der((await issueNodeCertificate(parts, authority, { name: parseNodeName("a@h") })).certPem);
  other = der((await issueNodeCertificate(parts, authority, { name: parseNodeName("b@h") })).certPem);
});

describe("a chain of certificates", () => {
  it("leads to the root whose key has signed, not to one of the same name", () => {
    const chain = buildChain([leaf], [namesake, own]);
    expect(chain).toMatchObject({ ok: true, intermediates: [] });
    expect(chain?.ok === true && chain.root.raw.equals(own)).toBe(true);
    expect(buildChain([leaf], [namesake])).toMatchObject({ ok: false });
  });

  it("ends at a root that is shown itself, and nowhere without one", () => {
    expect(buildChain([own], [own])).toMatchObject({ ok: true, intermediates: [] });
    expect(buildChain([leaf], [])).toMatchObject({ ok: false });
    expect(buildChain([], [own])).toBeUndefined();
    // A certificate that may not issue has issued nothing, and a root that is shown is not trusted for that.
    expect(buildChain([leaf, other], [namesake])).toMatchObject({ ok: false });
    expect(buildChain([leaf, own], [namesake])).toMatchObject({ ok: false });
    expect(buildChain([leaf], [other])).toMatchObject({ ok: false });
  });
});
