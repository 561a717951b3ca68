import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Raw } from "../attack/client.ts";
import {
  alias,
  atom,
  type Bytes,
  bin,
  genCall,
  int,
  join,
  list,
  map,
  NIL,
  nested,
  pid,
  ref,
  tuple,
  u8,
  u32,
} from "../attack/etf.ts";
import { FLAGS, firstFragment, nextFragment, op } from "../attack/frames.ts";
import { dial, type Run, selfOf } from "../attack/native-client.ts";
import { ALPN } from "../attack/native-frames.ts";
import { type Attacker, deniedId } from "../attack/policy-client.ts";
import {
  type Desktop,
  everyoneLives,
  OWNER,
  startDesktop,
  THIRD,
  type Upshot,
  upshot,
} from "../attack/policy-desktop.ts";
import { BOB, DESKTOP, EC2, type Machine } from "../attack/policy-rig.ts";

// What one message to a well-known process does to a BEAM (threat model 3.1), what it makes it do to others (3.3), and what it
// costs (3.4): tried by bob, who may nothing, and by an owner who may send, call, cast, monitor, link, exit and io to `*`.

let desktop: Desktop;
let machine: Machine;
let hasDialledAway = false;
beforeAll(async () => {
  desktop = await startDesktop();
  machine = desktop.machine;
  void desktop.elsewhere.next().then(() => {
    hasDialledAway = true;
  });
});
afterEach(async () => {
  await machine.dropAttackers();
  await machine.arrived();
  expect(await everyoneLives(machine)).toEqual([]);
  expect(await machine.ask("polluted")).toEqual({ own: [], seen: null });
  expect(hasDialledAway).toBe(false);
});
afterAll(() => desktop.world.stop());

const THIRD_PID = pid(THIRD, 9, 0, 5);
const target = (peer: Attacker, name: string): Bytes => peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });
/** `fun os:cmd/1` and a fun of an interpreter's making. */
const EXTERNAL_FUN = join(u8(113), atom("os"), atom("cmd"), int(1));
const localFun = (peer: Attacker): Bytes => {
  const rest = join(u8(1), Buffer.alloc(16, 7), u32(0), u32(0), atom("erl_eval"), int(1), int(2), peer.pid());
  return join(u8(112), u32(rest.length + 4), rest);
};
const ID = list(bin("id"));

type Attack = (peer: Attacker) => readonly [string, Bytes];
const calls =
  (name: string, request: (peer: Attacker) => Bytes): Attack =>
  (peer) => [name, genCall(peer.pid(), peer.ref(), request(peer))];
const says =
  (name: string, message: (peer: Attacker) => Bytes): Attack =>
  (peer) => [name, message(peer)];
const mfa = (peer: Attacker, head: string): Bytes => tuple(atom(head), atom("os"), atom("cmd"), ID, peer.pid());

const ATTACKS: [string, Attack][] = [
  ["WK-01 rex: call", calls("rex", (peer) => mfa(peer, "call"))],
  ["WK-01 rex: block_call", calls("rex", (peer) => mfa(peer, "block_call"))],
  ["WK-01 rex: call as before OTP 21", says("rex", (peer) => tuple(peer.pid(), mfa(peer, "call")))],
  ["WK-01 rex: cast", says("rex", (peer) => tuple(atom("$gen_cast"), mfa(peer, "cast")))],
  ["WK-01 rex: relay", says("rex", () => tuple(atom("send"), atom("private"), int(1)))],
  ["WK-03 net_kernel: spawn", calls("net_kernel", (peer) => mfa(peer, "spawn"))],
  ["WK-04 net_kernel: connect", calls("net_kernel", () => tuple(atom("connect"), atom("normal"), atom(THIRD)))],
  ["WK-04 net_kernel: disconnect", calls("net_kernel", () => tuple(atom("disconnect"), atom(OWNER)))],
  ["WK-04 net_kernel: ticktime", calls("net_kernel", () => tuple(atom("new_ticktime"), int(1), int(1)))],
  [
    "WK-05 net_kernel: accept_pending",
    says("net_kernel", (peer) =>
      tuple(peer.pid(), tuple(atom("accept_pending"), atom(DESKTOP), atom(OWNER), atom("normal"))),
    ),
  ],
  [
    "WK-05 net_kernel: wait_pending",
    says("net_kernel", (peer) => tuple(peer.pid(), tuple(atom("wait_pending"), atom(OWNER)))),
  ],
  ["WK-06 net_kernel: badcookie", says("net_kernel", (peer) => tuple(peer.pid(), atom("badcookie"), int(1), int(2)))],
  ["WK-07 auth: get_our_cookie", calls("auth", () => atom("get_our_cookie"))],
  ["WK-07 auth: set_our_cookie", calls("auth", () => tuple(atom("set_our_cookie"), atom("x")))],
  [
    "WK-08 application_controller: set_env",
    calls("application_controller", () => tuple(atom("set_env"), atom("kernel"), atom("x"), int(1), NIL)),
  ],
  ["WK-09 init: stop", says("init", () => tuple(atom("stop"), atom("stop")))],
  ["WK-10 erl_signal_server: sigterm", says("erl_signal_server", () => tuple(atom("notify"), atom("sigterm")))],
  [
    "WK-11 kernel_safe_sup: start_child",
    calls("kernel_safe_sup", () =>
      tuple(atom("start_child"), tuple(atom("x"), tuple(atom("os"), atom("cmd"), ID), atom("temporary"), int(1))),
    ),
  ],
  [
    "WK-12 a service: replace_state",
    says("jobs", (peer) =>
      tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), tuple(atom("replace_state"), localFun(peer))),
    ),
  ],
  [
    "WK-12 a service: suspend",
    says("jobs", (peer) => tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), atom("suspend"))),
  ],
  ["WK-12 a service: a forged EXIT", says("jobs", (peer) => tuple(atom("EXIT"), peer.pid(), atom("kill")))],
  [
    "WK-12 a service: a forged DOWN",
    says("jobs", (peer) => tuple(atom("DOWN"), peer.ref(), atom("process"), peer.pid(), atom("x"))),
  ],
  [
    "WK-13 user: put_chars with M, F, A",
    says("user", (peer) =>
      tuple(
        atom("io_request"),
        peer.pid(),
        peer.ref(),
        tuple(atom("put_chars"), atom("unicode"), atom("os"), atom("cmd"), ID),
      ),
    ),
  ],
  [
    "WK-13 user: get_until",
    says("user", (peer) =>
      tuple(
        atom("io_request"),
        peer.pid(),
        peer.ref(),
        tuple(atom("get_until"), atom("unicode"), NIL, atom("os"), atom("cmd"), ID),
      ),
    ),
  ],
  [
    "WK-14 logger_proxy: a report_cb",
    says("logger_proxy", (peer) =>
      tuple(atom("log"), atom("error"), tuple(atom("report"), NIL), map([atom("report_cb"), localFun(peer)])),
    ),
  ],
  [
    "WK-15 logger: silence",
    calls("logger", () => tuple(atom("change_config"), atom("set"), atom("primary"), atom("level"), atom("none"))),
  ],
  ["WK-16 file_server_2: read", calls("file_server_2", () => tuple(atom("read_file"), bin("/etc/passwd")))],
  [
    "WK-17 code_server: get_path",
    says("code_server", (peer) => tuple(atom("code_call"), peer.pid(), atom("get_path"))),
  ],
  [
    "WK-18 erts_code_purger: purge",
    says("erts_code_purger", (peer) => tuple(atom("purge"), atom("lists"), peer.pid(), peer.ref())),
  ],
  [
    "WK-19 global_name_server: register",
    calls("global_name_server", (peer) => tuple(atom("register"), atom("jobs"), peer.pid(), EXTERNAL_FUN)),
  ],
  [
    "WK-20 global_name_server: lost_connection",
    says("global_name_server", () => tuple(atom("lost_connection"), atom(DESKTOP), int(1), int(2), atom(OWNER))),
  ],
  ["WK-21 global_name_server: disconnect", calls("global_name_server", () => atom("disconnect"))],
  ["WK-22 pg: join", says("pg", (peer) => tuple(atom("join"), peer.pid(), atom("workers"), peer.pid()))],
  ["WK-22 pg: discover", says("pg", (peer) => tuple(atom("discover"), peer.pid()))],
];

/** A refusal in any of its forms, or that nobody is there. */
const REFUSAL = /sallyport_denied,|noproc/;

describe("well-known processes", () => {
  it.each(ATTACKS)("%s, by bob", async (_, attack) => {
    const other = await machine.attacker(OWNER);
    const peer = await machine.attacker(BOB);
    const came = await upshot(machine, peer, (it) => it.regSend(...attack(it)));
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 1]);
    const [name, payload] = attack(peer);
    const isCall = payload.includes("$gen_call");
    // A call is answered, so that nobody waits; all else meets silence.
    expect(came.said.filter((text) => !REFUSAL.test(text))).toEqual([]);
    expect(came.said).toHaveLength(isCall ? 1 : 0);
    if (isCall && name === "rex") expect(came.said[0]).toContain("{badrpc,{sallyport_denied,<<");
    else if (isCall) expect(came.said[0]).toMatch(/^\{28,.*sallyport_denied/);
    expect([other.closed, await other.settles()]).toEqual([false, true]);
  });

  it.each(ATTACKS)("%s, by an owner of everything that `*` can say", async (_, attack) => {
    const peer = await machine.attacker(OWNER);
    const came = await upshot(machine, peer, (it) => it.regSend(...attack(it)));
    expect([came.stands, came.arrived]).toEqual([true, []]);
    expect(came.said.filter((text) => !REFUSAL.test(text))).toEqual([]);
  });

  it("the owner's `*` is every name and every pid", async () => {
    const peer = await machine.attacker(OWNER);
    const came = await upshot(machine, peer, (it) => {
      it.regSend("private", bin("hello"));
      it.send(op.sendSender(it.pid(), target(it, "loose")), bin("hello"));
      it.cast("events", bin("hello"));
    });
    expect(came.arrived).toEqual(['private.info <<"hello">>', 'loose <<"hello">>', 'events.cast <<"hello">>']);
    expect(came.denied).toBe(0);
  });

  it("the owner's `*` is neither rpc nor spawn nor system", async () => {
    const peer = await machine.attacker(OWNER);
    const came = await upshot(machine, peer, (it) => {
      it.rpc("jobs", "run", list(int(1)));
      it.spawn(["sallyport_fn", "worker", 0], NIL);
      it.regSend("jobs", tuple(atom("system"), tuple(it.pid(), alias(it.ref())), atom("get_state")));
    });
    expect([came.stands, came.arrived, came.denied]).toEqual([true, [], 3]);
  });

  it("net_kernel says yes to who may connect: that is all a ping needs", async () => {
    const peer = await machine.attacker(BOB);
    const reference = peer.call("net_kernel", tuple(atom("is_auth"), atom(BOB)));
    expect(reference.length).toBeGreaterThan(0);
    const answer = await peer.hears(({ op: what }) => what === 33 || what === 22);
    expect(answer.text).toContain(",yes}");
  });

  it("the cookie is in nothing that was said", async () => {
    const peer = await machine.attacker(OWNER);
    const came = await upshot(machine, peer, (it) => {
      for (const [, attack] of ATTACKS) it.regSend(...attack(it));
    });
    expect(came.said.join()).not.toContain("correct horse");
    expect(came.stands).toBe(true);
  });
});

describe("effects on others", () => {
  const byEc2 = async (attack: (peer: Attacker) => void): Promise<Upshot> =>
    upshot(machine, await machine.attacker(EC2), attack);

  it("TR-02 an io_request whose answer would go to a third node", async () => {
    const came = await byEc2((peer) => {
      const request = tuple(atom("put_chars"), atom("unicode"), bin("x"));
      peer.send(
        op.sendSender(peer.pid(), target(peer, "printer")),
        tuple(atom("io_request"), THIRD_PID, peer.ref(), request),
      );
    });
    expect(came.arrived).toEqual([]);
  });

  it.each<[string, (peer: Attacker) => Bytes]>([
    ["a pid", () => THIRD_PID],
    ["a reference", () => ref(THIRD, 5, 1, 2, 3)],
    ["a pid deep inside", () => tuple(list(map([atom("k"), tuple(THIRD_PID)])))],
    ["a fun", (peer) => localFun(peer)],
    ["an external fun", () => EXTERNAL_FUN],
    ["a fun deep inside", (peer) => tuple(list(int(1), localFun(peer)))],
  ])("TR-03 %s of a third node, or code, in a payload that is granted: that message is dropped", async (_, term) => {
    const peer = await machine.attacker(EC2);
    const came = await upshot(machine, peer, (it) => {
      it.regSend("jobs", tuple(atom("take"), term(it)));
      it.cast("jobs", term(it));
    });
    expect([came.stands, came.arrived, came.said, came.denied]).toEqual([true, [], [], 2]);
    const called = await upshot(machine, peer, (it) => {
      it.call("jobs", term(it));
    });
    expect([called.stands, called.arrived]).toEqual([true, []]);
    expect(called.said.map(deniedId).filter((id) => id !== undefined)).toHaveLength(1);
    const ran = await upshot(machine, peer, (it) => {
      it.spawn(["sallyport_fn", "worker", 1], list(term(it)));
      it.rpc("jobs", "run", list(term(it)));
    });
    expect([ran.stands, ran.arrived]).toEqual([true, []]);
    // And the next one, without it, is taken.
    expect((await upshot(machine, peer, (it) => it.regSend("jobs", bin("clean")))).arrived).toEqual([
      'jobs.info <<"clean">>',
    ]);
  });

  it("TR-03 identifiers of the two nodes themselves pass", async () => {
    const came = await byEc2((peer) => peer.regSend("jobs", tuple(peer.pid(), peer.ref(), target(peer, "jobs"))));
    expect(came.arrived).toHaveLength(1);
  });

  it("TR-04, TR-05 nothing comes unasked, also for a peer that says it is visible", async () => {
    const peer = await machine.attacker(BOB);
    expect(await peer.settles()).toBe(true);
    expect(peer.said()).toEqual([]);
    const { raw, run } = await visible();
    expect(run.end).toBe("up");
    expect(Number((run.theirs?.flags ?? 1n) & 1n)).toBe(0);
    raw.destroy();
  });

  async function visible(): Promise<{ readonly raw: Raw; readonly run: Run }> {
    const raw = await Raw.tls(machine.port, { ...desktop.world.certificate, ALPNProtocols: [ALPN] });
    return { raw, run: await dial(raw, desktop.world.self(EC2), { hello: { flags: FLAGS | 1n } }) };
  }

  it("TR-06 a live name with another key is refused, and its owner stays", async () => {
    const ec2 = await machine.attacker(EC2);
    const came = await machine.tries(selfOf(EC2, undefined, desktop.world.self(EC2).cookie));
    expect(came.isIn).toBe(false);
    expect([ec2.closed, await ec2.settles()]).toEqual([false, true]);
  });

  it("TR-07 the desktop's own name, and its own key, are refused", async () => {
    expect((await machine.tries(selfOf(DESKTOP, undefined, desktop.world.self(EC2).cookie))).isIn).toBe(false);
    expect((await machine.tries(desktop.world.self(DESKTOP))).isIn).toBe(false);
  });

  it("TR-08 a pid of another life of the desktop reaches nobody", async () => {
    const came = await byEc2((peer) => {
      const { id = 0, serial = 0 } = machine.pids["jobs"] ?? {};
      peer.send(op.sendSender(peer.pid(), pid(DESKTOP, id, serial, peer.victimCreation + 1)), bin("old"));
      peer.send(op.sendSender(peer.pid(), pid(DESKTOP, id, serial, 0)), bin("old"));
      peer.send(op.exit2(peer.pid(), pid(DESKTOP, machine.pids["mortal"]?.id ?? 0, 0, 0), atom("kill")));
    });
    expect([came.stands, came.arrived]).toEqual([true, []]);
  });
});

describe("resources", () => {
  const MIB = 1024 * 1024;

  it("RS-01 20,001 atoms in a payload that is granted end the session", async () => {
    const peer = await machine.attacker(EC2);
    const mark = machine.victim.events.length;
    peer.regSend("jobs", list(...Array.from({ length: 20_001 }, (_, i) => atom(`a${i}`))));
    expect(await peer.settles()).toBe(false);
    expect((await machine.victim.down(EC2, mark))["reason"]).toBe("TERM_ATOMS");
  });

  it("RS-03 fragments of what is refused are dropped as they come", async () => {
    const peer = await machine.attacker(BOB);
    const before = (await machine.ask<{ used: number }>("memory")).used;
    const part = (bytes: Bytes): void => peer.raw.frame(bytes, 4);
    for (let seq = 1n; seq <= 12n; seq++) {
      part(firstFragment(seq, 4n, op.regSend(peer.pid(), "jobs"), Buffer.alloc(2 * MIB)));
      part(nextFragment(seq, 3n, Buffer.alloc(2 * MIB)));
    }
    expect(await peer.settles()).toBe(true);
    expect((await machine.ask<{ used: number }>("memory")).used - before).toBeLessThan(8 * MIB);
    expect(await machine.arrived()).toEqual([]);
  });

  it("RS-06 a header of 2 GiB ends the session and takes no memory", async () => {
    const peer = await machine.attacker(BOB);
    const before = (await machine.ask<{ rss: number }>("memory")).rss;
    const mark = machine.victim.events.length;
    peer.raw.write(u32(0x7fff_ffff));
    expect((await machine.victim.down(BOB, mark))["reason"]).toBe("FRAME_TOO_LARGE");
    expect((await machine.ask<{ rss: number }>("memory")).rss - before).toBeLessThan(64 * MIB);
  });

  it("RS-10 keys that mean something to JavaScript are keys like any other", async () => {
    const peer = await machine.attacker(EC2);
    const evil = map([atom("__proto__"), map([atom("polluted"), atom("true")])], [bin("constructor"), int(2)]);
    const came = await upshot(machine, peer, (it) => {
      it.regSend("jobs", evil);
      it.regSend("__proto__", evil);
      it.rpc("__proto__", "constructor", NIL);
    });
    expect([came.stands, came.arrived.length, came.denied]).toEqual([true, 1, 2]);
  });

  it("what is refused is not decoded: deep, wide and broken payloads cost nothing", async () => {
    const peer = await machine.attacker(BOB);
    const came = await upshot(machine, peer, (it) => {
      it.regSend("jobs", nested(1_000_000));
      const atoms = Array.from({ length: 200_000 }, (_, i) => atom(`w${i}`));
      it.regSend("jobs", join(u8(108), u32(atoms.length), Buffer.concat(atoms), NIL));
    });
    expect([came.stands, came.arrived]).toEqual([true, []]);
  });
});
