import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { alias, atom, type Bytes, bin, int, join, list, NIL, nested, pid, ref, tuple, u8 } from "../attack/etf.ts";
import { op } from "../attack/frames.ts";
import { type Attacker, deniedId } from "../attack/policy-client.ts";
import { type Desktop, everyoneLives, startDesktop, THIRD, type Upshot, upshot } from "../attack/policy-desktop.ts";
import { BOB, EC2, type Machine } from "../attack/policy-rig.ts";

// Every power that a control message gives a connected peer (threat model, section 2): bob may connect and nothing else, so
// each is refused to him; what a rule grants, ec2 can do.

let desktop: Desktop;
let machine: Machine;
beforeAll(async () => {
  desktop = await startDesktop();
  machine = desktop.machine;
});
afterEach(async () => {
  await machine.dropAttackers();
  expect(await everyoneLives(machine)).toEqual([]);
  expect(await machine.ask("polluted")).toEqual({ own: [], seen: null });
});
afterAll(() => desktop.world.stop());

const THIRD_PID = pid(THIRD, 9, 0, 5);
const THIRD_REF = ref(THIRD, 5, 1, 2, 3);
const EPERM = /^\{31,#Ref<.*>,<.*>,0,eperm\}$/;
const DOWN = /^\{28,.*\} \{sallyport_denied,<<"[0-9A-HJKMNP-TV-Z]{8,26}">>\}$/s;
const EXIT = /^\{24,.*\} \{sallyport_denied,<<"[0-9A-HJKMNP-TV-Z]{8,26}">>\}$/;

const target = (peer: Attacker, name: string): Bytes => peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });
const small = (peer: Attacker, id: number): Bytes => peer.theirPid({ id, serial: 0 });

async function byBob(attack: (peer: Attacker) => void): Promise<Upshot> {
  return upshot(machine, await machine.attacker(BOB), attack);
}

/** It is refused: the session stands, exactly these answers came, and nobody got anything. */
async function refused(attack: (peer: Attacker) => void, answers: readonly RegExp[] = []): Promise<Upshot> {
  const came = await byBob(attack);
  expect(came.stands).toBe(true);
  expect(came.arrived).toEqual([]);
  expect(came.said).toHaveLength(answers.length);
  for (const [i, text] of came.said.entries()) expect(text).toMatch(answers[i] ?? /never/);
  return came;
}

/** The session ends, by a typed reason. */
async function ends(name: string, attack: (peer: Attacker) => void): Promise<unknown> {
  const peer = await machine.attacker(name);
  const mark = machine.victim.events.length;
  attack(peer);
  expect(await peer.settles()).toBe(false);
  expect(await machine.arrived()).toEqual([]);
  return (await machine.victim.down(name, mark))["reason"];
}

const spawnCode: [string, (peer: Attacker) => void][] = [
  ["os:cmd/1", (peer) => peer.spawn(["os", "cmd", 1], list(bin("id")), "monitor", "link")],
  ["erlang:halt/0", (peer) => peer.spawn(["erlang", "halt", 0], NIL)],
  ["a registered function", (peer) => peer.spawn(["sallyport_fn", "worker", 0], NIL, "monitor")],
  ["a function that is not there", (peer) => peer.spawn(["sallyport_fn", "nobody", 0], NIL)],
  ["a property of every object", (peer) => peer.spawn(["sallyport_fn", "constructor", 0], NIL)],
  ["os:cmd/1 by erpc", (peer) => peer.rpc("os", "cmd", list(bin("id")))],
  ["a registered module:function by erpc", (peer) => peer.rpc("jobs", "run", list(int(1)))],
  [
    "os:cmd/1 by erpc:execute_cast",
    (peer) => peer.spawn(["erpc", "execute_cast", 3], list(atom("os"), atom("cmd"), list(bin("id")))),
  ],
  ["erpc itself", (peer) => peer.rpc("erpc", "call", list(atom("os"), atom("cmd"), NIL))],
];

describe("refused by default", () => {
  it.each(spawnCode)("CM-01 SPAWN_REQUEST of %s: eperm", async (_, attack) => {
    expect((await refused(attack, [EPERM])).denied).toBe(1);
  });

  it("CM-06 SEND to every pid that there could be, in silence", async () => {
    const came = await refused((peer) => {
      for (let id = 0; id <= 200; id++)
        peer.send(op.sendSender(peer.pid(), small(peer, id)), tuple(atom("hello"), int(id)));
    });
    expect(came.denied + came.unsolicited).toBe(201);
  });

  it("CM-08 SEND that names no sender", async () => {
    const came = await refused((peer) => {
      for (const name of ["jobs", "private", "loose"]) peer.send(op.send(target(peer, name)), int(1));
    });
    expect(came.denied).toBe(3);
  });

  it.each(["jobs", "private", "nobody", "__proto__", "", "x\n\u001b[2J"])(
    "CM-10 REG_SEND to %j, in each shape: only a call is answered, alike for all names",
    async (name) => {
      const came = await refused(
        (peer) => {
          peer.regSend(name, bin("hello"));
          peer.cast(name, bin("hello"));
          peer.send(op.monitor(peer.pid(), atom(name), peer.ref()));
        },
        [DOWN],
      );
      expect(came.denied).toBe(3);
    },
  );

  it.each(["jobs", "private", "nobody"])("CM-10 a call of %s is answered with its own DOWN", async (name) => {
    const came = await byBob((peer) => {
      peer.call(name, bin("hello"), false);
    });
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 1]);
    expect(came.said).toEqual([expect.stringMatching(DOWN)]);
    const monitored = await byBob((peer) => {
      peer.call(name, bin("hello"), true);
    });
    expect([monitored.stands, monitored.arrived]).toEqual([true, []]);
    expect(monitored.said.length).toBeGreaterThan(0);
    for (const text of monitored.said) expect(text).toMatch(DOWN);
  });

  it("CM-11 two thousand names nobody has leave nothing behind", async () => {
    await byBob((peer) => peer.regSend("before", int(1)));
    const before = await machine.ask<{ used: number }>("memory");
    const came = await refused((peer) => {
      const all = Array.from({ length: 2_000 }, (_, i) =>
        peer.framed(op.regSend(peer.pid(), `name_${i}`), atom(`a_${i}`)),
      );
      peer.raw.write(Buffer.concat(all));
    });
    expect(came.denied).toBe(2_000);
    expect((await machine.ask<{ used: number }>("memory")).used - before.used).toBeLessThan(2 * 1024 * 1024);
  });

  it("CM-12 ALIAS_SEND to a reference that was made for nobody", async () => {
    const came = await refused((peer) => {
      peer.send(op.aliasSend(peer.pid(), peer.theirRef()), tuple(alias(peer.theirRef()), int(1)));
      peer.send(op.aliasSend(peer.pid(), peer.theirRef()), tuple(atom("hello")));
    });
    expect(came.unsolicited + came.denied).toBe(2);
  });

  it.each(["jobs", "guarded", "nothing"])("CM-13, CM-14 LINK to %s, then EXIT over it", async (name) => {
    const came = await refused(
      (peer) => {
        peer.send(op.link(peer.pid(), target(peer, name)));
        peer.send(op.payloadExit(peer.pid(), target(peer, name)), atom("kill"));
        peer.send(op.exit(peer.pid(), target(peer, name), atom("kill")));
      },
      [EXIT],
    );
    expect(came.denied).toBe(1);
  });

  it("CM-15 EXIT without a link does nothing", async () => {
    await refused((peer) => {
      for (const name of Object.keys(machine.pids)) {
        peer.send(op.payloadExit(peer.pid(), target(peer, name)), atom("kill"));
        peer.send(op.exit(peer.pid(), target(peer, name), atom("shutdown")));
      }
    });
  });

  it("CM-16 to CM-18 EXIT2 kill at every small pid, in our life and in others", async () => {
    const came = await refused((peer) => {
      for (let id = 0; id <= 200; id++) {
        peer.send(op.exit2(peer.pid(), small(peer, id), atom("kill")));
        peer.send(op.payloadExit2(peer.pid(), small(peer, id)), atom("kill"));
        peer.send(op.exit2(peer.pid(), pid(peer.victimName, id, 0, 0), atom("kill")));
        peer.send(op.exit2(peer.pid(), pid(peer.victimName, id, 0, peer.victimCreation + 1), atom("kill")));
      }
    });
    expect(came.denied).toBe(804);
  });

  it("CM-19 GROUP_LEADER of its own", async () => {
    const came = await refused((peer) => peer.send(op.groupLeader(peer.pid(), target(peer, "jobs"))));
    expect(came.denied).toBe(1);
  });

  it("CM-21 MONITOR_P tells nothing of what exists, by name or by pid", async () => {
    const came = await refused(
      (peer) => {
        for (const name of ["jobs", "private", "auth", "user", "init", "nobody"]) peer.monitor(atom(name));
        for (const name of ["jobs", "guarded"]) peer.monitor(target(peer, name));
        peer.monitor(small(peer, 60_000));
      },
      Array.from({ length: 9 }, () => DOWN),
    );
    expect(came.denied).toBe(9);
    const ids = came.said.map(deniedId);
    expect(new Set(ids).size).toBe(9);
    const why = await machine.ask<Record<string, unknown>>("why", { decision: ids[0] });
    expect(why).toMatchObject({
      outcome: "deny-default",
      rule: null,
      peer: BOB,
      alias: "bob",
      verb: "monitor",
      target: "jobs",
    });
  });

  it("CM-22 monitors, links and spawns are each refused and none is kept", async () => {
    const before = await machine.ask<{ used: number }>("memory");
    const came = await byBob((peer) => {
      const all: Bytes[] = [];
      for (let i = 0; i < 500; i++) {
        all.push(
          peer.framed(op.monitor(peer.pid(), atom("jobs"), peer.ref())),
          peer.framed(op.link(peer.pid(i), target(peer, "jobs"))),
          peer.framed(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["os", "cmd", 1]), list(bin("id"))),
        );
      }
      peer.raw.write(Buffer.concat(all));
    });
    expect([came.stands, came.arrived, came.said.length, came.denied]).toEqual([true, [], 1_500, 1_500]);
    await machine.dropAttackers();
    const after = await machine.ask<{ used: number }>("memory");
    expect(after.used - before.used).toBeLessThan(8 * 1024 * 1024);
  });

  it("CM-24, CM-25 DEMONITOR_P, UNLINK_ID and their answers for what is not its own", async () => {
    await refused((peer) => {
      peer.send(op.demonitor(peer.pid(), atom("jobs"), peer.ref()));
      peer.send(op.demonitor(peer.pid(), target(peer, "jobs"), peer.ref()));
      peer.send(op.unlinkIdAck(5, peer.pid(), target(peer, "jobs")));
      peer.send(op.unlink(peer.pid(), target(peer, "jobs")));
    });
  });

  it("CM-27 a trace token is dropped and the message judged as any other", async () => {
    const came = await refused((peer) => {
      peer.send(op.regSendTraced(peer.pid(), "jobs", int(42)), int(1));
      peer.send(op.sendTraced(target(peer, "jobs"), tuple(int(1), int(2))), int(1));
    });
    expect(came.denied).toBe(2);
  });

  it("CM-28 to CM-30 what is refused is not decoded, whatever it holds", async () => {
    const came = await refused((peer) => {
      peer.regSend("jobs", Buffer.from("5000000400789c", "hex"));
      peer.regSend("jobs", nested(200_000));
      peer.regSend("jobs", Buffer.from("6cffffffff6a6a", "hex"));
    });
    expect(came.denied).toBe(3);
  });
});

describe("the session ends", () => {
  const forged: [string, (peer: Attacker) => void][] = [
    [
      "CM-02 SPAWN_REQUEST in the name of a third node",
      (peer) => peer.send(op.spawnRequest(peer.ref(), THIRD_PID, peer.pid(), ["sallyport_fn", "worker", 0]), NIL),
    ],
    [
      "CM-02 SPAWN_REQUEST with a third node's reference",
      (peer) => peer.send(op.spawnRequest(THIRD_REF, peer.pid(), peer.pid(), ["sallyport_fn", "worker", 0]), NIL),
    ],
    [
      "CM-04 SPAWN_REPLY with a third node's child",
      (peer) => peer.send(op.spawnReply(peer.theirRef(), target(peer, "jobs"), 0, THIRD_PID)),
    ],
    ["CM-07 SEND from a third node", (peer) => peer.send(op.sendSender(THIRD_PID, target(peer, "jobs")), int(1))],
    [
      "CM-07 SEND from the desktop itself",
      (peer) => peer.send(op.sendSender(target(peer, "private"), target(peer, "jobs")), int(1)),
    ],
    ["CM-10 REG_SEND from a third node", (peer) => peer.send(op.regSend(THIRD_PID, "jobs"), int(1))],
    ["CM-12 ALIAS_SEND from a third node", (peer) => peer.send(op.aliasSend(THIRD_PID, peer.theirRef()), int(1))],
    ["CM-13 LINK from a third node", (peer) => peer.send(op.link(THIRD_PID, target(peer, "jobs")))],
    [
      "CM-15 EXIT from a third node",
      (peer) => peer.send(op.payloadExit(THIRD_PID, target(peer, "jobs")), atom("kill")),
    ],
    ["CM-16 EXIT2 from a third node", (peer) => peer.send(op.exit2(THIRD_PID, target(peer, "jobs"), atom("kill")))],
    ["CM-21 MONITOR_P from a third node", (peer) => peer.send(op.monitor(THIRD_PID, atom("jobs"), peer.ref()))],
    [
      "CM-21 MONITOR_P with a third node's reference",
      (peer) => peer.send(op.monitor(peer.pid(), atom("jobs"), THIRD_REF)),
    ],
    [
      "CM-23 MONITOR_P_EXIT of a third node's process",
      (peer) => peer.send(op.payloadMonitorExit(THIRD_PID, target(peer, "jobs"), peer.theirRef()), atom("x")),
    ],
    ["CM-24 DEMONITOR_P from a third node", (peer) => peer.send(op.demonitor(THIRD_PID, atom("jobs"), peer.ref()))],
    ["CM-25 UNLINK_ID from a third node", (peer) => peer.send(op.unlinkId(1, THIRD_PID, target(peer, "jobs")))],
    ["CM-25 UNLINK_ID_ACK from a third node", (peer) => peer.send(op.unlinkIdAck(1, THIRD_PID, target(peer, "jobs")))],
    [
      "SEND from an earlier life of its own",
      (peer) => peer.send(op.sendSender(pid(BOB, 100, 0, 78), target(peer, "jobs")), int(1)),
    ],
  ];
  it.each(forged)("%s: FORGED_IDENTIFIER", async (_, attack) => {
    expect(await ends(BOB, attack)).toBe("FORGED_IDENTIFIER");
  });

  it.each<[string, (peer: Attacker) => void]>([
    [
      "CM-03 a group leader on a third node",
      (peer) => peer.send(op.spawnRequest(peer.ref(), peer.pid(), THIRD_PID, ["sallyport_fn", "worker", 0]), NIL),
    ],
    ["CM-20 GROUP_LEADER of a third node", (peer) => peer.send(op.groupLeader(THIRD_PID, target(peer, "jobs")))],
  ])("or nothing comes of it: %s", async (_, attack) => {
    const peer = await machine.attacker(BOB);
    const came = await upshot(machine, peer, attack);
    expect(came.arrived).toEqual([]);
    if (came.stands) expect(came.denied).toBe(1);
    expect(await everyoneLives(machine)).toEqual([]);
  });

  it.each<[string, (peer: Attacker) => void, string]>([
    [
      "CM-09 a list of targets",
      (peer) => peer.send(op.sendSender(peer.pid(), list(target(peer, "jobs"))), int(1)),
      "CONTROL_BAD_FIELD",
    ],
    ["CM-26 operation 5", (peer) => peer.send(op.nodeLink()), "CONTROL_UNKNOWN_OP"],
    ["CM-26 operation 99", (peer) => peer.send(tuple(int(99), peer.pid())), "CONTROL_UNKNOWN_OP"],
    ["CM-26 a wrong arity", (peer) => peer.send(tuple(int(22), peer.pid()), int(1)), "CONTROL_BAD_ARITY"],
    [
      "CM-29 a compressed control message",
      (peer) => peer.send(Buffer.from("5000000400789c", "hex")),
      "CONTROL_MALFORMED",
    ],
    [
      "CM-30 nesting in a control message",
      (peer) => peer.send(op.exit(peer.pid(), target(peer, "jobs"), nested(200_000))),
      "TERM_DEPTH",
    ],
  ])("%s", async (_, attack, reason) => {
    expect(await ends(BOB, attack)).toBe(reason);
  });

  it.each<[string, Bytes, string]>([
    ["CM-28 bytes after the payload", join(int(1), int(2)), "PACKET_TRAILING_BYTES"],
    ["CM-29 a compressed payload", Buffer.from("5000000400789c", "hex"), "TERM_TAG_REFUSED"],
    ["CM-30 two million levels", nested(2_000_000), "TERM_DEPTH"],
    ["CM-30 a list that lies", Buffer.from("6cffffffff6a6a", "hex"), "TERM_TRUNCATED"],
    ["CM-30 a tuple that lies", join(u8(105), Buffer.from("ffffffff6a", "hex")), "TERM_TRUNCATED"],
  ])("also of whoever may send there: %s", async (_, payload, reason) => {
    expect(await ends(EC2, (peer) => peer.regSend("jobs", payload))).toBe(reason);
  });
});
