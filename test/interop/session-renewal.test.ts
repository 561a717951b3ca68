import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { Atom, Tuple } from "../../src/term/types.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { issueParts, type Rig, useRig } from "./rig.ts";

// Certificates that end within the minute, renewed while their sessions are in use: what becomes of calls, monitors and order.

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";
const BEAM = "beam@127.0.0.1";
/** What is left of the first certificates: more than the test takes, and within the margin of renewal. */
const LEFT_MS = 60_000;

/** Several tries of a renewal fit into it. */
function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 45_000, interval: 20 });
}

/** An authority that issued its first certificates nearly a year ago; `renews` makes it issue new ones. */
async function aging(directory: string): Promise<{ authority: TestAuthority; renews: () => void }> {
  const parts = issueParts();
  let backMs = 365 * 86_400_000 - LEFT_MS;
  const clock = {
    now: () => parts.clock.now(),
    at: parts.clock.at.bind(parts.clock),
    afterTurn: parts.clock.afterTurn.bind(parts.clock),
    later: parts.clock.later.bind(parts.clock),
    wallMs: () => parts.clock.wallMs() - backMs,
  };
  const authority = await createTestAuthority({ ...parts, clock }, directory, { days: 730 });
  return {
    authority,
    renews: () => {
      backMs = 0;
    },
  };
}

async function serving(rig: Rig, authority: TestAuthority, name: string, isNative: boolean): Promise<Node> {
  const { certFile, keyFile } = await authority.issue(name);
  const tls = { certFile, keyFile, caFile: authority.caFile };
  const identity = isNative ? { identity: { dir: join(rig.home, `${name}-keys`), trust: "strict" as const } } : {};
  const node = await rig.sallyport(name, { tls, ...identity });
  node.register("srv", { call: (request) => request }, { allow: "ca" });
  return node;
}

const serialOf = (node: Node): string =>
  new X509Certificate(node.peers()[0]?.certificate ?? expect.unreachable("no peer")).serialNumber;

/** Calls one after the other until `stop`. */
function calling(run: () => Promise<unknown>): { stop: () => Promise<readonly unknown[]>; done: () => number } {
  const failures: unknown[] = [];
  let isOver = false;
  let done = 0;
  const loop = async (): Promise<void> => {
    while (!isOver) {
      await run().catch((error: unknown) => failures.push(error));
      done++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const running = loop();
  return {
    done: () => done,
    stop: async () => {
      isOver = true;
      await running;
      return failures;
    },
  };
}

describe("a session whose certificates are renewed in their last minute", () => {
  describeWithErlang("between two Sallyport nodes with keys, and one with an Erlang node", () => {
    const t = useRig("tls", async (rig) => ({ aged: await aging(join(rig.home, "aged")) }));

    it("moves to a new connection with all that is on it", { timeout: 90_000 }, async () => {
      const { rig, aged } = t;
      const [a, b] = [await serving(rig, aged.authority, A, true), await serving(rig, aged.authority, B, true)];
      const told: unknown[] = [];
      for (const node of [a, b]) node.on("nodedown", (peer, reason) => void told.push([peer.name, reason]));
      await a.connect(B);
      expect(a.peers()[0]).toMatchObject({ protocol: "native", assurance: "ca" });
      const first = serialOf(a);
      a.monitor({ name: "srv", node: B }, (down) => void told.push(down));
      const large = Buffer.alloc(3_000_000, 7);
      const ways = [
        calling(() => a.call({ name: "srv", node: B }, 1)),
        calling(() => b.call({ name: "srv", node: A }, large)),
      ];
      aged.renews();
      await aged.authority.issue(A);
      await aged.authority.issue(B);
      await eventually(() => {
        // Twice, where the old certificates end a second apart and one node is slower to see its new one.
        expect(serialOf(a)).not.toBe(first);
        const moved = [a, b].map((node) => node.vitals().counters["sessions_moved"]);
        expect(moved).toEqual([expect.any(Number), moved[0]]);
      });
      const before = ways.map((way) => way.done());
      await eventually(() => expect(ways.every((way, i) => way.done() > (before[i] ?? 0) + 5)).toBe(true));
      expect(await Promise.all(ways.map((way) => way.stop()))).toEqual([[], []]);
      expect(told).toEqual([]);
      await a.close();
      await b.close();
    });

    it("is dialled anew where the other is an Erlang node: no call of this node is lost", {
      timeout: 90_000,
    }, async () => {
      const { rig } = t;
      const aged = await aging(join(rig.home, "aged-beam"));
      // Over TLS 1.2, where an Erlang node resumes sessions.
      const conf = aged.authority.writeErlangOptions(await aged.authority.issue(BEAM), { versions: ["tlsv1.2"] });
      const beam = await rig.erlang(BEAM, { sslOptions: conf });
      await beam.erl("{ok, _} = interop:server(srv), ok");
      // Its own lasts: a session ends with the first certificate that does, and the two of this test may end in one second.
      aged.renews();
      const a = await serving(rig, aged.authority, A, false);
      const told: unknown[] = [];
      a.on("nodedown", (peer, reason) => void told.push([peer.name, reason]));
      await a.connect(BEAM);
      const first = serialOf(a);
      const call = (): Promise<unknown> => a.call({ name: "srv", node: BEAM }, new Tuple([new Atom("add"), 1, 2]));
      const way = calling(call);
      await aged.authority.issue(BEAM);
      await beam.erl("gen_server:call(ssl_pem_cache:name(dist), {unconditionally_clear_pem_cache, self()}), ok");
      await eventually(() => expect(told).toEqual([[BEAM, "CERTIFICATE_RENEWED"]]));
      await eventually(() => expect(serialOf(a)).not.toBe(first));
      const before = way.done();
      await eventually(() => expect(way.done()).toBeGreaterThan(before + 5));
      expect(await way.stop()).toEqual([]);
      expect(a.vitals().counters).toMatchObject({ sessions_redialled: 1 });
    });
  });
});
