import { Moves, type Plan, type Rules, start, type World } from "./arbiter-model.ts";

export interface Exploration {
  readonly states: number;
  /** States in which nothing can happen any more. */
  readonly ends: number;
  /** What is wrong, with the moves that lead there; the shortest first, at most three. */
  readonly wrong: readonly string[];
}

/** A state that was reached. */
interface Found {
  /** The move that led to it first, and the state in which it was made. */
  readonly label: string;
  readonly from: number | undefined;
  /** All states that lead to it. */
  readonly origins: number[];
}

/** Follows every order of moves. Stops at the first thing that is wrong on the way, and looks at each end. */
export function explore(plan: Plan, rules: Rules): Exploration {
  const moves = new Moves(rules, plan.cookieOnly === true);
  const first = start(plan);
  const isQuiet = (plan.cuts ?? 0) + (plan.restarts ?? 0) + (plan.hangups ?? 0) === 0;
  /** States have numbers in the order in which they are found. */
  const numbers = new Map<string, number>();
  const found: Found[] = [];
  const ends: number[] = [];
  const wrong: string[] = [];
  const pathTo = (number: number): string => {
    const labels: string[] = [];
    for (let at = found[number]; at?.from !== undefined; at = found[at.from]) labels.unshift(at.label);
    return labels.join("; ");
  };
  const arrive = (world: World, label: string, from: number | undefined): boolean => {
    const key = JSON.stringify(world);
    const known = numbers.get(key);
    if (known !== undefined) {
      if (from !== undefined) found[known]?.origins.push(from);
      return false;
    }
    numbers.set(key, found.length);
    found.push({ label, from, origins: from === undefined ? [] : [from] });
    return true;
  };
  // Breadth first, so that what is found is short.
  let level: World[] = [first];
  let number = 0;
  arrive(first, "", undefined);
  while (level.length > 0 && wrong.length < 3) {
    const next: World[] = [];
    for (const world of level) {
      // Each level is worked off in the order in which its states were found.
      const at = number++;
      if (world.fault !== undefined) {
        wrong.push(`${world.fault}: ${pathTo(at)}`);
        ends.push(at);
        continue;
      }
      let hasMoves = false;
      for (const [label, after] of moves.next(world)) {
        hasMoves = true;
        if (arrive(after, label, at)) next.push(after);
      }
      // What the network or an owner may still do, nobody has to wait for.
      if (!hasMoves || isSettled(world)) {
        ends.push(at);
        const fault = faultOfEnd(world, plan, isQuiet);
        if (fault !== undefined) wrong.push(`${fault}: ${pathTo(at)}`);
      }
    }
    level = next;
  }
  if (wrong.length === 0) {
    const trapped = firstTrapped(found, ends);
    if (trapped !== undefined) wrong.push(`it never ends: ${pathTo(trapped)}`);
  }
  return { states: found.length, ends: ends.length, wrong: wrong.slice(0, 3) };
}

/** Nobody says or wants anything. */
function isSettled({ conns, nodes }: World): boolean {
  return (
    conns.every(({ out }) => out[0].length + out[1].length === 0) &&
    nodes.every(({ wishes, dial }) => wishes === 0 && dial === undefined)
  );
}

function faultOfEnd({ conns, nodes }: World, plan: Plan, isQuiet: boolean): string | undefined {
  const [a, b] = nodes;
  if (a.dial !== undefined || b.dial !== undefined) return "a dial is never resolved";
  // Without a heartbeat nobody hears of the end of a connection that died in silence; that is not the arbiter's to find.
  const isUntouched = plan.leftover?.isNewsOnTheWay === false && plan.wishes[plan.leftover.at === 0 ? 1 : 0] === 0;
  if (isUntouched) return undefined;
  if (a.session !== b.session) return `the ends do not agree: ${a.session} and ${b.session}`;
  if (conns.length !== (a.session === undefined ? 0 : 1)) return `${conns.length} connections are left`;
  if (conns.some(({ ends }) => ends[0] !== "up" || ends[1] !== "up")) return "a connection is half up";
  if (a.openings.length + b.openings.length > 0) return "a connection is waited for that is over";
  const isWanted = plan.wishes[0] + plan.wishes[1] > 0;
  return isQuiet && isWanted && a.session === undefined ? "nobody is connected" : undefined;
}

/** A state from which no end can be reached any more. */
function firstTrapped(found: readonly Found[], ends: readonly number[]): number | undefined {
  const free = new Set(ends);
  const stack = [...ends];
  for (let number = stack.pop(); number !== undefined; number = stack.pop()) {
    for (const origin of found[number]?.origins ?? []) {
      if (free.has(origin)) continue;
      free.add(origin);
      stack.push(origin);
    }
  }
  const trapped = found.findIndex((_, number) => !free.has(number));
  return trapped < 0 ? undefined : trapped;
}
