import { beforeAll, describe, expect, it } from "vitest";
import { parseNodeName } from "../../base/node-name.ts";
import { certsWorld } from "../../testkit/certs-world.ts";
import { FaultyFiles } from "../../testkit/faulty-files.ts";
import { createAuthority, issueNodeCertificate } from "../../x509/issue.ts";
import { compareSetups } from "./compare-setups.ts";
import type { Finding } from "./finding.ts";
import { lintSetup, type TlsSetup } from "./lint-setup.ts";

const NAME = parseNodeName("shop@db1.example");

const SERVER: TlsSetup = {
  file: "/etc/ssl_dist.conf",
  where: "server",
  role: "server",
  certFile: "/tls/node.crt",
  keyFile: "/tls/node.key",
  caFile: "/tls/ca.crt",
  verifyPeer: true,
  demandsCertificate: true,
  versions: ["TLSv1.3", "TLSv1.2"],
  depth: 2,
};
const CLIENT: TlsSetup = { ...SERVER, where: "client", role: "client", demandsCertificate: false };

const TLS13 = "TLS_AES_256_GCM_SHA384";
const TLS12 = "ECDHE-ECDSA-AES256-GCM-SHA384";
const OTHER12 = "ECDHE-RSA-CHACHA20-POLY1305";

let disk: FaultyFiles;
beforeAll(async () => {
  const { clock, random } = certsWorld();
  const authority = await createAuthority({ clock, random });
  const { certPem, keyPem } = await issueNodeCertificate({ clock, random }, authority, { name: NAME });
  disk = new FaultyFiles();
  disk.put("/tls/node.crt", certPem, 0o644);
  disk.put("/tls/node.key", keyPem);
  disk.put("/tls/ca.crt", authority.certPem, 0o644);
});

const codes = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ code, severity }) => `${severity} ${code}`);
const lint = (setup: TlsSetup): readonly string[] => codes(lintSetup(setup, certsWorld(disk.survivor())));

describe("how one side does TLS", () => {
  it("is found to be in order", () => {
    expect(lint(SERVER)).toEqual([]);
    expect(lint(CLIENT)).toEqual([]);
    expect(lint({ ...SERVER, name: NAME, ciphers: [TLS13, TLS12] })).toEqual([]);
  });

  it.each<[string, TlsSetup, readonly string[]]>([
    ["checks nobody", { ...SERVER, verifyPeer: false }, ["error VERIFY_DISABLED"]],
    ["as client checks nobody", { ...CLIENT, verifyPeer: false }, ["error VERIFY_DISABLED"]],
    ["lets clients without certificate in", { ...SERVER, demandsCertificate: false }, ["error CLIENT_CERT_OPTIONAL"]],
    ["has suites of TLS 1.3 alone", { ...SERVER, ciphers: [TLS13] }, ["warning VERSION_WITHOUT_CIPHERS"]],
    ["has suites of TLS 1.2 alone", { ...CLIENT, ciphers: [TLS12] }, ["warning VERSION_WITHOUT_CIPHERS"]],
    ["names another node", { ...SERVER, name: parseNodeName("desk@home") }, ["error CERT_NAME_MISMATCH"]],
    ["names no file", { ...SERVER, certFile: "/nowhere.crt" }, ["error CERT_FILE_MISSING"]],
  ])("that %s is found", (_, setup, expected) => {
    expect(lint(setup)).toEqual(expected);
  });

  it("is told with the file, what to do and nothing secret", () => {
    const [finding] = lintSetup({ ...SERVER, demandsCertificate: false }, certsWorld(disk.survivor()));
    expect(finding).toEqual({
      code: "CLIENT_CERT_OPTIONAL",
      severity: "error",
      file: "/etc/ssl_dist.conf",
      message: "server lets clients without certificate in",
      advice: "set fail_if_no_peer_cert to true",
    });
  });
});

describe("two sides that are to talk", () => {
  const compare = (client: Partial<TlsSetup>, server: Partial<TlsSetup>): readonly string[] =>
    codes(
      compareSetups([
        { ...SERVER, ...server },
        { ...CLIENT, ...client },
      ]),
    );

  it("may have versions and suites in common, in part or by default", () => {
    expect(compare({}, {})).toEqual([]);
    expect(compare({ versions: ["TLSv1.3"] }, {})).toEqual([]);
    expect(compare({ ciphers: [TLS13, TLS12] }, { ciphers: [TLS12] })).toEqual([]);
    expect(compare({ ciphers: [TLS12] }, {})).toEqual([]);
    expect(compare({ ciphers: [TLS13, OTHER12] }, { ciphers: [TLS13, TLS12] })).toEqual([]);
  });

  it("are found when they have none", () => {
    expect(compare({ versions: ["TLSv1.3"] }, { versions: ["TLSv1.2"] })).toEqual(["error VERSIONS_DISJOINT"]);
    expect(compare({ ciphers: [TLS13] }, { ciphers: [TLS12] })).toEqual(["error CIPHERS_DISJOINT"]);
    expect(compare({ ciphers: [OTHER12] }, { ciphers: [TLS12] })).toEqual(["error CIPHERS_DISJOINT"]);
    const only12 = { versions: ["TLSv1.2"] } as const;
    expect(compare({ ...only12, ciphers: [TLS13] }, only12)).toEqual(["error CIPHERS_DISJOINT"]);
    expect(compareSetups([SERVER])).toEqual([]);
  });
});
