// Accepting side of the QUIC bench: one node that listens on TLS and on QUIC, and the bare carriers beside it. Argument: directory for its keys.
import { listenBare } from "./bare-carriers.mjs";
import { loadCreateNode } from "./library.mjs";
import { nodeOptions, SERVER } from "./quic-pair.mjs";
import { serveCommands } from "./worker-lines.mjs";

const createNode = await loadCreateNode();
const node = await createNode({
  ...nodeOptions(process.argv[2], SERVER),
  listen: ["tls://127.0.0.1:0", "quic://127.0.0.1:0"],
});
let bytes = 0;
const open = { allow: "cookie" };
node.register("echo", { call: (request) => request }, open);
node.register("count", { call: () => bytes }, open);
node.register(
  "sink",
  {
    info(message) {
      bytes += message.length;
    },
  },
  open,
);
node.onStream(
  "bulk",
  async (stream) => {
    let got = 0;
    for await (const chunk of stream) got += chunk.length;
    const answer = Buffer.alloc(8);
    answer.writeDoubleBE(got);
    await stream.write(answer);
    stream.end();
  },
  open,
);

const bare = await listenBare();

await serveCommands({ endpoints: () => ({ tls: node.endpoints[0], quic: node.endpoints[1], bare }) });
