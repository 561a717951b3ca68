import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { CertificateNames } from "./certificate-names.ts";
import { parseIpAddress } from "./ip-address.ts";
import { matchCertificate } from "./match-name.ts";

interface Given {
  uri?: string[];
  dns?: string[];
  ip?: string[];
  cn?: string[];
  /** An alternative name of a kind that is not read, such as an e-mail address. */
  otherSan?: boolean;
}

function names(given: Given): CertificateNames {
  const uris = given.uri ?? [];
  const dnsNames = given.dns ?? [];
  const ipAddresses = (given.ip ?? []).map((text) => parseIpAddress(text)!);
  return {
    version: 3,
    uris,
    dnsNames,
    ipAddresses,
    hasAlternativeNames: given.otherSan === true || uris.length + dnsNames.length + ipAddresses.length > 0,
    commonNames: given.cn ?? [],
    keyUsages: undefined,
    authority: false,
    notBeforeMs: 0,
    notAfterMs: 1,
    spkiDer: Buffer.alloc(0),
  };
}

const match = (given: Given, node: string, profile: "standard" | "strict" = "standard"): string => {
  const result = matchCertificate(names(given), parseNodeName(node), { profile });
  if (!result.matched) return "no";
  return result.warning === undefined ? result.by : `${result.by} ${result.warning}`;
};

describe("matchCertificate", () => {
  it.each<[Given, string, string]>([
    // URI names: the node itself
    [{ uri: ["dist://a@h.example"] }, "a@h.example", "uri"],
    [{ uri: ["dist://a@H.Example"] }, "a@h.eXAMPLE", "uri"],
    [{ uri: ["DIST://a@h"] }, "a@h", "uri"],
    [{ uri: ["dist://b@h", "dist://a@h"] }, "a@h", "uri"],
    [{ uri: ["dist://A@h"] }, "a@h", "no"],
    [{ uri: ["dist://b@h"] }, "a@h", "no"],
    [{ uri: ["dist://a@h:9100"] }, "a@h", "no"],
    [{ uri: ["dist://a@h/"] }, "a@h", "no"],
    [{ uri: ["dist://%61@h"] }, "a@h", "no"],
    [{ uri: ["dist://*@h"] }, "a@h", "no"],
    [{ uri: ["dist://a@*.example"] }, "a@h.example", "no"],
    [{ uri: ["dist://a@h\0.evil"] }, "a@h", "no"],
    [{ uri: ["dist://a@q@::1"] }, "a@q", "no"],
    [{ uri: ["dist://q@[::1]"] }, "q@::1", "uri"],
    [{ uri: ["dist://q@::1"] }, "q@::1", "uri"],
    [{ uri: ["dist://q@[0:0:0:0:0:0:0:1]"] }, "q@::1", "uri"],
    [{ uri: ["dist://q@[::2]"] }, "q@::1", "no"],
    // A node URI that is present decides alone
    [{ uri: ["dist://b@h"], dns: ["h"], cn: ["a@h"] }, "a@h", "no"],
    [{ uri: ["dist://"], dns: ["h"] }, "a@h", "no"],
    // URIs of other systems say nothing about nodes
    [{ uri: ["spiffe://x/y"], dns: ["h"] }, "a@h", "dns"],
    [{ uri: ["spiffe://x/y"], cn: ["a@h"] }, "a@h", "no"],
    // DNS names: any node on the host
    [{ dns: ["h.example"] }, "a@h.example", "dns"],
    [{ dns: ["H.EXAMPLE"] }, "a@h.example", "dns"],
    [{ dns: ["other", "h"] }, "a@h", "dns"],
    [{ dns: ["a@h"] }, "a@h", "no"],
    [{ dns: ["h.example."] }, "a@h.example", "no"],
    [{ dns: ["h.example\0.evil.example"] }, "a@h.example", "no"],
    [{ dns: ["evil.example, DNS:h.example"] }, "a@h.example", "no"],
    [{ dns: ["\u212a.example"] }, "a@k.example", "no"],
    [{ dns: [""] }, "a@h", "no"],
    // Wildcards: one label, host only
    [{ dns: ["*.h.example"] }, "a@db.h.example", "dns CERT_WILDCARD_HOST"],
    [{ dns: ["*.H.example"] }, "a@db.h.EXAMPLE", "dns CERT_WILDCARD_HOST"],
    [{ dns: ["*.h.example"] }, "a@x.db.h.example", "no"],
    [{ dns: ["*.h.example"] }, "a@h.example", "no"],
    [{ dns: ["*.h.example"] }, "a@.h.example", "no"],
    [{ dns: ["*.example"] }, "a@h.example", "no"],
    [{ dns: ["*"] }, "a@h", "no"],
    [{ dns: ["*.*.example"] }, "a@b.c.example", "no"],
    [{ dns: ["d*.h.example"] }, "a@db.h.example", "no"],
    [{ dns: ["*db.h.example"] }, "a@db.h.example", "no"],
    [{ dns: ["*.0.0.1"] }, "a@127.0.0.1", "no"],
    // Addresses
    [{ ip: ["127.0.0.1"] }, "a@127.0.0.1", "ip"],
    [{ ip: ["127.0.0.2"] }, "a@127.0.0.1", "no"],
    [{ ip: ["0:0:0:0:0:0:0:1"] }, "q@::1", "ip"],
    [{ ip: ["::ffff:1.2.3.4"] }, "a@1.2.3.4", "no"],
    [{ dns: ["127.0.0.1"] }, "a@127.0.0.1", "dns"],
    [{ dns: ["::1"] }, "q@0:0::1", "dns"],
    [{ ip: ["127.0.0.1"] }, "a@h", "no"],
    // Common name: only without any alternative name
    [{ cn: ["a@h"] }, "a@h", "cn CERT_CN_ONLY"],
    [{ cn: ["a@H"] }, "a@h", "cn CERT_CN_ONLY"],
    [{ cn: ["h"] }, "a@h", "cn CERT_CN_ONLY"],
    [{ cn: ["b@h"] }, "a@h", "no"],
    [{ cn: ["A@h"] }, "a@h", "no"],
    [{ cn: ["*.h.example"] }, "a@db.h.example", "no"],
    [{ cn: ["a@h", "b@h"] }, "a@h", "no"],
    [{ cn: ["a@h"], dns: ["other"] }, "a@h", "no"],
    [{ cn: ["a@h"], otherSan: true }, "a@h", "no"],
    [{}, "a@h", "no"],
  ])("%j for %s: %s", (given, node, expected) => {
    expect(match(given, node)).toBe(expected);
  });

  it("takes no common name in the strict profile, and everything else alike", () => {
    expect(match({ cn: ["a@h"] }, "a@h", "strict")).toBe("no");
    expect(match({ cn: ["h"] }, "a@h", "strict")).toBe("no");
    expect(match({ uri: ["dist://a@h"] }, "a@h", "strict")).toBe("uri");
    expect(match({ dns: ["h"] }, "a@h", "strict")).toBe("dns");
    expect(match({ ip: ["::1"] }, "a@::1", "strict")).toBe("ip");
  });

  it("tells which names were presented, escaped and at most sixteen", () => {
    const given = names({ uri: ["dist://b@h"], dns: ["x\u001b[31m"], ip: ["::1"], cn: ["c"] });
    expect(matchCertificate(given, parseNodeName("a@h"), { profile: "standard" })).toEqual({
      matched: false,
      presented: ["URI:dist://b@h", "DNS:x\\x1b[31m", "IP:0:0:0:0:0:0:0:1", "CN:c"],
    });
    const many = names({ dns: Array.from({ length: 200 }, (_, i) => `h${i}`) });
    const result = matchCertificate(many, parseNodeName("a@h"), { profile: "standard" });
    expect(result.matched ? [] : result.presented).toHaveLength(16);
  });
});
