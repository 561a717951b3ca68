import type { Trap } from "./client.ts";
import type { Attacker } from "./policy-client.ts";
import { BOB, COOKIE, DESKTOP, type Document, EC2, type Machine, unsolicitedOf, World } from "./policy-rig.ts";

export const OWNER = "owner_node@home";
export const THIRD = "third@elsewhere";

/** The desktop of most attacks: bob may connect and nothing else, ec2 a little of everything, the owner all that `*` can say. */
export function desktopPolicy(world: World, more: Document = {}): Document {
  return {
    version: 1,
    node: DESKTOP,
    peers: {
      bob: world.entry(BOB),
      ec2: world.entry(EC2),
      owner: world.entry(OWNER),
      beam: { names: ["beam@colo"], assurance: "cookie" },
    },
    rules: [
      { id: "jobs", from: "ec2", allow: ["send", "call", "cast"], to: "jobs" },
      { id: "run", from: "ec2", allow: "rpc", to: ["jobs:run/1", "jobs:stay/0"] },
      { id: "work", from: "ec2", allow: "spawn", to: ["worker", "stay"] },
      { id: "watch", from: "ec2", allow: "monitor", to: ["mortal", "slow"] },
      { id: "tie", from: "ec2", allow: "link", to: ["machine", "mortal"] },
      { id: "end", from: "ec2", allow: "exit", to: "mortal" },
      { id: "print", from: "ec2", allow: "io", to: "printer" },
      { id: "sys", from: "ec2", allow: "system", to: "machine" },
      { id: "owner", from: "owner", allow: ["send", "call", "cast", "monitor", "link", "exit", "io"], to: "*" },
    ],
    ...more,
  };
}

/** What is shared by the tests of one file. */
export interface Desktop {
  readonly world: World;
  readonly machine: Machine;
  /** Where the desktop finds `ec2`, when it dials. */
  readonly listener: Trap;
  /** Where it would find a third node, which it has no reason to dial. */
  readonly elsewhere: Trap;
}

export async function startDesktop(options: Document = {}, more: Document = {}): Promise<Desktop> {
  const world = await World.create(COOKIE);
  const [listener, elsewhere] = [await world.trap(), await world.trap()];
  const machine = await world.start({
    name: DESKTOP,
    policy: desktopPolicy(world, more),
    pinned: [BOB, EC2, OWNER],
    reach: { [EC2]: listener.port, [THIRD]: elsewhere.port },
    listen: ["tls://127.0.0.1:0", "tcp://127.0.0.1:0"],
    node: { cookie: COOKIE, dangerous: { plaintext: true } },
    ...options,
  });
  return { world, machine, listener, elsewhere };
}

/** Processes of the desktop that no attack may end. */
export async function everyoneLives(machine: Machine): Promise<readonly string[]> {
  const alive = await machine.ask<Record<string, boolean>>("alive");
  return Object.entries(alive)
    .filter(([, lives]) => !lives)
    .map(([name]) => name);
}

/** What came of something that a peer sent. */
export interface Upshot {
  /** False when the desktop ended the session. */
  readonly stands: boolean;
  readonly said: readonly string[];
  /** What handlers and functions got. */
  readonly arrived: readonly string[];
  /** Refusals that were counted. */
  readonly denied: number;
  readonly unsolicited: number;
}

/** Lets a peer do it, waits until it was worked off, and gives what came of it. */
export async function upshot(machine: Machine, peer: Attacker, attack: (peer: Attacker) => void): Promise<Upshot> {
  const before = await machine.health();
  await machine.arrived();
  const mark = peer.heard.length;
  attack(peer);
  const stands = await peer.settles();
  const arrived = await machine.arrived();
  const after = await machine.health();
  return {
    stands,
    said: peer
      .said(mark)
      .filter((text) => !text.includes("is_auth") && !/^\{(22|33),.* \{\[alias\|.*\},yes\}$/.test(text)),
    arrived,
    denied: (after.counters["denied"] ?? 0) - (before.counters["denied"] ?? 0),
    unsolicited: unsolicitedOf(after) - unsolicitedOf(before),
  };
}
