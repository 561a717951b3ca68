#!/usr/bin/env node
// `npm run -s build && node bench/gateway-micro.mjs [--only TEXT] [--ms N]`: nanoseconds that a message takes on its way through a
// gateway, from the bytes of its frame to those that go on, in one process and without sockets. The best of several passes.
import { parseArgs } from "node:util";
import { fromLibrary } from "./library.mjs";

const PASSES = 5;
const COMMANDER = { node: "commander@localhost", creation: 17 };
const WORKER = { node: "worker@localhost", creation: 23 };

const { values } = parseArgs({ options: { only: { type: "string" }, ms: { type: "string", default: "400" } } });
const { ByteWriter } = await fromLibrary("base/byte-writer.js");
const { Atom, ImproperList, Pid, Reference, Tuple } = await fromLibrary("term/types.js");
const { encodeInto } = await fromLibrary("term/encode.js");
const { encodeControlInto } = await fromLibrary("wire/control-encoder.js");
const { Receiver } = await fromLibrary("dist/receive.js");
const { Sender } = await fromLibrary("dist/send.js");
const { DEFAULT_DIST_LIMITS } = await fromLibrary("dist/limits.js");
const { GuardedPair } = await fromLibrary("gateway/guarded-pair.js");
const { RuleCounts } = await fromLibrary("gateway/rule-counts.js");
const { commanderProfile } = await fromLibrary("gateway/profile.js");

const caller = new Pid(COMMANDER.node, 91, 0, COMMANDER.creation);
const server = new Pid(WORKER.node, 120, 0, WORKER.creation);
/** Its last word is counted up: each call has a reference of its own. */
const MARK = 0x11223344;
const ref = new Reference(COMMANDER.node, COMMANDER.creation, [MARK, 70_001, 70_002, 1, 0]);
const tag = new ImproperList([new Atom("alias")], ref);

const toPid = { kind: "send", from: caller, to: server };
const toName = { kind: "reg-send", from: caller, name: "sink" };
const call = (size) => [
  ["outside", frame({ kind: "monitor", from: caller, target: "echo", ref })],
  [
    "outside",
    frame({ ...toName, name: "echo" }, new Tuple([new Atom("$gen_call"), new Tuple([caller, tag]), bytes(32)])),
  ],
  ["inside", frame({ kind: "alias-send", from: server, alias: ref }, new Tuple([tag, bytes(size)]))],
  ["outside", frame({ kind: "demonitor", from: caller, target: "echo", ref })],
];

await measure("100 B to a pid", [["outside", frame(toPid, bytes(100))]]);
await measure("100 B to a name", [["outside", frame(toName, bytes(100))]]);
await measure("list of 100 small tuples to a pid", [
  [
    "outside",
    frame(
      toPid,
      Array.from({ length: 100 }, (_, i) => new Tuple([new Atom("row"), i, bytes(8)])),
    ),
  ],
]);
await measure("64 KiB to a pid", [["outside", frame(toPid, bytes(65_536))]]);
await measure("a call (4 messages), 32 B", call(32));
await measure("a call (4 messages), 64 KiB answer", call(65_536));

function bytes(size) {
  return Buffer.alloc(size, 7);
}

/** The frame's body, and where the mark stands in it. */
function frame(control, payload) {
  const writer = new ByteWriter();
  encodeControlInto(writer, control, { style: "header", exitPayload: true });
  if (payload !== undefined) encodeInto(writer, payload);
  const body = writer.takeCopy();
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(MARK);
  const marks = [];
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + 4)) marks.push(at);
  return { body, marks };
}

function gateway() {
  const facts = { outside: COMMANDER, inside: WORKER };
  const options = { commander: COMMANDER, worker: WORKER, decide: commanderProfile({}, () => "id") };
  const pair = new GuardedPair(
    {
      facts,
      judging: { kind: "commander", commander: "outside", options },
      rules: new RuleCounts(),
      observation: undefined,
      tell: (event) => {
        if (event.kind === "denied") throw new Error(JSON.stringify(event));
      },
      ended: () => {},
    },
    0,
  );
  const out = { write: () => {}, pendingBytes: () => 0, copiesWrites: true, needFlush: () => {} };
  const options2 = {
    header: true,
    fragments: true,
    exitPayload: true,
    congestedBytes: 2 ** 30,
    maxQueuedBytes: 2 ** 31,
  };
  const senders = { outside: new Sender(out, options2), inside: new Sender(out, options2) };
  const receiver = (side, to) =>
    new Receiver("header", DEFAULT_DIST_LIMITS, {
      wanted: () => true,
      refused: () => {},
      message: (control, buffer, start, end) => {
        const { forward, close } = pair.judge(side, control, buffer, start, end, 1_000);
        if (forward === undefined) throw new Error(`not forwarded: ${control.kind} ${close}`);
        if (forward.start === forward.end) to.signal(forward.control);
        else to.encoded(forward.control, forward.buffer, forward.start, forward.end);
      },
    });
  return {
    pair,
    receivers: { outside: receiver("outside", senders.inside), inside: receiver("inside", senders.outside) },
    flush: () => {
      senders.inside.flush();
      senders.outside.flush();
    },
  };
}

async function measure(name, messages) {
  if (values.only !== undefined && !name.includes(values.only)) return;
  const { pair, receivers, flush } = gateway();
  let n = 0;
  const once = () => {
    n++;
    for (const [side, { body, marks }] of messages) {
      for (const at of marks) body.writeUInt32BE(n, at);
      receivers[side].frame(body, 0, body.length, 1_000);
    }
    if (n % 16 === 0) flush();
  };
  let best = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < PASSES; pass++) {
    const before = process.cpuUsage();
    const until = performance.now() + Number(values.ms);
    const from = n;
    while (performance.now() < until) for (let i = 0; i < 64; i++) once();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1_000) / (n - from));
  }
  const rest = Object.entries(pair.report().tables).filter(([, { size }]) => size > 0);
  console.log(
    `${name.padEnd(40)} ${best.toFixed(0).padStart(8)} ns ${rest.map(([table, { size }]) => `${table} ${size}`).join(" ")}`,
  );
}
