import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { type CertificatePaths, createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import type { BeamNode } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, failure, issueParts, type Rig, TRANSPORTS, useRig } from "./rig.ts";

const DAY_MS = 86_400_000;

/** The reasons for which a node turned down connections that came in. */
function refusals(node: Node): string[] {
  const reasons: string[] = [];
  node.on("refused", ({ role, error }) => role === "acceptor" && reasons.push(error.reason));
  return reasons;
}

/** The BEAM dials and fails; resolves with the reason on our side. */
async function refusedInbound(beam: BeamNode, node: Node, reasons: string[]): Promise<string> {
  const before = reasons.length;
  expect(await beam.erl(`net_adm:ping('${node.name}')`)).toBe("pang");
  await eventually(() => expect(reasons.length).toBeGreaterThan(before));
  expect(node.peers()).toEqual([]);
  return reasons[before] ?? "";
}

for (const transport of TRANSPORTS) {
  describeWithErlang(`refusals over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
      return { beam, node, reasons: refusals(node) };
    });

    it("a wrong cookie of ours is SECRET_MISMATCH, and the BEAM says so in its log", async () => {
      const stranger = await t.rig.sallyport("stranger", { cookie: "not the cookie of the tests" });
      const error = await failure(stranger.connect(t.beam.name));
      expect(error).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH", stage: "cookie" });
      expect(JSON.stringify({ ...error, message: error.message })).not.toContain("not the cookie");
      await eventually(() => expect(t.beam.output).toMatch(/Invalid challenge reply/));
      expect(await t.beam.erl("nodes(connected)")).toBe("[]");
    });

    it("a BEAM with a wrong cookie is refused as SECRET_MISMATCH", async () => {
      await t.beam.erl(`erlang:set_cookie('sally@127.0.0.1', wrong)`);
      expect(await refusedInbound(t.beam, t.node, t.reasons)).toBe("SECRET_MISMATCH");
      await t.beam.erl(`erlang:set_cookie('sally@127.0.0.1', '${COOKIE}')`);
      expect(await t.beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pong");
      t.node.disconnect(t.beam.name);
    });

    it("a cookie for one peer alone works both ways", async () => {
      const cookie = { default: "the default, which nobody uses", peers: { [t.beam.name]: "between-the-two-of-us" } };
      const node = await t.rig.sallyport("special", { cookie });
      await t.beam.erl("erlang:set_cookie('special@127.0.0.1', 'between-the-two-of-us')");
      await node.ping(t.beam.name);
      node.disconnect(t.beam.name);
      await eventually(async () => expect(await t.beam.erl("nodes(connected)")).toBe("[]"));
      expect(await t.beam.erl("net_adm:ping('special@127.0.0.1')")).toBe("pong");
    });

    // Over TLS, OTP 25 compares the hosts in the certificate instead of the node name, so only plain TCP shows this status.
    if (transport === "tcp") {
      it("a BEAM that does not allow our name is NOT_ALLOWED", async () => {
        const strict = await t.rig.erlang("strict");
        expect(await strict.erl("net_kernel:allow(['somebody@127.0.0.1'])")).toBe("ok");
        expect(await failure(t.node.connect(strict.name))).toMatchObject({ code: "ERR_DENIED", reason: "NOT_ALLOWED" });
        await eventually(() => expect(strict.output).toMatch(/disallowed node/));
      });
    }

    it("another node at the address of the dialled one is PEER_NAME_MISMATCH", async () => {
      const port = Number(await t.beam.erl("interop:dist_port()"));
      const node = await t.rig.sallyport("lost", { resolve: { "other@127.0.0.1": `127.0.0.1:${port}` } });
      const error = await failure(node.connect("other@127.0.0.1"));
      // Over TLS the certificate says it first.
      const reason = transport === "tls" ? "CERT_NAME_MISMATCH" : "PEER_NAME_MISMATCH";
      expect(error).toMatchObject({ code: "ERR_DENIED", reason });
    });

    it("a BEAM that speaks the other transport is refused by name, both ways", async () => {
      const paths = await t.rig.authority.issue("across@127.0.0.1");
      const sslOptions = transport === "tcp" ? t.rig.authority.writeErlangOptions(paths) : "";
      const across = await otherTransport(t.rig, sslOptions);
      const limits = { maxTlsHandshakeMs: 1_000, maxHandshakeMs: 1_500 };
      const node = await t.rig.sallyport("short", { limits });
      const reasons = refusals(node);
      const error = await failure(node.connect(across.name));
      if (transport === "tls") expect(error).toMatchObject({ code: "ERR_DEADLINE", reason: "HANDSHAKE_TIMEOUT" });
      else expect(error.code).not.toBe("ERR_DENIED");
      const reason = await refusedInbound(across, node, reasons);
      if (transport === "tls") expect(reason).toBe("NOT_A_TLS_PEER");
      else expect(reason).not.toBe("SECRET_MISMATCH");
    });
  });
}

/** A node of the rig's epmd that does not speak the rig's transport. */
function otherTransport(rig: Rig, sslOptions: string): Promise<BeamNode> {
  return sslOptions === "" ? rig.plainErlang("across") : rig.erlang("across", { sslOptions });
}

describeWithErlang("refusals by certificate", () => {
  const t = useRig("tls", async (rig) => {
    // A CA that has been there for a while, so that certificates of it can have expired.
    const past = { ...issueParts(), clock: { wallMs: () => Date.now() - 20 * DAY_MS } as never };
    const old = await createTestAuthority(past, join(rig.home, "old"), { days: 400, commonName: "Old CA" });
    const foreign = await createTestAuthority(issueParts(), join(rig.home, "foreign"), { commonName: "Foreign CA" });
    const node = await rig.sallyport("sally", await ofAuthority(old, "sally@127.0.0.1"));
    return { old, foreign, node, reasons: refusals(node) };
  });
  let count = 0;

  async function ofAuthority(authority: TestAuthority, name: string, days = 200): Promise<Partial<NodeOptions>> {
    const { certFile, keyFile } = await authority.issue(name, { days });
    return { tls: { certFile, keyFile, caFile: authority.caFile } };
  }

  /** A BEAM with a certificate; `trust` is the CA it checks us against. */
  async function beamWith(
    paths: CertificatePaths,
    trust: TestAuthority,
    change = (text: string) => text,
  ): Promise<BeamNode> {
    return t.rig.erlang(`beam${++count}`, { sslOptions: sslFile(paths, trust, change) });
  }

  function sslFile(paths: CertificatePaths, trust: TestAuthority, change: (text: string) => string): string {
    const file = join(t.rig.home, `ssl${count}.conf`);
    const common = `{certfile,"${paths.certFile}"},{keyfile,"${paths.keyFile}"},{cacertfile,"${trust.caFile}"},{verify,verify_peer}`;
    const server = `{server,[${common},{fail_if_no_peer_cert,true}]}`;
    writeFileSync(file, change(`[${server},{client,[${common},{server_name_indication,disable}]}].`));
    return file;
  }

  const nameOfNext = (): string => `beam${count + 1}@127.0.0.1`;

  it("a good certificate of this CA is let in, both ways: the other tests fail for their own reason", async () => {
    const beam = await beamWith(await t.old.issue(nameOfNext(), { days: 200 }), t.old);
    expect(await beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pong");
    t.node.disconnect(beam.name);
    expect((await t.node.ping(beam.name)).peer.assurance).toBe("ca");
    t.node.disconnect(beam.name);
  });

  it("a certificate of a CA we do not know is CERT_UNKNOWN_ISSUER, both ways", async () => {
    const beam = await beamWith(await t.foreign.issue(nameOfNext()), t.old);
    expect(await failure(t.node.connect(beam.name))).toMatchObject({
      code: "ERR_DENIED",
      reason: "CERT_UNKNOWN_ISSUER",
    });
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("CERT_UNKNOWN_ISSUER");
  });

  it("a self-signed certificate is CERT_UNKNOWN_ISSUER, both ways", async () => {
    const beam = await beamWith(await t.foreign.selfSigned(nameOfNext()), t.old);
    expect(await failure(t.node.connect(beam.name))).toMatchObject({ reason: "CERT_UNKNOWN_ISSUER" });
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("CERT_UNKNOWN_ISSUER");
  });

  it("an expired certificate is CERT_EXPIRED, both ways", async () => {
    const beam = await beamWith(await t.old.issue(nameOfNext(), { days: 1 }), t.old);
    expect(await failure(t.node.connect(beam.name))).toMatchObject({ code: "ERR_DENIED", reason: "CERT_EXPIRED" });
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("CERT_EXPIRED");
  });

  it("a certificate for another node is CERT_NAME_MISMATCH, both ways", async () => {
    const beam = await beamWith(await t.old.issue("other@127.0.0.1", { days: 200 }), t.old);
    const error = await failure(t.node.connect(beam.name));
    expect(error).toMatchObject({ code: "ERR_DENIED", reason: "CERT_NAME_MISMATCH" });
    expect(error.message).toContain("dist://other@127.0.0.1");
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("CERT_NAME_MISMATCH");
  });

  it("a dialling BEAM without a certificate is CLIENT_CERT_REQUIRED", async () => {
    const paths = await t.old.issue(nameOfNext(), { days: 200 });
    const withoutClient = (text: string) =>
      text.replace(/\{client,\[\{certfile,"[^"]+"\},\{keyfile,"[^"]+"\},/, "{client,[");
    const beam = await beamWith(paths, t.old, withoutClient);
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("CLIENT_CERT_REQUIRED");
    // It still shows its server certificate, so that we may dial it.
    await t.node.ping(beam.name);
    t.node.disconnect(beam.name);
  });

  it("a BEAM that does not know our CA refuses us by an alert with that reason, both ways", async () => {
    const beam = await beamWith(await t.old.issue(nameOfNext(), { days: 200 }), t.foreign);
    expect(await failure(t.node.connect(beam.name))).toMatchObject({ reason: "TLS_ALERT_UNKNOWN_CA" });
    expect(await refusedInbound(beam, t.node, t.reasons)).toBe("TLS_ALERT_UNKNOWN_CA");
  });

  it("an expired certificate of ours is refused by the BEAM, both ways, with that reason", async () => {
    const own = await ofAuthority(t.old, "expired@127.0.0.1", 1);
    const start = t.rig.sallyport("expired", own);
    // A node that would start with it must at least fail with the reason at each connection.
    const node = await start.catch((error: unknown) => error);
    if (!isNode(node)) {
      expect(node).toMatchObject({ code: "ERR_CONFIG" });
      return;
    }
    const beam = await beamWith(await t.old.issue(nameOfNext(), { days: 200 }), t.old);
    expect(await failure(node.connect(beam.name))).toMatchObject({ reason: "TLS_ALERT_CERTIFICATE_EXPIRED" });
    expect(await refusedInbound(beam, node, refusals(node))).toBe("TLS_ALERT_CERTIFICATE_EXPIRED");
  });
});

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "peers" in value;
}
