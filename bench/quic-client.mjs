// Dialling side of the QUIC bench: one node for each way to the server. Arguments: directory for keys, endpoints of
// the server, ports of its bare carriers.
import { bareClient } from "./bare-carriers.mjs";
import { loadCreateNode } from "./library.mjs";
import { nodeOptions, SERVER } from "./quic-pair.mjs";
import { latencyOf, serveCommands } from "./worker-lines.mjs";

const [directory, tls, quic, bareTls, bareQuic] = process.argv.slice(2);
const createNode = await loadCreateNode();
const nodes = {};
for (const [way, endpoint] of Object.entries({ tls, quic })) {
  nodes[way] = await createNode({
    ...nodeOptions(directory, `quic_client_${way}@127.0.0.1`),
    resolve: { [SERVER]: endpoint },
  });
}
const to = (name) => ({ name, node: SERVER });
const MAX_SAMPLES = 200_000;

/** Binaries of `size` one way for `ms`, as fast as they leave; counted when the other side has them. */
async function oneway(way, size, ms) {
  const node = nodes[way];
  await node.connect(SERVER);
  const message = Buffer.alloc(Number(size), 7);
  const before = Number(await node.call(to("count"), null));
  const start = performance.now();
  let sent = 0;
  while (performance.now() - start < Number(ms)) {
    if (!node.send(to("sink"), message)) await node.drained(SERVER);
    sent += message.length;
  }
  while (Number(await node.call(to("count"), null, { timeoutMs: 60_000 })) - before < sent);
  return { bytes: sent, seconds: (performance.now() - start) / 1000 };
}

/** One call after another for `ms`. */
async function latency(way, ms) {
  const node = nodes[way];
  await node.connect(SERVER);
  return timed(Number(ms), () => node.call(to("echo"), 1));
}

/** One connection after another for `ms`; only the connecting is timed. */
async function handshakes(way, ms) {
  const node = nodes[way];
  node.disconnect(SERVER);
  const samples = new Float64Array(MAX_SAMPLES);
  const until = performance.now() + Number(ms);
  let count = 0;
  while (performance.now() < until && count < MAX_SAMPLES) {
    const start = process.hrtime.bigint();
    await node.connect(SERVER);
    samples[count++] = Number(process.hrtime.bigint() - start);
    const down = new Promise((done) => {
      const heard = () => {
        node.off("nodedown", heard);
        done();
      };
      node.on("nodedown", heard);
    });
    node.disconnect(SERVER);
    await down;
    // The server has heard of it, too: its session is gone before the next one comes.
    await new Promise((done) => setTimeout(done, 5));
  }
  return latencyOf(samples, count);
}

/** Small calls while so many bytes go over a tagged stream of the same connection. */
async function beside(total) {
  const node = nodes.quic;
  await node.connect(SERVER);
  const stream = await node.openStream(SERVER, "bulk");
  const chunk = Buffer.alloc(256 * 1024, 7);
  const start = performance.now();
  let isOver = false;
  const writing = (async () => {
    for (let left = Number(total); left > 0; left -= chunk.length) await stream.write(chunk);
    stream.end();
    let answer = Buffer.alloc(0);
    for await (const part of stream) answer = Buffer.concat([answer, part]);
    isOver = true;
    if (answer.readDoubleBE() !== Number(total)) throw new Error(`only ${answer.readDoubleBE()} bytes arrived`);
    return (performance.now() - start) / 1000;
  })();
  const calls = await timed(
    Number.POSITIVE_INFINITY,
    () => node.call(to("echo"), 1, { timeoutMs: 60_000 }),
    () => isOver,
  );
  return { ...calls, bytes: Number(total), seconds: await writing };
}

async function timed(ms, operation, isOver = () => false) {
  const samples = new Float64Array(MAX_SAMPLES);
  const until = performance.now() + ms;
  let count = 0;
  while (performance.now() < until && !isOver() && count < MAX_SAMPLES) {
    const start = process.hrtime.bigint();
    await operation();
    samples[count++] = Number(process.hrtime.bigint() - start);
  }
  return latencyOf(samples, count);
}

const bare = await bareClient({ tls: bareTls, quic: bareQuic });

await serveCommands({
  oneway,
  latency,
  handshakes,
  beside,
  bareOneway: (way, ms) => bare.oneway(way, Number(ms)),
  bareLatency: (way, ms) => bare.latency(way, Number(ms)),
});
