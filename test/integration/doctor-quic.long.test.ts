import { execFile } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Diagnosis } from "../../src/base/diagnosis.ts";
import { type Fields, runCli } from "./cli-process.ts";
import { PEER, QuicDoctorRig } from "./doctor-quic-rig.ts";
import { failedStage } from "./doctor-rig.ts";
import { describeWithHosts, Hosts } from "./namespaces.ts";

// What of a connection over QUIC only time tells: silence of the network, and of a peer in each step.

const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
/** Over QUIC who connects needs a key of its own. */
const OWN = ["--name", "cli@10.77.9.1", "--key-dir", "own-keys"];
const FAR = "far@127.0.0.1";
const GUARDED = "guarded@127.0.0.1";

/** Long enough that a busy machine comes to the step that hangs. */
const LIMITS = { maxTlsHandshakeMs: 15_000, maxHandshakeMs: 15_000 };

describe("silence", () => {
  let rig: QuicDoctorRig;
  beforeAll(async () => {
    rig = await QuicDoctorRig.make();
    await rig.peer.command("identity");
  });
  afterAll(() => rig.stop());

  let made = 0;
  /** What a node of its own finds at an address. */
  async function found(
    name: string,
    at: string,
    timeoutMs = 40_000,
  ): Promise<{ diagnosis: Diagnosis | undefined; failed: object | undefined }> {
    const near = await rig.node(`near${++made}@127.0.0.1`, {
      options: { resolve: { [name]: `quic://${at}` }, limits: LIMITS },
    });
    const report = await rig.doctor.examine(near, name, timeoutMs);
    return { diagnosis: report.failure?.diagnosis, failed: failedStage(report) };
  }

  // All at once: each takes the whole of its deadline.
  it.concurrent("of a listener is told with the step that it stopped in", async () => {
    const row = async (attack: string, diagnosis: object, evidence: object, timeoutMs?: number): Promise<void> => {
      const got = await found(PEER, traps.get(attack) ?? "", timeoutMs);
      expect([attack, got]).toMatchObject([attack, { diagnosis, failed: { evidence } }]);
    };
    const auth = { code: "PEER_UNREACHABLE", stage: "identity", fault: "remote", retryable: true };
    const traps = new Map<string, string>();
    for (const attack of ["silence", "hello-then-silence", "stall-after-ok"]) {
      traps.set(attack, await rig.peer.listen({ attack }));
    }
    await Promise.all([
      row("silence", auth, { barrel: "auth_stream_timeout", step: "auth" }),
      row("hello-then-silence", auth, { barrel: "recv_challenge_failed", step: "auth" }),
      row("stall-after-ok", { ...auth, stage: "cookie" }, { step: "dist", awaited: "status" }),
      // With less time than the steps have.
      row("silence", { ...auth, fix: expect.stringContaining("in the exchange of keys") }, { step: "auth" }, 9_000),
      row("stall-after-ok", { ...auth, stage: "cookie" }, { step: "dist" }, 9_000),
    ]);
  });

  it.concurrent("of a dialler is told with the step that it stopped in", async () => {
    const row = async (attack: string, stage: string, says: RegExp): Promise<void> => {
      const far = await rig.node(`far${++made}@127.0.0.1`, {
        options: { listen: ["quic://127.0.0.1:0"], limits: LIMITS },
      });
      await rig.peer.dial(far.node.name, new URL(far.node.endpoints[0] ?? "").host, { attack });
      expect([attack, await far.diagnosed("PEER_UNREACHABLE")]).toMatchObject([attack, { stage, fault: "remote" }]);
      expect(far.said.join()).toMatch(says);
    };
    await Promise.all([
      row("silence", "identity", /auth_stream_timeout/),
      row("hello-then-silence", "identity", /recv_challenge_failed/),
      row("no-handshake", "cookie", /no name came/),
    ]);
  });

  it.concurrent("of a port that the host has and nobody answers at is UDP_FILTERED: its TCP ports are refused", async () => {
    const got = await found(FAR, `127.0.0.1:${await rig.service()}`);
    expect(got).toMatchObject({
      diagnosis: { code: "UDP_FILTERED", stage: "port", fault: "network", retryable: true },
      failed: { evidence: { sameTcpPort: expect.stringMatching(/^ECONNREFUSED/) } },
    });
  });

  it.concurrent("of a node that lets nobody in is told from that of the network: it answers QUIC", async () => {
    const guarded = await rig.node(GUARDED, {
      options: { listen: ["quic://127.0.0.1:0"], accept: { refuse: ["127.0.0.1"] } },
    });
    const got = await found(GUARDED, new URL(guarded.node.endpoints[0] ?? "").host);
    expect(got).toMatchObject({
      diagnosis: {
        code: "PEER_UNREACHABLE",
        stage: "tls",
        fault: "remote",
        fix: expect.stringContaining("that accept allows"),
      },
      failed: { evidence: { localVersions: "00000001", remoteVersions: expect.arrayContaining(["00000001"]) } },
    });
  });
});

describeWithHosts("a UDP port behind a filter, on the command line", () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "sallyport-doctor-quic-")));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it("UDP_CLOSED where it is refused, UDP_FILTERED where packets vanish, HOST_UNREACHABLE without a route: exit 4", async () => {
    expect((await runCli(root, ["init", "desk", "--name", "desk@10.77.9.1"])).code).toBe(0);
    const hosts = Hosts.make({ here: "10.77.9.1", there: "10.77.9.2" });
    const examine = async (target: string, ...more: readonly string[]): Promise<{ out: string; code: number }> => {
      const [ip = "ip", ...words] = hosts.on("here");
      const connect = [
        "doctor",
        "connect",
        target,
        "--protocol",
        "barrel",
        "--no-control",
        ...OWN,
        "--timeout",
        "20000",
        ...more,
      ];
      const run = promisify(execFile)(ip, [...words, process.execPath, MAIN, ...connect], { cwd: join(root, "desk") });
      const { stdout, code = 0 } = await run
        .then(({ stdout }) => ({ stdout, code: 0 }))
        .catch((failed: { stdout: string; code: number }) => failed);
      return { out: stdout, code };
    };
    const inJson = async (target: string): Promise<readonly [Fields, number]> => {
      const { out, code } = await examine(target, "--json");
      return [(JSON.parse(out) as { result: Fields }).result, code];
    };
    const stage = (result: Fields, name: string): unknown =>
      (result["stages"] as readonly { stage: string }[]).find((each) => each.stage === name);
    try {
      const [closed, closedCode] = await inJson("far@10.77.9.2:4433");
      expect(closedCode).toBe(4);
      expect(closed["diagnosis"]).toMatchObject({ code: "UDP_CLOSED", stage: "port", fault: "remote" });
      expect(stage(closed, "port")).toMatchObject({
        state: "failed",
        evidence: { tried: [expect.stringMatching(/^quic:\/\/10\.77\.9\.2:4433: ECONNREFUSED/)] },
      });
      const table = await examine("far@10.77.9.2:4433");
      expect(table.code).toBe(4);
      expect(table.out).toMatch(/^port +failed /m);
      expect(table.out).toMatch(/^tls +not reached/m);
      expect(table.out).toMatch(/^UDP_CLOSED at stage port; at fault: the other node$/m);

      const [lost, lostCode] = await inJson("far@10.99.9.9:4433");
      expect([lostCode, lost["diagnosis"]]).toMatchObject([
        4,
        { code: "PEER_UNREACHABLE", stage: "port", fault: "network" },
      ]);
      expect(stage(lost, "port")).toMatchObject({ evidence: { tried: [expect.stringContaining("ENETUNREACH")] } });

      // Answers of the other host have no way back: to this one it is as if a firewall dropped them.
      hosts.swallow("there", "10.77.9.1");
      const [filtered, filteredCode] = await inJson("far@10.77.9.2:4433");
      expect([filteredCode, filtered["diagnosis"]]).toMatchObject([
        4,
        {
          code: "UDP_FILTERED",
          stage: "port",
          fault: "network",
          fix: expect.stringMatching(/^on the network between/),
        },
      ]);
      expect(stage(filtered, "port")).toMatchObject({ evidence: { sameTcpPort: expect.stringMatching(/^ETIMEDOUT/) } });
    } finally {
      hosts.remove();
    }
  });
});
