import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../../src/auth/otp-types.ts";
import { isSallyportError } from "../../src/base/errors.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import { DEFAULT_DIST_LIMITS } from "../../src/dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../../src/dist/tick.ts";
import { SallyportNode } from "../../src/node/node.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { Atom, atomName, type Pid, type Term, tuple } from "../../src/term/types.ts";
import { createMemoryNetwork, SeededRandom, VirtualClock } from "../../src/testkit/public.ts";
import { DEFAULT_FLAGS } from "../../src/wire/flags.ts";

// Twenty nodes in memory on one virtual clock; every chunk is cut at random. One number replays a run:
//   SALLYPORT_SEED=12345 npx vitest run --project integration memory-cluster
const NODES = 20;
const seeds = process.env["SALLYPORT_SEED"] === undefined ? [1, 2, 3] : [Number(process.env["SALLYPORT_SEED"])];

function cluster(seed: number) {
  const clock = new VirtualClock();
  const dice = new SeededRandom(seed);
  const split = (bytes: Buffer): Buffer[] => {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + dice.below([3, 30, 3_000, 100_000][dice.below(4)]!);
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    return chunks;
  };
  const network = createMemoryNetwork({ clock, split });
  const listeners = new Map<string, { close(): Promise<void> }>();
  const start = (n: number): SallyportNode => {
    const name = parseNodeName(`n${n}@h${n}`);
    const random = new SeededRandom(dice.uint32());
    const node = new SallyportNode({
      own: { name, creation: 4 + dice.below(1_000_000), flags: DEFAULT_FLAGS },
      clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => Buffer.from("one cookie for all"),
      },
      dialers: { tls: network },
      resolver: {
        label: "the simulation",
        resolve: (target) => Promise.resolve([{ scheme: "tls", host: target.slice(target.indexOf("@") + 1), port: 1 }]),
      },
      judgeCertificate: () => ({ matched: false, presented: [] }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    listeners.set(name, network.listen(`h${n}`, 1, node.accept));
    node.register(
      "echo",
      {
        call: (request) =>
          atomName(request) === "hang" ? new Promise<Term>(() => {}) : tuple(new Atom(name), request),
      },
      { allow: "cookie" },
    );
    return node;
  };
  /** Lets everything happen that can without time passing. */
  const settle = async () => {
    for (let quiet = 0; quiet < 20; quiet++) {
      if (clock.runTurn() > 0) quiet = 0;
      await Promise.resolve();
    }
  };
  /** Waits for promises that need turns of the clock, not time. */
  const all = async <T>(promises: readonly Promise<T>[]): Promise<PromiseSettledResult<T>[]> => {
    let done = false;
    const settled = Promise.allSettled(promises).finally(() => {
      done = true;
    });
    for (let i = 0; i < 10_000 && !done; i++) await settle();
    return settled;
  };
  return { clock, dice, start, settle, all, listeners };
}

const reasonOf = (result: PromiseSettledResult<unknown>) =>
  result.status === "fulfilled" ? "ok" : isSallyportError(result.reason) ? result.reason.reason : String(result.reason);

describe("a cluster in memory", () => {
  it.each(seeds)("talks, loses a node and gets it back (seed %i)", async (seed) => {
    console.log(`memory-cluster: SALLYPORT_SEED=${seed}`);
    const { clock, dice, start, settle, all, listeners } = cluster(seed);
    const nodes = Array.from({ length: NODES }, (_, n) => start(n));
    const pairs = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => [from, to] as const));
    for (let i = pairs.length - 1; i > 0; i--) {
      const j = dice.below(i + 1);
      [pairs[i], pairs[j]] = [pairs[j]!, pairs[i]!];
    }

    // Everybody calls everybody at once: all dials cross.
    const payload = (n: number) => Buffer.alloc(dice.below(4) === 0 ? 150_000 : 20, n);
    const sent = pairs.map((_, n) => payload(n & 255));
    const replies = await all(
      pairs.map(([from, to], n) => from.call({ name: "echo", node: to.name }, sent[n], { timeoutMs: 60_000 })),
    );
    expect(replies.map(reasonOf).filter((reason) => reason !== "ok")).toEqual([]);
    replies.forEach((reply, n) => {
      const [who, what] = [...((reply as PromiseFulfilledResult<Term>).value as ReturnType<typeof tuple>)];
      expect([atomName(who), sent[n]!.equals(what as Buffer)]).toEqual([pairs[n]![1].name, true]);
    });
    for (const node of nodes) {
      expect(node.peers()).toHaveLength(NODES - 1);
      expect(node.vitals().openCalls).toBe(0);
    }

    // One node dies under calls, monitors and links.
    const victim = dice.below(NODES);
    const lost = nodes[victim]!;
    const others = nodes.filter((node) => node !== lost);
    const downs = new Map<string, string[]>();
    const exits = new Map<string, Term[]>();
    const target = lost.spawn(() => {}, { allow: { atLeast: "cookie", verbs: ["link", "monitor"] } });
    for (const node of others) {
      downs.set(node.name, []);
      const note = (label: string) => (down: { reason: Term }) =>
        void downs.get(node.name)?.push(`${label} ${atomName(down.reason)}`);
      node.monitor({ name: "echo", node: lost.name }, note("name"));
      node.monitor(target.pid, note("pid"));
      const heard: Term[] = [];
      exits.set(node.name, heard);
      node.link(
        node.spawn((message) => void heard.push(message), { trapExit: true }),
        target,
      );
    }
    await settle();
    const hanging = others.map((node) =>
      node.call({ name: "echo", node: lost.name }, new Atom("hang"), { timeoutMs: 60_000 }),
    );
    for (const promise of hanging) promise.catch(() => {});
    await settle();
    const nodedowns: string[] = [];
    for (const node of others) node.on("nodedown", (peer) => void nodedowns.push(`${node.name} ${peer.name}`));
    for (const node of others) if (dice.below(2) === 0) node.disconnect(lost.name);
    await listeners.get(lost.name)?.close();
    const closing = lost.close({ timeoutMs: 0 });
    await all([closing]);
    expect((await all(hanging)).map(reasonOf)).toEqual(others.map(() => "TARGET_DOWN"));
    await settle();
    clock.advance(1_000);
    await settle();
    for (const node of others) {
      const reasons = downs.get(node.name)!;
      expect([node.name, reasons.map((reason) => reason.split(" ")[0]).sort()]).toEqual([node.name, ["name", "pid"]]);
      // A node that was told of the end before its connection went may know it as a shutdown.
      for (const reason of reasons) expect(reason).toMatch(/ (noconnection|shutdown)$/);
      expect([node.name, exits.get(node.name)?.length]).toEqual([node.name, 1]);
      expect(node.peers()).toHaveLength(NODES - 2);
    }
    expect([...nodedowns].sort()).toEqual(others.map((node) => `${node.name} ${lost.name}`).sort());
    const refused = await all(
      others.slice(0, 3).map((node) => node.call({ name: "echo", node: lost.name }, 1, { timeoutMs: 60_000 })),
    );
    // Those whom it had dialled, and that never dialled it, cannot know that it has a listener.
    for (const result of refused) {
      const { reason, cause } = (result as PromiseRejectedResult).reason;
      expect(reason === "PEER_OFFLINE" ? cause.reason : reason).toBe("PORT_CLOSED");
    }

    // It comes back under the same name, in another life.
    const back = start(victim);
    const again = await all([
      ...others.map((node) => node.call({ name: "echo", node: back.name }, 7, { timeoutMs: 60_000 })),
      ...others.map((node) => back.call({ name: "echo", node: node.name }, 8, { timeoutMs: 60_000 })),
    ]);
    expect(again.map(reasonOf).filter((reason) => reason !== "ok")).toEqual([]);
    expect(back.peers()).toHaveLength(NODES - 1);
    const stale: Pid = target.pid;
    const told: string[] = [];
    others[0]!.monitor(stale, ({ reason }) => told.push(String(atomName(reason))));
    await settle();
    expect(told).toHaveLength(1);
    await all([...others, back].map((node) => node.close({ timeoutMs: 0 })));
    for (const node of [...others, back]) expect([node.peers(), node.vitals().openCalls]).toEqual([[], 0]);
  });

  it.each(seeds)("tells noconnection exactly once when connections are cut without a word (seed %i)", async (seed) => {
    const { clock, start, settle, all, listeners } = cluster(seed);
    const nodes = Array.from({ length: 5 }, (_, n) => start(n));
    const [lost, ...others] = nodes as [SallyportNode, ...SallyportNode[]];
    await all(others.map((node) => node.connect(lost.name)));
    const told: string[] = [];
    for (const node of others)
      node.monitor({ name: "echo", node: lost.name }, ({ reason }) => told.push(String(atomName(reason))));
    await settle();
    const hanging = others.map((node) =>
      node.call({ name: "echo", node: lost.name }, new Atom("hang"), { timeoutMs: 60_000 }),
    );
    for (const promise of hanging) promise.catch(() => {});
    await settle();
    for (const node of others) lost.disconnect(node.name);
    await listeners.get(lost.name)?.close();
    expect((await all(hanging)).map(reasonOf)).toEqual(others.map(() => "TARGET_DOWN"));
    clock.advance(200_000);
    await settle();
    expect(told).toEqual(others.map(() => "noconnection"));
  });
});
