import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { Fault } from "../../src/base/diagnosis.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { TlsOption } from "../../src/node/options.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import {
  DAY_MS,
  DoctorRig,
  everything,
  failedStage,
  type Issue,
  MovedClock,
  type RecordedNode,
} from "../integration/doctor-rig.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, useRig } from "./rig.ts";

/** How the Sallyport node of a row is made. */
interface Side {
  readonly issue?: Issue;
  readonly bare?: boolean;
  readonly tls?: object;
  readonly cookie?: string;
  readonly startsDaysOff?: number;
}

interface Row {
  readonly what: string;
  /** The Erlang node: `main`, of the usual CA; `other`, of another CA, trusts both; `modern`, TLS 1.3 with one suite; `plain`. */
  readonly beam: "main" | "other" | "modern" | "plain";
  readonly side?: Side;
  readonly code: string;
  readonly fault: Fault;
}

const EXPIRED: Side = { issue: { by: "old", trusts: ["root", "old"], fromDays: -10, days: 5 }, startsDaysOff: -8 };

const DIALLED: readonly Row[] = [
  { what: "an Erlang node of another CA", beam: "other", code: "CERT_UNKNOWN_ISSUER", fault: "remote" },
  {
    what: "a certificate of ours that the Erlang node does not trust",
    beam: "main",
    side: { issue: { by: "other", trusts: ["root", "other"] } },
    code: "CERT_UNKNOWN_ISSUER",
    fault: "local",
  },
  { what: "a certificate of ours that has expired", beam: "main", side: EXPIRED, code: "CERT_EXPIRED", fault: "local" },
  {
    what: "an intermediate that we leave out",
    beam: "modern",
    side: { issue: { by: "i1", chain: [] } },
    code: "CHAIN_INCOMPLETE",
    fault: "local",
  },
  {
    what: "TLS 1.2 alone on our side",
    beam: "modern",
    side: { tls: { maxVersion: "TLSv1.2" } },
    code: "TLS_VERSION_MISMATCH",
    fault: "either",
  },
  {
    what: "suites without overlap",
    beam: "modern",
    side: { tls: { ciphers: ["TLS_AES_128_GCM_SHA256"] } },
    code: "CIPHER_MISMATCH",
    fault: "either",
  },
  { what: "an Erlang node without TLS", beam: "plain", code: "NOT_A_TLS_PEER", fault: "remote" },
  {
    what: "two cookies",
    beam: "main",
    side: { cookie: "not-the-cookie-of-it" },
    code: "SECRET_MISMATCH",
    fault: "either",
  },
];

const DIALLING: readonly Row[] = [
  { what: "an Erlang node of another CA", beam: "other", code: "CERT_UNKNOWN_ISSUER", fault: "remote" },
  {
    what: "a certificate of ours that the Erlang node does not trust",
    beam: "main",
    side: { issue: { by: "other", trusts: ["root", "other"] } },
    code: "CERT_UNKNOWN_ISSUER",
    fault: "local",
  },
  { what: "a certificate of ours that has expired", beam: "main", side: EXPIRED, code: "CERT_EXPIRED", fault: "local" },
  {
    what: "a certificate of ours that names the node in its common name alone",
    beam: "main",
    side: { bare: true },
    code: "CERT_NAME_MISMATCH",
    fault: "local",
  },
  {
    what: "TLS 1.2 alone on our side",
    beam: "modern",
    side: { tls: { maxVersion: "TLSv1.2" } },
    code: "TLS_VERSION_MISMATCH",
    fault: "either",
  },
  {
    what: "suites without overlap",
    beam: "modern",
    side: { tls: { minVersion: "TLSv1.3", ciphers: ["TLS_AES_128_GCM_SHA256"] } },
    code: "CIPHER_MISMATCH",
    fault: "either",
  },
  { what: "an Erlang node without TLS", beam: "plain", code: "NOT_A_TLS_PEER", fault: "remote" },
  {
    what: "two cookies",
    beam: "main",
    side: { cookie: "not-the-cookie-of-it" },
    code: "SECRET_MISMATCH",
    fault: "either",
  },
];

/** An option file for Erlang; `more` for both sides. */
function optionFile({ certFile, keyFile, caFile }: TlsOption, more = ""): string {
  const side = `{certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {cacertfile, "${caFile}"}, {verify, verify_peer}${more}`;
  const file = `${certFile}.conf`;
  writeFileSync(file, `[{server, [${side}, {fail_if_no_peer_cert, true}]}, {client, [${side}]}].\n`);
  return file;
}

describeWithErlang("the doctor and Erlang nodes", () => {
  const t = useRig("tls", async (rig) => {
    const own = await DoctorRig.make(rig.epmd.port);
    rig.closes(() => own.stop());
    const beam = async (name: string, issue: Issue, more?: string) =>
      rig.erlang(name, { sslOptions: optionFile(await own.tls(`${name}@127.0.0.1`, issue), more) });
    const suite = ", {versions, ['tlsv1.3']}, {ciphers, [\"TLS_AES_256_GCM_SHA384\"]}";
    const [main, other, modern, plain] = await Promise.all([
      beam("main", { by: "i1", hostOnly: true, trusts: ["root", "old"] }),
      beam("other", { by: "other", trusts: ["root", "other"] }),
      beam("modern", { by: "i1" }, suite),
      rig.plainErlang("plain"),
    ]);
    let count = 0;
    const node = async (side: Side = {}): Promise<RecordedNode> => {
      const name = `sally${++count}@127.0.0.1`;
      const clock = new MovedClock((side.startsDaysOff ?? 0) * DAY_MS);
      const files = side.bare === true ? own.bare(name) : await own.tls(name, side.issue);
      const made = await own.node(
        {
          name,
          cookie: side.cookie ?? COOKIE,
          epmd: "register",
          epmdPort: rig.epmd.port,
          listen: ["tls://127.0.0.1:0"],
          tls: { ...files, ...side.tls },
        },
        clock,
      );
      clock.movedMs = 0;
      return made;
    };
    return { own, node, beams: { main, other, modern, plain } };
  });

  it("all stages are in order, and the clocks are compared", async () => {
    const dialling = await t.node();
    const report = await t.own.examine(dialling, t.beams.main.name);
    expect(report.failure).toBeUndefined();
    expect(report.stages.map(({ state }) => state)).toEqual(report.stages.map(() => "ok"));
    expect(report.notes).toEqual([]);
    const skew = report.stages.at(-1)?.evidence["clockSkewMs"];
    expect(Math.abs(Number(skew))).toBeLessThan(60_000);
  });

  it.each(DIALLED)("dialling: $what is $code", async ({ beam, side, code, fault }) => {
    const dialling = await t.node(side);
    const target = t.beams[beam].name;
    const report = await t.own.examine(dialling, target, 12_000);
    expect(report.failure?.diagnosis).toMatchObject({ code, fault });
    const fix = report.failure?.diagnosis.fix ?? "";
    if (fault === "local") expect(fix).toContain(`on this node, ${dialling.node.name}: `);
    if (fault === "remote") expect(fix).toContain(`on the other node, ${target}: `);
    expect(failedStage(report)).toBeDefined();
    const said = everything(report, dialling);
    for (const secret of [COOKIE, "not-the-cookie-of-it", "PRIVATE KEY"]) expect(said).not.toContain(secret);
  });

  it("dialling: another node at the address is PEER_NAME_MISMATCH, and EPMD says who is there", async () => {
    const dialling = await t.node();
    const names = await t.beams.main.erl('{ok, Names} = erl_epmd:names(), proplists:get_value("main", Names)');
    const report = await t.own.examine(dialling, `wanted@127.0.0.1:${names}`);
    const expected = { code: "PEER_NAME_MISMATCH", stage: "identity", fault: "local" };
    expect(report.failure?.diagnosis).toMatchObject(expected);
    expect(failedStage(report)?.evidence).toMatchObject({
      epmd: expect.arrayContaining([`main at port ${names}`]),
    });
  });

  it.each(DIALLING)("dialled by it: $what is $code", async ({ beam, side, code, fault }) => {
    const accepting = await t.node(side);
    expect(await t.beams[beam].erl(`net_adm:ping('${accepting.node.name}')`)).toBe("pang");
    expect(await accepting.diagnosed(code)).toMatchObject({ code, fault });
    expect(accepting.said.join("\n")).not.toContain(COOKIE);
  });

  it("dialled by it under another name is PEER_NAME_MISMATCH", async () => {
    const accepting = await t.node({ issue: { hostOnly: true } });
    const parts = { sockets: t.own.world.sockets, clock: t.own.world.clock, port: t.own.world.epmdPort };
    const alias = await registerAtEpmd(parts, "127.0.0.1", epmdEntry("wanted", accepting.port, true));
    t.rig.closes(() => alias.close());
    expect(await t.beams.main.erl("net_adm:ping('wanted@127.0.0.1')")).toBe("pang");
    expect(await accepting.diagnosed("PEER_NAME_MISMATCH")).toMatchObject({ stage: "identity", fault: "remote" });
  });

  it("what OTP's dialler refuses is what the note says", async () => {
    const bare = await t.node({ bare: true });
    const report = await t.own.examine(bare, t.beams.main.name);
    // Dialling with it works, being dialled does not: the row above.
    expect(report.failure).toBeUndefined();
    expect(report.notes).toMatchObject([{ code: "CERT_NOT_FOR_ERLANG" }]);
  });
});
