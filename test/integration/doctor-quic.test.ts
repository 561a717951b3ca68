import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Fault, PROBE_STAGES } from "../../src/base/diagnosis.ts";
import { quicDialer } from "../../src/carrier/quic/quic.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { checkPorts } from "../../src/doctor/machine-ports.ts";
import { knock } from "../../src/quic-engine/udp-knock.ts";
import { ChannelEar } from "./channel-ear.ts";
import { PEER, QuicDoctorRig } from "./doctor-quic-rig.ts";
import { COOKIE, everything, failedStage, type RecordedNode } from "./doctor-rig.ts";
import { engines } from "./engine-processes.ts";
import { rawServer } from "./quic-raw-peer.ts";
import { clock, closeEngines, engine, material } from "./quic-rig.ts";

// Each fault of a connection over QUIC, provoked: stage, code, side at fault and fix, at both ends where both are ours.

/** No deadline ends anything here: what is known sooner is told sooner. */
const PATIENCE_MS = 600_000;
const LIMITS = { maxTlsHandshakeMs: PATIENCE_MS, maxHandshakeMs: PATIENCE_MS };
const OTHER_COOKIE = "another-cookie-of-the-tests";
const FAR = "far@127.0.0.1";
const STRICT = "strict@127.0.0.1";
const GUARDED = "guarded@127.0.0.1";
const NEAR = "near@127.0.0.1";
const SKEWED = "skewed@127.0.0.1";
const GHOST = "ghost@127.0.0.1";
const LONELY = "lonely@127.0.0.1";
const TRAP = "trap@127.0.0.1";
const PINNED = "pinned@127.0.0.1";

/** Code, stage and fault, as one end says them. */
type Seen = readonly [code: string, stage: string, fault: Fault];

/** Two nodes; `at`: the one that really answers, where it is not the one that was dialled. */
type PairRow = readonly [
  what: string,
  from: string,
  to: string,
  near: Seen,
  far: Seen,
  more?: { readonly at?: string; readonly evidence?: object },
];

/** A hostile switch of the conformance peer, what is seen of it, and its options. */
type PeerRow = readonly [attack: string, seen: Seen, evidence: object, fields?: Readonly<Record<string, unknown>>];

/** Rows of a table behind their names. */
function rows<R extends readonly [string, ...(readonly unknown[])]>(
  table: readonly R[],
): readonly (readonly [string, R])[] {
  return table.map((row) => [row[0], row]);
}

let rig: QuicDoctorRig;
const nodes: Record<string, RecordedNode> = {};
/** Where the dialling nodes find a name; a test may set more. */
const addresses = new Map<string, string>();
const resolve = [
  {
    label: "the test",
    resolve: async (name: string) => {
      const [host = "", port = ""] = (addresses.get(name) ?? "").split(":");
      return host === "" ? [] : [{ scheme: "quic" as const, host, port: Number(port) }];
    },
  },
];
const node = (name: string): RecordedNode => nodes[name] as RecordedNode;
const address = (of: string): string => new URL(node(of).node.endpoints[0] ?? "").host;

beforeAll(async () => {
  rig = await QuicDoctorRig.make();
  const listen = ["quic://127.0.0.1:0"];
  const identity = await rig.peer.command("identity");
  expect(identity).toBeDefined();
  const made = await Promise.all([
    rig.node(FAR, { pins: { [PINNED]: "wrong" }, options: { listen } }),
    rig.node(STRICT, { trust: "strict", revokes: [SKEWED, PEER], options: { listen, resolve } }),
    rig.node(GUARDED, {
      pins: { [SKEWED]: "wrong" },
      options: { listen, policy: { version: 1, node: GUARDED, peers: {}, rules: [] } },
    }),
    rig.node(NEAR, {
      cookie: { default: COOKIE, peers: { [GUARDED]: OTHER_COOKIE } },
      options: { resolve, limits: LIMITS },
    }),
    rig.node(SKEWED, { pins: { [PEER]: "wrong" }, skewMs: -300_000, options: { resolve, limits: LIMITS } }),
  ]);
  for (const each of made) nodes[each.node.name] = each;
  for (const each of [FAR, STRICT, GUARDED]) addresses.set(each, address(each));
  addresses.set(GHOST, address(FAR));
});
afterAll(async () => {
  closeEngines();
  await rig.stop();
});
beforeEach(() => {
  for (const each of Object.values(nodes)) each.refused.splice(0);
});

/** Examines from one node; what came of it, in the form of a row, after the checks that every report has to pass. */
async function examined(
  from: string,
  target: string,
): Promise<{ seen: Seen; exit: number; evidence: object; fix: string }> {
  const report = await rig.doctor.examine(node(from), target, PATIENCE_MS);
  const { diagnosis, error } = report.failure ?? {};
  if (diagnosis === undefined || error === undefined)
    throw new Error(`${target} is in order: ${JSON.stringify(report.stages)}`);
  const failed = failedStage(report);
  expect(failed?.stage).toBe(diagnosis.stage);
  const at = PROBE_STAGES.indexOf(diagnosis.stage);
  // Every stage before it is known to be in order, but for the cookie, which is proven after the flags; none behind it was reached.
  const known = report.stages.slice(0, at).filter(({ stage }) => stage !== "cookie");
  expect(known.map(({ stage, state }) => [stage, state])).toEqual(known.map(({ stage }) => [stage, "ok"]));
  for (const { stage, state } of report.stages.slice(at + 1)) expect([stage, state]).toEqual([stage, "not reached"]);
  const where = { local: `on this node, ${from}: `, remote: `on the other node, ${target}: ` };
  if (diagnosis.fault === "local" || diagnosis.fault === "remote") {
    expect(diagnosis.fix).toContain(where[diagnosis.fault]);
  }
  expect(everything(report, ...Object.values(nodes))).not.toMatch(/cookie-of-the|PRIVATE KEY/);
  return {
    seen: [diagnosis.code, diagnosis.stage, diagnosis.fault],
    exit: exitCodeOf(error),
    evidence: failed?.evidence ?? {},
    fix: diagnosis.fix,
  };
}

/** Version Negotiation with nothing but QUIC version 2. RFC 9000 section 17.2.1. */
function onlyVersion2(datagram: Buffer): Buffer {
  const sourceAt = 6 + (datagram[5] ?? 0);
  const source = datagram.subarray(sourceAt, sourceAt + 1 + (datagram[sourceAt] ?? 0));
  return Buffer.concat([
    Buffer.from("c000000000", "hex"),
    source,
    datagram.subarray(5, sourceAt),
    Buffer.from("6b3343cf", "hex"),
  ]);
}

/** What an accepting node says of the attempt that ended with this code. */
async function told(at: string, code: string): Promise<Seen> {
  const { stage, fault, fix } = await node(at).diagnosed(code);
  expect(fix).toMatch(/: ./);
  return [code, stage, fault];
}

describe("two nodes of ours, both ends", () => {
  it.each(
    rows<PairRow>([
      [
        "a dialler whose key the other side does not trust",
        NEAR,
        STRICT,
        ["KEY_UNTRUSTED", "identity", "remote"],
        ["KEY_UNTRUSTED", "identity", "local"],
        { evidence: { told: "untrusted_key", barrel: "auth_rejected" } },
      ],
      [
        "an accepting side whose key the dialler does not trust, which only sees that it left",
        STRICT,
        FAR,
        ["KEY_UNTRUSTED", "identity", "local"],
        ["BARREL_STREAM_ENDED", "identity", "remote"],
        { evidence: { barrel: "untrusted_key" } },
      ],
      [
        "a dialler whose key the other side has revoked, which is told less",
        SKEWED,
        STRICT,
        ["KEY_UNTRUSTED", "identity", "remote"],
        ["KEY_REVOKED", "identity", "local"],
      ],
      [
        "a dialler for which the other side has another key pinned",
        SKEWED,
        GUARDED,
        ["KEY_MISMATCH", "identity", "remote"],
        ["KEY_MISMATCH", "identity", "local"],
      ],
      [
        "two clocks",
        SKEWED,
        FAR,
        ["CLOCK_SKEW", "identity", "either"],
        ["CLOCK_SKEW", "identity", "either"],
        { evidence: { barrel: "peer_ts_skew", limitMs: 60_000 } },
      ],
      [
        "two cookies",
        NEAR,
        GUARDED,
        ["SECRET_MISMATCH", "cookie", "either"],
        ["SECRET_MISMATCH", "cookie", "either"],
        { evidence: { localCookie: `${OTHER_COOKIE.length} bytes` } },
      ],
      [
        "another node at the address, which only sees that the dialler left",
        NEAR,
        GHOST,
        ["PEER_NAME_MISMATCH", "identity", "local"],
        ["BARREL_STREAM_ENDED", "identity", "remote"],
        { at: FAR, evidence: { answered: FAR } },
      ],
    ]),
  )("%s", async (_what, row) => {
    const [, from, to, near, far, { at = to, evidence = {} } = {}] = row;
    const got = await examined(from, to);
    expect(got).toMatchObject({ seen: near, exit: 3, evidence });
    expect(await told(at, far[0])).toEqual(far);
  });

  it("are in order stage by stage, and again when the session stands", async () => {
    for (const again of [false, true]) {
      const report = await rig.doctor.examine(node(NEAR), FAR, 30_000);
      expect([again, report.failure?.error.message]).toEqual([again, undefined]);
      expect(report.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual(
        PROBE_STAGES.map((stage) => `${stage} ok`),
      );
      expect(report.stages[3]).toMatchObject({ evidence: { transport: "quic", alpn: "erlang-dist" } });
      expect(report.stages[4]?.evidence).toMatchObject({ names: expect.anything(), daysLeft: expect.any(Number) });
    }
  });

  it("QUIC_NO_ALPN: a dialler of another protocol, at the listener", async () => {
    const [host = "", port = ""] = address(FAR).split(":");
    const ear = new ChannelEar();
    quicDialer(engine(), { alpn: ["h3"] }).dial({ scheme: "quic", host, port: Number(port) }, "localhost", ear);
    expect(await told(FAR, "QUIC_NO_ALPN")).toEqual(["QUIC_NO_ALPN", "tls", "either"]);
    expect(node(FAR).said.join()).toContain("let it offer erlang-dist");
  });
});

describe("what answers is no node, or nothing does", () => {
  it("UDP_CLOSED: nothing listens; every dial is told so, not only the doctor", async () => {
    addresses.set("closed@127.0.0.1", `127.0.0.1:${await rig.freePort()}`);
    const { seen, exit, evidence, fix } = await examined(NEAR, "closed@127.0.0.1");
    expect([seen, exit]).toEqual([["UDP_CLOSED", "port", "remote"], 4]);
    expect(evidence).toMatchObject({
      tried: [expect.stringMatching(/^quic:\/\/127\.0\.0\.1:\d+: ECONNREFUSED after/)],
    });
    expect(fix).toContain("start the node there with a quic:// listener");
    // Nothing but the dial itself, which gives up long before its deadline.
    const dial = node(NEAR).node.connect("closed@127.0.0.1", { timeoutMs: 60_000 });
    await expect(dial).rejects.toMatchObject({ code: "ERR_UNREACHABLE", reason: "UDP_CLOSED", retryable: true });
  });

  it("UDP_CLOSED ends no dial that has heard something meanwhile", async () => {
    const closed: string[] = [];
    const port = await rig.freePort();
    await new Promise<void>((resolve) => {
      const asked: number[] = [];
      // Asked before each of three datagrams, and again when the system has said for the last time that the port is closed.
      const isWanted = (): boolean => {
        if (asked.push(1) === 4) setImmediate(resolve);
        return asked.length < 4;
      };
      knock(clock, { host: "127.0.0.1", port }, isWanted, (system) => closed.push(system));
    });
    expect(closed).toEqual([]);
  });

  it.each<readonly [what: string, answer: (datagram: Buffer) => Buffer, seen: Seen, evidence: object]>([
    [
      "an echo",
      (datagram) => datagram,
      ["NOT_A_QUIC_PEER", "tls", "remote"],
      { firstBytes: expect.stringMatching(/^c01a2a3a4a08/) },
    ],
    [
      "a name server",
      (datagram) => Buffer.concat([datagram.subarray(0, 2), Buffer.from("8180000000000000", "hex")]),
      ["NOT_A_QUIC_PEER", "tls", "remote"],
      {},
    ],
  ])(
    "NOT_A_QUIC_PEER: %s",
    async (_, answer, seen, evidence) => {
      addresses.set("else@127.0.0.1", `127.0.0.1:${await rig.service(answer)}`);
      expect(await examined(NEAR, "else@127.0.0.1")).toMatchObject({ seen, exit: 3, evidence });
      // Known from its answer, before the engine itself gives up after half a minute.
    },
    25_000,
  );

  it("QUIC_VERSION_MISMATCH: QUIC of another version alone", async () => {
    addresses.set("other@127.0.0.1", `127.0.0.1:${await rig.service(onlyVersion2)}`);
    expect(await examined(NEAR, "other@127.0.0.1")).toMatchObject({
      seen: ["QUIC_VERSION_MISMATCH", "tls", "either"],
      exit: 3,
      evidence: { localVersions: "00000001", remoteVersions: ["6b3343cf"] },
    });
  });

  it("QUIC_NO_ALPN: a web server", async () => {
    const web = await rawServer(await material(), ["h3"]);
    rig.doctor.closes(() => web.close());
    addresses.set("web@127.0.0.1", `127.0.0.1:${web.port}`);
    expect(await examined(NEAR, "web@127.0.0.1")).toMatchObject({
      seen: ["QUIC_NO_ALPN", "tls", "either"],
      evidence: { offered: "erlang-dist", alert: 120, alertName: "no_application_protocol" },
    });
  });
});

describe("a conformance peer that listens", () => {
  it("is in order", async () => {
    addresses.set(PEER, await rig.peer.listen());
    const report = await rig.doctor.examine(node(NEAR), PEER, 30_000);
    expect(report.failure?.error.message).toBeUndefined();
    expect(report.stages.map(({ state }) => state)).toEqual(PROBE_STAGES.map(() => "ok"));
    node(NEAR).node.disconnect(PEER);
  });

  it.each<readonly [from: string, seen: Seen]>([
    [SKEWED, ["KEY_MISMATCH", "identity", "local"]],
    [STRICT, ["KEY_REVOKED", "identity", "local"]],
  ])("is refused by %s for its key", async (from, seen) => {
    addresses.set(PEER, await rig.peer.listen());
    expect(await examined(from, PEER)).toMatchObject({ seen, evidence: { shown: expect.stringMatching(/^SHA256:/) } });
  });

  it("QUIC_ENGINE_LOST: our own engine dies while keys are exchanged", async () => {
    const before = engines();
    nodes[LONELY] = await rig.node(LONELY, { options: { resolve, limits: LIMITS } });
    const mark = rig.peer.mark;
    addresses.set(TRAP, await rig.peer.listen({ attack: "silence" }));
    const examining = examined(LONELY, TRAP);
    await rig.peer.wait({ event: "saw", what: "hello" }, mark);
    for (const pid of engines()) if (!before.includes(pid)) process.kill(pid, "SIGKILL");
    expect(await examining).toMatchObject({
      seen: ["QUIC_ENGINE_LOST", "identity", "local"],
      evidence: { loss: "killed" },
    });
  });
});

describe("a conformance peer, at the dialling node", () => {
  it.each(
    rows<PeerRow>([
      [
        "certificate-without-key",
        ["QUIC_CERTIFICATE_UNPROVEN", "certificate", "remote"],
        { alertName: "decrypt_error" },
      ],
      ["forged-signature", ["PROOF_INVALID", "identity", "remote"], { barrel: "signature_verification_failed" }],
      ["fail-first", ["KEY_MISMATCH", "identity", "remote"], { told: "key_mismatch" }],
      ["small-order-key", ["KEY_UNSAFE", "identity", "remote"], {}, { as: TRAP }],
      ["timestamp-skew", ["CLOCK_SKEW", "identity", "either"], { skewMs: expect.any(Number) }, { skewMs: 120_000 }],
      ["reset-early", ["BARREL_STREAM_RESET", "identity", "remote"], { resetCode: 7, step: "auth" }],
      ["fin-early", ["BARREL_STREAM_ENDED", "identity", "remote"], { barrel: "recv_hello_failed", step: "auth" }],
      ["version-3", ["VERSION_MISMATCH", "identity", "either"], { version: 3 }],
      ["wrong-cookie", ["SECRET_MISMATCH", "cookie", "either"], { localCookie: `${COOKIE.length} bytes` }],
      ["missing-v4-nc", ["FLAGS_MISSING", "flags", "remote"], { missing: "V4_NC" }],
      ["other-dist-name", ["PEER_NAME_MISMATCH", "identity", "remote"], { proven: PEER }, { distName: "zz@127.0.0.1" }],
    ]),
  )("%s", async (attack, row) => {
    const [, seen, evidence, fields = {}] = row;
    const stolen = attack === "certificate-without-key" ? { certFile: `${rig.keysOf(FAR)}/tls/node.crt` } : {};
    const name = fields["as"] === undefined ? PEER : TRAP;
    addresses.set(name, await rig.peer.listen({ attack, ...fields, ...stolen }));
    expect(await examined(NEAR, name)).toMatchObject({ seen, exit: 3, evidence });
  });
});

describe("a conformance peer, at the accepting node", () => {
  it.each(
    rows<PeerRow>([
      ["forged-signature", ["PROOF_INVALID", "identity", "remote"], {}],
      ["other-key", ["KEY_MISMATCH", "identity", "local"], {}, { as: PINNED }],
      ["timestamp-skew", ["CLOCK_SKEW", "identity", "either"], {}, { skewMs: -120_000 }],
      ["reset-early", ["BARREL_STREAM_RESET", "identity", "remote"], {}],
      ["wrong-cookie", ["SECRET_MISMATCH", "cookie", "either"], {}],
      ["missing-v4-nc", ["FLAGS_MISSING", "flags", "remote"], {}],
      ["other-dist-name", ["PEER_NAME_MISMATCH", "identity", "remote"], {}, { distName: "zz@127.0.0.1" }],
    ]),
  )("%s", async (attack, row) => {
    const [, seen, , fields = {}] = row;
    await rig.peer.dial(FAR, address(FAR), { attack, ...fields });
    expect(await told(FAR, seen[0])).toEqual(seen);
  });

  it("PEER_NOT_ALLOWED: by the policy, once its cookie is proven", async () => {
    await rig.peer.dial(GUARDED, address(GUARDED));
    expect(await told(GUARDED, "PEER_NOT_ALLOWED")).toEqual(["PEER_NOT_ALLOWED", "policy", "local"]);
  });
});

describe("doctor on this machine", () => {
  it("finds the UDP port of a listener free or in use, whatever TCP does", async () => {
    const taken = await rig.service();
    const { datagrams } = rig.doctor.world;
    const check = (port: number) =>
      checkPorts({ name: NEAR, listen: [`quic://127.0.0.1:${port}`], identity: { dir: "x" } }, datagrams, undefined);
    expect(await check(taken)).toMatchObject([
      { state: "fault", code: "PORT_IN_USE", says: expect.stringContaining("UDP") },
    ]);
    expect(await check(await rig.freePort())).toMatchObject([
      { state: "ok", says: expect.stringMatching(/^UDP .* is free$/) },
    ]);
  });
});
