import { afterAll, describe, expect, it } from "vitest";
import { explore } from "../testkit/arbiter-explore.ts";
import { type Plan, type Rules, SHIPPED } from "../testkit/arbiter-model.ts";

// Every order of what two nodes and the network can do, with the functions that the node runs. A session that is lost though
// nothing happened to its connection, a dial that fails or is never resolved, two ends that do not agree: all are found.

const EMPTY = [
  { wishes: [1, 0] },
  { wishes: [0, 1] },
  { wishes: [1, 1] },
  { wishes: [2, 2] },
] as const satisfies readonly Plan[];

const LEFTOVERS: readonly Plan[] = ([0, 1] as const).flatMap((at) =>
  [true, false].flatMap((isNewsOnTheWay) =>
    [true, false].map((isPeerRestarted) => ({
      wishes: [1, 1] as const,
      leftover: { at, isNewsOnTheWay, isPeerRestarted },
    })),
  ),
);

const DISTURBED: readonly Plan[] = [
  { wishes: [1, 1], cuts: 1 },
  { wishes: [2, 2], cuts: 1 },
  { wishes: [1, 1], cuts: 2 },
  { wishes: [1, 1], restarts: 1 },
  { wishes: [1, 1], restarts: 2 },
  { wishes: [1, 1], restarts: 1, cuts: 1 },
  { wishes: [1, 1], hangups: 1 },
  { wishes: [2, 2], hangups: 1 },
  { wishes: [1, 1], hangups: 1, cuts: 1 },
  { wishes: [1, 1], leftover: { at: 0, isNewsOnTheWay: true }, cuts: 1 },
  { wishes: [1, 1], leftover: { at: 1, isNewsOnTheWay: true }, restarts: 1 },
];

const PLANS: readonly Plan[] = [...EMPTY, ...LEFTOVERS, ...DISTURBED];
const WITH_COOKIE_ONLY: readonly Plan[] = PLANS.flatMap((plan) => [plan, { ...plan, cookieOnly: true }]);

describe("the arbiter, in every order of events", () => {
  let total = 0;
  afterAll(() => console.log(`arbiter model: ${total} states`));

  it.each(WITH_COOKIE_ONLY)(
    "%j ends with one connection, and with nothing false on the way",
    (plan) => {
      const { states, ends, wrong } = explore(plan, SHIPPED);
      total += states;
      expect(wrong).toEqual([]);
      expect(ends).toBeGreaterThan(0);
    },
    60_000,
  );
});

const MUTANTS: readonly (readonly [string, Partial<Rules>, RegExp])[] = [
  [
    "only the direction counts",
    {
      arbitrate: ({ role, isOwnNameSmaller, standing, openings }) => {
        const hasDial = openings.some((opening) => opening.role === "dialler");
        const keepsOwn = role === "acceptor" && isOwnNameSmaller && (standing !== undefined || hasDial);
        return { answer: keepsOwn ? "other-wins" : "go", ended: [] };
      },
    },
    /loses a session|never ends/,
  ],
  [
    "whoever comes while a session stands is refused",
    {
      arbitrate: ({ standing, openings }) => ({
        answer: standing !== undefined || openings.length > 0 ? "other-wins" : "go",
        ended: [],
      }),
    },
    /never ends/,
  ],
  ["the end of any connection clears the name", { cleansByName: true }, /loses a session/],
  ["nothing is known of connections between verdict and session", { knowsOpenings: false }, /loses a session/],
  ["what was begun before a session may still replace it", { endsOlder: false }, /loses a session/],
  ["a dial that gave way only waits", { retries: false }, /never resolved/],
  [
    "the larger name keeps its own dial when it accepts another",
    { arbitrate: (facts) => ({ ...SHIPPED.arbitrate(facts), ended: [] }) },
    /loses a session/,
  ],
  [
    "a dial does not look at what was let in",
    { arbitrate: (facts) => SHIPPED.arbitrate(facts.role === "dialler" ? { ...facts, openings: [] } : facts) },
    /loses a session|never/,
  ],
  [
    "a dial in work is no reason to refuse",
    { arbitrate: (facts) => SHIPPED.arbitrate(facts.role === "acceptor" ? { ...facts, openings: [] } : facts) },
    /loses a session/,
  ],
  [
    "the standing session always goes on",
    { mayReplace: (standing) => standing === undefined },
    /loses a session|never/,
  ],
];

describe("the model", () => {
  it.each(MUTANTS)(
    "finds what goes wrong when %s",
    (_, change, what) => {
      const rules = { ...SHIPPED, ...change };
      expect(PLANS.some((plan) => explore(plan, rules).wrong.some((line) => what.test(line)))).toBe(true);
    },
    120_000,
  );
});
