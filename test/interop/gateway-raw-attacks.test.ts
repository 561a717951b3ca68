import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createGateway } from "../../src/create-gateway.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import { type Heard, Peer, Raw } from "../attack/client.ts";
import {
  alias,
  atom,
  type Bytes,
  join as bytes,
  int,
  list,
  NIL,
  pid,
  read,
  ref,
  tuple,
  u8,
  u32,
  type Value,
} from "../attack/etf.ts";
import { firstFragment, op, sendName, status } from "../attack/frames.ts";
import { FOREIGN_PID, WORKER } from "../attack/gateway-session.ts";
import { calm, load, unchanged, within } from "./commander-snapshot.ts";
import type { BeamNode } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, Rig } from "./rig.ts";

// What a worker with a hand-made runtime does to a real commander (threat model F2 to F7, CM, RS): each attack succeeds without the
// gateway, and fails through it.

const INSIDE_COOKIE = "cookie-of-the-inside-alone";
const COMMANDER = "commander@127.0.0.1";

/** What the worker learned of the commander: values with their bytes. */
interface Known {
  readonly peer: Peer;
  /** A process that keeps its messages; it is registered as `box`. */
  readonly box: Bytes;
  /** The reference of a call that `box` has made, with a monitor of `server`. */
  readonly call: Bytes;
  /** The reference of a spawn request with a monitor, not answered. */
  readonly spawn: Bytes;
  /** An alias of `box` that was told to nobody. */
  readonly alias: Bytes;
}

interface RawAttack {
  readonly name: string;
  readonly send: (known: Known) => void;
  /** True at the commander when it took effect. Default: `box` has a message. */
  readonly effect?: string;
}

const SNEAKED = atom("sneaked");
const SERVER = pid(WORKER, 50, 0, 77);
/** Of sequential tracing: no flags, so that nothing is traced. A commander that takes any other term for one may hang. */
const TOKEN = tuple(int(0), int(1), int(1), SERVER, int(0));
const DEAD = "not is_process_alive(persistent_term:get(box))";

const ATTACKS: readonly RawAttack[] = [
  {
    name: "an answer with a reference that was not told (F4)",
    send: ({ peer, alias: at }) => peer.send(op.aliasSend(SERVER, at), SNEAKED),
  },
  {
    name: "an answer twice (F3)",
    send: ({ peer, box, call }) => {
      peer.send(op.sendSender(SERVER, box), tuple(call, atom("honest")));
      peer.send(op.sendSender(SERVER, box), tuple(call, SNEAKED));
    },
    effect: "interop:idle(persistent_term:get(box)) > 1",
  },
  {
    name: "a message in a third node's name (CM-07)",
    send: ({ peer, box }) => peer.send(op.sendSender(FOREIGN_PID, box), SNEAKED),
  },
  { name: "a message without a sender (CM-08)", send: ({ peer, box }) => peer.send(op.send(box), SNEAKED) },
  {
    name: "a message to a name, traced (CM-27)",
    send: ({ peer }) => peer.send(op.regSendTraced(SERVER, "box", TOKEN), SNEAKED),
  },
  {
    name: "bytes behind a payload (CM-28)",
    send: ({ peer }) => peer.send(op.regSend(SERVER, "box"), bytes(SNEAKED, SNEAKED)),
  },
  {
    name: "DOWN with another name (CM-23)",
    send: ({ peer, box, call }) => peer.send(op.payloadMonitorExit(atom("other"), box, call), SNEAKED),
  },
  {
    name: "DOWN of a third node's process (CM-23)",
    send: ({ peer, box, call }) => peer.send(op.payloadMonitorExit(FOREIGN_PID, box, call), SNEAKED),
  },
  {
    name: "a foreign child (CM-04)",
    send: ({ peer, box, spawn }) => peer.send(op.spawnReply(spawn, box, 2, FOREIGN_PID)),
    effect:
      "interop:idle(persistent_term:get(box)) > 0 andalso element(3, interop:take(persistent_term:get(box))) =:= ok",
  },
  {
    name: "a link that a spawn did not ask for, and its end (CM-05)",
    send: ({ peer, box, spawn }) => {
      peer.send(op.spawnReply(spawn, box, 3, SERVER));
      peer.send(op.payloadExit(SERVER, box), SNEAKED);
    },
    effect: DEAD,
  },
  {
    name: "EXIT2 (CM-16)",
    send: ({ peer, box }) => peer.send(op.payloadExit2(SERVER, box), atom("kill")),
    effect: DEAD,
  },
  {
    name: "GROUP_LEADER of a third node (CM-20)",
    send: ({ peer, box }) => peer.send(op.groupLeader(FOREIGN_PID, box)),
    effect: "{_, L} = process_info(persistent_term:get(box), group_leader), node(L) =/= node()",
  },
  {
    name: "SPAWN_REQUEST for a third node (CM-02)",
    send: ({ peer }) => {
      const send = list(atom("box"), SNEAKED);
      peer.send(op.spawnRequest(peer.ref(), FOREIGN_PID, SERVER, ["erlang", "send", 2]), send);
    },
  },
  {
    name: "60 MB in messages that are begun and not ended (RS-03)",
    send: ({ peer }) => {
      for (let i = 1n; i <= 60n; i++)
        peer.frame(firstFragment(i, 2n, op.regSend(SERVER, "box"), Buffer.alloc(1_000_000)));
    },
    effect: "erlang:memory(total) - persistent_term:get(memory) > 40000000",
  },
];

/** Terms that a BEAM does not take; the commander of a worker that sends one drops the connection and writes to its log. */
const INVALID: readonly (readonly [string, Bytes])[] = [
  ["a float that is no number", bytes(u8(70), Buffer.from("7ff8000000000000", "hex"))],
  ["an infinite float", bytes(u8(70), Buffer.from("7ff0000000000000", "hex"))],
  ["an atom that is no UTF-8", Buffer.from("7702c328", "hex")],
  ["an atom of 256 characters", bytes(u8(118), Buffer.from([1, 0]), Buffer.alloc(256, 97))],
  ["a tuple that is too long", bytes(u8(105), u32(0x0fff_ffff), NIL)],
  ["a bit string without bits", bytes(u8(77), u32(1), u8(0), u8(1))],
  ["a bit string of nine bits to a byte", bytes(u8(77), u32(1), u8(9), u8(1))],
  ["a reference of six words", ref(WORKER, 77, 1, 2, 3, 4, 5, 6)],
  ["a pid whose node is no atom", bytes(u8(88), int(1), Buffer.alloc(12))],
  ["a port whose node is no atom", bytes(u8(120), NIL, Buffer.alloc(12))],
  ["a tag that does not exist", Buffer.from([83, 1, 2, 3])],
  ["an old fun", Buffer.from([117, 0, 0, 0, 0])],
];

/** The one that the gateway lets pass: whether two keys are the same is not seen from their bytes. */
const KEY_TWICE = bytes(u8(116), u32(2), int(1), int(1), int(1), int(2));

/** The value that a message ends with, and the bytes of what is in it. */
function payload({ frame }: Heard): Value {
  return read(frame, read(frame, 3).end).value;
}

/** The elements of a tuple. */
function elements(value: Value | undefined): readonly Value[] {
  return typeof value === "object" && "tuple" in value ? value.tuple : [];
}

function raw(value: Value | undefined): Bytes {
  if (typeof value === "object" && "raw" in value) return value.raw;
  throw new Error("neither a pid nor a reference");
}

/** A worker that dials, and its commander. */
abstract class Arena {
  readonly rig: Rig;
  readonly commander: BeamNode;
  readonly #open: Raw[] = [];

  constructor(rig: Rig, commander: BeamNode) {
    this.rig = rig;
    this.commander = commander;
  }

  abstract dial(): Promise<Peer>;

  protected async connected(port: number, cookie: string): Promise<Peer> {
    const socket = await Raw.tcp(port);
    this.#open.push(socket);
    return Peer.dial(socket, 2, { name: WORKER, cookie });
  }

  async begin(): Promise<Known> {
    const peer = await this.dial();
    const said = await this.commander.erl(`
      Box = interop:box(), persistent_term:put(box, Box), catch unregister(box), register(box, Box),
      persistent_term:put(memory, erlang:memory(total)),
      Alias = interop:do(Box, fun() ->
        Ref = monitor(process, {server, '${WORKER}'}),
        {server, '${WORKER}'} ! {'$gen_call', {self(), Ref}, ask},
        spawn_request('${WORKER}', m, f, [], [monitor]),
        erlang:alias() end),
      binary_to_list(base64:encode(term_to_binary(Alias, [{minor_version, 2}])))`);
    const asked = await peer.hear(({ payload: text }) => text.endsWith(",ask}"));
    const [box, call] = elements(elements(payload(asked))[1]).map(raw);
    const request =
      peer.heard.find(({ control }) => control.startsWith("{29,")) ??
      (await peer.hear(({ control }) => control.startsWith("{29,")));
    const spawn = raw(elements(read(request.frame, 3).value)[1]);
    const secret = Buffer.from(said.replaceAll('"', ""), "base64").subarray(1);
    return { peer, box: box as Bytes, call: call as Bytes, spawn, alias: secret };
  }

  /**
   * A round trip from the commander: what the worker sent before has been worked off, or its connection is cut. Either way the
   * commander's own question is over, so that nothing of it is left to be taken for the attack's.
   * @returns whether it is cut
   */
  async settle(peer: Peer): Promise<boolean> {
    const pinged = this.commander.erl(`net_adm:ping('${WORKER}')`);
    await answerPing(peer).catch(() => undefined);
    return (await pinged) === "pang";
  }

  effect({ effect = "interop:idle(persistent_term:get(box)) > 0" }: RawAttack): Promise<string> {
    return this.commander.erl(effect);
  }

  drop(): void {
    for (const socket of this.#open.splice(0)) socket.destroy();
  }
}

async function answerPing(peer: Peer): Promise<void> {
  const ping = await peer.hear(({ payload: text }) => text.includes("is_auth"));
  const [from, tag] = elements(elements(payload(ping))[1]);
  const reference = typeof tag === "object" && "cons" in tag ? tag.tail : undefined;
  peer.send(op.sendSender(SERVER, raw(from)), tuple(alias(raw(reference)), atom("yes")));
}

class Direct extends Arena {
  async dial(): Promise<Peer> {
    return this.connected(Number(await this.commander.erl("interop:dist_port()")), COOKIE);
  }
}

class Guarded extends Arena {
  readonly gateway: Gateway;
  constructor(rig: Rig, commander: BeamNode, gateway: Gateway) {
    super(rig, commander);
    this.gateway = gateway;
  }
  get port(): number {
    return Number(
      this.gateway.endpoints
        .find(({ from }) => from === "inside")
        ?.endpoint.split(":")
        .at(-1),
    );
  }
  dial(): Promise<Peer> {
    return this.connected(this.port, INSIDE_COOKIE);
  }
}

async function commanderOf(rig: Rig): Promise<BeamNode> {
  const commander = await rig.erlang("commander", { cookie: COOKIE, hidden: true });
  await load(commander, "gateway_victim");
  await commander.erl("gateway_victim:start(none)");
  return commander;
}

describeWithErlang("a raw worker and a real commander without the gateway", () => {
  let arena: Direct;
  beforeAll(async () => {
    const rig = await Rig.start("tcp");
    arena = new Direct(rig, await commanderOf(rig));
  });
  afterEach(async () => {
    arena.drop();
    await within(async () => expect(await arena.commander.erl("nodes(connected)")).toBe("[]"));
  });
  afterAll(() => arena?.rig.stop());

  it.each(ATTACKS.map((row) => [row.name, row] as const))("does it: %s", async (_, row) => {
    const known = await arena.begin();
    row.send(known);
    await within(async () => expect(await arena.effect(row)).toBe("true"));
  });

  it.each([...INVALID, ["a key twice", KEY_TWICE]] as const)(
    "has the connection dropped, and told about: an answer with %s",
    async (_, value) => {
      const { peer, box, call } = await arena.begin();
      const before = arena.commander.output.length;
      peer.send(op.sendSender(SERVER, box), tuple(call, value));
      await peer.raw.untilClosed();
      await within(() => expect(arena.commander.output.slice(before)).toMatch(/Disconnecting|invalid|corrupt/i));
    },
  );
});

describeWithErlang("a raw worker and a real commander through the gateway", () => {
  let arena: Guarded;
  beforeAll(async () => {
    const rig = await Rig.start("tcp");
    const commander = await commanderOf(rig);
    const address = `tcp://127.0.0.1:${await commander.erl("interop:dist_port()")}`;
    const gateway = await createGateway({
      pairs: [
        {
          inside: { node: WORKER, address: "tcp://127.0.0.1:9", cookie: INSIDE_COOKIE },
          outside: { nodes: [COMMANDER], addresses: { [COMMANDER]: address }, cookie: COOKIE },
        },
      ],
      dangerous: { plaintext: true },
    });
    rig.closes(() => gateway.close());
    arena = new Guarded(rig, commander, gateway);
    // The first session brings what every session needs.
    const { peer } = await arena.begin();
    expect(await arena.settle(peer)).toBe(false);
    arena.drop();
    // Nobody is found under that name any more, and what looks for it is started.
    await within(async () => expect(await commander.erl("nodes(connected)")).toBe("[]"));
    expect(await commander.erl(`net_adm:ping('${WORKER}')`)).toBe("pang");
    await commander.erl("gateway_victim:snapshot(), gateway_victim:snapshot()");
  });
  afterEach(async () => {
    arena.drop();
    await within(async () => expect(await arena.commander.erl("nodes(connected)")).toBe("[]"));
  });
  afterAll(() => arena?.rig.stop());

  it.each(ATTACKS.map((row) => [row.name, row] as const))("does nothing: %s", async (_, row) => {
    const known = await arena.begin();
    const before = await calm(arena.commander);
    row.send(known);
    const isCut = await arena.settle(known.peer);
    if (isCut) await known.peer.raw.untilClosed();
    if (isCut) {
      await within(async () => expect(await arena.commander.erl("nodes(connected)")).toBe("[]"));
      // Of the end itself `box` hears: of its monitor and of its spawn.
      await arena.commander.erl("[interop:take(persistent_term:get(box)) || _ <- [1, 2]]");
      await arena.dial();
    }
    expect(await arena.effect(row)).toBe("false");
    await unchanged(arena.commander, before);
  });

  it.each(INVALID)("does not reach its log with an answer with %s", async (_, value) => {
    const { peer, box, call } = await arena.begin();
    const before = arena.commander.output.length;
    peer.send(op.sendSender(SERVER, box), tuple(call, value));
    await peer.raw.untilClosed();
    await within(async () => expect(await arena.commander.erl("nodes(connected)")).toBe("[]"));
    expect(arena.commander.output.slice(before)).toBe("");
  });

  it("ends its own session, and no more than that, by a map with a key twice", async () => {
    const { peer, box, call } = await arena.begin();
    const before = await calm(arena.commander);
    peer.send(op.sendSender(SERVER, box), tuple(call, KEY_TWICE));
    await peer.raw.untilClosed();
    await within(async () => expect(await arena.commander.erl("nodes(connected)")).toBe("[]"));
    await arena.commander.erl("[interop:take(persistent_term:get(box)) || _ <- [1, 2]]");
    await arena.dial();
    await unchanged(arena.commander, before);
  });

  it("ends no session by a name that is not proven (HS-08)", async () => {
    const { peer } = await arena.begin();
    const stranger = await Raw.tcp(arena.port);
    stranger.frame(sendName(WORKER), 2);
    expect((await stranger.readFrame(2)).toString("latin1")).toBe("salive");
    stranger.frame(status("true"), 2);
    await stranger.readFrame(2);
    expect(await arena.settle(peer)).toBe(false);
    stranger.destroy();
    expect(await arena.settle(peer)).toBe(false);
  });
});
