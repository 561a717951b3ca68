import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { A, B, NativePair } from "../testkit/native-pair.ts";
import type { SallyportNode } from "./node.ts";

function world() {
  const pair = new NativePair();
  const a = pair.start(A, "a");
  const b = pair.start(B, "b");
  const outcomes: Record<string, string> = {};
  const connect = async (who: string, node: SallyportNode, other: string) => {
    outcomes[who] = "pending";
    node.connect(other, { timeoutMs: 60_000 }).then(
      () => {
        outcomes[who] = "up";
      },
      (error: SallyportError) => {
        outcomes[who] = error.reason;
      },
    );
    await pair.settle();
  };
  /** Moves all that can be moved on the connections whose label begins so. */
  const run = async (label: string) => {
    const { network } = pair;
    for (let moved = true; moved; ) {
      const option = network.options().find((one) => one.includes(` ${label}`));
      moved = option !== undefined;
      if (option !== undefined) network.take(option);
      await pair.settle();
    }
  };
  const wait = async (ms: number) => {
    pair.clock.advance(ms);
    await pair.settle();
  };
  return { pair, a, b, outcomes, connect, run, wait };
}

describe("a dial that loses to the other one", () => {
  it("is connected when the other's own dial has not got through: behind a NAT it never does", async () => {
    const { pair, a, b, outcomes, connect, run } = world();
    await connect("a", a, B); // never opened
    await connect("b", b, A);
    await run("b1");
    expect(outcomes).toEqual({ a: "up", b: "up" });
    expect([a.peers()[0]?.name, b.peers()[0]?.name]).toEqual([B, A]);
    await run("a1");
    expect([a.peers().length, b.peers().length, pair.network.links.length]).toEqual([1, 1, 2]);
    expect([a, b].map((node) => node.vitals().counters["sessions_up"])).toEqual([1, 1]);
  });

  it("tries again while the connection that it gave way to does not come, and is connected in the end", async () => {
    const { pair, a, b, outcomes, connect, run, wait } = world();
    await connect("a", a, B);
    const { network } = pair;
    const [stuck] = network.links;
    // a's proof is out, and nothing more comes through.
    for (const option of ["open a1", "move a1>", "move a1<", "move a1<"]) {
      network.take(option);
      await pair.settle();
    }
    expect(stuck?.from.out).toHaveLength(1);
    await connect("b", b, A);
    await run("b1");
    expect(outcomes).toEqual({ a: "pending", b: "pending" });
    await wait(199);
    expect(network.links.map(({ label }) => label)).toEqual(["a1", "b1"]);
    await wait(1);
    await run("b2");
    expect(network.links.map(({ label }) => label)).toEqual(["a1", "b1", "b2"]);
    expect(outcomes["b"]).toBe("pending");
    // The network gives a1 up.
    stuck?.from.take({ closed: new SallyportError("ERR_UNREACHABLE", "CONNECTION_RESET", "reset") });
    await pair.settle();
    await wait(400);
    await run("b3");
    expect(outcomes["b"]).toBe("up");
    expect([a.peers()[0]?.name, b.peers()[0]?.name]).toEqual([B, A]);
  });

  it.each([
    [100, "CONNECT_TIMEOUT", 12],
    [1_500, "up", 12],
  ])(
    "has one deadline for all its tries: begun %i ms after the other, it ends with %s",
    async (later, outcome, tries) => {
      const { pair, a, b, outcomes, connect, run, wait } = world();
      await connect("a", a, B);
      for (const option of ["open a1", "move a1>", "move a1<", "move a1<"]) {
        pair.network.take(option);
        await pair.settle();
      }
      await wait(later);
      await connect("b", b, A);
      await run("b1");
      // a's connection ends after its own ten seconds.
      for (let passed = 0; passed < 10_000; passed += 100) {
        await wait(100);
        await run("b");
      }
      expect(outcomes).toEqual({ a: "CONNECT_TIMEOUT", b: outcome });
      expect(pair.network.links.filter(({ label }) => label.startsWith("b"))).toHaveLength(tries);
    },
  );
});

describe("what is under way when another connection is let in", () => {
  const step = async ({ pair }: ReturnType<typeof world>, ...options: readonly string[]) => {
    for (const option of options) {
      pair.network.take(option);
      await pair.settle();
    }
  };

  it("ends, where it is the dial of the larger name", async () => {
    const w = world();
    await w.connect("a", w.a, B);
    await w.connect("b", w.b, A);
    await step(w, "open a1", "move a1>", "move a1<", "move a1<", "open b1", "move b1>", "move b1<", "move b1<");
    const [, own] = w.pair.network.links;
    expect(own?.from.over).toBe(false);
    await step(w, "move a1>");
    expect(own?.from.over).toBe(true);
    await w.run("a1");
    await w.run("b1");
    expect([w.outcomes, w.b.peers().length]).toEqual([{ a: "up", b: "up" }, 1]);
  });

  it("never takes the place of a session that was begun after it", async () => {
    const w = world();
    const events: string[] = [];
    w.b.on("nodeup", ({ address }) => void events.push(`up ${address}`));
    w.b.on("nodedown", ({ address }) => void events.push(`down ${address}`));
    await w.connect("a", w.a, B);
    await step(w, "open a1", "move a1>", "move a1<", "move a1<", "move a1>", "move a1<");
    expect([w.outcomes["a"], w.b.peers().length]).toEqual(["up", 0]);
    // a's last message is still on its way when a dials anew.
    w.a.disconnect(B);
    await w.connect("a", w.a, B);
    await w.run("a2");
    expect([w.outcomes["a"], events]).toEqual(["up", ["up 192.0.2.1:2"]]);
    await w.run("a1");
    expect([events, w.a.peers().length, w.b.peers().length]).toEqual([["up 192.0.2.1:2"], 1, 1]);
  });
});

describe("somebody without the key who claims the name of a peer", () => {
  it("changes nothing, and is answered the same whether a session stands or not", async () => {
    const answers: string[] = [];
    for (const isConnected of [false, true]) {
      const w = world();
      const events: string[] = [];
      if (isConnected) {
        await w.connect("a", w.a, B);
        await w.run("a");
      }
      w.b.on("nodedown", () => void events.push("down"));
      const impostor = w.pair.start(A, "i", "another");
      const refused: string[] = [];
      impostor.on("refused", ({ error }) => void refused.push(`${error.reason} ${error.message}`));
      await w.connect("i", impostor, B);
      await w.run("i");
      const link = w.pair.network.links.at(-1);
      answers.push(`${refused.join()} ${link?.moved.join(" | ")} ${w.outcomes["i"]}`);
      expect([events, w.b.peers().length]).toEqual([[], isConnected ? 1 : 0]);
    }
    expect(answers[0]).toContain("x");
    expect(answers[1]).toBe(answers[0]);
  });
});
