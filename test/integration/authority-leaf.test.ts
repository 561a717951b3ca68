import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { A, B, dialling, NativeRig, nextRefusal } from "./native-rig.ts";

const { root, own, node } = new NativeRig();
const COOKIE = "a cookie of 27 random bytes";

const openssl = (...args: readonly string[]): void => {
  execFileSync("openssl", args, { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
};

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"] as const;

/** The certificate of a node, by an authority that all share; with CA:TRUE or without. */
function issue(name: string, isAuthority: boolean): NonNullable<NodeOptions["tls"]> {
  const [base] = name.split("@");
  const file = (ending: string): string => join(root, `${base}-${isAuthority}.${ending}`);
  openssl("req", ...NEW_KEY, "-keyout", file("key"), "-out", file("csr"), "-subj", "/O=test");
  const lines = [
    `basicConstraints=critical,CA:${isAuthority ? "TRUE" : "FALSE"}`,
    "keyUsage=critical,digitalSignature,keyCertSign",
    "extendedKeyUsage=serverAuth,clientAuth",
    `subjectAltName=URI:dist://${name},IP:127.0.0.1`,
  ];
  writeFileSync(file("ext"), (isAuthority ? lines : [...lines.slice(0, 1), ...lines.slice(2)]).join("\n"));
  const ca = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
  openssl("x509", "-req", "-in", file("csr"), ...ca, "-extfile", file("ext"), "-out", file("crt"));
  return { certFile: file("crt"), keyFile: file("key"), caFile: join(root, "ca.crt") };
}

describe("a certificate that may issue others", () => {
  openssl("req", "-x509", ...NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2");

  it.each([
    ["acceptor", true, false],
    ["dialler", false, true],
  ])("is not taken from the %s, whatever node it names", async (_, accepting, dialing) => {
    const shared = { epmd: "off", cookie: COOKIE } as const;
    const b = own(await createNode({ ...shared, name: B, tls: issue(B, accepting), listen: ["tls://127.0.0.1:0"] }));
    const refused = nextRefusal(b);
    const a = own(await createNode({ ...shared, name: A, tls: issue(A, dialing), ...dialling(b) }));
    const failure = await a.connect(B).catch((error) => error);
    if (accepting) expect(failure).toMatchObject({ code: "ERR_DENIED", reason: "CERT_IS_AUTHORITY" });
    else expect((await refused).error).toMatchObject({ code: "ERR_DENIED", reason: "CERT_IS_AUTHORITY" });
    expect([...a.peers(), ...b.peers()]).toEqual([]);
    // The same without that power connects.
    const good = own(await createNode({ ...shared, name: A, tls: issue(A, false), ...dialling(b) }));
    if (!accepting) expect(await good.connect(B)).toMatchObject({ assurance: "ca" });
  });

  it("gives no assurance to a key either", async () => {
    const b = await node(B, "strict", { tls: issue(B, false) });
    const refused = nextRefusal(b);
    const a = await node(A, "strict", { ...dialling(b), tls: issue(A, true) });
    expect(await a.connect(B).catch((error) => error)).toMatchObject({ reason: "REFUSED_BY_PEER" });
    expect((await refused).error).toMatchObject({ reason: "KEY_UNTRUSTED" });
    await a.close();
    const good = await node(A, "strict", { ...dialling(b), tls: issue(A, false) });
    expect(await good.connect(B)).toMatchObject({ assurance: "ca" });
  });
});
