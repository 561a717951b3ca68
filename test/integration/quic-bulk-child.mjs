// A node with QUIC of the built package in a process of its own: `listen NAME DIR`, or `dial NAME DIR PEER ADDRESS`. The listening
// one counts what comes over the tagged stream `bulk`, and answers calls. Each message `{bytes}` makes the dialling one send so many
// octets over such a stream, and call all the while: it tells how many arrived, and how long each call took.
import { join } from "node:path";
import { createNode } from "../../lib/index.js";

const [role, name, dir, peer, address] = process.argv.slice(2);
const CHUNK = Buffer.alloc(256 * 1024, 7);
process.on("disconnect", () => process.exit(0));
const open = { allow: "cookie" };
const node = await createNode({
  name,
  epmd: "off",
  cookie: "cookie-of-the-bulk-tests",
  quic: {},
  identity: { dir: join(dir, name), trust: "tofu" },
  ...(role === "listen" ? { listen: ["quic://127.0.0.1:0"] } : { listen: [], resolve: { [peer]: address } }),
});

async function listen() {
  node.register("echo", { call: (request) => request }, open);
  node.onStream(
    "bulk",
    async (stream) => {
      let octets = 0;
      for await (const chunk of stream) octets += chunk.length;
      await stream.write(Buffer.from(String(octets)));
      stream.end();
    },
    open,
  );
  process.send({ address: node.endpoints[0] });
}

async function send(bytes) {
  const stream = await node.openStream(peer, "bulk");
  for (let left = bytes; left > 0; left -= CHUNK.length) await stream.write(CHUNK.subarray(0, left));
  stream.end();
  let answer = "";
  for await (const chunk of stream) answer += chunk;
  return Number(answer);
}

async function dial() {
  await node.connect(peer);
  process.on("message", async ({ bytes }) => {
    let arrived;
    const sending = send(bytes).then((count) => {
      arrived = count;
    });
    const calls = [];
    while (arrived === undefined) {
      const start = performance.now();
      await node.call({ name: "echo", node: peer }, 1, { timeoutMs: 60_000 });
      calls.push(performance.now() - start);
    }
    await sending;
    process.send({ arrived, calls });
  });
  process.send({ ready: true });
}

await (role === "listen" ? listen() : dial());
