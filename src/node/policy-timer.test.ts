import { describe, expect, it } from "vitest";
import type { PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom } from "../term/types.ts";
import { REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { POLICY_TIME_LOOK_MS, PolicyTimer } from "./policy-timer.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Of the virtual clock. */
const START = Date.UTC(2026, 0, 1);

function makeTimer(changes: readonly number[] | undefined) {
  const clock = new VirtualClock();
  let told = 0;
  const timer = new PolicyTimer({
    clock,
    nextChangeMs: (nowMs) => changes && (changes.find((ms) => ms > nowMs) ?? Number.POSITIVE_INFINITY),
    changed: () => {
      told++;
      timer.arm();
    },
  });
  timer.arm();
  return { clock, timer, told: () => told };
}

describe("the timer of a policy", () => {
  it("tells of each change at its moment, and of nothing between", () => {
    const { clock, told } = makeTimer([START + 5_000, START + 400 * DAY_MS]);
    clock.advance(4_999);
    expect(told()).toBe(0);
    clock.advance(1);
    expect(told()).toBe(1);
    clock.advance(DAY_MS);
    expect(told()).toBe(1);
    clock.setWallMs(START + 400 * DAY_MS - 10);
    clock.advance(POLICY_TIME_LOOK_MS);
    expect(told()).toBe(2);
  });

  it("notices within a minute that the clock was set forth or back over a change", () => {
    const { clock, told } = makeTimer([START + DAY_MS]);
    clock.setWallMs(START + 2 * DAY_MS);
    clock.advance(POLICY_TIME_LOOK_MS);
    expect(told()).toBe(1);
    clock.setWallMs(START);
    clock.advance(POLICY_TIME_LOOK_MS);
    expect(told()).toBe(2);
  });

  it("is not there where no rule has a time, and ends when it is stopped", () => {
    expect(makeTimer(undefined).clock.pendingTimers).toBe(0);
    const { clock, timer } = makeTimer([START + 1]);
    timer.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("what rests on a rule whose time is over", () => {
  const policyOf = (rules: readonly RuleEntry[], audit = false): PolicyDocument => ({
    version: 1,
    node: "n@h",
    peers: {
      p: { names: ["p@h"], assurance: "cookie", ...(audit ? { mode: "audit" as const, until: "2026-01-02" } : {}) },
    },
    rules,
  });

  async function make(policy: PolicyDocument) {
    const world = new ScriptedNode({ policy });
    const aborted: string[] = [];
    world.node.register("s", {
      call: (_, { signal }) =>
        new Promise(() => {
          signal.addEventListener("abort", () => aborted.push("call"));
        }),
    });
    const p = await world.connect();
    return { world, p, aborted };
  }

  it.each<[string, PolicyDocument]>([
    ["until", policyOf([{ id: "r", from: "p", allow: ["call", "monitor"], to: "s", until: "2026-01-02" }])],
    ["before", policyOf([{ id: "r", from: "p", allow: ["call", "monitor"], to: "s", when: { before: "2026-01-02" } }])],
    [
      "after of a deny",
      policyOf([
        { id: "r", from: "p", allow: ["call", "monitor"], to: "s" },
        { id: "d", from: "p", deny: ["call", "monitor"], to: "s", when: { after: "2026-01-02" } },
      ]),
    ],
    ["audit mode of the peer", policyOf([], true)],
  ])("is closed at that moment: %s", async (_, policy) => {
    const { world, p, aborted } = await make(policy);
    const ref = p.ref();
    p.write({ kind: "monitor", from: p.from, target: "s", ref });
    p.call("s", 1);
    await p.answers();
    const { generation } = world.node.policy ?? { generation: 0 };
    world.clock.advance(DAY_MS - 1);
    expect(aborted).toEqual([]);
    world.clock.advance(1);
    await world.settle();
    expect(aborted).toEqual(["call"]);
    const downs = (await p.answers()).filter(({ kind }) => kind === "monitor-exit");
    expect(downs.map(({ payload }) => payload)).toEqual([REFUSED, REFUSED]);
    expect(world.node.policy?.generation).toBe(generation);
  });

  it("ends with its session when a rule begins to deny connect", async () => {
    const { world, p } = await make(policyOf([{ id: "d", from: "p", deny: "connect", when: { after: "2026-01-02" } }]));
    world.clock.advance(DAY_MS - 1);
    await world.settle();
    expect(p.connection.isUp).toBe(true);
    world.clock.advance(1);
    await world.settle();
    expect(p.connection.isUp).toBe(false);
  });

  it("is judged by a policy that was taken meanwhile", async () => {
    const { world, p, aborted } = await make(policyOf([{ id: "r", from: "p", allow: "call", to: "s" }]));
    p.call("s", new Atom("x"));
    await p.answers();
    world.node.policy?.replace(
      policyOf([{ id: "r", from: "p", allow: "call", to: "s", until: "2026-01-01T01:00:00Z" }]),
    );
    world.clock.advance(HOUR_MS);
    await world.settle();
    expect(aborted).toEqual(["call"]);
  });
});
