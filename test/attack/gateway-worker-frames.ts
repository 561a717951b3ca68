// What ends a session: forged identifiers, and what is no distribution protocol. It shares nothing with src/.
import {
  alias,
  atom,
  type Bytes,
  bin,
  cons,
  hugeInt,
  int,
  join,
  list,
  NIL,
  nested,
  pid,
  ref,
  tuple,
  u8,
  u32,
} from "./etf.ts";
import { firstFragment, message, nextFragment, op } from "./frames.ts";
import { FOREIGN_PID, FOREIGN_REF, type Session } from "./gateway-session.ts";

import { type Forgery, forgery, SNEAKED } from "./gateway-worker.ts";

/** A pid or reference with another creation. */
function otherLife(node: string): { pid: Bytes; ref: Bytes } {
  return { pid: pid(node, 100, 0, 78), ref: ref(node, 78, 1, 2, 3) };
}

/** Forged fields, by the operation that carries them: `from` and `reference` are of somebody else. */
const FORGED_FIELDS: readonly (readonly [
  string,
  (s: Session, from: Bytes, reference: Bytes) => readonly [Bytes, Bytes?],
])[] = [
  ["SEND_SENDER (CM-07)", (s, from) => [op.sendSender(from, s.caller), tuple(s.oldRef, SNEAKED)]],
  ["REG_SEND (CM-10)", (_, from) => [op.regSend(from, "rex"), SNEAKED]],
  ["ALIAS_SEND (CM-12)", (s, from) => [op.aliasSend(from, s.callRef), s.answer(SNEAKED)]],
  ["LINK (CM-13)", (s, from) => [op.link(from, s.caller)]],
  ["UNLINK_ID (CM-25)", (s, from) => [op.unlinkId(1, from, s.linked)]],
  ["UNLINK_ID_ACK (CM-25)", (s, from) => [op.unlinkIdAck(1, from, s.linked)]],
  ["EXIT2 (CM-16)", (s, from) => [op.exit2(from, s.caller, atom("kill"))]],
  ["PAYLOAD_EXIT2 (CM-16)", (s, from) => [op.payloadExit2(from, s.caller), atom("kill")]],
  ["MONITOR_P (CM-21)", (s, from) => [op.monitor(from, s.caller, s.worker.ref())]],
  ["the reference of MONITOR_P (CM-21)", (s, _, reference) => [op.monitor(s.server, s.caller, reference)]],
  ["DEMONITOR_P (CM-24)", (s, from) => [op.demonitor(from, s.caller, s.worker.ref())]],
  ["SPAWN_REQUEST (CM-02)", (s, from) => [op.spawnRequest(s.worker.ref(), from, s.server, ["m", "f", 0]), NIL]],
  [
    "the reference of SPAWN_REQUEST (CM-02)",
    (s, _, reference) => [op.spawnRequest(reference, s.server, s.server, ["m", "f", 0]), NIL],
  ],
  ["the child of SPAWN_REPLY (CM-04)", (s, from) => [op.spawnReply(s.openSpawn, s.caller, 2, from)]],
];

const frames = (name: string, ...bodies: ((s: Session) => Bytes)[]): Forgery =>
  forgery(name, (s) => {
    for (const body of bodies) s.worker.frame(body(s));
  });
const reply = (s: Session): Bytes => op.aliasSend(s.server, s.callRef);
const raw = (hex: string): Bytes => Buffer.from(hex, "hex");
/** A header with one new atom, in slot 0. */
const cached = (name: string): Bytes => join(raw("8344010800"), u8(name.length), Buffer.from(name));
/** An answer that holds this value. */
const valued = (name: string, value: () => Bytes): Forgery => forgery(name, (s) => s.reply(value()));

/** Attacks that the filter ends the session for: both legs are closed and the commander hears nothing. */
export const FORGED: readonly Forgery[] = [
  ...FORGED_FIELDS.flatMap(([what, make]) => [
    forgery(`a third node in ${what}`, (s) => s.worker.send(...make(s, FOREIGN_PID, FOREIGN_REF))),
    forgery(`an earlier life of the worker in ${what}`, (s) => {
      const life = otherLife(s.worker.name);
      s.worker.send(...make(s, life.pid, life.ref));
    }),
    forgery(`the commander in ${what}`, (s) => s.worker.send(...make(s, s.caller, s.callRef))),
  ]),
  forgery("a third node in EXIT (CM-15)", (s) => s.worker.send(op.payloadExit(FOREIGN_PID, s.linked), SNEAKED)),
  forgery("a third node in DOWN (CM-23)", (s) =>
    s.worker.send(op.payloadMonitorExit(FOREIGN_PID, s.caller, s.callRef), SNEAKED),
  ),
  forgery("a link that a spawn did not ask for (CM-05)", (s) =>
    s.worker.send(op.spawnReply(s.openSpawn, s.caller, 3, s.worker.pid(70))),
  ),
  forgery("a monitor that a spawn did not ask for (CM-05)", (s) =>
    s.worker.send(op.spawnReply(s.linkSpawn, s.caller, 2, s.worker.pid(70))),
  ),
  forgery("flags with an error (CM-05)", (s) =>
    s.worker.send(op.spawnReply(s.openSpawn, s.caller, 2, atom("system_limit"))),
  ),
  forgery("a child that another spawn has (CM-04)", (s) =>
    s.worker.send(op.spawnReply(s.openSpawn, s.caller, 2, s.child)),
  ),
];

/** Attacks on the protocol itself, which end the session whatever the filter is. */
export const MALFORMED: readonly Forgery[] = [
  forgery("flags that do not exist (CM-05)", (s) =>
    s.worker.send(op.spawnReply(s.openSpawn, s.caller, 4, s.worker.pid(70))),
  ),
  // Control messages
  ...[0, 5, 9, 10, 11, 14, 15, 17, 37, 38, 99, 255].map((number) =>
    forgery(`operation ${number} (CM-26)`, (s) => s.worker.send(tuple(int(number), s.server, s.caller), SNEAKED)),
  ),
  forgery("the old UNLINK (CM-26)", (s) => s.worker.send(op.unlink(s.server, s.linked))),
  ...(
    [
      [1, 3],
      [2, 3],
      [3, 4],
      [6, 4],
      [7, 3],
      [8, 4],
      [12, 4],
      [13, 5],
      [16, 5],
      [18, 5],
      [19, 4],
      [20, 4],
      [21, 5],
      [22, 3],
      [23, 4],
      [24, 3],
      [25, 4],
      [26, 3],
      [27, 4],
      [28, 4],
      [29, 6],
      [30, 7],
      [31, 5],
      [32, 6],
      [33, 3],
      [34, 4],
      [35, 4],
      [36, 4],
    ] as const
  ).map(([number, arity]) =>
    // One session for both would end with the first.
    forgery(`operation ${number} with one element ${number % 2 === 0 ? "more" : "less"} (CM-26)`, (s) => {
      const fields = new Array<Bytes>(arity + (number % 2 === 0 ? 0 : -2)).fill(s.server);
      s.worker.send(tuple(int(number), ...fields), SNEAKED);
    }),
  ),
  forgery("a list of targets (CM-09)", (s) =>
    s.worker.send(op.sendSender(s.server, list(s.caller, s.linked)), tuple(s.oldRef, SNEAKED)),
  ),
  forgery("an alias that is a pid", (s) => s.worker.send(op.aliasSend(s.server, s.caller), s.answer(SNEAKED))),
  forgery("a name that is a binary", (s) => s.worker.send(tuple(int(6), s.server, atom(""), bin("rex")), SNEAKED)),
  forgery("a control message that is a list", (s) => s.worker.send(list(int(22), s.server, s.caller), SNEAKED)),
  forgery("a control message that is an improper list", (s) => s.worker.send(cons(int(22), s.caller), SNEAKED)),
  forgery("a control message that is a large tuple", (s) =>
    s.worker.send(join(u8(105), u32(3), int(22), s.server, s.caller), SNEAKED),
  ),
  forgery("an operation that is a large number", (s) =>
    s.worker.send(tuple(join(u8(98), u32(22)), s.server, s.caller), SNEAKED),
  ),
  forgery("a trace token of 64 KiB (CM-27)", (s) =>
    s.worker.send(tuple(int(34), s.server, s.callRef, bin(Buffer.alloc(65_536))), s.answer(SNEAKED)),
  ),
  // Payloads
  forgery("bytes behind the payload (CM-28)", (s) => s.worker.send(reply(s), join(s.answer(SNEAKED), u8(0)))),
  forgery("a second payload (CM-28)", (s) => s.worker.send(reply(s), join(s.answer(SNEAKED), SNEAKED))),
  forgery("no payload", (s) => s.worker.send(reply(s))),
  forgery("a payload for a link", (s) => s.worker.send(op.link(s.server, s.caller), SNEAKED)),
  forgery("a reason twice", (s) => s.worker.send(op.exit(s.server, s.linked, SNEAKED), SNEAKED)),
  forgery("a compressed payload (CM-29)", (s) => s.worker.send(reply(s), raw("5000000400789c"))),
  frames("a compressed control message (CM-29)", () => raw("8344005000000400789c")),
  valued("a term of depth 100,000 (CM-30)", () => nested(100_000)),
  valued("a tuple of 2^32 - 1 elements (CM-30)", () => join(u8(105), u32(0xffff_ffff), NIL)),
  valued("a list of 2^32 - 1 elements (CM-30)", () => join(u8(108), u32(0xffff_ffff), NIL)),
  valued("a map of 2^31 pairs (CM-30)", () => join(u8(116), u32(0x8000_0000), NIL, NIL)),
  valued("a binary of 4 GiB (CM-30)", () => join(u8(109), u32(0xffff_ffff), NIL)),
  valued("an integer of 65,537 bytes (RS-10)", () => hugeInt(65_537)),
  valued("101 atoms where 100 may come (RS-01)", () =>
    list(...Array.from({ length: 101 }, (_, n) => atom(`forged${n}`))),
  ),
  valued("a reference to a cached atom", () => raw("5200")),
  // Frames
  forgery("4 GiB in one frame (RS-06)", (s) => s.worker.raw.write(u32(0xffff_ffff))),
  forgery("64 MiB and a byte in one frame (RS-06)", (s) => s.worker.raw.write(u32(64 * 1024 * 1024 + 1))),
  frames("a frame of one byte", () => u8(0x83)),
  frames("a frame of another kind", () => raw("83470000")),
  frames("a frame without a header", (s) => message("plain", reply(s), s.answer(SNEAKED))),
  frames("a header with atoms, which were not negotiated (RS-05)", (s) =>
    join(cached("sneaked"), reply(s), tuple(alias(s.callRef), raw("5200"))),
  ),
  frames("a header with the sender's node (RS-05)", (s) => {
    const sender = join(u8(88), raw("5200"), s.server.subarray(3 + s.worker.name.length));
    return join(cached(s.worker.name), op.aliasSend(sender, s.callRef), s.answer(SNEAKED));
  }),
  frames("a header that refers to an atom which was never set (RS-05)", (s) =>
    join(raw("83440100"), u8(0), reply(s), tuple(alias(s.callRef), raw("5200"))),
  ),
  // Fragments
  frames("a fragment without its first (RS-04)", () => nextFragment(1n, 1n, SNEAKED)),
  frames(
    "a first fragment twice (RS-04)",
    (s) => firstFragment(1n, 3n, reply(s), s.answer(SNEAKED).subarray(0, 4)),
    (s) => firstFragment(1n, 3n, reply(s), s.answer(SNEAKED).subarray(0, 4)),
  ),
  frames(
    "fragments out of order (RS-04)",
    (s) => firstFragment(1n, 3n, reply(s), s.answer(SNEAKED).subarray(0, 4)),
    (s) => nextFragment(1n, 1n, s.answer(SNEAKED).subarray(4)),
  ),
  frames(
    "a fragment twice (RS-04)",
    (s) => firstFragment(1n, 3n, reply(s), s.answer(SNEAKED).subarray(0, 4)),
    (s) => nextFragment(1n, 2n, s.answer(SNEAKED).subarray(4, 6)),
    (s) => nextFragment(1n, 2n, s.answer(SNEAKED).subarray(4, 6)),
  ),
  frames(
    "a fragment after the last (RS-04)",
    (s) => firstFragment(1n, 1n, op.regSend(s.server, "rex"), SNEAKED),
    () => nextFragment(1n, 0n, SNEAKED),
  ),
  frames("a first fragment with number 0 (RS-04)", (s) => firstFragment(1n, 0n, reply(s), s.answer(SNEAKED))),
  frames("a sequence with number 0 (RS-04)", (s) => firstFragment(0n, 2n, reply(s), s.answer(SNEAKED))),
  frames("2^63 fragments (RS-03)", (s) => firstFragment(1n, 1n << 63n, reply(s), s.answer(SNEAKED))),
  forgery("17 messages begun and not ended (RS-03)", (s) => {
    for (let i = 1n; i <= 17n; i++) s.worker.frame(firstFragment(i, 2n, reply(s), Buffer.alloc(1_000)));
  }),
  frames(
    "a message cut so that two terms come of it (CM-28)",
    (s) => firstFragment(1n, 2n, reply(s), s.answer(SNEAKED)),
    () => nextFragment(1n, 1n, SNEAKED),
  ),
  frames("a link in fragments", (s) => firstFragment(1n, 2n, op.link(s.server, s.caller), NIL)),
  forgery("a forged sender in fragments (CM-07)", (s) => {
    s.worker.frame(firstFragment(1n, 2n, op.aliasSend(FOREIGN_PID, s.callRef), s.answer(SNEAKED).subarray(0, 4)));
    s.worker.frame(nextFragment(1n, 1n, s.answer(SNEAKED).subarray(4)));
  }),
];
