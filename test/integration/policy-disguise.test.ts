import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  alias,
  atom,
  type Bytes,
  bin,
  cons,
  int,
  join,
  list,
  NIL,
  nested,
  tuple,
  u8,
  u16,
  u32,
  u64,
} from "../attack/etf.ts";
import { firstFragment, nextFragment, op } from "../attack/frames.ts";
import type { Attacker } from "../attack/policy-client.ts";
import { everyoneLives, type Upshot, upshot } from "../attack/policy-desktop.ts";
import { DESKTOP, type Machine, World } from "../attack/policy-rig.ts";

// The policy is asked before a payload is decoded, after a look at its head. Whatever is written in another way than a BEAM
// writes it must look the same to that look as to the decoder: a message never gets in as something that it is not.

const SENDER = "sender@a";
const CALLER = "caller@b";
const WHOLE = "whole@c";

let world: World;
let desktop: Machine;
beforeAll(async () => {
  world = await World.create();
  desktop = await world.start({
    name: DESKTOP,
    policy: {
      version: 1,
      node: DESKTOP,
      peers: { sender: world.entry(SENDER), caller: world.entry(CALLER), whole: world.entry(WHOLE) },
      rules: [
        { id: "send", from: "sender", allow: "send", to: ["jobs", "machine"] },
        { id: "call", from: "caller", allow: "call", to: ["jobs", "machine"] },
        { id: "run", from: "caller", allow: "rpc", to: ["jobs:run/1", "jobs:stay/0"] },
        { id: "work", from: "caller", allow: "spawn", to: "worker" },
        { id: "whole", from: "whole", allow: ["send", "call", "cast", "monitor", "link", "exit", "io"], to: "*" },
        {
          id: "shape",
          from: "sender",
          allow: "send",
          to: "events",
          shape: { tuple: ["progress", "binary", "integer"] },
          limits: { payload: "1KiB", depth: 3, elements: 8, newAtoms: 0 },
        },
      ],
    },
    pinned: [SENDER, CALLER, WHOLE],
  });
});
afterEach(async () => {
  await desktop.dropAttackers();
  await desktop.ask("release");
  await desktop.arrived();
  expect(await everyoneLives(desktop)).toEqual([]);
});
afterAll(() => world.stop());

/** Ways to write an atom. The last needs the header of `cached`. */
const ATOMS: [string, (name: string) => Bytes][] = [
  ["SMALL_ATOM_UTF8_EXT", atom],
  ["ATOM_UTF8_EXT", (name) => join(u8(118), u16(name.length), Buffer.from(name))],
  ["ATOM_EXT", (name) => join(u8(100), u16(name.length), Buffer.from(name))],
  ["SMALL_ATOM_EXT", (name) => join(u8(115), u8(name.length), Buffer.from(name))],
];
const largeTuple = (...items: readonly Bytes[]): Bytes => join(u8(105), u32(items.length), ...items);
const TUPLES: [string, (...items: readonly Bytes[]) => Bytes][] = [
  ["SMALL_TUPLE_EXT", tuple],
  ["LARGE_TUPLE_EXT", largeTuple],
];
const WAYS = ATOMS.flatMap(([a, write]) => TUPLES.map(([t, pack]) => [`${a} in ${t}`, write, pack] as const));

const by = async (name: string, attack: (peer: Attacker) => void): Promise<Upshot> =>
  upshot(desktop, await desktop.attacker(name), attack);

/** A call by the atoms and tuples of choice. */
const call = (peer: Attacker, head: Bytes, pack: (...items: readonly Bytes[]) => Bytes): Bytes =>
  pack(head, pack(peer.pid(), alias(peer.ref())), bin("x"));

describe("a call", () => {
  it.each(WAYS)("written as %s is a call to who may only send, and is refused", async (_, write, pack) => {
    const came = await by(SENDER, (peer) => peer.regSend("jobs", call(peer, write("$gen_call"), pack)));
    expect(came.arrived).toEqual([]);
  });

  it.each(WAYS)("written as %s is one to who may call, or ends the session", async (_, write, pack) => {
    const came = await by(CALLER, (peer) => peer.regSend("jobs", call(peer, write("$gen_call"), pack)));
    if (came.stands) expect(came.arrived).toEqual(['jobs.call <<"x">>']);
    else expect(came.arrived).toEqual([]);
  });

  it("with its atom from the atom cache is refused all the same", async () => {
    const cached = (peer: Attacker): Bytes => {
      const header = join(Buffer.from("834401", "hex"), u8(0x08), u8(0), u8(9), Buffer.from("$gen_call"));
      const payload = tuple(Buffer.from("5200", "hex"), tuple(peer.pid(), alias(peer.ref())), bin("x"));
      return join(header, op.regSend(peer.pid(), "jobs"), payload);
    };
    expect((await by(SENDER, (peer) => peer.raw.frame(cached(peer), 4))).arrived).toEqual([]);
    const came = await by(CALLER, (peer) => peer.raw.frame(cached(peer), 4));
    if (came.stands) expect(came.arrived).toEqual(['jobs.call <<"x">>']);
  });

  it("in fragments of which the first tells nothing is refused all the same", async () => {
    const fragments = (peer: Attacker): void => {
      const payload = call(peer, atom("$gen_call"), tuple);
      for (const [i, at] of [0, 1, 3, 7].entries()) {
        const part = payload.subarray(at, [1, 3, 7, payload.length][i]);
        const id = BigInt(4 - i);
        peer.raw.frame(
          i === 0 ? firstFragment(9n, id, op.regSend(peer.pid(), "jobs"), part) : nextFragment(9n, id, part),
          4,
        );
      }
    };
    expect(await by(SENDER, fragments)).toMatchObject({ stands: true, arrived: [], denied: 1 });
    expect(await by(CALLER, fragments)).toMatchObject({ stands: true, arrived: ['jobs.call <<"x">>'] });
  });

  it("that is none, of the wrong size or with no address, is a message: refused to who may only call", async () => {
    const came = await by(CALLER, (peer) => {
      peer.regSend("jobs", tuple(atom("$gen_call"), bin("x")));
      peer.regSend("jobs", tuple(atom("$gen_call"), int(1), bin("x")));
      peer.regSend("jobs", tuple(atom("$gen_call"), tuple(peer.pid(), alias(peer.ref())), bin("x"), bin("y")));
      peer.regSend("jobs", tuple(atom("$gen_cast"), bin("x"), bin("y")));
      peer.regSend("jobs", tuple(atom("$gen_cast"), bin("x")));
      peer.regSend("jobs", atom("$gen_call"));
    });
    expect(came.arrived).toEqual([]);
  });

  it("to somebody else's pid, written like one's own, is never answered there", async () => {
    const came = await by(CALLER, (peer) => {
      const address = tuple(peer.theirPid({ id: 1, serial: 0 }), alias(peer.ref()));
      peer.regSend("jobs", tuple(atom("$gen_call"), address, bin("x")));
    });
    expect([came.stands, came.arrived]).toEqual([false, []]);
  });
});

describe("a message of a node's machinery", () => {
  const heads = ["system", "EXIT", "DOWN"];
  it.each(WAYS)("written as %s is not let in by `*`", async (_, write, pack) => {
    const came = await by(WHOLE, (peer) => {
      const from = pack(peer.pid(), alias(peer.ref()));
      for (const head of heads) {
        peer.regSend("jobs", pack(write(head), from, write("get_state")));
        peer.send(
          op.sendSender(peer.pid(), peer.theirPid(desktop.pids["jobs"] ?? { id: 0, serial: 0 })),
          pack(write(head), from, NIL),
        );
      }
      peer.regSend("jobs", pack(write("DOWN"), peer.ref(), write("process"), peer.pid(), write("x")));
      peer.regSend("jobs", pack(write("EXIT"), peer.pid(), write("kill")));
    });
    expect(came.arrived).toEqual([]);
  });

  it("through an alias, or traced, is no other", async () => {
    const grant = await desktop.grant("disguise", "handed", SENDER);
    const came = await by(SENDER, (peer) => {
      const message = tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), atom("get_state"));
      const words = grant.alias.words;
      const reference = join(u8(90), u16(words.length), atom(DESKTOP), u32(grant.alias.creation), ...words.map(u32));
      peer.send(op.aliasSend(peer.pid(), reference), message);
      peer.send(op.regSendTraced(peer.pid(), "jobs", int(1)), message);
      peer.send(op.sendTraced(peer.theirPid(grant.pid), int(1)), message);
    });
    expect(came.arrived).toEqual([]);
  });
});

describe("bytes where the head is looked at", () => {
  const deep = nested(1_000_000);
  const rests: [string, Bytes][] = [
    ["a million levels", deep],
    ["a list that lies", Buffer.from("6cffffffff6a", "hex")],
    ["a tuple that lies", Buffer.from("69ffffffff6a", "hex")],
    ["a binary that lies", Buffer.from("6dffffffff", "hex")],
    ["a map that lies", Buffer.from("74ffffffff6a", "hex")],
    ["an integer that lies", Buffer.from("6fffffffff00", "hex")],
    ["a compressed term", Buffer.from("5000000400789c", "hex")],
    ["an unknown tag", Buffer.from("ff", "hex")],
    ["nothing", Buffer.alloc(0)],
  ];
  const raw = (count: number, ...parts: readonly Bytes[]): Bytes => join(u8(104), u8(count), ...parts);
  it.each(rests)("%s: nothing arrives, and the node lives", async (_, rest) => {
    for (const name of [SENDER, CALLER, WHOLE]) {
      const tries: ((peer: Attacker) => void)[] = [
        (peer) => peer.regSend("jobs", raw(3, atom("$gen_call"), rest, int(1))),
        (peer) => peer.regSend("jobs", raw(3, atom("$gen_call"), raw(2, peer.pid(), rest), int(1))),
        (peer) => peer.regSend("jobs", raw(3, atom("$gen_call"), tuple(peer.pid(), alias(peer.ref())), rest)),
        (peer) => peer.regSend("jobs", raw(2, atom("$gen_cast"), rest)),
        (peer) => peer.regSend("private", raw(3, atom("$gen_call"), rest, int(1))),
        (peer) =>
          peer.regSend("rex", raw(3, atom("$gen_call"), rest, tuple(atom("call"), atom("jobs"), atom("run"), NIL))),
        (peer) => peer.regSend("rex", raw(3, atom("$gen_call"), tuple(peer.pid(), alias(peer.ref())), rest)),
        (peer) => peer.regSend("net_kernel", raw(3, atom("$gen_call"), rest, tuple(atom("is_auth"), atom("x")))),
        (peer) => peer.regSend("events", raw(3, atom("progress"), rest, int(1))),
        (peer) =>
          peer.send(
            op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4]),
            join(u8(108), u32(4), rest, atom("jobs"), atom("run"), list(int(1)), NIL),
          ),
        (peer) =>
          peer.send(
            op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4]),
            join(u8(108), u32(4), peer.ref(), atom("jobs"), atom("run"), rest, NIL),
          ),
        (peer) => peer.send(op.aliasSend(peer.pid(), peer.theirRef()), raw(2, rest, int(1))),
        (peer) => peer.send(op.sendSender(peer.pid(), peer.theirPid({ id: 1, serial: 0 })), raw(2, rest, int(1))),
      ];
      let peer = await desktop.attacker(name);
      for (const attempt of tries) {
        if (peer.closed) peer = await desktop.attacker(name);
        attempt(peer);
        await peer.settles().catch(() => false);
      }
    }
    expect(await desktop.arrived()).toEqual([]);
    expect(desktop.victim.uncaught).toEqual([]);
    expect(desktop.victim.exitCode).toBeUndefined();
  });
});

describe("a name", () => {
  it.each([
    "Jobs",
    "jobs ",
    " jobs",
    "jobs\0",
    "jоbs",
    "jobs\n",
    "jobs.",
    "Elixir.jobs",
    "jobs:run/1",
    "*",
    "granted-pids",
    "any-pid",
  ])("%j is not jobs", async (name) => {
    expect((await by(SENDER, (peer) => peer.regSend(name, bin("x")))).arrived).toEqual([]);
  });

  it.each(ATOMS)("jobs written as %s is jobs, or ends the session", async (_, write) => {
    const came = await by(SENDER, (peer) => peer.send(tuple(int(6), peer.pid(), atom(""), write("jobs")), bin("x")));
    if (came.stands) expect(came.arrived).toEqual(['jobs.info <<"x">>']);
    else expect(came.arrived).toEqual([]);
  });

  it.each<[string, Bytes]>([
    ["cut UTF-8", Buffer.from("7702c3", "hex")],
    ["bytes that are no UTF-8", Buffer.from("7704ff6f6273", "hex")],
    ["an overlong form of j", Buffer.from("7705c1aa6f6273", "hex")],
  ])("of %s gets nowhere", async (_, name) => {
    expect(
      (await by(SENDER, (peer) => peer.send(tuple(int(6), peer.pid(), atom(""), name), bin("x")))).arrived,
    ).toEqual([]);
  });
});

describe("a function", () => {
  const erpc = (peer: Attacker, module: Bytes, fn: Bytes, args: Bytes): void => {
    const payload = join(u8(108), u32(4), peer.ref(), module, fn, args, NIL);
    peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4], "monitor"), payload);
  };
  const run = (args: Bytes): Promise<Upshot> => by(CALLER, (peer) => erpc(peer, atom("jobs"), atom("run"), args));

  it("of one argument runs with one argument", async () => {
    expect((await run(list(bin("a")))).arrived).toEqual(['jobs:run/1 [<<"a">>]']);
    expect((await run(join(u8(107), u16(1), u8(7)))).arrived).toHaveLength(1);
  });

  it.each<[string, Bytes]>([
    ["two", list(int(1), int(2))],
    ["none", NIL],
    ["two, as a list in two parts", join(u8(108), u32(1), int(1), list(int(2)))],
    ["two, as a list of nothing with a list behind it", join(u8(108), u32(0), list(int(1), int(2)))],
    ["one and an improper end", cons(int(1), int(2))],
    ["two bytes of a string", join(u8(107), u16(2), u8(1), u8(2))],
    ["a number", int(1)],
    ["a tuple", tuple(int(1))],
    ["a list that says one and has none", join(u8(108), u32(1), NIL)],
    ["a list that says 4 billion", join(u8(108), u32(0xffff_ffff), int(1), NIL)],
  ])("of one argument does not run with %s", async (_, args) => {
    expect((await run(args)).arrived).toEqual([]);
  });

  it.each<[string, Bytes]>([
    ["one, behind an empty list", join(u8(108), u32(0), list(int(1)))],
    ["one", list(int(1))],
    ["an empty string", join(u8(107), u16(0))],
  ])("of no argument does not run with %s, unless that is none", async (_, args) => {
    const came = await by(CALLER, (peer) => erpc(peer, atom("jobs"), atom("stay"), args));
    expect(came.arrived.filter((line) => line !== "jobs:stay/0 []")).toEqual([]);
  });

  it.each(ATOMS)("written as %s is the same function", async (_, write) => {
    const others = await by(CALLER, (peer) => {
      erpc(peer, write("os"), write("cmd"), list(bin("id")));
      erpc(peer, write("metrics"), write("all"), NIL);
    });
    expect(others.arrived).toEqual([]);
    const came = await by(CALLER, (peer) => erpc(peer, write("jobs"), write("run"), list(bin("a"))));
    if (came.stands) expect(came.arrived).toEqual(['jobs:run/1 [<<"a">>]']);
    else expect(came.arrived).toEqual([]);
  });

  it.each<[string, (peer: Attacker) => void]>([
    [
      "erlang:apply",
      (peer) => erpc(peer, atom("erlang"), atom("apply"), list(atom("jobs"), atom("run"), list(int(1)))),
    ],
    [
      "erpc in erpc",
      (peer) =>
        erpc(peer, atom("erpc"), atom("execute_call"), list(peer.ref(), atom("os"), atom("cmd"), list(bin("id")))),
    ],
    [
      "rpc:call",
      (peer) => erpc(peer, atom("rpc"), atom("call"), list(atom(DESKTOP), atom("jobs"), atom("run"), list(int(1)))),
    ],
    ["a module that is a string", (peer) => erpc(peer, bin("jobs"), atom("run"), list(int(1)))],
    ["a function with an arity in its name", (peer) => erpc(peer, atom("jobs"), atom("run/1"), NIL)],
    ["a module with a function in its name", (peer) => erpc(peer, atom("jobs:run/1"), atom(""), NIL)],
    [
      "a payload of five",
      (peer) =>
        peer.send(
          op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4]),
          list(peer.ref(), atom("jobs"), atom("run"), list(int(1)), int(5)),
        ),
    ],
    [
      "an arity of three for execute_call",
      (peer) =>
        peer.send(
          op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 3]),
          list(atom("jobs"), atom("run"), list(int(1))),
        ),
    ],
    [
      "worker with another number of arguments than it says",
      (peer) =>
        peer.send(
          op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["sallyport_fn", "worker", 1]),
          list(int(1), int(2)),
        ),
    ],
    ["worker as a module's function", (peer) => peer.spawn(["worker", "worker", 0], NIL)],
    ["worker by erpc", (peer) => erpc(peer, atom("sallyport_fn"), atom("worker"), NIL)],
    ["a spawn of what rpc may call", (peer) => peer.spawn(["jobs", "run", 1], list(int(1)))],
  ])("%s is not what was granted", async (_, attack) => {
    expect((await by(CALLER, attack)).arrived).toEqual([]);
  });
});

describe("a shape", () => {
  it("lets in what has it", async () => {
    const came = await by(SENDER, (peer) => {
      peer.regSend("events", tuple(atom("progress"), bin("half"), int(50)));
      peer.regSend("events", largeTuple(atom("progress"), bin("half"), join(u8(110), u8(8), u8(0), u64(7n))));
    });
    expect([came.stands, came.arrived.length, came.denied]).toEqual([true, 2, 0]);
  });

  it.each<[string, (peer: Attacker) => Bytes]>([
    ["another atom", () => tuple(atom("regress"), bin("half"), int(50))],
    ["a binary for the atom", () => tuple(bin("progress"), bin("half"), int(50))],
    ["a string for the binary", () => tuple(atom("progress"), join(u8(107), u16(4), Buffer.from("half")), int(50))],
    ["a bitstring for the binary", () => tuple(atom("progress"), join(u8(77), u32(1), u8(3), u8(0xe0)), int(50))],
    ["a float for the integer", () => tuple(atom("progress"), bin("half"), join(u8(70), Buffer.alloc(8)))],
    ["one more element", () => tuple(atom("progress"), bin("half"), int(50), int(1))],
    ["one less", () => tuple(atom("progress"), bin("half"))],
    ["a list", () => list(atom("progress"), bin("half"), int(50))],
    ["a tuple around it", () => tuple(tuple(atom("progress"), bin("half"), int(50)))],
    ["2 KiB", () => tuple(atom("progress"), bin("x".repeat(2_048)), int(50))],
    [
      "an integer of 2 KiB",
      () => tuple(atom("progress"), bin("half"), join(u8(111), u32(2_048), u8(0), Buffer.alloc(2_048, 1))),
    ],
    ["an address for the binary", (peer) => tuple(atom("progress"), peer.pid(), int(50))],
  ])("keeps out %s", async (_, message) => {
    const came = await by(SENDER, (peer) => peer.regSend("events", message(peer)));
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 1]);
  });
});
