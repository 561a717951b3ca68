import { describe, expect, it } from "vitest";
import { formatPublicKey, parsePublicKey } from "../identity/public-key.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { withFingerprints } from "./policy-keys.ts";

const crypto = new RealIdentityCrypto();
/** The key of RFC 8032, test 1. */
const KEY = parsePublicKey(
  Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex"),
  "a key",
);
const FINGERPRINT = `SHA256:${crypto.sha256(KEY).toString("base64").slice(0, 43)}`;

describe("the keys of a policy", () => {
  it("are known by their fingerprints, however they are written", () => {
    const spki = `spki:${FINGERPRINT}`;
    const document: PolicyDocument = {
      version: 1,
      node: "a@h",
      peers: {
        whole: { keys: [formatPublicKey(KEY)], names: ["b@h"] },
        short: { keys: [FINGERPRINT, spki], names: ["c@h"] },
        none: { names: ["d@h"], assurance: "ca" },
      },
    };
    const { peers } = withFingerprints(document, crypto);
    expect(peers).toEqual({
      whole: { keys: [FINGERPRINT], names: ["b@h"] },
      short: { keys: [FINGERPRINT, spki], names: ["c@h"] },
      none: { names: ["d@h"], assurance: "ca" },
    });
  });
});
