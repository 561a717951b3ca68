import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Atom, tuple } from "../../src/term/types.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, failure, TRANSPORTS, useRig } from "./rig.ts";

for (const transport of TRANSPORTS) {
  describeWithErlang(`short names over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam@localhost"), rig.sallyport("sally@localhost")]);
      await beam.erl("interop:server(srv)");
      return { beam, node };
    });

    it("a node with a short name and a BEAM started with -sname reach each other", async () => {
      t.node.register("echo", { call: (request) => request }, { allow: "cookie" });
      expect(await t.beam.erl("gen_server:call({echo,sally@localhost}, hello)")).toBe("hello");
      t.node.disconnect("beam@localhost");
      const target = { name: "srv", node: "beam@localhost" };
      expect(await t.node.call(target, tuple(new Atom("add"), 1, 2))).toBe(3);
      expect(await t.beam.erl("{node(), nodes(hidden)}")).toBe("{beam@localhost,[sally@localhost]}");
    });
  });
}

describeWithErlang("a dot left of the @", () => {
  const t = useRig("tcp", async () => ({}));

  it("stands in the name of no Erlang node, as in none of ours", async () => {
    const name = "a.b@127.0.0.1";
    await expect(t.rig.plainErlang(name)).rejects.toThrow("Invalid node name");
    expect((await t.rig.plainErlang("a_b@127.0.0.1")).name).toBe("a_b@127.0.0.1");
    expect(await failure(t.rig.sallyport(name))).toMatchObject({ code: "ERR_CONFIG", reason: "NAME_INVALID" });
  });
});

describeWithErlang("certificates of a BEAM named by an IP address", () => {
  const t = useRig("tls", async (rig) => ({ node: await rig.sallyport("sally") }));

  /** A certificate for `CN=localpart` made by openssl, with these names and nothing of ours in it. */
  function opensslCertificate(name: string, alternativeNames: string | undefined): string {
    const at = (suffix: string) => join(t.rig.home, `${name}${suffix}`);
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: t.rig.home, stdio: "pipe" });
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", at(".key"), "-out", at(".csr"), "-subj", `/CN=${name}`);
    const names = alternativeNames === undefined ? "" : `subjectAltName=${alternativeNames}\n`;
    writeFileSync(at(".ext"), `basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n${names}`);
    const ca = ["-CA", t.rig.authority.caFile, "-CAkey", join(t.rig.home, "tls", "ca.key"), "-CAcreateserial"];
    openssl("x509", "-req", "-in", at(".csr"), ...ca, "-days", "2", "-extfile", at(".ext"), "-out", at(".crt"));
    return t.rig.authority.writeErlangOptions({ certFile: at(".crt"), keyFile: at(".key") });
  }

  for (const [kind, names] of [
    ["dns", "DNS:127.0.0.1"],
    ["ip", "IP:127.0.0.1"],
    ["both", "DNS:127.0.0.1,IP:127.0.0.1"],
  ] as const) {
    it(`${names} names it, as server and as client`, async () => {
      const beam = await t.rig.erlang(`n_${kind}`, { sslOptions: opensslCertificate(`n_${kind}`, names) });
      expect((await t.node.ping(beam.name)).peer.assurance).toBe("ca");
      t.node.disconnect(beam.name);
      await eventually(async () => expect(await beam.erl("nodes(connected)")).toBe("[]"));
      expect(await beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pong");
      expect(t.node.peers()).toMatchObject([{ name: beam.name, assurance: "ca" }]);
      t.node.disconnect(beam.name);
    });
  }

  it("another address does not", async () => {
    const beam = await t.rig.erlang("n_other", {
      sslOptions: opensslCertificate("n_other", "DNS:10.0.0.1,IP:10.0.0.1"),
    });
    expect(await failure(t.node.connect(beam.name))).toMatchObject({
      code: "ERR_DENIED",
      reason: "CERT_NAME_MISMATCH",
    });
    expect(await beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pang");
  });

  it("a certificate with the whole node name in its CN is taken with a warning, and not under profile strict", async () => {
    const paths = opensslCertificate("n_cn@127.0.0.1", undefined);
    const beam = await t.rig.erlang("n_cn", { sslOptions: paths });
    expect((await t.node.ping(beam.name)).peer.assurance).toBe("ca");
    t.node.disconnect(beam.name);
    const strict = await t.rig.sallyport("strict", { profile: "strict" });
    expect(await failure(strict.connect(beam.name))).toMatchObject({ reason: "CERT_NAME_MISMATCH" });
  });
});
