import { Moves, type Plan, type Rules, start, type World } from "./arbiter-model.ts";

export interface Exploration {
  readonly states: number;
  /** States in which nothing can happen any more. */
  readonly ends: number;
  /** What is wrong, with the moves that lead there; the shortest first, at most three. */
  readonly wrong: readonly string[];
}

/** Follows every order of moves. Stops at the first thing that is wrong on the way, and looks at each end. */
export function explore(plan: Plan, rules: Rules): Exploration {
  const moves = new Moves(rules, plan.cookieOnly === true);
  const first = start(plan);
  const isQuiet = (plan.cuts ?? 0) + (plan.restarts ?? 0) + (plan.hangups ?? 0) === 0;
  const seen = new Map<string, { readonly label: string; readonly from: string | undefined }>();
  const before = new Map<string, string[]>();
  const ends: string[] = [];
  const wrong: string[] = [];
  const pathTo = (key: string): string => {
    const labels: string[] = [];
    for (let at: string | undefined = key; at !== undefined; at = seen.get(at)?.from) {
      labels.unshift(seen.get(at)?.label ?? "");
    }
    return labels.slice(1).join("; ");
  };
  // Breadth first, so that what is found is short.
  let level: World[] = [first];
  seen.set(JSON.stringify(first), { label: "", from: undefined });
  while (level.length > 0 && wrong.length < 3) {
    const next: World[] = [];
    for (const world of level) {
      const key = JSON.stringify(world);
      if (world.fault !== undefined) {
        wrong.push(`${world.fault}: ${pathTo(key)}`);
        ends.push(key);
        continue;
      }
      let hasMoves = false;
      for (const [label, after] of moves.next(world)) {
        hasMoves = true;
        const afterKey = JSON.stringify(after);
        const origins = before.get(afterKey);
        if (origins === undefined) before.set(afterKey, [key]);
        else origins.push(key);
        if (seen.has(afterKey)) continue;
        seen.set(afterKey, { label, from: key });
        next.push(after);
      }
      // What the network or an owner may still do, nobody has to wait for.
      if (!hasMoves || isSettled(world)) {
        ends.push(key);
        const fault = faultOfEnd(world, plan, isQuiet);
        if (fault !== undefined) wrong.push(`${fault}: ${pathTo(key)}`);
      }
    }
    level = next;
  }
  if (wrong.length === 0) {
    const trapped = firstTrapped(seen.keys(), ends, before);
    if (trapped !== undefined) wrong.push(`it never ends: ${pathTo(trapped)}`);
  }
  return { states: seen.size, ends: ends.length, wrong: wrong.slice(0, 3) };
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
function firstTrapped(
  states: Iterable<string>,
  ends: readonly string[],
  before: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const free = new Set(ends);
  const stack = [...ends];
  for (let key = stack.pop(); key !== undefined; key = stack.pop()) {
    for (const origin of before.get(key) ?? []) {
      if (free.has(origin)) continue;
      free.add(origin);
      stack.push(origin);
    }
  }
  for (const key of states) if (!free.has(key)) return key;
  return undefined;
}
