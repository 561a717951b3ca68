import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { CommandWorld } from "../../src/cli/command-world.ts";
import { run } from "../../src/cli/run.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { VirtualClock } from "../../src/testkit/virtual-clock.ts";
import type { Document, Fields } from "./cli-process.ts";

const ROOT = mkdtempSync(join(tmpdir(), "sp-certs-"));
const START = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const SHOP = "shop@db1.example";

let home: string;
let made = 0;
/** What the clock of the next command says, in days after the beginning. */
let day: number;
beforeEach(() => {
  home = join(ROOT, String(++made));
  day = 0;
  mkdirSync(home, { recursive: true });
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

interface Ran extends Document {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

async function command(json: boolean, args: readonly string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const environment = (): undefined => undefined;
  const stream = (write: (text: string) => void): { write(text: string): void } => ({ write });
  const world: CommandWorld = {
    clock: new VirtualClock(START + day * DAY_MS),
    random: new RealRandom(),
    files: new RealFiles(),
    identityCrypto: new RealIdentityCrypto(),
    environment,
    directory: home,
    hostname: "db1.example",
    program: "",
    terminal: new Terminal({
      stdout: stream((text) => {
        out += text;
      }),
      stderr: stream((text) => {
        err += text;
      }),
      environment,
      json,
    }),
    onStopSignal: () => () => undefined,
    onReloadSignal: () => () => undefined,
    exitNow: () => expect.unreachable(),
  };
  const exit = await run(world, ["certs", ...args, ...(json ? ["--json"] : [])], "0");
  expect(`${out}${err}`).not.toMatch(/PRIVATE KEY|BEGIN/);
  const document = json ? (JSON.parse(out) as Document) : { ok: exit === 0, result: {}, error: {} };
  return { ...document, exit, out, err };
}

const certs = (...args: readonly string[]): Promise<Ran> => command(true, args);
const told = (...args: readonly string[]): Promise<Ran> => command(false, args);

async function done(...args: readonly string[]): Promise<Fields> {
  const ran = await certs(...args);
  expect(ran, JSON.stringify(ran.error)).toMatchObject({ ok: true, exit: 0 });
  return ran.result;
}

async function refused(...args: readonly string[]): Promise<string> {
  const { ok, exit, error } = await certs(...args);
  expect(ok).toBe(false);
  expect(error["advice"]).not.toBe("");
  return `${exit} ${String(error["reason"])}`;
}

const path = (file: string): string => join(home, "data/tls", file);
const openssl = (...args: readonly string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
/** What OpenSSL says of a certificate at the time of the next command. */
const verify = (file: string, purpose: string): string =>
  openssl(
    "verify",
    "-attime",
    String(START / 1000 + day * 86_400),
    "-purpose",
    purpose,
    "-CAfile",
    path("ca.crt"),
    path(file),
  );
const codes = ({ result }: Ran): readonly string[] =>
  (result["findings"] as readonly Fields[]).map(({ code, severity }) => `${String(severity)} ${String(code)}`).sort();

describe("sallyport certs", () => {
  it("makes a CA and certificates that OpenSSL verifies for both sides", async () => {
    await done("ca", "--common-name", "DistributeCA");
    await done("issue", SHOP);
    const issued = await done("issue", "q@192.0.2.7", "--as", "node", "--key", "rsa", "--days", "30");
    expect(issued).toMatchObject({
      name: "q@192.0.2.7",
      files: { certificate: path("node.crt"), key: path("node.key") },
    });
    for (const file of [`${SHOP}.crt`, "node.crt"]) {
      for (const purpose of ["sslserver", "sslclient"]) expect(verify(file, purpose)).toContain(": OK");
    }
    const text = openssl("x509", "-noout", "-text", "-in", path(`${SHOP}.crt`));
    for (const part of [
      "Version: 3",
      `CN = ${SHOP}`,
      `URI:dist://${SHOP}`,
      "DNS:db1.example",
      "TLS Web Server Authentication, TLS Web Client Authentication",
      "CA:FALSE",
      "Signature Algorithm: ecdsa-with-SHA256",
      "NIST CURVE: P-256",
    ]) {
      expect(text).toContain(part);
    }
    const ca = openssl("x509", "-noout", "-text", "-in", path("ca.crt"));
    expect(ca).toContain("CA:TRUE");
    expect(ca).toContain("DistributeCA");
    const modes = [path("ca.key"), path("node.key"), path("ca.crt")].map((file) => statSync(file).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o644]);
  });

  it("never overwrites a CA or a certificate, and refuses what is no node name", async () => {
    expect(await refused("issue", SHOP)).toBe("2 CA_MISSING");
    await done("ca");
    await done("issue", SHOP);
    const before = readFileSync(path("ca.key"));
    expect(await refused("ca")).toBe("2 CA_EXISTS");
    expect(await refused("issue", SHOP)).toBe("2 CERT_EXISTS");
    for (const name of ["shop", "shop@", "a b@c", "*@db1.example"]) {
      expect(await refused("issue", name)).toBe("2 NAME_INVALID");
    }
    expect(await refused("issue", "x@y", "--as", "../../x")).toBe("2 NAME_INVALID");
    for (const days of ["0", "40000", "ten"]) expect(await refused("ca", "--days", days)).toBe("2 USAGE");
    expect(readFileSync(path("ca.key"))).toEqual(before);
  });

  it("renews in one command what is due, keeps what was replaced, and goes back", async () => {
    await done("ca", "--days", "3650");
    await done("issue", SHOP);
    await done("issue", "desk@home.example", "--days", "30");
    day = 25;
    const renewed = await done("renew");
    expect(renewed["certificates"]).toMatchObject([
      { file: "desk@home.example.crt", outcome: "renewed", notAfterMs: START + (25 + 365) * DAY_MS },
      { file: `${SHOP}.crt`, outcome: "not-due" },
    ]);
    expect(renewed).toMatchObject({ files: ["desk@home.example.crt"], backup: path("backups/20260126T000000Z") });
    expect(verify("desk@home.example.crt", "sslclient")).toContain(": OK");
    const current = readFileSync(path("desk@home.example.crt"), "utf8");
    expect(await done("rollback")).toMatchObject({ undone: "renew", files: ["desk@home.example.crt"] });
    expect(readFileSync(path("desk@home.example.crt"), "utf8")).not.toBe(current);
    await done("rollback");
    expect(readFileSync(path("desk@home.example.crt"), "utf8")).toBe(current);
    expect(await refused("rollback", "20200101T000000Z")).toBe("2 BACKUP_NOT_FOUND");
    // 340 days are left, nearly the whole of its life.
    expect((await done("renew", SHOP, "--within", "340"))["certificates"]).toMatchObject([{ outcome: "not-due" }]);
    expect((await done("renew", SHOP, "--within", "341"))["certificates"]).toMatchObject([{ outcome: "renewed" }]);
    expect(await refused("renew", "nobody")).toBe("2 CERT_UNKNOWN");
    day = 3640;
    expect((await told("renew", `${SHOP}.crt`)).out).toMatch(/renewed +2035-12-30/);
    // The CA ends in two days, and so would whatever it issues.
    day = 3648;
    const late = await certs("renew", SHOP);
    expect(late).toMatchObject({
      exit: 1,
      error: { reason: "CERT_NOT_RENEWED" },
      result: { certificates: [{ outcome: "ca-ends" }], files: [] },
    });
  });

  it("rotates the CA in steps, and says where that stands", async () => {
    await done("ca", "--days", "3650");
    await done("issue", SHOP);
    expect(await done("rotate-ca")).toMatchObject({ phase: "steady", next: "trust" });
    expect(await refused("rotate-ca", "issue")).toBe("2 CA_ROTATION_STEP");
    expect(await refused("rotate-ca", "all")).toBe("2 USAGE");
    expect(await done("rotate-ca", "trust")).toMatchObject({ changed: true, phase: "trusted", ofOld: [SHOP] });
    day = 0.9;
    expect(await refused("rotate-ca", "issue")).toBe("2 CA_ROTATION_EARLY");
    day = 1;
    expect(await done("rotate-ca", "issue")).toMatchObject({
      phase: "issued",
      issuer: "Sallyport CA G2",
      certificates: [{ file: `${SHOP}.crt`, outcome: "renewed" }],
    });
    expect(verify(`${SHOP}.crt`, "sslserver")).toContain(": OK");
    expect(await refused("rotate-ca", "drop")).toBe("2 CA_ROTATION_EARLY");
    expect(await done("rotate-ca", "drop", "--overlap", "0s")).toMatchObject({ phase: "steady", changed: true });
    expect(await done("rotate-ca", "drop")).toMatchObject({ changed: false });
    expect(verify(`${SHOP}.crt`, "sslserver")).toContain(": OK");
    expect(new X509Certificate(readFileSync(path("ca.crt"))).subject).toBe("CN=Sallyport CA G2");
    expect((await told("rotate-ca")).out).toContain("next step  trust");
  });

  it("shows what stands in certificates, as OpenSSL says it, and no key", async () => {
    await done("ca");
    await done("issue", SHOP);
    day = 100;
    const { certificates } = (await done("show", `data/tls/${SHOP}.crt`)) as { certificates: readonly Fields[] };
    const at = path(`${SHOP}.crt`);
    const serial = openssl("x509", "-noout", "-serial", "-in", at).trim().replace("serial=", "");
    const fingerprint = openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", at).trim().replace(/^.*=/, "");
    expect(certificates).toMatchObject([
      {
        file: at,
        subject: `CN=${SHOP}`,
        issuer: "CN=Sallyport CA",
        names: [`URI:dist://${SHOP}`, "DNS:db1.example"],
        serial,
        fingerprint,
        key: "EC P-256",
        signature: "ECDSA with SHA-256",
        daysLeft: 265,
        chain: ["CN=Sallyport CA"],
        notAfterMs: START + 365 * DAY_MS,
      },
    ]);
    rmSync(path("ca.key"));
    rmSync(path(`${SHOP}.key`));
    writeFileSync(path("broken.crt"), "nothing");
    const { out, err } = await told("show");
    expect(out).toContain("265 days left");
    expect(out).toContain(`URI:dist://${SHOP}, DNS:db1.example`);
    expect(err).toContain("broken.crt");
    expect(await refused("show", "nobody.crt")).toBe("2 CERT_FILE_MISSING");
  });
});

describe("sallyport certs check", () => {
  async function cluster(): Promise<void> {
    await done("ca", "--days", "3650", "--dir", "ca");
    await done("issue", SHOP, "--as", "node", "--dir", "ca");
    mkdirSync(join(home, "data/tls"), { recursive: true });
    for (const file of ["node.crt", "node.key", "ca.crt"]) {
      copyFileSync(join(home, "ca", file), path(file));
    }
    chmodSync(join(home, "data/tls"), 0o700);
    configure({});
  }

  function configure(more: Fields, tls: Fields = {}): void {
    const files = { certFile: "data/tls/node.crt", keyFile: "data/tls/node.key", caFile: "data/tls/ca.crt" };
    writeFileSync(join(home, "sallyport.jsonc"), JSON.stringify({ name: SHOP, tls: { ...files, ...tls }, ...more }));
  }

  it("finds nothing in what certs makes, with the CA's key elsewhere", async () => {
    await cluster();
    const clean = await certs("check", "--strict");
    expect(clean).toMatchObject({ exit: 0, result: { findings: [], errors: 0 } });
    expect(clean.result["checked"]).toEqual([join(home, "sallyport.jsonc"), join(home, "data/tls")]);
    expect((await told("check")).out).toContain("ok");
  });

  it("warns of a CA key beside a node's, which is an error in profile strict", async () => {
    await cluster();
    copyFileSync(join(home, "ca/ca.key"), path("ca.key"));
    const standard = await certs("check");
    expect([standard.exit, codes(standard)]).toEqual([0, ["warning CA_KEY_BESIDE", "warning CA_KEY_BESIDE"]]);
    configure({ profile: "strict" });
    expect((await certs("check")).exit).toBe(1);
    expect(await certs("check", "--strict")).toMatchObject({ exit: 1, error: { reason: "CERTS_FAULTY" } });
  });

  it.each<[string, readonly string[], number, () => Promise<void> | void]>([
    ["a certificate near its end", ["warning CERT_ENDING"], 250, () => undefined],
    ["one that has ended", ["error CERT_EXPIRED"], 366, () => undefined],
    ["one that has not begun", ["error CERT_NOT_YET_VALID", "error CERT_NOT_YET_VALID"], -1, () => undefined],
    ["a certificate for another node", ["error CERT_NAME_MISMATCH"], 0, () => configure({ name: "desk@db1.example" })],
    [
      "a key of another certificate",
      ["error KEY_CERT_MISMATCH"],
      0,
      () => copyFileSync(join(home, "ca/ca.key"), path("node.key")),
    ],
    ["no certificate", ["error CERT_FILE_MISSING"], 0, () => rmSync(path("node.crt"))],
    ["no key", ["error CERT_FILE_MISSING"], 0, () => rmSync(path("node.key"))],
    ["rubbish", ["error CERT_PARSE"], 0, () => writeFileSync(path("node.crt"), "x")],
    ["a key that others can read", ["warning KEY_PERMISSIONS"], 0, () => chmodSync(path("node.key"), 0o644)],
    [
      "a folder that others can write",
      ["warning KEY_DIRECTORY_WRITABLE"],
      0,
      () => chmodSync(join(home, "data/tls"), 0o777),
    ],
    [
      "another CA",
      ["error CERT_UNKNOWN_ISSUER"],
      0,
      async () => {
        await done("ca", "--dir", "other");
        copyFileSync(join(home, "other/ca.crt"), path("ca.crt"));
      },
    ],
    [
      "a node's certificate in the CA file",
      ["error NOT_A_CA"],
      0,
      () => append("ca.crt", readFileSync(path("node.crt"), "utf8")),
    ],
    ["public CAs", ["warning CA_NOT_DEDICATED"], 0, () => append("ca.crt", rootCertificates.slice(0, 3).join("\n"))],
    ["a rotation that was begun", ["warning ROTATION_OPEN"], 0, begunRotation],
    [
      "a change that was left in the middle",
      ["warning CHANGE_PENDING"],
      0,
      () => writeFileSync(path("certs.pending"), "{}"),
    ],
  ])("finds %s", async (_, expected, afterDays, spoil) => {
    await cluster();
    await Promise.resolve(spoil());
    day = afterDays;
    const ran = await certs("check", "data/tls", "sallyport.jsonc");
    expect([...new Set(codes(ran))].filter((code) => code !== "warning CA_KEY_BESIDE")).toEqual([...new Set(expected)]);
    expect(ran.exit).toBe(expected.some((code) => code.startsWith("error")) ? 1 : 0);
    expect((await certs("check", "--strict")).exit).toBe(1);
  });

  function append(file: string, text: string): void {
    writeFileSync(path(file), `${readFileSync(path(file), "utf8")}\n${text}`);
  }

  async function begunRotation(): Promise<void> {
    copyFileSync(join(home, "ca/ca.key"), path("ca.key"));
    await done("rotate-ca", "trust");
  }

  it("finds the weak ground of certificates that plain openssl makes", async () => {
    await cluster();
    const at = (file: string): string => path(file);
    const subject = ["-subj", `/CN=${SHOP}`];
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "900",
      "-subj",
      "/CN=DistributeCA",
      "-keyout",
      at("x.key"),
      "-out",
      at("ca.crt"),
    );
    openssl("req", "-newkey", "rsa:1024", "-nodes", ...subject, "-keyout", at("node.key"), "-out", at("node.csr"));
    openssl(
      "x509",
      "-req",
      "-sha1",
      "-in",
      at("node.csr"),
      "-CA",
      at("ca.crt"),
      "-CAkey",
      at("x.key"),
      "-days",
      "900",
      "-out",
      at("node.crt"),
    );
    day = (Date.now() - START) / DAY_MS;
    const ran = await certs("check", "sallyport.jsonc");
    expect(codes(ran)).toEqual(["warning CERT_WEAK_PROFILE", "warning KEY_WEAK", "warning SIGNATURE_WEAK"]);
  });

  /** An ssl_dist.conf with the files of the cluster; `server` and `client` are further options. */
  function erlang(file: string, server: string, client: string = ""): void {
    const files = `{cacertfile, "${path("ca.crt")}"}, {certfile, "${path("node.crt")}"}, {keyfile, "${path("node.key")}"}`;
    const side = (name: string, more: string): string => `{${name}, [${files}, {verify, verify_peer}${more}]}`;
    const demanded = server.includes("fail_if_no_peer_cert") ? server : `, {fail_if_no_peer_cert, true}${server}`;
    writeFileSync(join(home, file), `[${side("server", demanded)},\n ${side("client", client)}].\n`);
  }

  it("reads the ssl_dist.conf of Erlang nodes, and the vm.args that names one", async () => {
    await cluster();
    erlang("ssl_dist.conf", ", {secure_renegotiate, true}, {versions, ['tlsv1.3', 'tlsv1.2']}");
    expect(await certs("check", "ssl_dist.conf", "sallyport.jsonc", "--strict")).toMatchObject({
      exit: 0,
      result: { findings: [] },
    });
    writeFileSync(join(home, "vm.args"), `-name ${SHOP}\n-proto_dist inet_tls\n-ssl_dist_optfile ssl_dist.conf\n`);
    expect(await certs("check", "vm.args")).toMatchObject({ exit: 0, result: { findings: [] } });
    writeFileSync(
      join(home, "vm.args"),
      "-name desk@db1.example\n-proto_dist inet_tls\n-ssl_dist_optfile ssl_dist.conf\n",
    );
    expect(codes(await certs("check", "vm.args"))).toEqual(["error CERT_NAME_MISMATCH"]);
  });

  it.each<[string, string, string, string]>([
    ["verify_none", ", {verify, verify_none}", "", "error VERIFY_DISABLED"],
    ["no demand for a certificate", ", {fail_if_no_peer_cert, false}", "", "error CLIENT_CERT_OPTIONAL"],
    ["code", ", {verify_fun, {fun(_, _, S) -> {valid, S} end, []}}", "", "error CONF_OPTION_UNSUPPORTED"],
    ["a misspelled option", ", {verfy, verify_peer}", "", "error CONF_OPTION_UNKNOWN"],
    [
      "sides without a common version",
      ", {versions, ['tlsv1.3']}",
      ", {versions, ['tlsv1.2']}",
      "error VERSIONS_DISJOINT",
    ],
    [
      "sides without a common suite",
      ", {versions, ['tlsv1.2']}, {ciphers, [\"ECDHE-ECDSA-AES256-GCM-SHA384\"]}",
      ", {versions, ['tlsv1.2']}, {ciphers, [\"ECDHE-ECDSA-CHACHA20-POLY1305\"]}",
      "error CIPHERS_DISJOINT",
    ],
    ["a version without suites", ', {ciphers, ["TLS_AES_256_GCM_SHA384"]}', "", "warning VERSION_WITHOUT_CIPHERS"],
  ])("finds %s in an ssl_dist.conf", async (_, server, client, expected) => {
    await cluster();
    erlang("ssl_dist.conf", server, client);
    const ran = await certs("check", "ssl_dist.conf");
    expect(codes(ran)).toEqual([expected]);
    expect(ran.exit).toBe(expected.startsWith("error") ? 1 : 0);
  });

  it("finds every fault of an ssl_dist.conf and of a vm.args at once, and looks at the certificates all the same", async () => {
    await cluster();
    const more = ", {verify, verify_none}, {fail_if_no_peer_cert, false}, {verfy, verify_peer}, {depth, deep}";
    erlang("ssl_dist.conf", more, ", {versions, ['sslv3']}");
    const flags = ["-name desk@db1.example", "-setcookie", "-kernel net_ticktime soon inet_dist_listen_min x"];
    writeFileSync(join(home, "vm.args"), `${flags.join("\n")}\n-ssl_dist_optfile ssl_dist.conf\n`);
    const ran = await certs("check", "vm.args");
    expect([...codes(ran)].sort()).toEqual(
      [
        "error CERT_NAME_MISMATCH",
        "error CLIENT_CERT_OPTIONAL",
        "error CONF_OPTION_UNKNOWN",
        "error CONF_VALUE",
        "error VERIFY_DISABLED",
        "error VERSION_UNKNOWN",
        "error VMARGS_VALUE",
        "error VMARGS_VALUE",
      ].sort(),
    );
    expect(ran.exit).toBe(1);
  });

  it("compares the nodes of several files: two that share no version cannot talk", async () => {
    await cluster();
    configure({}, { minVersion: "TLSv1.3" });
    copyFileSync(join(home, "sallyport.jsonc"), join(home, "other.jsonc"));
    expect(await certs("check", "sallyport.jsonc", "other.jsonc")).toMatchObject({ exit: 0 });
    expect(await refused("check", "nowhere")).toBe("2 CHECK_UNREADABLE");
    writeFileSync(join(home, "sallyport.jsonc"), "{");
    expect(await refused("check", "sallyport.jsonc")).toBe("2 CONFIG_SYNTAX");
    expect(existsSync(join(home, "data/audit"))).toBe(false);
    expect(readdirSync(home).sort()).toEqual(["ca", "data", "other.jsonc", "sallyport.jsonc"]);
  });
});
