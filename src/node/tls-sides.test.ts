import { describe, expect, it } from "vitest";
import type { Files } from "../base/files.ts";
import { RealClock } from "../system/real-clock.ts";
import { RealRandom } from "../system/real-random.ts";
import { createTestAuthority } from "../testkit/certificates.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import type { TlsOption } from "./options.ts";
import { loadTlsSides } from "./tls-sides.ts";

const clock = new RealClock();
const files: Files = new FaultyFiles();
const authority = await createTestAuthority({ clock, random: new RealRandom(), files }, "/tls");
const one = await authority.issue("a@h");
const two = await authority.issue("b@h");
const TLS: TlsOption = { certFile: one.certFile, keyFile: one.keyFile, caFile: authority.caFile };

const load = (change: Partial<TlsOption>) => loadTlsSides(files, { ...TLS, ...change }, clock.wallMs());

describe("loadTlsSides", () => {
  it("reads once what both sides share", () => {
    const { server, client, warnings } = load({ depth: 1, minVersion: "TLSv1.3" });
    expect(client.loaded).toBe(server.loaded);
    expect([server.protocol, client.protocol]).toEqual(Array(2).fill({ depth: 1, minVersion: "TLSv1.3" }));
    expect(warnings).toEqual([]);
  });

  it("gives each side its own over what both have", () => {
    const { server, client } = load({
      depth: 1,
      server: { depth: 0 },
      client: { certFile: two.certFile, keyFile: two.keyFile },
    });
    expect([server.protocol.depth, client.protocol.depth]).toEqual([0, 1]);
    expect(server.loaded.material.certPem).toBe(one.certPem);
    expect(client.loaded.material.certPem).toBe(two.certPem);
    expect(() => load({ client: { keyFile: two.keyFile } })).toThrow(
      expect.objectContaining({ reason: "KEY_CERT_MISMATCH" }),
    );
  });

  it.each([
    [{ ciphers: ["TLS_AES_256_GCM_SHA384"] }, ["TLSv1.2 is allowed for accepting", "TLSv1.2 is allowed for dialling"]],
    [{ client: { ciphers: ["ECDHE-RSA-AES256-GCM-SHA384"] } }, ["TLSv1.3 is allowed for dialling"]],
    [{ ciphers: ["TLS_AES_256_GCM_SHA384"], minVersion: "TLSv1.3" }, []],
    [{ ciphers: ["TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"] }, []],
  ] as [Partial<TlsOption>, string[]][])("warns of a version that %j takes away", (change, says) => {
    const { warnings } = load(change);
    expect(warnings).toEqual(
      says.map((text) => ({ reason: "TLS_VERSION_WITHOUT_SUITES", message: expect.stringContaining(text) })),
    );
  });

  it("reads a passphrase from its file, without the line break", () => {
    files.writeAtomic("/tls/pw", "secret\n", 0o600);
    expect(load({ passphrase: { file: "/tls/pw" } }).server.loaded.material.passphrase).toBe("secret");
    expect(() => load({ passphrase: { file: "/tls/none" } })).toThrow(
      expect.objectContaining({ reason: "KEY_PASSPHRASE" }),
    );
  });

  it.each([-1, 17, 1.5])("refuses a depth of %d", (depth) => {
    expect(() => load({ depth })).toThrow(expect.objectContaining({ code: "ERR_CONFIG", reason: "TLS_OPTIONS" }));
  });
});
