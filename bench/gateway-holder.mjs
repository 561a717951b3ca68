// Outside nodes that do nothing but hold a session. Arguments: name and port of the node they dial.

import { holderName } from "./gateway-subjects.mjs";
import { loadCreateNode } from "./library.mjs";
import { serveCommands } from "./worker-lines.mjs";

const [peer, port] = process.argv.slice(2);
const createNode = await loadCreateNode();
const held = [];

async function hold(count) {
  for (let i = 0; i < Number(count); i++) {
    const node = await createNode({
      name: holderName(held.length),
      cookie: "benchmark-of-the-gateway",
      epmd: "off",
      resolve: { [peer]: `tcp://127.0.0.1:${port}` },
      dangerous: { plaintext: true },
    });
    await node.connect(peer);
    held.push(node);
  }
  return { held: held.length };
}

await serveCommands({ hold });
