import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { Peer, Raw } from "../attack/client.ts";
import { FLAGS, sendName } from "../attack/frames.ts";
import { GatewayRig } from "../attack/gateway-rig.ts";
import { COMMANDER, THIRD, WORKER } from "../attack/gateway-session.ts";
import { issueParts } from "../interop/rig.ts";

// Who may be an outside node where the outside leg is TLS (threat model 3.6, AU-43, AU-44): the inside node is dialled for nobody
// else, whatever cookie is known.

let home: string;
let rig: GatewayRig;
let authority: TestAuthority;
let others: TestAuthority;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "sallyport-gateway-tls-"));
  authority = await createTestAuthority(issueParts(), home);
  others = await createTestAuthority(issueParts(), join(home, "others"));
  const { certFile, keyFile } = await authority.issue(WORKER);
  rig = await GatewayRig.start("outside", undefined, {
    pair: (pair) => ({
      ...pair,
      outside: {
        ...pair.outside,
        listen: "tls://127.0.0.1:0",
        tls: { certFile, keyFile, caFile: authority.caFile },
      },
    }),
  });
});
afterEach(async () => {
  rig.drop();
  await vi.waitFor(() => expect(rig.gateway.pairs).toBe(0));
});
afterAll(async () => {
  await rig.stop();
  rmSync(home, { recursive: true, force: true });
});

const shown = ({ certFile, keyFile }: { certFile: string; keyFile: string }): ConnectionOptions => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
});
/** A leaf of the right authority with a common name and nothing else. */
function withCommonName(name: string): ConnectionOptions {
  const at = (file: string): string => join(home, file);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  openssl(
    ..."req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(" "),
    "-subj",
    `/CN=${name}`,
    "-keyout",
    at("cn.key"),
    "-out",
    at("cn.csr"),
  );
  openssl(
    ..."x509 -req -days 2 -CAcreateserial".split(" "),
    "-in",
    at("cn.csr"),
    "-CA",
    at("ca.crt"),
    "-CAkey",
    at("ca.key"),
    "-out",
    at("cn.crt"),
  );
  return shown({ certFile: at("cn.crt"), keyFile: at("cn.key") });
}

describe("an outside client over TLS", () => {
  it.each<[string, () => Promise<ConnectionOptions> | ConnectionOptions, string]>([
    ["no certificate (TL-01)", () => ({}), "CLIENT_CERT_REQUIRED"],
    [
      "a self-signed certificate (TL-04)",
      async () => shown(await authority.selfSigned(COMMANDER)),
      "CERT_UNKNOWN_ISSUER",
    ],
    [
      "a certificate of another authority (TL-04)",
      async () => shown(await others.issue(COMMANDER)),
      "CERT_UNKNOWN_ISSUER",
    ],
    [
      "the certificate of another node (TL-03, AU-44)",
      async () => shown(await authority.issue(THIRD)),
      "CERT_NAME_MISMATCH",
    ],
    [
      "the certificate of the inside node (TL-03)",
      async () => shown(await authority.issue(WORKER)),
      "CERT_NAME_MISMATCH",
    ],
    [
      "a certificate for servers only (AU-43)",
      async () => shown(await authority.issue(COMMANDER, { uses: ["server"] })),
      "CERT_WRONG_USE",
    ],
    [
      "the certificate of the authority (AU-43)",
      () => shown({ certFile: join(home, "ca.crt"), keyFile: join(home, "ca.key") }),
      "CERT_WRONG_USE",
    ],
    ["another node's common name alone", () => withCommonName(THIRD), "CERT_NAME_MISMATCH"],
  ])("with %s is refused, and nobody is dialled", async (_, certificate, reason) => {
    const raw = rig.keep(await Raw.tls(rig.port("outside"), await certificate()));
    raw.frame(sendName(COMMANDER), 4);
    await raw.untilClosed();
    await vi.waitFor(() => expect(rig.events.at(-1)).toMatchObject({ kind: "refused", error: { reason } }));
    expect(raw.rest.toString("latin1")).not.toContain("sok");
    // Who comes next is the first that the inside node hears of.
    await session(shown(await authority.issue(COMMANDER)), 4_004);
  });

  it.each<[string, () => Promise<ConnectionOptions> | ConnectionOptions]>([
    ["its own certificate", async () => shown(await authority.issue(COMMANDER))],
    ["a certificate of its host", async () => shown(await authority.issue(COMMANDER, { hostOnly: true }))],
    ["its common name alone, which is told as a warning elsewhere", () => withCommonName(COMMANDER)],
  ])("with %s has a session", async (_, certificate) => {
    await session(await certificate(), 5_005);
  });

  it.each(["TLSv1", "TLSv1.1"] as const)("with %s has none (AU-43)", async (version) => {
    const options = { minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" };
    await expect(
      Raw.tls(rig.port("outside"), { ...shown(await authority.issue(COMMANDER)), ...options }),
    ).rejects.toThrow();
  });

  it("is not taken for a TLS client without TLS", async () => {
    const raw = rig.keep(await Raw.tcp(rig.port("outside")));
    raw.frame(sendName(COMMANDER), 2);
    await raw.untilClosed();
    await session(shown(await authority.issue(COMMANDER)), 6_006);
  });
});

/** The commander joins the worker, which sees its creation. */
async function session(certificate: ConnectionOptions, creation: number): Promise<void> {
  const dialled = rig.traps.inside.next().then(async (raw) => {
    return Peer.answer(rig.keep(raw), 2, { name: WORKER, cookie: rig.cookie("inside") });
  });
  const raw = rig.keep(await Raw.tls(rig.port("outside"), certificate));
  await Peer.dial(raw, 4, { name: COMMANDER, cookie: rig.cookie("outside"), flags: FLAGS, creation });
  expect((await dialled).victimCreation).toBe(creation);
}
