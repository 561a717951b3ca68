// Sending side for Sallyport. Arguments: directory of the certificates, then name=address of the node it dials.
import { filesOf, idleName } from "./certificates.mjs";
import { loadCreateNode } from "./library.mjs";
import { latencyOf, serveCommands } from "./worker-lines.mjs";

const [directory, ...addresses] = process.argv.slice(2);
const createNode = await loadCreateNode();
const resolve = Object.fromEntries(addresses.map((entry) => entry.split("=")));
const PEER = "sallyport_server@localhost";
const SINK = { name: "sink", node: PEER };
const CALL_BYTES = 32;

const node = await newNode("sallyport_client@localhost");

function newNode(name) {
  const tls = { ...filesOf(directory, name), minVersion: "TLSv1.3" };
  return createNode({ name, cookie: "benchmark", epmd: "off", tls, resolve });
}

async function connect() {
  await node.connect(PEER);
}

async function disconnect() {
  const down = new Promise((done) => node.on("nodedown", done));
  if (node.disconnect(PEER)) await down;
}

/** Messages of `size` for `ms`; done when the other side has answered how many it handled. */
async function oneway(sizeText, ms) {
  const size = Number(sizeText);
  const payload = Buffer.alloc(size, 7);
  const perLook = Math.max(1, Math.floor(16_384 / size));
  const start = performance.now();
  const until = start + Number(ms);
  let sent = 0;
  while (performance.now() < until) {
    sent += perLook;
    let room = true;
    for (let i = 0; i < perLook; i++) room = node.send(SINK, payload);
    if (!room) await node.drained(PEER);
  }
  const [messages, bytes] = await node.call(SINK, 0, { timeoutMs: 30_000 });
  const seconds = (performance.now() - start) / 1000;
  if (messages !== sent || bytes !== sent * size) throw new Error(`sent ${sent}, handled ${messages}`);
  return { seconds, messages: sent, bytes: sent * size };
}

/** One 32-byte call after another. */
async function latency(ms) {
  const payload = Buffer.alloc(CALL_BYTES, 7);
  const samples = new Float64Array(200_000);
  const until = performance.now() + Number(ms);
  let count = 0;
  while (performance.now() < until && count < samples.length) {
    const sentAt = process.hrtime.bigint();
    await node.call(SINK, payload);
    samples[count++] = Number(process.hrtime.bigint() - sentAt);
  }
  return latencyOf(samples, count);
}

/** `depth` loops, each with one call under way. */
async function inflight(depthText, ms) {
  const payload = Buffer.alloc(CALL_BYTES, 7);
  const start = performance.now();
  const until = start + Number(ms);
  let calls = 0;
  const caller = async () => {
    while (performance.now() < until) {
      await node.call(SINK, payload);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: Number(depthText) }, caller));
  return { seconds: (performance.now() - start) / 1000, calls };
}

/** Whole sessions (TLS, certificates on both sides, distribution handshake), one after another. */
async function connects(ms) {
  await disconnect();
  const start = performance.now();
  const until = start + Number(ms);
  let count = 0;
  while (performance.now() < until) {
    await connect();
    await disconnect();
    count++;
  }
  return { seconds: (performance.now() - start) / 1000, connects: count };
}

const held = [];

/** Holds `count` idle sessions with `peer`, each of a node of its own. */
async function hold(count, peer) {
  for (let i = 0; i < Number(count); i++) {
    const idle = await newNode(idleName(held.length));
    await idle.connect(peer);
    held.push(idle);
  }
  return { held: held.length };
}

await serveCommands({ connect, disconnect, oneway, latency, inflight, connects, hold });
