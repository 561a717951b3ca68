import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askerOf, type Letter, NAMES, type Pass, policyOf, receiverOf } from "../attack/policy-matrix-policies.ts";
import {
  type Ask,
  type Cell,
  DIRECTIONS,
  type Direction,
  QUIC_ROWS,
  type StreamAttemptName,
} from "../attack/policy-matrix-rows.ts";
import { COOKIE, EC2, eventually, type Machine, World } from "../attack/policy-rig.ts";
import { PeerProcess } from "../barrel-peer/harness.ts";
import { canDo } from "./policy-can.ts";

// The row of streams of the capability matrix, which needs QUIC: what a hostile barrel peer with the key of the asking machine finds out
// is what `policy can` says, and both are what the matrix says. In each cell the machine that is asked has dialled. Whoever dials in
// over QUIC counts as cookie and for no key of an entry: what that leaves of the row stands at the end.

const LETTERS = Object.keys(NAMES) as Letter[];
const PATIENT = { maxTlsHandshakeMs: 60_000, maxHandshakeMs: 60_000 };
const REFUSED = 0x100;

let world: World;
const machines = new Map<Letter, Machine>();
const peers = new Map<Letter, PeerProcess>();
const machineOf = (letter: Letter): Machine => machines.get(letter) as Machine;
const peerOf = (letter: Letter): PeerProcess => peers.get(letter) as PeerProcess;

beforeAll(async () => {
  world = await World.create();
  const cookieFile = join(world.directory, "cookie");
  writeFileSync(cookieFile, COOKIE);
  const ports = new Map<Letter, unknown>();
  for (const letter of LETTERS) {
    const { seed, publicKey } = world.self(NAMES[letter]);
    const keyDir = join(world.directory, `peer-${letter}`);
    mkdirSync(keyDir);
    writeFileSync(join(keyDir, "node.key"), seed);
    writeFileSync(join(keyDir, "node.pub"), publicKey);
    const args = ["--key-dir", keyDir, "--listen", "127.0.0.1:0", "--auth-timeout", "60000"];
    const peer = new PeerProcess({ dir: world.directory, cookieFile }, NAMES[letter], args);
    peers.set(letter, peer);
    ports.set(letter, (await peer.wait({ event: "listening" }))["port"]);
  }
  await Promise.all(
    LETTERS.map(async (letter) => {
      const others = LETTERS.filter((other) => other !== letter);
      const machine = await world.start({
        name: NAMES[letter],
        policy: policyOf(world, letter, "default"),
        pinned: others.map((other) => NAMES[other]),
        listen: letter === "D" ? [] : ["quic://127.0.0.1:0"],
        node: {
          cookie: COOKIE,
          // A barrel node serves the streams of visible nodes only.
          quic: { visible: true },
          tickTimeMs: 600_000,
          limits: PATIENT,
          resolve: Object.fromEntries(others.map((other) => [NAMES[other], `quic://127.0.0.1:${ports.get(other)}`])),
        },
      });
      machines.set(letter, machine);
    }),
  );
});
afterAll(async () => {
  await Promise.all([...peers.values()].map((peer) => peer.stop()));
  await world.stop();
});

/** One direction: who asks, over which connection, whom. */
interface Asking {
  readonly machine: Machine;
  readonly peer: PeerProcess;
  readonly connection: unknown;
}

/** The peer opens a stream and writes; true when the machine's handler had it and answered. */
async function opens({ machine, peer, connection }: Asking): Promise<boolean> {
  await machine.arrived();
  const mark = peer.mark;
  const { stream: id } = await peer.command("openStream", { connection, tag: "upload" });
  const hex = Buffer.from("bulk").toString("hex");
  await peer.command("writeStream", { connection, stream: id, hex, fin: true });
  const [end] = await eventually(
    () => peer.since(mark, { event: "stream", connection, id }),
    (events) => events.length > 0,
    30_000,
  );
  const arrived = (await machine.arrived()).filter((line) => line.startsWith("upload"));
  if (end?.["what"] === "data") {
    expect(arrived).toEqual([`upload <<"bulk">>`]);
    return true;
  }
  expect({ what: end?.["what"], code: end?.["code"], arrived }).toEqual({ what: "reset", code: REFUSED, arrived: [] });
  return false;
}

let count = 0;

/** The machine opens a stream, and the peer writes back on it. */
async function writesBack({ machine, peer }: Asking): Promise<boolean> {
  const key = `stream${++count}`;
  await machine.ask("stream", { key, to: peer.name, tag: "echo" });
  const { state, value } = await eventually(
    () => machine.ending(key),
    (ending) => ending.state !== "open",
    30_000,
  );
  return state === "answered" && value === `<<"question">>`;
}

const ATTEMPTS: Readonly<Record<StreamAttemptName, (asking: Asking) => Promise<boolean>>> = {
  stream: opens,
  streamBack: writesBack,
};

function expected(cell: Cell, { attempt }: Ask<StreamAttemptName>, pass: Pass): boolean {
  return attempt === "streamBack" || cell === "Y" || (cell === "G" && pass === "granted");
}

/** The machine that is asked dials the asking one. */
async function dialled(direction: Direction): Promise<Asking> {
  const [machine, peer] = [machineOf(receiverOf(direction)), peerOf(askerOf(direction))];
  const mark = peer.mark;
  const { assurance } = await machine.ask<{ assurance: string }>("connect", { to: peer.name });
  expect(assurance).toBe("pinned");
  const { connection } = await peer.wait({ event: "up", name: machine.name }, mark);
  await peer.wait({ event: "accepting", connection }, mark);
  return { machine, peer, connection };
}

async function hangUp({ machine, peer, connection }: Asking): Promise<void> {
  await peer.command("close", { connection });
  await eventually(
    async () => (await machine.health()).connectedNodes,
    (connected) => !connected.includes(peer.name),
  );
}

describe.each(["default", "granted"] as const)("with the policies of the pass %s", (pass) => {
  beforeAll(async () => {
    for (const letter of LETTERS) {
      await machineOf(letter).ask("replace", { document: policyOf(world, letter, pass) });
    }
  });
  const cells = QUIC_ROWS.flatMap((row) =>
    DIRECTIONS.map((direction) => ({ direction, cell: row.cells[direction], row })),
  );

  it.each(cells)("$row.operation, $direction: $cell", async ({ direction, cell, row }) => {
    const asking = await dialled(direction);
    for (const ask of row.asks) {
      const wanted = expected(cell, ask, pass);
      expect({ ask, isAllowed: await ATTEMPTS[ask.attempt](asking) }).toEqual({ ask, isAllowed: wanted });
      if (ask.verb === null) continue;
      const who = { name: asking.peer.name, fingerprint: world.fingerprint(asking.peer.name) };
      const policy = policyOf(world, receiverOf(direction), pass);
      expect({ ask, can: await canDo(policy, who, ask.verb, ask.target) }).toEqual({ ask, can: wanted });
    }
    await hangUp(asking);
  });
});

describe("who dials in over QUIC", () => {
  it.each(["DE", "DB", "EB", "BE"] as const)(
    "%s: has no stream by an entry with its key, for it has no session",
    async (direction) => {
      const [machine, peer] = [machineOf(receiverOf(direction)), peerOf(askerOf(direction))];
      await machine.ask("replace", { document: policyOf(world, receiverOf(direction), "granted") });
      const mark = peer.mark;
      const events = machine.victim.events.length;
      const connection = await peer.dial(machine.name, `127.0.0.1:${machine.port}`);
      const refused = await machine.victim.event(({ event }) => event === "refused", events);
      expect(refused).toMatchObject({ code: "ERR_DENIED", stage: "policy" });
      await peer.wait({ event: "closed", connection }, mark);
      expect(peer.since(mark, { event: "up" })).toEqual([]);
    },
  );

  it("has one by an entry of its name and the cookie, which whoever has the cookie may fill", async () => {
    const [machine, peer] = [machineOf("B"), peerOf("E")];
    const peersOf = (rules: readonly object[]): object => ({
      ...policyOf(world, "B", "default"),
      peers: { ec2: { names: [EC2], assurance: "cookie" } },
      rules,
    });
    const bulk = { id: "ec2-bulk", from: "ec2", allow: "stream", to: "upload" };
    for (const [rules, wanted] of [
      [[], false],
      [[bulk], true],
    ] as const) {
      await machine.ask("replace", { document: peersOf(rules) });
      const mark = peer.mark;
      const connection = await peer.dial(machine.name, `127.0.0.1:${machine.port}`);
      await peer.wait({ event: "up", connection }, mark);
      const asking = { machine, peer, connection };
      expect(await opens(asking)).toBe(wanted);
      await hangUp(asking);
    }
  });

  it("D has no listener: nobody dials it", () => {
    expect(machineOf("D").victim.ports).toEqual([]);
  });
});
