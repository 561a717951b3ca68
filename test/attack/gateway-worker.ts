// What a worker with a hand-made runtime sends through a gateway: every row of the threat model's sections 2 and 4.4 that a
// BEAM would not send. It shares nothing with src/.
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
  nested,
  pid,
  tuple,
  u8,
  u16,
} from "./etf.ts";
import { firstFragment, nextFragment, op } from "./frames.ts";
import { exportFun, FOREIGN_PID, FOREIGN_REF, ioRequest, PUT_OS_CMD, type Session, THIRD } from "./gateway-session.ts";

/** One attack. */
export interface Forgery {
  /** With the threat model's id. */
  readonly name: string;
  readonly send: (s: Session) => void | Promise<void>;
  /** What the commander may hear of it, as a pattern for each message; default nothing. */
  readonly heard?: readonly RegExp[];
  /** What each message that the worker is told of it looks like; default none. */
  readonly told?: RegExp;
}

export const SNEAKED = atom("sneaked");
export const forgery = (name: string, send: Forgery["send"], more: Omit<Forgery, "name" | "send"> = {}): Forgery => ({
  name,
  send,
  ...more,
});
/** `[alias | Ref]` with the node of the reference written as an old atom: the same term, other bytes. */
function otherBytes(reference: Bytes): Bytes {
  const size = reference[4] as number;
  const name = reference.subarray(5, 5 + size);
  return join(reference.subarray(0, 3), u8(100), u16(size), name, reference.subarray(5 + size));
}
/** The reference made next, as far as one can think. */
function next(reference: Bytes): Bytes {
  const copy = Buffer.from(reference);
  const size = copy[4] as number;
  copy.writeUInt32BE(copy.readUInt32BE(5 + size + 4) + 100, 5 + size + 4);
  return copy;
}
/** Attacks that fall flat: the session stands and the commander hears nothing, or what the row says. */
export const DROPPED: readonly Forgery[] = [
  // Messages
  ...["rex", "net_kernel", "init", "user", "server", "nobody"].map((name) =>
    forgery(`a message to ${name} (CM-10)`, (s) => s.worker.send(op.regSend(s.server, name), SNEAKED)),
  ),
  forgery("a call of rex (WK-01)", (s) =>
    s.worker.send(
      op.regSend(s.server, "rex"),
      genCall(s.server, s.worker.ref(), tuple(atom("call"), atom("os"), atom("cmd"), list(bin("id")), s.server)),
    ),
  ),
  forgery("a message to a name, traced (CM-27)", (s) =>
    s.worker.send(op.regSendTraced(s.server, "rex", int(42)), SNEAKED),
  ),
  forgery("an answer without its sender (CM-08)", (s) => s.worker.send(op.send(s.caller), tuple(s.oldRef, SNEAKED))),
  forgery("an answer without its sender, traced (CM-08, CM-27)", (s) =>
    s.worker.send(op.sendTraced(s.caller, int(42)), tuple(s.oldRef, SNEAKED)),
  ),
  forgery("a bare term to a process that was shown (CM-06)", (s) =>
    s.worker.send(op.sendSender(s.server, s.caller), SNEAKED),
  ),
  forgery("what a runtime acts upon, to one that was shown (CM-06, WK-12)", (s) => {
    for (const head of [
      "$gen_call",
      "$gen_cast",
      "system",
      "EXIT",
      "DOWN",
      "io_request",
      "io_reply",
      "log",
      "nodedown",
    ]) {
      s.worker.send(op.sendSender(s.server, s.caller), tuple(atom(head), tuple(s.server, s.oldRef), SNEAKED));
      s.worker.send(op.sendSender(s.server, s.caller), tuple(atom(head), s.oldRef, SNEAKED, SNEAKED));
    }
  }),
  forgery("a message to a process that was not shown (CM-06)", (s) =>
    s.worker.send(op.sendSender(s.server, s.hidden), tuple(s.oldRef, SNEAKED)),
  ),
  forgery("a message to a process of an earlier life (CM-18)", (s) => {
    const { name, creation } = s.commander;
    for (const life of [0, creation - 1, creation + 1]) {
      s.worker.send(op.sendSender(s.server, pid(name, 100, 0, life)), tuple(s.oldRef, SNEAKED));
    }
  }),
  forgery("an answer to a third node (TR-01)", (s) =>
    s.worker.send(op.sendSender(s.server, FOREIGN_PID), tuple(s.oldRef, SNEAKED)),
  ),
  // Answers
  forgery("an answer with the reference alone (F3)", (s) =>
    s.worker.send(op.aliasSend(s.server, s.callRef), tuple(s.callRef, SNEAKED)),
  ),
  forgery("an answer with another reference's tag (F4)", (s) => {
    const guessed = next(s.callRef);
    s.worker.send(op.aliasSend(s.server, guessed), tuple(alias(guessed), SNEAKED));
    s.worker.send(op.aliasSend(s.server, s.callRef), tuple(alias(guessed), SNEAKED));
    s.worker.send(op.aliasSend(s.server, guessed), s.answer(SNEAKED));
    s.worker.send(op.aliasSend(s.server, s.oldRef), s.answer(SNEAKED));
  }),
  forgery("an answer to a process that did not ask (F3)", (s) =>
    s.worker.send(op.sendSender(s.server, s.linked), s.answer(SNEAKED)),
  ),
  forgery("an answer whose tag has other bytes (4.4)", (s) =>
    s.worker.send(op.aliasSend(s.server, s.callRef), tuple(alias(otherBytes(s.callRef)), SNEAKED)),
  ),
  forgery("an answer of three elements, or one, or a list (4.4)", (s) => {
    for (const form of [
      tuple(alias(s.callRef), SNEAKED, SNEAKED),
      tuple(alias(s.callRef)),
      list(alias(s.callRef), SNEAKED),
    ])
      s.worker.send(op.aliasSend(s.server, s.callRef), form);
    s.worker.send(op.aliasSend(s.server, s.callRef), alias(s.callRef));
  }),
  forgery(
    "an answer twice (F3)",
    (s) => {
      s.reply(atom("honest"));
      s.reply(SNEAKED);
      s.worker.send(op.sendSender(s.server, s.caller), s.answer(SNEAKED));
      s.worker.send(tuple(int(34), s.server, s.callRef, int(42)), s.answer(SNEAKED));
    },
    { heard: [/^\{33,.*,honest\}$/] },
  ),
  forgery("features that nobody asked for (TR-05)", (s) =>
    s.worker.send(
      op.sendSender(s.server, s.caller),
      tuple(atom("features_reply"), atom(s.worker.name), list(atom("x"))),
    ),
  ),
  ...[
    ["a fun", exportFun("os", "cmd", 1)],
    ["a fun in a map in a list", list(map([atom("k"), exportFun("os", "cmd", 1)]))],
    ["a third node's pid (TR-03)", FOREIGN_PID],
    ["a third node's reference (TR-03)", FOREIGN_REF],
    ["a third node's port (TR-03)", join(u8(120), atom(THIRD), Buffer.alloc(12, 1))],
    ["a pid that a BEAM takes for its own", pid("ErtsSecretAtom", 1, 0, 0)],
    ["a pid of the commander's name in capitals", pid("COMMANDER@127.0.0.1", 1, 0, 1)],
  ].map(([what, value]) =>
    forgery(`an answer with ${what} (F5)`, (s) => s.reply(value as Bytes), {
      heard: [/^\{28,server,<commander@127.0.0.1.100.0>,#Ref<.*>\} \{gateway,reply_rejected\}$/],
      told: /^\{20,/,
    }),
  ),
  // Ends
  ...(
    [
      ["the wrong name", (s) => [atom("other"), s.caller, s.callRef]],
      ["a pid in place of the name", (s) => [s.server, s.caller, s.callRef]],
      ["the wrong process", (s) => [atom("server"), s.linked, s.callRef]],
      ["the wrong reference", (s) => [atom("server"), s.caller, next(s.callRef)]],
      ["the reference of a spawn that was not answered", (s) => [s.child, s.caller, s.openSpawn]],
      ["another child", (s) => [s.server, s.caller, s.spawnRef]],
    ] satisfies [string, (s: Session) => [Bytes, Bytes, Bytes]][]
  ).flatMap(([what, fields]) => [
    forgery(`DOWN with ${what} (CM-23)`, (s) => {
      s.worker.send(op.payloadMonitorExit(...fields(s)), SNEAKED);
      s.worker.send(op.monitorExit(...fields(s), SNEAKED));
    }),
  ]),
  forgery(
    "DOWN twice (CM-23)",
    (s) => {
      s.worker.send(op.payloadMonitorExit(atom("server"), s.caller, s.nameRef), atom("honest"));
      s.worker.send(op.payloadMonitorExit(atom("server"), s.caller, s.nameRef), SNEAKED);
    },
    { heard: [/^\{28,server,.* honest$/] },
  ),
  forgery(
    "an answer after DOWN (F3)",
    (s) => {
      s.worker.send(op.payloadMonitorExit(atom("server"), s.caller, s.callRef), atom("honest"));
      s.reply(SNEAKED);
    },
    { heard: [/^\{28,server,.* honest$/] },
  ),
  forgery(
    "a message of a child after its end (S9)",
    (s) => {
      s.worker.send(op.sendSender(s.child, s.caller), tuple(s.child, atom("honest")));
      s.worker.send(op.payloadMonitorExit(s.child, s.caller, s.spawnRef), atom("honest"));
      s.worker.send(op.sendSender(s.child, s.caller), tuple(s.child, SNEAKED));
    },
    { heard: [/^\{22,.*,honest\}$/, /^\{28,.* honest$/] },
  ),
  forgery("a message of a child to another process (S9)", (s) =>
    s.worker.send(op.sendSender(s.child, s.linked), tuple(s.child, SNEAKED)),
  ),
  forgery("a message in the name of a child that is none (S9)", (s) =>
    s.worker.send(op.sendSender(s.server, s.caller), tuple(s.server, SNEAKED)),
  ),
  forgery("EXIT without a link, in all forms (CM-15)", (s) => {
    for (const to of [s.caller, s.hidden]) {
      s.worker.send(op.exit(s.server, to, SNEAKED));
      s.worker.send(tuple(int(13), s.server, to, int(42), SNEAKED));
      s.worker.send(op.payloadExit(s.server, to), SNEAKED);
      s.worker.send(tuple(int(25), s.server, to, int(42)), SNEAKED);
    }
    s.worker.send(op.payloadExit(s.child, s.linked), SNEAKED);
  }),
  forgery(
    "EXIT twice (CM-15)",
    (s) => {
      s.worker.send(op.payloadExit(s.server, s.linked), atom("honest"));
      s.worker.send(op.payloadExit(s.server, s.linked), SNEAKED);
    },
    { heard: [/^\{24,.* honest$/] },
  ),
  forgery("EXIT2 in all forms (CM-16)", (s) => {
    for (const to of [s.caller, s.linked, s.leader, s.hidden]) {
      s.worker.send(op.exit2(s.server, to, atom("kill")));
      s.worker.send(tuple(int(18), s.server, to, int(42), atom("kill")));
      s.worker.send(op.payloadExit2(s.server, to), atom("kill"));
      s.worker.send(tuple(int(27), s.server, to, int(42)), atom("kill"));
    }
  }),
  forgery("EXIT2 to 200 pids that one can think of (CM-17)", (s) => {
    for (let id = 0; id < 200; id++) {
      s.worker.send(op.payloadExit2(s.server, pid(s.commander.name, id, 0, s.commander.creation)), atom("kill"));
    }
  }),
  forgery("GROUP_LEADER (CM-19, CM-20)", (s) => {
    s.worker.send(op.groupLeader(s.server, s.caller));
    s.worker.send(op.groupLeader(FOREIGN_PID, s.caller));
    s.worker.send(op.groupLeader(s.leader, s.linked));
  }),
  // Links
  forgery("UNLINK_ID where no link is (CM-25)", (s) => s.worker.send(op.unlinkId(7, s.server, s.caller)), {
    told: /^\{36,7,/,
  }),
  forgery("an acknowledgement that nobody waits for (CM-25)", (s) => {
    s.worker.send(op.unlinkIdAck(7, s.server, s.caller));
    s.worker.send(op.unlinkIdAck(7, s.server, s.linked));
  }),
  forgery("an acknowledgement with another id (CM-25)", async (s) => {
    s.commander.send(op.unlinkId(7, s.linked, s.server));
    await s.told();
    s.worker.send(op.unlinkIdAck(8, s.server, s.linked));
  }),
  forgery(
    "UNLINK_ID again and again (CM-25)",
    (s) => {
      for (let id = 1; id < 10; id++) s.worker.send(op.unlinkId(id, s.server, s.linked));
    },
    { heard: [/^\{35,1,/], told: /^\{36,/ },
  ),
  forgery(
    "UNLINK_ID again and again, in place of the acknowledgement of one (CM-25)",
    async (s) => {
      s.commander.send(op.unlinkId(7, s.linked, s.server));
      await s.told();
      for (let id = 1; id < 10; id++) s.worker.send(op.unlinkId(id, s.server, s.linked));
    },
    { heard: [/^\{35,1,/], told: /^\{36,/ },
  ),
  forgery("DEMONITOR of none (CM-24)", (s) => {
    s.worker.send(op.demonitor(s.server, s.caller, s.worker.ref()));
    s.worker.send(op.demonitor(s.server, atom("rex"), s.worker.ref()));
  }),
  // Spawns
  forgery("a reply to a spawn that nobody asked for (CM-04)", (s) => {
    s.worker.send(op.spawnReply(next(s.openSpawn), s.caller, 0, s.worker.pid(70)));
    s.worker.send(op.spawnReply(s.callRef, s.caller, 0, s.worker.pid(70)));
  }),
  forgery("a reply to a spawn of another process (CM-04)", (s) =>
    s.worker.send(op.spawnReply(s.openSpawn, s.linked, 2, s.worker.pid(70))),
  ),
  forgery("a reply to a spawn twice (CM-04)", (s) => {
    s.worker.send(op.spawnReply(s.spawnRef, s.caller, 2, s.worker.pid(70)));
    s.worker.send(op.spawnReply(s.spawnRef, s.caller, 0, SNEAKED));
    s.worker.send(tuple(int(32), s.spawnRef, s.caller, int(2), s.worker.pid(70), int(42)));
  }),
  // What the worker begins
  ...[
    ["SPAWN_REQUEST (CM-01)", 29],
    ["SPAWN_REQUEST, traced (CM-01, CM-27)", 30],
  ].map(([what, number]) =>
    forgery(
      what as string,
      (s) => {
        const mfa = tuple(atom("os"), atom("cmd"), int(1));
        const options = list(atom("monitor"), atom("link"));
        const fields = [s.worker.ref(), s.server, s.server, mfa, options];
        s.worker.send(tuple(int(number as number), ...fields, ...(number === 30 ? [int(42)] : [])), list(bin("id")));
      },
      { told: /^\{31,.*,0,noconnection\}$/ },
    ),
  ),
  forgery(
    "SPAWN_REQUEST with the commander's group leader (CM-03)",
    (s) => s.worker.send(op.spawnRequest(s.worker.ref(), s.server, s.leader, ["os", "cmd", 1]), list(bin("id"))),
    { told: /^\{31,.*,0,noconnection\}$/ },
  ),
  forgery("LINK (CM-13)", (s) => s.worker.send(op.link(s.server, s.caller)), { told: /^\{24,.* noconnection$/ }),
  forgery("MONITOR_P of a name (CM-21)", (s) => s.worker.send(op.monitor(s.server, atom("rex"), s.worker.ref())), {
    told: /^\{28,rex,.* noconnection$/,
  }),
  forgery(
    "MONITOR_P of a process that was not shown (CM-21)",
    (s) => s.worker.send(op.monitor(s.server, s.hidden, s.worker.ref())),
    { told: /^\{28,.* noconnection$/ },
  ),
  // Group leaders
  forgery(
    "a function to apply for a group leader (WK-13)",
    (s) => s.worker.send(op.sendSender(s.server, s.leader), ioRequest(s.server, PUT_OS_CMD)),
    { told: /\{io_reply,as,\{error,enotsup\}\}$/ },
  ),
  forgery("a request to a process that is no group leader (WK-13)", (s) =>
    s.worker.send(
      op.sendSender(s.server, s.caller),
      ioRequest(s.server, tuple(atom("put_chars"), atom("unicode"), bin("x"))),
    ),
  ),
  forgery("a request whose answer goes elsewhere (TR-02)", (s) => {
    for (const from of [FOREIGN_PID, s.caller]) {
      const request = tuple(atom("put_chars"), atom("unicode"), bin("x"));
      s.worker.send(op.sendSender(s.server, s.leader), ioRequest(from, request));
    }
  }),
];

/** What an honest worker sends in the same session. */
export const HONEST: readonly (Forgery & { readonly heard: readonly RegExp[] })[] = [
  { name: "an answer at the alias", send: (s) => s.reply(atom("honest")), heard: [/^\{33,.*,honest\}$/] },
  {
    name: "an answer to the caller",
    send: (s) => s.worker.send(op.sendSender(s.server, s.caller), tuple(s.oldRef, atom("honest"))),
    heard: [/^\{22,.*,honest\}$/],
  },
  {
    name: "a traced answer, without its token",
    send: (s) => s.worker.send(tuple(int(34), s.server, s.callRef, int(42)), s.answer(atom("honest"))),
    heard: [/^\{33,[^,]*,[^,]*\} .*,honest\}$/],
  },
  {
    name: "an answer in fragments",
    send: (s) => {
      s.worker.frame(firstFragment(1n, 2n, op.aliasSend(s.server, s.callRef), s.answer(atom("honest")).subarray(0, 4)));
      s.worker.frame(nextFragment(1n, 1n, s.answer(atom("honest")).subarray(4)));
    },
    heard: [/^\{33,.*,honest\}$/],
  },
  {
    name: "an answer with the pids of both, a deep term and a large integer",
    send: (s) => s.reply(list(s.server, s.caller, nested(400), hugeInt(60_000), atom("honest"))),
    heard: [/^\{33,/],
  },
  {
    name: "DOWN of a name and of a child",
    send: (s) => {
      s.worker.send(op.payloadMonitorExit(atom("server"), s.caller, s.nameRef), atom("honest"));
      s.worker.send(op.monitorExit(s.child, s.caller, s.spawnRef, atom("honest")));
    },
    heard: [/^\{28,server,.* honest$/, /^\{28,<worker.* honest$/],
  },
  {
    name: "EXIT of a link",
    send: (s) => s.worker.send(op.payloadExit(s.server, s.linked), atom("honest")),
    heard: [/^\{24,.* honest$/],
  },
  {
    name: "replies to spawns, with what they asked for",
    send: (s) => {
      s.worker.send(op.spawnReply(s.openSpawn, s.caller, 2, s.worker.pid(70)));
      s.worker.send(op.spawnReply(s.linkSpawn, s.caller, 1, s.worker.pid(71)));
    },
    heard: [/^\{31,.*,2,<worker@127.0.0.1.70.0>\}$/, /^\{31,.*,1,<worker@127.0.0.1.71.0>\}$/],
  },
  {
    name: "a monitor of the caller, and its end",
    send: (s) => {
      const reference = s.worker.ref();
      s.worker.send(op.monitor(s.server, s.caller, reference));
      s.worker.send(op.demonitor(s.server, s.caller, reference));
    },
    heard: [/^\{19,/, /^\{20,/],
  },
  {
    name: "text for the group leader",
    send: (s) =>
      s.worker.send(
        op.sendSender(s.server, s.leader),
        ioRequest(s.server, tuple(atom("put_chars"), atom("unicode"), bin("honest"))),
      ),
    heard: [/^\{22,.*"honest"/],
  },
];
