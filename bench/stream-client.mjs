// Sending side of the plain TLS references. Arguments: directory of the certificates, port.
//   raw:  bytes as they are, in writes of 64 KiB; echo for latency
//   loop: `u32 length` and a copy of the payload, frames counted (or sent back) by the other side; no codec, no policy
import { once } from "node:events";
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { filesOf } from "./certificates.mjs";
import { COUNT_BYTES, COUNT_FRAMES, ECHO_BYTES, ECHO_FRAMES, HIGH_WATER_BYTES, HOLD } from "./stream-protocol.mjs";
import { latencyOf, serveCommands } from "./worker-lines.mjs";

const { certFile, keyFile, caFile } = filesOf(process.argv[2], "stream_client@localhost");
const [cert, key, ca] = [certFile, keyFile, caFile].map((path) => readFileSync(path));
const secureContext = tls.createSecureContext({ cert, key, ca, minVersion: "TLSv1.3" });
const port = Number(process.argv[3]);

const RAW_WRITE_BYTES = 64 * 1024;
/** Small frames are collected into writes of about this size. */
const GATHER_BYTES = 64 * 1024;
const CALL_BYTES = 32;

async function connect(mode) {
  const socket = tls.connect({
    host: "127.0.0.1",
    port,
    secureContext,
    servername: "localhost",
    noDelay: true,
    allowHalfOpen: true,
    highWaterMark: HIGH_WATER_BYTES,
  });
  await once(socket, "secureConnect");
  socket.write(Buffer.of(mode));
  return socket;
}

async function close(socket) {
  socket.removeAllListeners("data");
  socket.resume();
  if (socket.closed) return;
  const closed = once(socket, "close");
  socket.end();
  await closed;
}

/** Raw bytes for `ms`; done when the other side has answered how many it counted. */
async function raw(_size, ms) {
  const socket = await connect(COUNT_BYTES);
  const payload = Buffer.alloc(RAW_WRITE_BYTES, 7);
  const start = performance.now();
  const until = start + Number(ms);
  let sent = 0;
  while (performance.now() < until) {
    sent += RAW_WRITE_BYTES;
    if (!socket.write(payload)) await once(socket, "drain");
  }
  const answer = once(socket, "data");
  socket.end();
  const [counted] = await answer;
  const seconds = (performance.now() - start) / 1000;
  if (Number(counted.readBigUInt64BE(0)) !== sent) throw new Error("bytes were lost");
  await close(socket);
  return { seconds, bytes: sent };
}

/** Length-prefixed messages of `size` for `ms`; done when the other side has answered how many it counted. */
async function loop(sizeText, ms) {
  const size = Number(sizeText);
  const socket = await connect(COUNT_FRAMES);
  const payload = Buffer.alloc(size, 7);
  const perWrite = Math.max(1, Math.floor(GATHER_BYTES / (size + 4)));
  const start = performance.now();
  const until = start + Number(ms);
  let sent = 0;
  while (performance.now() < until) {
    const out = Buffer.allocUnsafeSlow(perWrite * (size + 4));
    let at = 0;
    for (let i = 0; i < perWrite; i++) {
      out[at] = size >>> 24;
      out[at + 1] = size >>> 16;
      out[at + 2] = size >>> 8;
      out[at + 3] = size;
      out.set(payload, at + 4);
      at += size + 4;
    }
    sent += perWrite;
    if (!socket.write(out)) await once(socket, "drain");
  }
  const answer = once(socket, "data");
  socket.write(Buffer.alloc(4));
  const [counted] = await answer;
  const seconds = (performance.now() - start) / 1000;
  if (Number(counted.readBigUInt64BE(0)) !== sent) throw new Error("frames were lost");
  await close(socket);
  return { seconds, messages: sent, bytes: sent * size };
}

/** One 32-byte echo after another. */
async function latency(ms) {
  const socket = await connect(ECHO_BYTES);
  const payload = Buffer.alloc(CALL_BYTES, 7);
  const samples = new Float64Array(200_000);
  const until = performance.now() + Number(ms);
  let count = 0;
  await new Promise((done) => {
    let got = 0;
    let sentAt = process.hrtime.bigint();
    socket.on("data", (chunk) => {
      got += chunk.length;
      if (got < CALL_BYTES) return;
      got = 0;
      samples[count++] = Number(process.hrtime.bigint() - sentAt);
      if (count === samples.length || performance.now() >= until) {
        done();
        return;
      }
      sentAt = process.hrtime.bigint();
      socket.write(payload);
    });
    socket.write(payload);
  });
  await close(socket);
  return latencyOf(samples, count);
}

/** `depth` framed echoes under way at any time; the requests of one turn share a write. */
async function inflight(depthText, ms) {
  const depth = Number(depthText);
  const socket = await connect(ECHO_FRAMES);
  const frame = Buffer.alloc(4 + CALL_BYTES, 7);
  frame.writeUInt32BE(CALL_BYTES, 0);
  const start = performance.now();
  const until = start + Number(ms);
  let answers = 0;
  await new Promise((done) => {
    let got = 0;
    let open = depth;
    const ask = (count) => {
      const out = Buffer.allocUnsafe(count * frame.length);
      for (let i = 0; i < count; i++) out.set(frame, i * frame.length);
      socket.write(out);
    };
    socket.on("data", (chunk) => {
      got += chunk.length;
      const whole = Math.floor(got / frame.length);
      if (whole === 0) return;
      got -= whole * frame.length;
      answers += whole;
      open -= whole;
      if (performance.now() < until) {
        open += whole;
        ask(whole);
      } else if (open === 0) {
        done();
      }
    });
    ask(depth);
  });
  const seconds = (performance.now() - start) / 1000;
  await close(socket);
  return { seconds, calls: answers };
}

/** Full handshakes with certificates on both sides and one echo, one after another. */
async function connects(ms) {
  const start = performance.now();
  const until = start + Number(ms);
  let count = 0;
  while (performance.now() < until) {
    const socket = await connect(ECHO_BYTES);
    socket.write(Buffer.of(1));
    await once(socket, "data");
    socket.destroy();
    count++;
  }
  return { seconds: (performance.now() - start) / 1000, connects: count };
}

const held = [];

/** Holds `count` idle connections. */
async function hold(count) {
  for (let i = 0; i < Number(count); i++) {
    const socket = await connect(HOLD);
    socket.on("error", () => {});
    held.push(socket);
  }
  return { held: held.length };
}

await serveCommands({ raw, loop, latency, inflight, connects, hold });
