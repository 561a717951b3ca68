#!/usr/bin/env node
// `node bench/micro.mjs [--only TEXT] [--ms N]`: nanoseconds of processor time per operation of the parts of the hot paths,
// in one process and without sockets. The best of several passes, because everything else only makes a pass slower.
import { parseArgs } from "node:util";
import { fromLibrary } from "./library.mjs";

const PASSES = 7;

const { values } = parseArgs({ options: { only: { type: "string" }, ms: { type: "string", default: "300" } } });
const passMs = Number(values.ms);

const { ByteWriter } = await fromLibrary("base/byte-writer.js");
const { Atom, ImproperList, Pid, Reference, Tuple } = await fromLibrary("term/types.js");
const { encodeInto, encodeTerm } = await fromLibrary("term/encode.js");
const { TermDecoder } = await fromLibrary("term/decode.js");
const { AtomTable } = await fromLibrary("term/atom-table.js");
const { PidTable } = await fromLibrary("term/pid-table.js");
const { ControlDecoder } = await fromLibrary("wire/control.js");
const { ControlEncoder } = await fromLibrary("wire/control-encoder.js");
const { Deframer } = await fromLibrary("wire/deframer.js");

const pid = new Pid("client@localhost", 1, 0, 17);
const ref = new Reference("client@localhost", 17, [1, 2, 3, 4, 5]);
const tag = new ImproperList([new Atom("alias")], ref);
const callTuple = new Tuple([new Atom("$gen_call"), new Tuple([pid, tag]), Buffer.alloc(32, 7)]);
const small = Buffer.alloc(100, 7);

await terms();
await controls();
await frames();
await nodes();

async function terms() {
  const writer = new ByteWriter(65_536);
  await measure("encode a call tuple", (count) => {
    for (let i = 0; i < count; i++) {
      writer.length = 0;
      encodeInto(writer, callTuple);
    }
  });
  const decoder = new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
  await decodes("decode a call tuple", decoder, encodeTerm(callTuple));
  await decodes("decode a binary of 100 B", decoder, encodeTerm(small));
  await decodes("decode a list of 100 integers", decoder, encodeTerm(Array.from({ length: 100 }, (_, i) => i * 1000)));
}

function decodes(name, decoder, bytes) {
  return measure(name, (count) => {
    for (let i = 0; i < count; i++) {
      decoder.resetBudget();
      decoder.decodeAt(bytes, 1, bytes.length);
    }
  });
}

async function controls() {
  const encoding = { style: "header", exitPayload: true };
  const send = { kind: "reg-send", from: pid, name: "sink" };
  const writer = new ByteWriter(65_536);
  const encoder = new ControlEncoder(encoding);
  await measure("encode a send to a name, repeated", (count) => {
    for (let i = 0; i < count; i++) {
      writer.length = 0;
      encoder.encodeInto(writer, send);
    }
  });
  await measure("encode a monitor", (count) => {
    for (let i = 0; i < count; i++) {
      writer.length = 0;
      encoder.encodeInto(writer, { kind: "monitor", from: pid, target: "sink", ref });
    }
  });
  const bytesOf = (control) => {
    writer.length = 0;
    encoder.encodeInto(writer, control);
    return Buffer.from(writer.buffer.subarray(3, writer.length));
  };
  const sends = Array.from({ length: 16 }, (_, i) => bytesOf({ ...send, name: `sink${i}` }));
  const monitor = bytesOf({ kind: "monitor", from: pid, target: "sink", ref });
  const decoder = new ControlDecoder({ style: "header" });
  await measure("decode a send, the same as before", (count) => {
    for (let i = 0; i < count; i++) decoder.decode(sends[0], 0, sends[0].length);
  });
  await measure("decode a send, 16 in turn", (count) => {
    for (let i = 0; i < count; i++) decoder.decode(sends[i & 15], 0, sends[i & 15].length);
  });
  await measure("decode a monitor", (count) => {
    for (let i = 0; i < count; i++) decoder.decode(monitor, 0, monitor.length);
  });
}

async function frames() {
  const sink = { frame: () => {}, tick: () => {} };
  const make = () => new Deframer({ prefix: 4, maxFrameBytes: 16 * 1024 * 1024 });
  const frame = Buffer.alloc(104, 7);
  frame.writeUInt32BE(100, 0);
  const chunk = Buffer.concat(Array.from({ length: 157 }, () => frame));
  const whole = make();
  let lent = 0;
  await measure("take a frame of 100 B out of 16 KiB chunks", (count) => {
    while (lent < count * 104) {
      whole.receive(chunk, sink);
      lent += 157 * 104;
    }
    lent -= count * 104;
  });
  const large = Buffer.alloc(65_540, 7);
  large.writeUInt32BE(65_536, 0);
  const pieces = [0, 1, 2, 3, 4].map((i) => large.subarray(i * 16_384, (i + 1) * 16_384));
  const split = make();
  await measure("join a frame of 64 KiB from 16 KiB chunks", (count) => {
    for (let i = 0; i < count; i++) for (const piece of pieces) split.receive(piece, sink);
  });
}

/** Two whole nodes that talk through memory: everything but the socket and TLS. */
async function nodes() {
  const [{ SallyportNode }, { createMemoryNetwork }, { RealClock }, { RealRandom }, { RealCrypto }] = await Promise.all(
    [
      fromLibrary("node/node.js"),
      fromLibrary("carrier/memory-network.js"),
      fromLibrary("system/real-clock.js"),
      fromLibrary("system/real-random.js"),
      fromLibrary("system/real-crypto.js"),
    ],
  );
  const [{ DEFAULT_DIST_LIMITS }, { DEFAULT_TICK_OPTIONS }, { DEFAULT_FLAGS }, { OpenChallenges }] = await Promise.all([
    fromLibrary("dist/limits.js"),
    fromLibrary("dist/tick.js"),
    fromLibrary("wire/flags.js"),
    fromLibrary("auth/otp-types.js"),
  ]);
  const clock = new RealClock();
  const random = new RealRandom();
  const network = createMemoryNetwork({ clock });
  const make = (name) =>
    new SallyportNode({
      own: { name, creation: 17, flags: DEFAULT_FLAGS },
      clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => "benchmark",
      },
      dialers: { tcp: network },
      resolver: { label: "memory", resolve: async () => [{ scheme: "tcp", host: "127.0.0.1", port: 1 }] },
      judgeCertificate: () => ({ matched: true, presented: [], warning: undefined }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
  const server = make("server@localhost");
  const client = make("client@localhost");
  network.listen("127.0.0.1", 1, server.accept);
  server.register("sink", { info: () => {}, call: (request) => request }, { allow: "cookie" });
  await client.connect("server@localhost");
  const target = { name: "sink", node: "server@localhost" };
  for (const [text, size] of [
    ["100 B", 100],
    ["1 KiB", 1024],
    ["64 KiB", 65_536],
    ["1 MiB", 1024 * 1024],
  ]) {
    const payload = Buffer.alloc(size, 7);
    // Both ends share this thread: without a wait for the other one, a mailbox would overflow.
    const perWait = Math.min(512, Math.max(1, Math.floor((1024 * 1024) / size)));
    await measure(`send ${text} between two nodes`, async (count) => {
      for (let sent = 0; sent < count; sent += perWait) {
        for (let i = 0; i < perWait; i++) if (!client.send(target, payload)) await client.drained(target.node);
        await client.call(target, small);
      }
    });
  }
  await measure("call between two nodes, 1 in flight", async (count) => {
    for (let i = 0; i < count; i++) await client.call(target, small);
  });
  await measure("call between two nodes, 64 in flight", async (count) => {
    const caller = async () => {
      for (let i = 0; i < count / 64; i++) await client.call(target, small);
    };
    await Promise.all(Array.from({ length: 64 }, caller));
  });
  await client.close();
  await server.close();
}

/** Runs `body(count)` with a count that takes about one pass, and prints the best time per operation. */
async function measure(name, body) {
  if (values.only !== undefined && !name.includes(values.only)) return;
  let count = 64;
  for (let ms = 0; ms < passMs / 4; count *= 2) ms = await timed(body, count);
  const perPass = Math.max(64, count);
  let best = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < PASSES; pass++) best = Math.min(best, ((await timed(body, perPass)) * 1e6) / perPass);
  console.log(`${name.padEnd(48)} ${best.toFixed(best < 1000 ? 1 : 0).padStart(10)} ns`);
}

/** Processor time in milliseconds, of all threads: what others do on the machine hardly shows. */
async function timed(body, count) {
  const start = process.cpuUsage();
  await body(count);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
