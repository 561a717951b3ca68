import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Trap } from "../attack/client.ts";
import { type Asking, ATTEMPTS } from "../attack/policy-attempts.ts";
import {
  askerOf,
  type Letter,
  NAMES,
  type Pass,
  policyOf,
  receiverOf,
  thirdOf,
} from "../attack/policy-matrix-policies.ts";
import { type Ask, type Cell, DIRECTIONS, type Direction, ROWS, type Row } from "../attack/policy-matrix-rows.ts";
import { type Machine, World } from "../attack/policy-rig.ts";
import { canDo } from "./policy-can.ts";

// The capability matrix (requirements 3.1, UT-A17): for each of 20 operations in each of 6 directions, what a hostile client finds
// out is what `policy can` says, and both are what the matrix says. The row of streams is in policy-matrix-quic.long.test.ts.

let world: World;
let listener: Trap;
const machines = new Map<Letter, Machine>();
const machineOf = (letter: Letter): Machine => {
  const machine = machines.get(letter);
  if (machine === undefined) throw new Error(`no machine ${letter}`);
  return machine;
};

beforeAll(async () => {
  world = await World.create();
  listener = await world.trap();
  const port = listener.port;
  await Promise.all(
    (Object.keys(NAMES) as Letter[]).map(async (letter) => {
      const others = Object.values(NAMES).filter((name) => name !== NAMES[letter]);
      const machine = await world.start({
        name: NAMES[letter],
        policy: policyOf(world, letter, "default"),
        pinned: others,
        reach: Object.fromEntries(others.map((name) => [name, port])),
        listen: letter === "D" ? [] : ["tls://127.0.0.1:0"],
      });
      machines.set(letter, machine);
    }),
  );
});
afterAll(() => world.stop());

/** `policy can`, by the functions that the command uses. */
function can(direction: Direction, pass: Pass, { verb, target }: Ask): Promise<boolean> {
  const [asker, receiver] = [NAMES[askerOf(direction)], receiverOf(direction)];
  return canDo(policyOf(world, receiver, pass), { name: asker, fingerprint: world.fingerprint(asker) }, verb, target);
}

/** `policy can`, as a user would run it. */
function commandSays(direction: Direction, pass: Pass, { verb, target }: Ask): number | null {
  const directory = join(world.directory, "files");
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${receiverOf(direction)}-${pass}.jsonc`);
  writeFileSync(file, JSON.stringify(policyOf(world, receiverOf(direction), pass)));
  const main = new URL("../../lib/cli/main.js", import.meta.url).pathname;
  const args = [
    main,
    "policy",
    "can",
    NAMES[askerOf(direction)],
    verb ?? "",
    ...(target === undefined ? [] : [target]),
  ];
  return spawnSync(process.execPath, [...args, "--policy", file, "--json"], { encoding: "utf8" }).status;
}

/** What the matrix, with what is reserved, expects of an attempt. */
function expected(row: Row, cell: Cell, ask: Ask, pass: Pass): boolean {
  if (row.isReserved === true) return false;
  if (ask.attempt === "replyClosed") return false;
  if (cell === "R" || cell === "Y") return true;
  return cell === "G" && pass === "granted";
}

async function prepare(direction: Direction, _pass: Pass): Promise<Asking> {
  const [machine, name] = [machineOf(receiverOf(direction)), NAMES[askerOf(direction)]];
  const self = world.self(name);
  const gotIn = machine.victim.ports.length > 0 && (await machine.tries(self)).isIn;
  // Who does not get in is dialled by the machine, and answers.
  const peer = gotIn ? await machine.attacker(name) : await machine.dials(name, listener);
  return { machine, peer, gotIn, third: NAMES[thirdOf(direction)] };
}

describe.each(DIRECTIONS)("%s", (direction) => {
  describe("as the matrix has it", () => {
    let asking: Asking;
    beforeAll(async () => {
      asking = await prepare(direction, "default");
    });
    afterAll(() => asking?.machine.dropAttackers());
    it.each(ROWS.map((row) => [row.operation, row.cells[direction], row] as const))("%s: %s", async (_, cell, row) => {
      for (const ask of row.asks) {
        const wanted = expected(row, cell, ask, "default");
        expect({ ask, isAllowed: await ATTEMPTS[ask.attempt](asking) }).toEqual({ ask, isAllowed: wanted });
        if (ask.verb === null) expect(row.why).not.toBe(undefined);
        else expect({ ask, can: await can(direction, "default", ask) }).toEqual({ ask, can: wanted });
      }
    });
  });
});

const hasGrant = DIRECTIONS.filter((direction) => direction !== "BD");
describe.each(hasGrant)("%s, with all that is left to a grant", (direction) => {
  let asking: Asking;
  beforeAll(async () => {
    for (const letter of Object.keys(NAMES) as Letter[]) {
      await machineOf(letter).ask("replace", { document: policyOf(world, letter, "granted") });
    }
    asking = await prepare(direction, "granted");
  });
  afterAll(() => asking?.machine.dropAttackers());
  const rows = ROWS.filter((row) => row.cells[direction] === "G" || row.operation.startsWith("run unregistered"));
  it.each(rows.map((row) => [row.operation, row.cells[direction], row] as const))("%s: %s", async (_, cell, row) => {
    for (const ask of row.asks) {
      const wanted = expected(row, cell, ask, "granted");
      expect({ ask, isAllowed: await ATTEMPTS[ask.attempt](asking) }).toEqual({ ask, isAllowed: wanted });
      if (ask.verb !== null) {
        expect({ ask, can: await can(direction, "granted", ask) }).toEqual({ ask, can: wanted });
      }
    }
  });
});

describe("the command", () => {
  const lines: [string, Direction, Pass, Ask, boolean][] = [
    ["allows", "DE", "default", { attempt: "call", verb: "call", target: "jobs" }, true],
    ["allows", "DB", "default", { attempt: "spawn", verb: "spawn", target: "worker" }, true],
    ["allows", "EB", "granted", { attempt: "exit", verb: "exit", target: "mortal" }, true],
    ["denies", "EB", "default", { attempt: "connect", verb: "connect" }, false],
    ["denies", "ED", "granted", { attempt: "spawn", verb: "spawn", target: "worker" }, false],
    ["denies", "BE", "granted", { attempt: "runRpc", verb: "rpc", target: "os:cmd/1" }, false],
    ["denies", "BD", "default", { attempt: "call", verb: "call", target: "jobs" }, false],
  ];
  it.each(lines)("%s, as it is: %s %s %o", (_, direction, pass, ask, isAllowed) => {
    expect(commandSays(direction, pass, ask)).toBe(isAllowed ? 0 : 3);
  });
});
