import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../auth/otp-types.ts";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { HandNetwork } from "../testkit/hand-network.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { SallyportNode } from "./node.ts";

// Two whole nodes on a network that moves one chunk, one opening or one close at a time, each when the test says so. All
// orders are tried: a world is rebuilt for each path, and paths that lead to a state seen before are not followed again.

const INFO: CarrierInfo = {
  transport: "memory",
  remoteAddress: "m",
  localAddress: "m",
  tlsVersion: undefined,
  alpn: undefined,
  ownCertDer: undefined,
  peerCertDer: undefined,
  chainTrusted: true,
  chainError: undefined,
  exporter: undefined,
};

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");

function world(plan: {
  readonly leftover: "none" | "open" | "closing";
  readonly aDials: boolean;
  readonly bDials: boolean;
}) {
  const clock = new VirtualClock();
  const network = new HandNetwork(() => ({ dialler: INFO, acceptor: INFO }));
  const { links } = network;
  let seed = 1;
  const nodeOf = (name: typeof A, other: typeof A, label: string) => {
    const random = new SeededRandom(seed++);
    const node = new SallyportNode({
      own: { name, creation: 10 + seed, flags: DEFAULT_FLAGS },
      clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => Buffer.from("secret"),
      },
      dialers: { tls: network.dialer(label) },
      resolver: { label: "the test", resolve: () => Promise.resolve([{ scheme: "tls", host: other, port: 1 }]) },
      judgeCertificate: () => ({ matched: true, presented: [] }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    network.listen(name, node.accept);
    return node;
  };
  const settle = async () => {
    for (let i = 0; i < 12; i++) {
      await Promise.resolve();
      clock.runTurn();
    }
  };
  const outcomes: Record<string, string> = {};
  const connect = (key: string, node: SallyportNode, other: string) => {
    outcomes[key] = "pending";
    node.connect(other, { timeoutMs: 60_000 }).then(
      () => {
        outcomes[key] = "up";
      },
      (error: unknown) => {
        outcomes[key] = error instanceof SallyportError ? error.reason : String(error);
      },
    );
  };
  const state = { a: nodeOf(A, B, "a"), b: nodeOf(B, A, "b") };
  const wishes = new Map<string, () => void>();
  if (plan.aDials) wishes.set("dial a", () => connect("a", state.a, B));
  if (plan.bDials) wishes.set("dial b", () => connect("b", state.b, A));

  /** What can happen next. */
  const options = (): string[] => [...wishes.keys(), ...network.options()];
  const take = async (option: string): Promise<void> => {
    const wish = wishes.get(option);
    wishes.delete(option);
    if (wish === undefined) network.take(option);
    else wish();
    await settle();
  };
  const key = () =>
    JSON.stringify([
      [...wishes.keys()],
      network.key(),
      outcomes,
      state.a.peers().map((peer) => peer.incarnation),
      state.b.peers().map((peer) => peer.incarnation),
      counters(state.a),
      counters(state.b),
    ]);
  /** Brings up a session and then lets `a` forget it, as a restart does: `b` still holds its end. */
  const prepare = async () => {
    if (plan.leftover === "none") return;
    connect("before", state.a, B);
    await settle();
    for (let next = links.length > 0 ? options().find((o) => !o.startsWith("dial")) : undefined; next !== undefined; ) {
      await take(next);
      next = options().find((o) => !o.startsWith("dial"));
    }
    if (outcomes["before"] !== "up" || state.b.peers().length !== 1) throw new Error("no session to begin with");
    const old = links.splice(0)[0]!;
    state.a = nodeOf(A, B, "A");
    if (plan.leftover === "closing") {
      // The old connection's end is still under way and may arrive at any moment.
      old.from.out.length = 0;
      old.from.destroy();
      links.push({ ...old, to: old.to, from: old.from });
      old.to.out.length = 0;
    }
  };
  return { state, options, take, key, prepare, outcomes, settle, clock, links };
}

const counters = (node: SallyportNode) => [
  node.vitals().counters["sessions_up"],
  node.vitals().counters["sessions_down"],
];

/** Follows every order to its end and collects what is wrong there. */
async function explore(
  plan: Parameters<typeof world>[0],
): Promise<{ readonly wrong: string[]; readonly ends: number; readonly states: number }> {
  const seen = new Set<string>();
  const wrong: string[] = [];
  let ends = 0;
  const stack: string[][] = [[]];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const w = world(plan);
    await w.prepare();
    for (const option of path) await w.take(option);
    const key = w.key();
    if (seen.has(key)) continue;
    seen.add(key);
    const options = w.options();
    for (const option of options) stack.push([...path, option]);
    if (options.length > 0) continue;
    ends++;
    const { a, b } = w.state;
    const ofA = a.peers().map((peer) => peer.incarnation);
    const ofB = b.peers().map((peer) => peer.incarnation);
    const agreed = ofA.length === 1 && ofB.length === 1 && ofA[0] === b.creation && ofB[0] === a.creation;
    const alive = w.links.filter(({ from, to }) => !from.over && !to.over).length;
    const halves = w.links.filter(({ from, to }) => from.over !== to.over).length;
    const unhappy = Object.entries(w.outcomes).filter(([, outcome]) => outcome !== "up");
    if (agreed && alive === 1 && halves === 0 && unhappy.length === 0) continue;
    wrong.push(
      `${path.join(", ")}: a has ${ofA.length}, b has ${ofB.length}, ${alive} connections, ${JSON.stringify(w.outcomes)}`,
    );
  }
  return { wrong, ends, states: seen.size };
}

describe("crossing dials, in every order of events", () => {
  it.each([
    [{ leftover: "none", aDials: true, bDials: false }, 5],
    [{ leftover: "none", aDials: true, bDials: true }, 200],
    [{ leftover: "open", aDials: true, bDials: false }, 5],
    [{ leftover: "closing", aDials: true, bDials: false }, 10],
    [{ leftover: "closing", aDials: true, bDials: true }, 200],
  ] as const)(
    "%j end with one session that both agree on",
    async (plan, atLeast) => {
      const { wrong, ends, states } = await explore(plan);
      expect(states).toBeGreaterThanOrEqual(atLeast);
      expect(ends).toBeGreaterThan(0);
      expect(wrong.sort((x, y) => x.length - y.length).slice(0, 3)).toEqual([]);
    },
    60_000,
  );
});
