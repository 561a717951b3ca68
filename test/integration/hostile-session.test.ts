import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../attack/client.ts";
import {
  alias,
  atom,
  type Bytes,
  bin,
  genCall,
  hugeInt,
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
import { FLAGS_PLAIN, firstFragment, message, nextFragment, op } from "../attack/frames.ts";
import { EVIL, Rig, VICTIM } from "../attack/rig.ts";

// What an authenticated peer that turned hostile can do (threat-model sections 2 and 3): it knows the cookie, and nothing
// more is granted to it than the services open to everybody.

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterEach(async () => {
  await rig.dropAttackers();
  await rig.aliveAndWell();
  expect(await rig.victim.ask("alive")).toEqual({ open: true, closed: true, secret: true, services: 3 });
  expect((await rig.victim.ask<string[]>("arrived")).filter((line) => line.startsWith("private"))).toEqual([]);
});
afterAll(() => rig.stopWell());

const THIRD = pid("third@elsewhere", 9, 0, 5);
const THIRD_REF = ref("third@elsewhere", 5, 1, 2, 3);
/** The attacker's own name in another life. */
const STALE = pid(EVIL, 100, 0, 78);
const STALE_REF = ref(EVIL, 78, 1, 2, 3);
const victimPid = ({ id, serial }: { id: number; serial: number }): Bytes =>
  pid(VICTIM, id, serial, rig.victim.creation);
const openPid = (): Bytes => victimPid(rig.victim.pids.open);
const closedPid = (): Bytes => victimPid(rig.victim.pids.closed);
/** Some reference of the victim; it has made it for nobody. */
const theirRef = (): Bytes => ref(VICTIM, rig.victim.creation, 1, 2, 3, 4, 5);

/** The session ends, by a typed reason. */
async function ends(attack: (peer: Peer) => void, claim: { flags?: bigint } = {}): Promise<unknown> {
  const peer = await rig.peer("tcp", claim);
  const mark = rig.mark;
  attack(peer);
  await peer.raw.untilClosed();
  return (await rig.victim.down(EVIL, mark))["reason"];
}

/** Everything sent so far was worked off, and the session still stands. */
async function settled(peer: Peer): Promise<void> {
  const own = peer.ref();
  const from = peer.pid();
  peer.send(op.regSend(from, "echo"), genCall(from, own, bin("settled")));
  await peer.hear(({ control, payload }) => control.startsWith("{33,") && payload.includes("settled"));
}

describe("frames that end the session", () => {
  it.each<[string, (peer: Peer) => void, string]>([
    ["garbage", (peer) => peer.raw.write(Buffer.from("GET / HTTP/1.1\r\n\r\n")), "FRAME_TOO_LARGE"],
    ["the greatest length", (peer) => peer.raw.write(u32(0xffff_ffff)), "FRAME_TOO_LARGE"],
    ["64 MiB and a byte at first", (peer) => peer.raw.write(u32(64 * 1024 * 1024 + 1)), "FRAME_TOO_LARGE"],
    [
      "16 MiB and a byte after the first tick",
      (peer) => {
        peer.tick();
        peer.raw.write(u32(16 * 1024 * 1024 + 1));
      },
      "FRAME_TOO_LARGE",
    ],
    [
      "another style",
      (peer) => peer.frame(message("plain", op.regSend(peer.pid(), "echo"), int(1))),
      "PACKET_WRONG_STYLE",
    ],
    ["one byte", (peer) => peer.frame(u8(0x83)), "PACKET_TRUNCATED"],
    ["an unknown kind", (peer) => peer.frame(Buffer.from("83470000", "hex")), "PACKET_WRONG_STYLE"],
    ["operation 99 (CM-26)", (peer) => peer.send(tuple(int(99), peer.pid())), "CONTROL_UNKNOWN_OP"],
    ["operation 5 (CM-26)", (peer) => peer.send(op.nodeLink()), "CONTROL_UNKNOWN_OP"],
    [
      "operation 37, not negotiated",
      (peer) => peer.send(op.altact(4, peer.pid(), theirRef()), int(1)),
      "CONTROL_UNKNOWN_OP",
    ],
    ["a wrong arity (CM-26)", (peer) => peer.send(tuple(int(22), peer.pid()), int(1)), "CONTROL_BAD_ARITY"],
    [
      "a list of targets (CM-09)",
      (peer) => peer.send(op.sendSender(peer.pid(), list(openPid())), int(1)),
      "CONTROL_BAD_FIELD",
    ],
    ["no tuple", (peer) => peer.send(list(int(1))), "CONTROL_MALFORMED"],
    [
      "a name that is no atom",
      (peer) => peer.send(tuple(int(6), peer.pid(), atom(""), bin("echo")), int(1)),
      "CONTROL_BAD_FIELD",
    ],
    ["no payload", (peer) => peer.send(op.regSend(peer.pid(), "echo")), "PACKET_NO_PAYLOAD"],
    ["a payload nobody expects", (peer) => peer.send(op.link(peer.pid(), openPid()), int(1)), "PACKET_TRAILING_BYTES"],
    [
      "bytes after the payload (CM-28)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), join(int(1), int(2))),
      "PACKET_TRAILING_BYTES",
    ],
    [
      "a compressed payload (CM-29)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), Buffer.from("5000000400789c", "hex")),
      "TERM_TAG_REFUSED",
    ],
    [
      "a compressed control term (CM-29)",
      (peer) => peer.frame(Buffer.from("8344005000000400789c", "hex")),
      "CONTROL_MALFORMED",
    ],
    [
      "a payload cut off",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), bin("12345678").subarray(0, 9)),
      "TERM_TRUNCATED",
    ],
    [
      "a tuple that lies (CM-30)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), Buffer.from("69ffffffff6a", "hex")),
      "TERM_TRUNCATED",
    ],
    [
      "a list that lies (CM-30)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), Buffer.from("6cffffffff6a6a", "hex")),
      "TERM_TRUNCATED",
    ],
    [
      "a map that lies (CM-30)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), Buffer.from("74ffffffff6a6a", "hex")),
      "TERM_TRUNCATED",
    ],
    [
      "nesting of two million (CM-30)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), nested(2_000_000)),
      "TERM_DEPTH",
    ],
    [
      "nesting in the control term",
      (peer) => peer.send(op.exit(peer.pid(), openPid(), nested(2_000_000))),
      "TERM_DEPTH",
    ],
    [
      "nesting in a trace token",
      (peer) => peer.send(op.sendTraced(openPid(), nested(2_000_000)), int(1)),
      "TERM_DEPTH",
    ],
    [
      "an integer of 70,000 bytes (RS-10)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), hugeInt(70_000)),
      "TERM_INTEGER_BYTES",
    ],
    [
      "20,001 atoms (RS-01)",
      (peer) =>
        peer.send(op.regSend(peer.pid(), "echo"), list(...Array.from({ length: 20_001 }, (_, i) => atom(`a${i}`)))),
      "TERM_ATOMS",
    ],
    [
      "an atom of 256 characters",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), atom("x".repeat(256))),
      "TERM_ATOM_INVALID",
    ],
    [
      "the same key twice",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), map([atom("a"), int(1)], [atom("a"), int(2)])),
      "TERM_MAP_DUPLICATE_KEY",
    ],
    [
      "an atom reference without a header",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), Buffer.from("5200", "hex")),
      "TERM_ATOM_REF_INVALID",
    ],
    [
      "an unset slot of the atom cache (RS-05)",
      (peer) => peer.frame(Buffer.from("834401000568016101", "hex")),
      "ATOM_HEADER_UNSET_SLOT",
    ],
    ["an atom header that runs out", (peer) => peer.frame(Buffer.from("8344ff0908", "hex")), "ATOM_HEADER_TRUNCATED"],
  ])("%s", async (_, attack, reason) => {
    expect(await ends(attack)).toBe(reason);
  });

  it.each<[string, (peer: Peer) => void, string]>([
    ["64 MiB and a byte", (peer) => peer.raw.write(u32(64 * 1024 * 1024 + 1)), "FRAME_TOO_LARGE"],
    [
      "another style",
      (peer) => peer.frame(message("headers", op.regSend(peer.pid(), "echo"), int(1))),
      "PACKET_WRONG_STYLE",
    ],
    [
      "a fragment",
      (peer) => peer.frame(firstFragment(1n, 2n, op.regSend(peer.pid(), "echo"), int(1))),
      "PACKET_WRONG_STYLE",
    ],
    [
      "a payload without its version",
      (peer) => peer.frame(join(Buffer.from("7083", "hex"), op.regSend(peer.pid(), "echo"), int(1))),
      "PACKET_NO_PAYLOAD",
    ],
    [
      "a second payload (CM-28)",
      (peer) => peer.send(op.regSend(peer.pid(), "echo"), join(int(1), u8(0x83), int(2))),
      "PACKET_TRAILING_BYTES",
    ],
  ])("without fragments: %s", async (_, attack, reason) => {
    expect(await ends(attack, { flags: FLAGS_PLAIN })).toBe(reason);
  });
});

describe("fragments that end the session (RS-03, RS-04)", () => {
  const toEcho = (peer: Peer): Bytes => op.regSend(peer.pid(), "echo");
  const MIB = 1024 * 1024;
  it.each<[string, (peer: Peer) => void, string]>([
    ["an orphan", (peer) => peer.frame(nextFragment(1n, 1n, int(1))), "FRAGMENT_UNKNOWN_SEQUENCE"],
    [
      "a second first one",
      (peer) => {
        peer.frame(firstFragment(1n, 3n, toEcho(peer), bin("a")));
        peer.frame(firstFragment(1n, 3n, toEcho(peer), bin("a")));
      },
      "FRAGMENT_DUPLICATE",
    ],
    [
      "a wrong order",
      (peer) => {
        peer.frame(firstFragment(1n, 4n, toEcho(peer), bin("a")));
        peer.frame(nextFragment(1n, 2n, int(1)));
      },
      "FRAGMENT_OUT_OF_ORDER",
    ],
    ["fragment id 0", (peer) => peer.frame(firstFragment(1n, 0n, toEcho(peer), int(1))), "FRAGMENT_OUT_OF_ORDER"],
    ["sequence id 0", (peer) => peer.frame(firstFragment(0n, 2n, toEcho(peer), int(1))), "FRAGMENT_ZERO_SEQUENCE"],
    ["2^63 fragments", (peer) => peer.frame(firstFragment(1n, 1n << 63n, toEcho(peer), int(1))), "TOO_MANY_FRAGMENTS"],
    [
      "a message without payload in fragments",
      (peer) => peer.frame(firstFragment(1n, 2n, op.link(peer.pid(), openPid()), NIL)),
      "PACKET_UNEXPECTED_PAYLOAD",
    ],
    [
      "17 unfinished messages",
      (peer) => {
        for (let i = 1; i <= 17; i++) peer.frame(firstFragment(BigInt(i), 2n, toEcho(peer), bin(Buffer.alloc(MIB))));
      },
      "TOO_MANY_SEQUENCES",
    ],
    [
      "65 MiB in one message",
      (peer) => {
        peer.frame(firstFragment(1n, 14n, toEcho(peer), Buffer.alloc(5 * MIB)));
        for (let id = 13n; id >= 1n; id--) peer.frame(nextFragment(1n, id, Buffer.alloc(5 * MIB)));
      },
      "REASSEMBLY_TOO_LARGE",
    ],
    [
      "a forged sender, whole or in parts",
      (peer) => {
        peer.frame(firstFragment(1n, 2n, op.regSend(THIRD, "echo"), int(1).subarray(0, 1)));
        peer.frame(nextFragment(1n, 1n, int(1).subarray(1)));
      },
      "FORGED_IDENTIFIER",
    ],
  ])("%s", async (_, attack, reason) => {
    expect(await ends(attack)).toBe(reason);
  });

  it("65 MiB to somebody who is not there are dropped as they come", async () => {
    const peer = await rig.peer();
    const before = (await rig.victim.ask<{ rss: number }>("memory")).rss;
    peer.frame(firstFragment(1n, 13n, op.regSend(peer.pid(), "nobody"), Buffer.alloc(5 * MIB)));
    for (let id = 12n; id >= 1n; id--) peer.frame(nextFragment(1n, id, Buffer.alloc(5 * MIB)));
    await settled(peer);
    expect((await rig.victim.ask<{ rss: number }>("memory")).rss - before).toBeLessThan(64 * MIB);
  });
});

describe("identifiers of somebody else end the session", () => {
  const own = (peer: Peer): Bytes => peer.pid();
  const FORGED: [string, (peer: Peer, from: Bytes, reference: Bytes) => readonly [Bytes, Bytes?]][] = [
    ["SEND_SENDER (CM-07)", (_, from) => [op.sendSender(from, openPid()), int(1)]],
    ["REG_SEND (CM-10)", (_, from) => [op.regSend(from, "echo"), int(1)]],
    ["ALIAS_SEND (CM-12)", (_, from) => [op.aliasSend(from, theirRef()), int(1)]],
    ["LINK (CM-13)", (_, from) => [op.link(from, openPid())]],
    ["UNLINK (CM-26)", (_, from) => [op.unlink(from, openPid())]],
    ["UNLINK_ID (CM-25)", (_, from) => [op.unlinkId(1, from, openPid())]],
    ["UNLINK_ID_ACK (CM-25)", (_, from) => [op.unlinkIdAck(1, from, openPid())]],
    ["EXIT2 (CM-16)", (_, from) => [op.exit2(from, openPid(), atom("kill"))]],
    ["PAYLOAD_EXIT2 (CM-16)", (_, from) => [op.payloadExit2(from, openPid()), atom("kill")]],
    ["MONITOR_P from (CM-21)", (peer, from) => [op.monitor(from, atom("echo"), peer.ref())]],
    ["MONITOR_P reference (CM-21)", (peer, _, reference) => [op.monitor(own(peer), atom("echo"), reference)]],
    ["DEMONITOR_P (CM-24)", (peer, from) => [op.demonitor(from, atom("echo"), peer.ref())]],
    [
      "SPAWN_REQUEST parent (CM-02)",
      (peer, from) => [op.spawnRequest(peer.ref(), from, own(peer), ["sallyport_fn", "worker", 0]), NIL],
    ],
    [
      "SPAWN_REQUEST reference (CM-02)",
      (peer, _, reference) => [op.spawnRequest(reference, own(peer), own(peer), ["sallyport_fn", "worker", 0]), NIL],
    ],
    [
      "SPAWN_REQUEST group leader (CM-03)",
      (peer, from) => [op.spawnRequest(peer.ref(), own(peer), from, ["sallyport_fn", "worker", 0]), NIL],
    ],
    ["SPAWN_REPLY child (CM-04)", (_, from) => [op.spawnReply(theirRef(), openPid(), 0, from)]],
    [
      "the address of a $gen_call (TR-01)",
      (peer, from) => [op.regSend(own(peer), "echo"), genCall(from, peer.ref(), int(1))],
    ],
  ];
  it.each(FORGED)("%s, of a third node", async (_, attack) => {
    expect(await ends((peer) => peer.send(...attack(peer, THIRD, THIRD_REF)))).toBe("FORGED_IDENTIFIER");
  });
  it.each(FORGED)("%s, of an earlier life of the peer", async (_, attack) => {
    expect(await ends((peer) => peer.send(...attack(peer, STALE, STALE_REF)))).toBe("FORGED_IDENTIFIER");
  });
  it.each<[string, () => readonly [Bytes, Bytes?]]>([
    ["EXIT (CM-15)", () => [op.exit(THIRD, openPid(), atom("kill"))]],
    ["PAYLOAD_EXIT (CM-15)", () => [op.payloadExit(THIRD, openPid()), atom("kill")]],
    ["MONITOR_P_EXIT (CM-23)", () => [op.monitorExit(THIRD, openPid(), theirRef(), atom("kill"))]],
    ["PAYLOAD_MONITOR_P_EXIT (CM-23)", () => [op.payloadMonitorExit(THIRD, openPid(), theirRef()), atom("kill")]],
  ])("%s, of a third node", async (_, attack) => {
    expect(await ends((peer) => peer.send(...attack()))).toBe("FORGED_IDENTIFIER");
  });
});

describe("operations that are refused, while the session stands", () => {
  const OS_CMD = list(atom("os"), atom("cmd"), list(bin("touch /tmp/owned")));

  /** Sends, waits until it was worked off, and gives the verbs that were denied. */
  async function deniedBy(
    attack: (peer: Peer) => void,
  ): Promise<{ verbs: unknown[]; answers: string[]; count: number }> {
    const peer = await rig.peer();
    const mark = rig.mark;
    const before = (await rig.victim.counters())["denied"] ?? 0;
    attack(peer);
    await settled(peer);
    const count = ((await rig.victim.counters())["denied"] ?? 0) - before;
    const told = rig.victim.events.slice(mark).filter(({ event }) => event === "denied");
    for (const { peer: who, rule, target } of told) {
      expect([who, rule]).toEqual([EVIL, null]);
      expect(String(target)).toMatch(/^[\x20-\x7e]*$/);
    }
    return {
      verbs: told.map(({ verb }) => verb),
      answers: peer.heard.map(({ control, payload }) => `${control} ${payload}`),
      count,
    };
  }

  it("SPAWN_REQUEST of code (CM-01): eperm", async () => {
    const { verbs, answers } = await deniedBy((peer) => {
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["os", "cmd", 1]), list(bin("id")));
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erlang", "halt", 0], "monitor", "link"), NIL);
      peer.send(
        op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_call", 4], "monitor"),
        list(peer.ref(), atom("os"), atom("cmd"), list(bin("id"))),
      );
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["erpc", "execute_cast", 3]), OS_CMD);
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["sallyport_fn", "constructor", 0]), NIL);
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["sallyport_fn", "worker", 1]), NIL);
    });
    expect(verbs).toEqual(["spawn", "spawn", "rpc", "rpc", "spawn", "spawn"]);
    expect(answers.filter((text) => text.startsWith("{31,") && text.includes(",0,eperm}"))).toHaveLength(6);
  });

  it("rex (WK-01): badrpc to those who call, silence to the rest", async () => {
    const { verbs, answers } = await deniedBy((peer) => {
      const mfa = tuple(atom("call"), atom("os"), atom("cmd"), list(bin("id")), peer.pid());
      peer.send(op.regSend(peer.pid(), "rex"), genCall(peer.pid(), peer.ref(), mfa));
      peer.send(op.regSend(peer.pid(), "rex"), tuple(peer.pid(), mfa));
      peer.send(
        op.regSend(peer.pid(), "rex"),
        tuple(atom("$gen_cast"), tuple(atom("cast"), atom("os"), atom("cmd"), list(bin("id")), peer.pid())),
      );
      peer.send(op.regSend(peer.pid(), "rex"), tuple(atom("send"), atom("private"), int(1)));
      peer.send(op.regSend(peer.pid(), "rex"), bin("junk"));
    });
    expect(verbs).toEqual(["rpc", "rpc", "rpc", "rpc", "rpc"]);
    expect(answers.filter((text) => text.includes("{badrpc,{sallyport_denied,"))).toHaveLength(1);
  });

  it("net_kernel (WK-03 to WK-06): answers is_auth and nothing else", async () => {
    const { verbs } = await deniedBy((peer) => {
      const toKernel = op.regSend(peer.pid(), "net_kernel");
      const call = (request: Bytes): void => peer.send(toKernel, genCall(peer.pid(), peer.ref(), request));
      call(tuple(atom("spawn"), atom("os"), atom("cmd"), list(bin("id")), peer.pid()));
      call(tuple(atom("connect"), atom("normal"), atom("third@elsewhere")));
      call(tuple(atom("disconnect"), atom("good@localhost")));
      peer.send(
        toKernel,
        tuple(peer.pid(), tuple(atom("accept_pending"), atom(VICTIM), atom("good@localhost"), atom("normal"))),
      );
      peer.send(toKernel, tuple(peer.pid(), atom("badcookie"), int(1), int(2)));
    });
    expect(verbs).toEqual(["system", "system", "system", "system", "system"]);
    expect(await rig.sessions()).toContain("good@localhost");
  });

  it.each([
    "auth",
    "init",
    "logger",
    "user",
    "global_name_server",
    "application_controller",
    "code_server",
    "private",
    "onlyGood",
    "__proto__",
    "constructor",
    "nobody",
    "",
  ])("REG_SEND to %s (CM-10, CM-11)", async (name) => {
    const { verbs, answers } = await deniedBy((peer) => {
      const to = op.regSend(peer.pid(), name);
      peer.send(to, tuple(atom("stop"), atom("stop")));
      peer.send(to, genCall(peer.pid(), peer.ref(), atom("get_our_cookie")));
    });
    expect(verbs).toEqual(["send", "call"]);
    expect(answers.filter((text) => text.startsWith("{33,") && !text.includes("settled"))).toEqual([]);
  });

  it("sys messages and forged signals to an open service (WK-12)", async () => {
    const { verbs } = await deniedBy((peer) => {
      const to = op.regSend(peer.pid(), "echo");
      peer.send(to, tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), tuple(atom("replace_state"), int(1))));
      peer.send(to, tuple(atom("EXIT"), peer.pid(), atom("kill")));
      peer.send(to, tuple(atom("DOWN"), peer.ref(), atom("process"), peer.pid(), atom("x")));
      peer.send(to, tuple(atom("io_request"), peer.pid(), peer.ref(), atom("getopts")));
    });
    expect(verbs).toEqual(["system", "system", "system", "io"]);
    expect(await rig.victim.ask("arrived")).toEqual([]);
  });

  it("a grant of one verb opens that verb only, whatever shape the message has", async () => {
    const { verbs } = await deniedBy((peer) => {
      const to = op.regSend(peer.pid(), "calls");
      peer.send(to, tuple(atom("$gen_cast"), int(1)));
      peer.send(to, tuple(atom("hello")));
      peer.send(to, bin("no tuple"));
      peer.send(to, atom("stop"));
      peer.send(to, list(int(1)));
    });
    expect(verbs).toEqual(["cast", "send", "send", "send", "send"]);
    expect(await rig.victim.ask("arrived")).toEqual([]);
  });

  it("SEND to pids it was never given (CM-06), with and without a sender (CM-08)", async () => {
    const { count } = await deniedBy((peer) => {
      for (let id = 0; id <= 200; id++) {
        const to = pid(VICTIM, id, 0, peer.victimCreation);
        if (id === rig.victim.pids.open.id) continue;
        peer.send(op.sendSender(peer.pid(), to), tuple(atom("hello"), int(id)));
        peer.send(op.send(to), int(id));
      }
    });
    expect(count).toBeGreaterThan(380);
    expect(
      (await rig.victim.ask<string[]>("arrived")).filter(
        (line) => !line.startsWith("echo.info") && !line.startsWith("calls"),
      ),
    ).toEqual([]);
  });

  it("EXIT2 kill at every small pid (CM-16 to CM-18)", async () => {
    const { verbs, count } = await deniedBy((peer) => {
      for (let id = 0; id <= 200; id++) {
        peer.send(op.exit2(peer.pid(), pid(VICTIM, id, 0, peer.victimCreation), atom("kill")));
        peer.send(op.payloadExit2(peer.pid(), pid(VICTIM, id, 0, peer.victimCreation)), atom("kill"));
        peer.send(op.exit2(peer.pid(), pid(VICTIM, id, 0, 0), atom("kill")));
      }
    });
    expect(new Set(verbs)).toEqual(new Set(["exit"]));
    expect(count).toBe(603);
  });

  it("EXIT without a link does nothing (CM-15)", async () => {
    const { verbs } = await deniedBy((peer) => {
      peer.send(op.exit(peer.pid(), openPid(), atom("kill")));
      peer.send(op.payloadExit(peer.pid(), openPid()), atom("kill"));
      peer.send(op.payloadExit(peer.pid(), closedPid()), atom("shutdown"));
    });
    expect(verbs).toEqual([]);
  });

  it("a link that is allowed does not make a peer's EXIT deadly (CM-14)", async () => {
    await deniedBy((peer) => {
      peer.send(op.link(peer.pid(), openPid()));
      peer.send(op.payloadExit(peer.pid(), openPid()), atom("kill"));
      peer.send(op.link(peer.pid(101), openPid()));
    });
    // The second link ends with the connection: noconnection must not kill either.
    await rig.dropAttackers();
    const arrived = await rig.victim.ask<string[]>("arrived");
    expect(arrived.filter((line) => line.startsWith("open {'EXIT'"))).toHaveLength(2);
  });

  it("LINK and MONITOR_P tell nothing of what exists (CM-13, CM-21)", async () => {
    const { verbs, answers } = await deniedBy((peer) => {
      peer.send(op.link(peer.pid(), closedPid()));
      peer.send(op.link(peer.pid(), pid(VICTIM, 60_000, 0, peer.victimCreation)));
      for (const target of [
        atom("private"),
        atom("nobody"),
        closedPid(),
        pid(VICTIM, 60_000, 0, peer.victimCreation),
        THIRD,
      ])
        peer.send(op.monitor(peer.pid(), target, peer.ref()));
    });
    expect(verbs).toEqual(["link", "link", "monitor", "monitor", "monitor", "monitor", "monitor"]);
    const told = answers.filter((text) => text.startsWith("{24,") || text.startsWith("{28,"));
    expect(told).toHaveLength(7);
    for (const text of told) expect(text).toMatch(/\{sallyport_denied,<<"[0-9A-HJKMNP-TV-Z]{8,26}">>\}$/);
  });

  it("GROUP_LEADER, its own or of others (CM-19, CM-20)", async () => {
    const { verbs } = await deniedBy((peer) => {
      peer.send(op.groupLeader(peer.pid(), openPid()));
      peer.send(op.groupLeader(THIRD, openPid()));
    });
    expect(verbs).toEqual(["io", "io"]);
  });

  it("answers to questions that nobody asked (CM-04, CM-12, CM-23 to CM-25)", async () => {
    const before = (await rig.victim.counters())["late_replies"] ?? 0;
    const { verbs } = await deniedBy((peer) => {
      peer.send(op.spawnReply(theirRef(), openPid(), 3, peer.pid()));
      peer.send(op.monitorExit(atom("x"), openPid(), theirRef(), atom("x")));
      peer.send(op.payloadMonitorExit(peer.pid(), openPid(), theirRef()), atom("x"));
      peer.send(op.aliasSend(peer.pid(), theirRef()), tuple(alias(theirRef()), int(1)));
      peer.send(op.unlinkIdAck(5, peer.pid(), openPid()));
      peer.send(op.unlinkId(5, peer.pid(), closedPid()));
      peer.send(op.demonitor(peer.pid(), atom("echo"), peer.ref()));
    });
    expect(verbs).toEqual([]);
    expect((await rig.victim.counters())["late_replies"]).toBe(before + 1);
  });

  it("trace tokens that are junk are dropped, the message is judged as any other (CM-27)", async () => {
    const { verbs } = await deniedBy((peer) => {
      peer.send(op.regSendTraced(peer.pid(), "private", int(42)), int(1));
      peer.send(op.sendTraced(closedPid(), tuple(int(1), int(2))), int(1));
      peer.send(op.regSendTraced(peer.pid(), "echo", int(42)), int(7));
    });
    expect(verbs).toEqual(["send", "send"]);
    expect(await rig.victim.ask("arrived")).toEqual(["echo.info 7"]);
  });

  it("keys that mean something to JavaScript are keys like any other (RS-10)", async () => {
    const { answers } = await deniedBy((peer) => {
      const evil = map(
        [atom("__proto__"), map([atom("polluted"), atom("true")])],
        [bin("__proto__"), int(1)],
        [atom("constructor"), int(2)],
        [bin("toString"), int(3)],
      );
      peer.send(op.regSend(peer.pid(), "echo"), genCall(peer.pid(), peer.ref(), evil));
      peer.send(op.regSend(peer.pid(), "echo"), evil);
    });
    expect(answers.some((text) => text.startsWith("{33,"))).toBe(true);
    expect(await rig.victim.ask("polluted")).toEqual({ own: [], seen: null });
  });

  it("names with control characters come out of the events harmless", async () => {
    const { verbs } = await deniedBy((peer) => {
      peer.send(op.regSend(peer.pid(), "x\n\x1b]52;c;aGk=\x07\0"), int(1));
      peer.send(op.monitor(peer.pid(), atom("y\r\n\x1b[2J"), peer.ref()));
      peer.send(op.spawnRequest(peer.ref(), peer.pid(), peer.pid(), ["m\x1b[31m", "f\n", 0]), NIL);
    });
    expect(verbs).toEqual(["send", "monitor", "spawn"]);
  });
});
