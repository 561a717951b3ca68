import { arbitrateNative, mayReplaceNative, type Opening } from "../node/arbiter.ts";

// A model of two nodes and their native connections, for the exhaustive check of the arbiter: the messages that matter, one
// move at a time, over the functions that the node itself runs. Times do not exist: whatever may happen later may happen now.

/** Node 0 has the smaller name. */
export type Who = 0 | 1;
export const other = (who: Who): Who => (who === 0 ? 1 : 0);

/**
 * One end of a connection. Dialler: `hello` (waits for the acceptor's HELLO and PROOF), `proved` (its own PROOF is out). Acceptor:
 * `hello`, `expect-proof`, `expect-alive`, `expect-confirm`.
 */
export type End = "hello" | "proved" | "expect-proof" | "expect-alive" | "expect-confirm" | "up" | "closed";

export type Message =
  | "HELLO"
  | "PROOF"
  | "STATUS alive"
  | "ALIVE yes"
  | "ALIVE no"
  | "CONFIRM"
  | "REFUSE other-wins"
  | "REFUSE stale"
  | "close";

export interface Conn {
  readonly dialler: Who;
  /** The lives of both nodes in it, by node. */
  readonly lives: readonly [number, number];
  readonly ends: [End, End];
  /** What is on its way, by sender. */
  readonly out: [Message[], Message[]];
  /** The network cut it, a node of it restarted, or its owner ended it: who loses it now loses it for good reason. */
  broken: boolean;
}

export interface ModelNode {
  life: number;
  /** Index of its session's connection, or none. */
  session: number | undefined;
  /** The dial under way: its connection, or `waiting` for the peer's. */
  dial: number | "waiting" | undefined;
  /** In the order of their verdicts. */
  openings: { readonly conn: number; readonly isProven: boolean }[];
  /** Calls of `connect` that are still to come. */
  wishes: number;
}

export interface World {
  conns: Conn[];
  readonly nodes: [ModelNode, ModelNode];
  cuts: number;
  restarts: number;
  hangups: number;
  /** What went wrong on the way here. */
  fault: string | undefined;
}

/** The rules under test; the parts by which defective ones differ. */
export interface Rules {
  readonly arbitrate: typeof arbitrateNative;
  readonly mayReplace: typeof mayReplaceNative;
  /** False: connections between verdict and session are not looked at. */
  readonly knowsOpenings: boolean;
  /** A connection that is up ends what the same party began before it. */
  readonly endsOlder: boolean;
  /** True: the end of any connection takes the session of that name away. */
  readonly cleansByName: boolean;
  /** A dial that gave way tries again. */
  readonly retries: boolean;
}

export const SHIPPED: Rules = {
  arbitrate: arbitrateNative,
  mayReplace: mayReplaceNative,
  knowsOpenings: true,
  endsOlder: true,
  cleansByName: false,
  retries: true,
};

export interface Plan {
  /** Calls of `connect`, by node. */
  readonly wishes: readonly [number, number];
  /** The acceptor proves itself last. */
  readonly cookieOnly?: boolean;
  /** An old session: which node still holds it, and whether the news of its end is on the way. */
  readonly leftover?: { readonly at: Who; readonly isNewsOnTheWay: boolean; readonly isPeerRestarted?: boolean };
  readonly cuts?: number;
  readonly restarts?: number;
  readonly hangups?: number;
}

/** Connections at once at most; more dials wait. */
const MAX_CONNS = 4;

export function start(plan: Plan): World {
  const node = (wishes: number): ModelNode => ({ life: 1, session: undefined, dial: undefined, openings: [], wishes });
  const world: World = {
    conns: [],
    nodes: [node(plan.wishes[0]), node(plan.wishes[1])],
    cuts: plan.cuts ?? 0,
    restarts: plan.restarts ?? 0,
    hangups: plan.hangups ?? 0,
    fault: undefined,
  };
  const { leftover } = plan;
  if (leftover !== undefined) {
    const { at, isNewsOnTheWay, isPeerRestarted } = leftover;
    const conn: Conn = { dialler: 0, lives: [1, 1], ends: ["up", "up"], out: [[], []], broken: true };
    conn.ends[other(at)] = "closed";
    if (isNewsOnTheWay) conn.out[other(at)].push("close");
    world.conns.push(conn);
    world.nodes[at].session = 0;
    if (isPeerRestarted === true) world.nodes[other(at)].life = 2;
  }
  return world;
}

export function copy(world: World): World {
  const conns = world.conns.map(({ dialler, lives, ends, out, broken }) => ({
    dialler,
    lives,
    ends: [...ends] as Conn["ends"],
    out: [[...out[0]], [...out[1]]] as Conn["out"],
    broken,
  }));
  const nodeOf = (node: ModelNode): ModelNode => ({ ...node, openings: [...node.openings] });
  return { ...world, conns, nodes: [nodeOf(world.nodes[0]), nodeOf(world.nodes[1])] };
}

/** Removes what both ends have closed, so that worlds which differ only in the past are one. */
function tidy(world: World): void {
  const kept: number[] = [];
  world.conns.forEach((conn, index) => {
    if (conn.ends[0] !== "closed" || conn.ends[1] !== "closed") kept.push(index);
  });
  if (kept.length === world.conns.length) return;
  const moved = (index: number): number => kept.indexOf(index);
  world.conns = kept.flatMap((index) => world.conns[index] ?? []);
  for (const node of world.nodes) {
    if (node.session !== undefined) node.session = moved(node.session);
    if (typeof node.dial === "number") node.dial = moved(node.dial);
    node.openings = node.openings.map((opening) => ({ ...opening, conn: moved(opening.conn) }));
  }
}

/** The moves of one world, each as a change of a copy of it. */
export class Moves {
  readonly #rules: Rules;
  readonly #cookieOnly: boolean;

  constructor(rules: Rules, cookieOnly: boolean) {
    this.#rules = rules;
    this.#cookieOnly = cookieOnly;
  }

  /** All worlds that can follow, with what happened. */
  *next(from: World): Generator<readonly [string, World]> {
    for (const [label, move] of this.#moves(from)) {
      const world = copy(from);
      move(world);
      tidy(world);
      yield [label, world];
    }
  }

  *#moves(from: World): Generator<readonly [string, (world: World) => void]> {
    const hasRoom = from.conns.length < MAX_CONNS;
    for (const who of [0, 1] as const) {
      const { wishes, dial, session, life } = from.nodes[who];
      if (wishes > 0 && (hasRoom || session !== undefined)) yield [`${who} connects`, (w) => this.#connect(w, who)];
      if (dial === "waiting" && this.#rules.retries && hasRoom) yield [`${who} dials again`, (w) => this.#dial(w, who)];
      if (session !== undefined && from.hangups > 0) yield [`${who} hangs up`, (w) => this.#hangUp(w, who, session)];
      if (from.restarts > 0 && life < 3) {
        for (const drops of [true, false]) yield [`${who} restarts`, (w) => this.#restart(w, who, drops)];
      }
    }
    for (const [index, conn] of from.conns.entries()) {
      for (const who of [0, 1] as const) {
        const message = conn.out[who][0];
        if (message !== undefined) yield [`${index}: ${who} says ${message}`, (w) => this.#deliver(w, index, who)];
      }
      if (from.cuts > 0 && !conn.broken) {
        for (const drops of [true, false]) yield [`${index} is cut`, (w) => cut(w, index, drops)];
      }
    }
  }

  #connect(world: World, who: Who): void {
    const node = world.nodes[who];
    node.wishes--;
    if (node.session === undefined && node.dial === undefined) this.#dial(world, who);
  }

  #dial(world: World, who: Who): void {
    const conn: Conn = {
      dialler: who,
      lives: [world.nodes[0].life, world.nodes[1].life],
      ends: ["hello", "hello"],
      out: [[], []],
      broken: false,
    };
    conn.out[who].push("HELLO");
    world.nodes[who].dial = world.conns.push(conn) - 1;
  }

  #hangUp(world: World, who: Who, index: number): void {
    world.hangups--;
    const conn = world.conns[index];
    if (conn === undefined) return;
    conn.broken = true;
    this.#close(world, index, who, "over");
  }

  #restart(world: World, who: Who, drops: boolean): void {
    world.restarts--;
    const node = world.nodes[who];
    if (node.dial !== undefined) node.wishes++; // somebody starts it for what it is there for
    Object.assign(node, { life: node.life + 1, session: undefined, dial: undefined, openings: [] });
    for (const conn of world.conns) {
      conn.broken = true;
      if (conn.ends[who] === "closed") continue;
      conn.ends[who] = "closed";
      if (drops) conn.out[who].splice(0);
      conn.out[who].push("close");
      conn.out[other(who)].splice(0);
    }
  }

  #deliver(world: World, index: number, from: Who): void {
    const conn = world.conns[index];
    const message = conn?.out[from].shift();
    const who = other(from);
    if (conn === undefined || message === undefined || conn.ends[who] === "closed") return;
    const isDialler = conn.dialler === who;
    switch (message) {
      case "close":
        this.#close(world, index, who, "over", true);
        return;
      case "REFUSE other-wins":
        this.#close(world, index, who, "gave way", true);
        return;
      case "REFUSE stale":
        if (conn.lives[who] === world.nodes[who].life) world.fault ??= `${who} is told that its newest life is stale`;
        this.#close(world, index, who, "over", true);
        return;
      case "HELLO":
        if (isDialler) this.#arbitrate(world, index, who, { isProven: !this.#cookieOnly }, "PROOF");
        else {
          conn.ends[who] = "expect-proof";
          say(conn, who, "HELLO");
        }
        return;
      case "PROOF":
        this.#arbitrate(world, index, who, {}, "CONFIRM");
        return;
      case "STATUS alive":
        this.#arbitrate(world, index, who, { asked: true, isProven: !this.#cookieOnly }, "ALIVE yes");
        return;
      case "ALIVE yes":
        conn.ends[who] = "expect-confirm";
        say(conn, who, "CONFIRM");
        return;
      case "ALIVE no":
        this.#close(world, index, who, "over", true);
        return;
      case "CONFIRM":
        if (isDialler && this.#cookieOnly) this.#arbitrate(world, index, who, {}, "CONFIRM");
        else if (isDialler) this.#confirmed(world, index, who);
        else this.#up(world, index, who);
        return;
    }
  }

  /** Asks the rules under test, and says `onGo` if the connection goes on. */
  #arbitrate(
    world: World,
    index: number,
    who: Who,
    { asked = false, isProven = true }: { readonly asked?: boolean; readonly isProven?: boolean },
    onGo: Message,
  ): void {
    const conn = world.conns[index];
    if (conn === undefined) return;
    const node = world.nodes[who];
    const role = conn.dialler === who ? "dialler" : "acceptor";
    const openings = this.#rules.knowsOpenings ? openingsOf(world, who, index) : [];
    const { answer, ended } = this.#rules.arbitrate({
      role,
      incarnation: BigInt(conn.lives[other(who)]),
      isProven,
      peerHoldsSession: asked,
      isOwnNameSmaller: who === 0,
      standing: standing(world, who),
      openings,
    });
    if (answer === "go" || (answer === "alive" && role === "acceptor")) {
      const place = node.openings.findIndex((opening) => opening.conn === index);
      if (place < 0) node.openings.push({ conn: index, isProven });
      else node.openings[place] = { conn: index, isProven };
    }
    for (const { conn: rival } of ended) this.#close(world, rival, who, "gave way");
    if (answer === "stale") this.#close(world, index, who, "over", false, "REFUSE stale");
    else if (answer === "other-wins" || (answer === "alive" && role === "dialler")) {
      this.#close(world, index, who, "gave way", false, asked ? "ALIVE no" : "REFUSE other-wins");
    } else if (answer === "alive") {
      conn.ends[who] = "expect-alive";
      say(conn, who, "STATUS alive");
    } else if (role === "dialler" && onGo === "CONFIRM") this.#confirmed(world, index, who);
    else {
      conn.ends[who] = role === "dialler" ? "proved" : "expect-confirm";
      say(conn, who, onGo);
    }
  }

  #confirmed(world: World, index: number, who: Who): void {
    const conn = world.conns[index];
    if (conn !== undefined) say(conn, who, "CONFIRM");
    this.#up(world, index, who);
  }

  #up(world: World, index: number, who: Who): void {
    const conn = world.conns[index];
    if (conn === undefined) return;
    const node = world.nodes[who];
    if (!this.#rules.mayReplace(standing(world, who), BigInt(conn.lives[other(who)]))) {
      this.#close(world, index, who, "gave way");
      return;
    }
    if (node.session !== undefined) this.#close(world, node.session, who, "over");
    if (this.#rules.endsOlder) {
      const place = node.openings.findIndex((opening) => opening.conn === index);
      for (const older of node.openings.slice(0, Math.max(place, 0))) this.#close(world, older.conn, who, "gave way");
    }
    node.openings = node.openings.filter((opening) => opening.conn !== index);
    conn.ends[who] = "up";
    node.session = index;
    const { dial } = node;
    node.dial = undefined;
    if (typeof dial === "number" && dial !== index) this.#close(world, dial, who, "gave way");
  }

  /** One end closes; `byPeer`: it was told, and says nothing back. */
  #close(world: World, index: number, who: Who, how: "gave way" | "over", byPeer = false, last?: Message): void {
    const conn = world.conns[index];
    if (conn === undefined || conn.ends[who] === "closed") return;
    const node = world.nodes[who];
    conn.ends[who] = "closed";
    conn.out[other(who)].splice(0);
    if (last !== undefined) say(conn, who, last);
    if (byPeer) conn.out[who].splice(0);
    if (!byPeer || conn.ends[other(who)] !== "closed") say(conn, who, "close");
    node.openings = node.openings.filter((opening) => opening.conn !== index);
    if (node.session === index || (this.#rules.cleansByName && node.session !== undefined)) {
      node.session = undefined;
      if (!conn.broken) world.fault ??= `${who} loses a session that nothing had happened to`;
    }
    if (node.dial !== index) return;
    if (how === "gave way") node.dial = "waiting";
    else {
      node.dial = undefined;
      node.wishes++; // whoever wanted it tries anew
      if (!conn.broken) world.fault ??= `a dial of ${who} fails`;
    }
  }
}

function say(conn: Conn, who: Who, message: Message): void {
  if (conn.ends[other(who)] !== "closed" && conn.out[who].at(-1) !== "close") conn.out[who].push(message);
}

/** The network ends a connection, with or without what is on its way. */
function cut(world: World, index: number, drops: boolean): void {
  const conn = world.conns[index];
  if (conn === undefined) return;
  world.cuts--;
  conn.broken = true;
  for (const who of [0, 1] as const) {
    if (drops) conn.out[who].splice(0);
    if (conn.ends[other(who)] !== "closed" && conn.out[who].at(-1) !== "close") conn.out[who].push("close");
  }
}

function standing(world: World, who: Who) {
  const { session } = world.nodes[who];
  const conn = session === undefined ? undefined : world.conns[session];
  if (conn === undefined) return undefined;
  return { isSameParty: true, isOutranked: false, incarnation: BigInt(conn.lives[other(who)]) };
}

function openingsOf(world: World, who: Who, except: number): (Opening & { readonly conn: number })[] {
  return world.nodes[who].openings.flatMap(({ conn: index, isProven }) => {
    const conn = world.conns[index];
    if (conn === undefined || index === except) return [];
    const role = conn.dialler === who ? "dialler" : "acceptor";
    return [{ conn: index, role, incarnation: BigInt(conn.lives[other(who)]), isProven } as const];
  });
}
