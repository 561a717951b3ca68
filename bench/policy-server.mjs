// Receiving side of the policy measures. Arguments: directory of the certificates, name of this node, JSON of its policy or
// `none`, then name=address of nodes it dials.
import { filesOf } from "./certificates.mjs";
import { loadCreateNode } from "./library.mjs";
import { latencyOf, serveCommands } from "./worker-lines.mjs";

const [directory, name, policy, ...addresses] = process.argv.slice(2);
const createNode = await loadCreateNode();
const node = await createNode({
  name,
  cookie: "benchmark",
  listen: ["tls://127.0.0.1:0"],
  epmd: "off",
  tls: { ...filesOf(directory, name), minVersion: "TLSv1.3" },
  resolve: Object.fromEntries(addresses.map((entry) => entry.split("="))),
  guardLimits: { maxInflightPerPeer: 1_000_000 },
  ...(policy === "none" ? {} : { policy: JSON.parse(policy) }),
});

let messages = 0;
let bytes = 0;
const open = policy === "none" ? { allow: "ca" } : {};
node.register(
  "sink",
  {
    info(message) {
      messages++;
      bytes += message.length;
    },
    call(request) {
      if (Buffer.isBuffer(request)) return request;
      const counted = [messages, bytes];
      messages = 0;
      bytes = 0;
      return counted;
    },
  },
  open,
);
node.register("private", { info() {}, call: () => 1 });
node.on("denied", () => {});

/** A service that never answers. */
function slow() {
  node.register("slow", { call: () => new Promise(() => {}) });
  return {};
}

/** Heap and buffers in use, after collection. */
function used() {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { heap: heapUsed + arrayBuffers, rss };
}

/** One 32-byte call after another to the sink of `peer`. */
async function latency(peer, ms) {
  const payload = Buffer.alloc(32, 7);
  const samples = new Float64Array(200_000);
  const until = performance.now() + Number(ms);
  let count = 0;
  while (performance.now() < until && count < samples.length) {
    const sentAt = process.hrtime.bigint();
    await node.call({ name: "sink", node: peer }, payload);
    samples[count++] = Number(process.hrtime.bigint() - sentAt);
  }
  return latencyOf(samples, count);
}

/** Asks `peer` in vain, as fast as it goes, for `ms`: with sends, calls or monitors. */
async function flood(peer, kind, ms) {
  const target = { name: "private", node: peer };
  const until = performance.now() + Number(ms);
  let asked = 0;
  while (performance.now() < until) {
    const pending = [];
    for (let i = 0; i < 256; i++, asked++) {
      if (kind === "sends") node.send(target, i);
      else if (kind === "calls") pending.push(node.call(target, i, { timeoutMs: 60_000 }).catch(() => {}));
      else pending.push(new Promise((done) => node.monitor(target, done)));
    }
    await node.drained(peer);
    await Promise.race([Promise.all(pending), new Promise((done) => setTimeout(done, until - performance.now()))]);
    await new Promise((done) => setImmediate(done));
  }
  return { asked };
}

/** Opens `count` calls of the peer's that are never answered. */
async function hang(peer, count) {
  for (let i = 0; i < Number(count); i++) {
    node.call({ name: "slow", node: peer }, i, { timeoutMs: 3_600_000 }).catch(() => {});
  }
  await node.call({ name: "sink", node: peer }, 0);
  return {};
}

await serveCommands({
  port: () => ({ port: Number(new URL(node.endpoints[0]).port) }),
  connect: async (peer) => void (await node.connect(peer)),
  reconnect: async (peer) => {
    const down = new Promise((done) => node.on("nodedown", done));
    if (node.disconnect(peer)) await down;
    await node.connect(peer);
  },
  counters: () => node.vitals().counters,
  used,
  latency,
  flood,
  hang,
  slow,
});
