import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, failure, type Rig, useRig } from "./rig.ts";

const FIXTURES = new URL("../fixtures/erlang-config/production/", import.meta.url);

/** An option file for a node, with options that both sides have; `caFile` is for dialling. */
async function confOf(rig: Rig, name: string, options: string, caFile = rig.authority.caFile): Promise<string> {
  const { certFile, keyFile } = await rig.authority.issue(name);
  const side = (ca: string): string =>
    `{cacertfile, "${ca}"}, {certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {verify, verify_peer}, ${options}`;
  const file = join(rig.home, `${name}.conf`);
  writeFileSync(
    file,
    `%% of ${name}\n[{server, [${side(rig.authority.caFile)}, {fail_if_no_peer_cert, true}]},\n {client, [${side(caFile)}]}].\n`,
  );
  return file;
}

/** A node whose TLS is what an option file says. */
async function fromFile(rig: Rig, name: string, options: string, caFile?: string): Promise<Node> {
  const { tls: _tls, ...rest } = await rig.options(name);
  const node = await createNode({ ...rest, sslDistOptfile: await confOf(rig, rest.name, options, caFile) });
  rig.closes(() => node.close({ timeoutMs: 0 }));
  return node;
}

const TLS13 = "{versions, ['tlsv1.3']}, {ciphers, [\"TLS_AES_128_GCM_SHA256\"]}, {supported_groups, [secp384r1]}";
const TLS12 = `{versions, ['tlsv1.2']}, {ciphers, [#{key_exchange => ecdhe_ecdsa, cipher => chacha20_poly1305, mac => aead, prf => sha256}]}`;

describeWithErlang("one ssl_dist.conf for Erlang and Sallyport", () => {
  const t = useRig("tls", async (rig) => {
    const erlang = async (name: string, options: string) =>
      rig.erlang(name, { sslOptions: await confOf(rig, `${name}@127.0.0.1`, options) });
    const [beam13, beam12, node13, node12] = await Promise.all([
      erlang("beam13", TLS13),
      erlang("beam12", TLS12),
      fromFile(rig, "node13", TLS13),
      fromFile(rig, "node12", TLS12),
    ]);
    return { beam13, beam12, node13, node12 };
  });

  it.each([
    ["13", { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256" }],
    ["12", { version: "TLSv1.2", cipher: "ECDHE-ECDSA-CHACHA20-POLY1305" }],
  ] as const)("version and suite are those of the file, whoever dials (%s)", async (which, tls) => {
    const [beam, node] = which === "13" ? [t.beam13, t.node13] : [t.beam12, t.node12];
    expect(await node.connect(beam.name)).toMatchObject({ assurance: "ca", tls });
    expect(await node.rpc(beam.name, "lists", "reverse", [[1, 2, 3]])).toEqual([3, 2, 1]);
    node.disconnect(beam.name);
    await eventually(async () => expect(await beam.erl("nodes(connected)")).toBe("[]"));
    expect(await beam.erl(`net_adm:ping('${node.name}')`)).toBe("pong");
    expect(node.peers()).toMatchObject([{ name: beam.name, tls }]);
    node.disconnect(beam.name);
  });

  it("between Sallyport nodes too", async () => {
    const other = await fromFile(t.rig, "other13", TLS13);
    expect(await other.connect(t.node13.name)).toMatchObject({
      tls: { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256" },
    });
  });

  it("versions without overlap do not connect, in either direction", async () => {
    const error = await failure(t.node13.connect(t.beam12.name));
    expect(error).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "TLS_ALERT_PROTOCOL_VERSION" });
    expect(await t.beam12.erl("net_adm:ping('node13@127.0.0.1')")).toBe("pang");
  });

  it("another CA for dialling alone: others get in, and it gets out to nobody", async () => {
    const foreign = join(t.rig.home, "foreign.crt");
    const key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3"];
    execFileSync("openssl", [...key, "-subj", "/CN=foreign", "-keyout", `${foreign}.key`, "-out", foreign], {
      stdio: "ignore",
    });
    const node = await fromFile(t.rig, "halfway", TLS13, foreign);
    expect(await t.beam13.erl("net_adm:ping('halfway@127.0.0.1')")).toBe("pong");
    node.disconnect(t.beam13.name);
    expect(await failure(node.connect(t.beam12.name))).toMatchObject({ reason: "TLS_ALERT_PROTOCOL_VERSION" });
    await eventually(async () => expect(await t.beam13.erl("nodes(connected)")).toBe("[]"));
    expect(await failure(node.connect(t.beam13.name))).toMatchObject({
      code: "ERR_DENIED",
      reason: "CERT_UNKNOWN_ISSUER",
    });
  });
});

describeWithErlang("the files and commands of the TLS guide", () => {
  const t = useRig("tls", async () => ({}));

  it("a Sallyport node from them dials the Erlang node from them", async () => {
    const { rig } = t;
    const certs = join(rig.home, "certs");
    mkdirSync(certs);
    // The commands of the guide; the name in the certificate is that of the node.
    const sh = (script: string): unknown => execFileSync("sh", ["-ec", script], { cwd: certs, stdio: "ignore" });
    sh(
      'openssl genrsa -out ca.key 4096; openssl req -x509 -new -nodes -key ca.key -sha256 -days 365 -out ca.crt -subj "/CN=DistributeCA"',
    );
    const issue = (name: string, file: string): unknown =>
      sh(
        `openssl genrsa -out ${file}.key 2048; openssl req -new -key ${file}.key -out ${file}.csr -subj "/CN=${name}"; ` +
          `openssl x509 -req -in ${file}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out ${file}.crt -days 365 -sha256`,
      );
    // The files of the guide, with the directory and the host of this test; erl fills in no variable (so the cookie is written).
    const files = (name: string, own: string, cookie: string): string => {
      issue(name, own);
      const conf = readFileSync(new URL("ssl_dist.conf", FIXTURES), "utf8");
      const args = readFileSync(new URL("vm.args", FIXTURES), "utf8");
      const [confFile, argsFile] = [join(rig.home, `${own}.conf`), join(rig.home, `${own}.args`)];
      writeFileSync(
        confFile,
        conf.replaceAll("/etc/distribute/certs/node", join(certs, own)).replaceAll("/etc/distribute/certs", certs),
      );
      writeFileSync(
        argsFile,
        args
          .replace("myapp@myhost.example.com", name)
          .replace("/etc/distribute/ssl_dist.conf", confFile)
          .replace("${ERLANG_COOKIE}", cookie),
      );
      return argsFile;
    };
    const beam = spawn(
      "erl",
      [
        ...["-noshell", "-noinput", "-start_epmd", "false", "-args_file", files("myapp@127.0.0.1", "beam", COOKIE)],
        ...["-eval", 'io:format("up ~s~n", [node()]), receive stop -> ok end.'],
      ],
      {
        cwd: rig.home,
        env: { ...process.env, HOME: rig.home, ERL_CRASH_DUMP: "/dev/null", ERL_EPMD_PORT: String(rig.epmd.port) },
      },
    );
    rig.closes(() => beam.kill("SIGKILL"));
    let output = "";
    for (const stream of [beam.stdout, beam.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await eventually(() => expect(output).toContain("up myapp@127.0.0.1"));

    const environment = (name: string): string | undefined => (name === "ERLANG_COOKIE" ? COOKIE : undefined);
    const vmArgs = { file: files("sally@127.0.0.1", "sally", "${ERLANG_COOKIE}"), environment };
    const node = await createNode({ vmArgs, epmdPort: rig.epmd.port });
    rig.closes(() => node.close({ timeoutMs: 0 }));
    const warnings: string[] = [];
    node.on("warning", ({ reason }) => warnings.push(reason));
    expect(node.endpoints).toEqual([expect.stringMatching(/^tls:\/\/0\.0\.0\.0:91\d\d$/)]);
    expect(await node.connect("myapp@127.0.0.1")).toMatchObject({ assurance: "ca", tls: { version: "TLSv1.3" } });
    expect(await node.rpc("myapp@127.0.0.1", "erlang", "node", [])).toMatchObject({ name: "myapp@127.0.0.1" });
    await eventually(() => expect(warnings).toContain("CONF_NO_EFFECT"));
  });
});
