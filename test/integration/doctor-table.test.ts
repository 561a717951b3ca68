import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Fault } from "../../src/base/diagnosis.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import {
  COOKIE,
  DAY_MS,
  DoctorRig,
  everything,
  failedStage,
  type Issue,
  MovedClock,
  type RecordedNode,
} from "./doctor-rig.ts";

const FAR = "far@localhost";
const NEAR = "near@localhost";

let rig: DoctorRig;
beforeAll(async () => {
  rig = await DoctorRig.make();
});
afterAll(() => rig.stop());

/** How one of the two nodes is made. */
interface Side {
  readonly name?: string;
  readonly issue?: Issue;
  /** The certificate is for this name. */
  readonly issueFor?: string;
  readonly options?: Partial<NodeOptions>;
  readonly tls?: object;
  /** Days by which the clock is wrong while it starts; it is set right then. */
  readonly startsDaysOff?: number;
  readonly plain?: boolean;
}

interface Row {
  readonly what: string;
  readonly far?: Side;
  readonly near?: Side;
  /** Dialled instead of the far node's name. */
  readonly dial?: string;
  readonly code: string;
  readonly stage: string;
  /** As the dialling side sees it, and as the accepting side does. */
  readonly fault: readonly [Fault, Fault];
  /** Stands in the evidence of the dialling side. */
  readonly evidence?: object;
}

/** Expired for five days; the node has started while it was valid. */
const EXPIRED: Side = { issue: { by: "old", trusts: ["root", "old"], fromDays: -10, days: 5 }, startsDaysOff: -8 };
const TRUSTS_OLD: Side = { issue: { trusts: ["root", "old"] } };

const ROWS: readonly Row[] = [
  {
    what: "two CAs",
    far: { issue: { by: "other" } },
    code: "CERT_UNKNOWN_ISSUER",
    stage: "certificate",
    fault: ["remote", "either"],
    evidence: { issuer: "CN=The other CA", trusted: expect.stringMatching(/CN=The root CA \(SHA-256 [0-9A-F:]+\)/) },
  },
  {
    what: "a dialler of a CA that the other side does not trust",
    near: { issue: { by: "other", trusts: ["root", "other"] } },
    code: "CERT_UNKNOWN_ISSUER",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "an expired certificate of the accepting side",
    far: EXPIRED,
    near: TRUSTS_OLD,
    code: "CERT_EXPIRED",
    stage: "certificate",
    fault: ["remote", "local"],
    evidence: { notAfter: expect.any(String), clock: expect.any(String) },
  },
  {
    what: "an expired certificate of the dialling side",
    far: TRUSTS_OLD,
    near: EXPIRED,
    code: "CERT_EXPIRED",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "a certificate of the accepting side that is not valid yet",
    far: { issue: { fromDays: 10, days: 5 }, startsDaysOff: 11 },
    code: "CERT_NOT_YET_VALID",
    stage: "certificate",
    fault: ["remote", "local"],
    evidence: { notBefore: expect.any(String), clock: expect.any(String) },
  },
  {
    what: "a certificate of the dialling side that is not valid yet",
    near: { issue: { fromDays: 10, days: 5 }, startsDaysOff: 11 },
    code: "CERT_NOT_YET_VALID",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "another name in the certificate of the accepting side",
    far: { issueFor: "elsewhere@other.example" },
    code: "CERT_NAME_MISMATCH",
    stage: "certificate",
    fault: ["remote", "local"],
    evidence: { expected: FAR, presented: expect.stringContaining("elsewhere@other.example") },
  },
  {
    what: "another name in the certificate of the dialling side",
    near: { issueFor: "elsewhere@other.example" },
    code: "CERT_NAME_MISMATCH",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "an accepting side that leaves its intermediate out",
    far: { issue: { by: "i1", chain: [] } },
    near: { issue: { by: "i1" } },
    code: "CHAIN_INCOMPLETE",
    stage: "certificate",
    fault: ["remote", "local"],
    evidence: { sent: 1 },
  },
  {
    what: "a dialling side that leaves its intermediate out",
    far: { issue: { by: "i1" } },
    near: { issue: { by: "i1", chain: [] } },
    code: "CHAIN_INCOMPLETE",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "a chain of the accepting side that is too long",
    far: { issue: { by: "i3" } },
    code: "CHAIN_TOO_LONG",
    stage: "certificate",
    fault: ["remote", "local"],
    evidence: { intermediates: 3, depth: 2 },
  },
  {
    what: "a chain of the dialling side that is too long",
    near: { issue: { by: "i3" } },
    code: "CHAIN_TOO_LONG",
    stage: "certificate",
    fault: ["local", "remote"],
  },
  {
    what: "an accepting side of TLS 1.3 alone and a dialling one of TLS 1.2 alone",
    far: { tls: { minVersion: "TLSv1.3" } },
    near: { tls: { maxVersion: "TLSv1.2" } },
    code: "TLS_VERSION_MISMATCH",
    stage: "tls",
    fault: ["either", "either"],
    evidence: { localVersions: "TLSv1.2", remoteVersions: "TLSv1.3" },
  },
  {
    what: "the other way round",
    far: { tls: { maxVersion: "TLSv1.2" } },
    near: { tls: { minVersion: "TLSv1.3" } },
    code: "TLS_VERSION_MISMATCH",
    stage: "tls",
    fault: ["either", "either"],
    evidence: { localVersions: "TLSv1.3", remoteVersions: "TLSv1.2" },
  },
  {
    what: "suites of TLS 1.3 without overlap",
    far: { tls: { ciphers: ["TLS_AES_256_GCM_SHA384"] } },
    near: { tls: { ciphers: ["TLS_AES_128_GCM_SHA256"] } },
    code: "CIPHER_MISMATCH",
    stage: "tls",
    fault: ["either", "either"],
    evidence: { localSuites: ["TLS_AES_128_GCM_SHA256"], remoteSuites: ["TLS_AES_256_GCM_SHA384"], sharedSuites: [] },
  },
  {
    what: "suites of TLS 1.2 without overlap",
    far: { tls: { ciphers: ["ECDHE-ECDSA-AES256-GCM-SHA384"] } },
    near: { tls: { ciphers: ["ECDHE-ECDSA-CHACHA20-POLY1305"] } },
    code: "CIPHER_MISMATCH",
    stage: "tls",
    fault: ["either", "either"],
    evidence: { remoteSuites: ["ECDHE-ECDSA-AES256-GCM-SHA384"], sharedSuites: [] },
  },
  {
    what: "an accepting side without TLS",
    far: { plain: true },
    code: "NOT_A_TLS_PEER",
    stage: "tls",
    fault: ["remote", "either"],
    evidence: { plainHandshake: "dist", firstBytes: expect.stringMatching(/^0003736f6b/) },
  },
  {
    what: "a dialling side without TLS",
    near: { plain: true },
    code: "NOT_A_TLS_PEER",
    stage: "tls",
    fault: ["local", "remote"],
    evidence: { firstBytes: expect.stringMatching(/^1[56]03/) },
  },
  {
    what: "two cookies",
    near: { options: { cookie: "another-cookie-of-the-tests" } },
    code: "SECRET_MISMATCH",
    stage: "cookie",
    fault: ["either", "either"],
    evidence: { localCookie: "27 bytes" },
  },
  {
    what: "another node at the address",
    far: { issue: { hostOnly: true } },
    dial: "wanted@localhost",
    code: "PEER_NAME_MISMATCH",
    stage: "identity",
    fault: ["local", "remote"],
  },
];

async function make(side: Side, name: string, listens: boolean, target?: string): Promise<RecordedNode> {
  const off = (side.startsDaysOff ?? 0) * DAY_MS;
  const clock = new MovedClock(off);
  const own = side.name ?? name;
  const scheme = side.plain === true ? "tcp" : "tls";
  const tls = side.plain === true ? {} : { tls: { ...(await rig.tls(side.issueFor ?? own, side.issue)), ...side.tls } };
  const node = await rig.node(
    {
      name: own,
      ...(listens ? { listen: [`${scheme}://127.0.0.1:0`] } : {}),
      ...(side.plain === true ? { dangerous: { plaintext: true } } : {}),
      ...(target === undefined
        ? {}
        : { resolve: { [target.split(" ")[0] ?? ""]: `${scheme}://${target.split(" ")[1]}` } }),
      ...tls,
      ...side.options,
    },
    clock,
  );
  clock.movedMs = 0;
  return node;
}

describe("each fault of the table, named by both ends", () => {
  it.each(ROWS)("$what: $code", async ({ far = {}, near = {}, dial, code, stage, fault, evidence }) => {
    const accepting = await make(far, FAR, true);
    const target = dial ?? FAR;
    const dialling = await make(near, NEAR, false, `${target} 127.0.0.1:${accepting.port}`);
    const report = await rig.examine(dialling, target);
    expect(report.failure?.diagnosis).toMatchObject({ code, stage, fault: fault[0] });
    expect(failedStage(report)).toMatchObject({ stage, ...(evidence === undefined ? {} : { evidence }) });
    const names = { local: NEAR, remote: target } as const;
    const fix = report.failure?.diagnosis.fix ?? "";
    if (fault[0] === "either") expect(fix).toMatch(new RegExp(`^on ${NEAR} or ${target}: `));
    else if (fault[0] !== "network") expect(fix).toContain(`node, ${names[fault[0]]}: `);
    const seen = await accepting.diagnosed(code);
    expect(seen).toMatchObject({ code, fault: fault[1] });
    const where = { local: /^on this node: /, remote: /^on the other node: /, either: /^on one of the two nodes: / };
    expect(seen.fix).toMatch(where[fault[1] as keyof typeof where]);
    const said = everything(report, accepting, dialling);
    for (const secret of [COOKIE, "another-cookie-of-the-tests", "PRIVATE KEY"]) expect(said).not.toContain(secret);
  });
});
