// A Sallyport node in a process of its own, for tests that kill or freeze it. Its options come as the first message, and
// it ends when the test that started it is gone.
import { pathToFileURL } from "node:url";

const lib = process.argv[2];
const { createNode, Tuple, isAtom, exit } = await import(pathToFileURL(`${lib}/index.js`).href);
const allow = { atLeast: "cookie", verbs: ["call", "cast", "send", "monitor", "link", "exit"] };

process.once("disconnect", () => process.exit(0));
process.once("message", async (options) => {
  const node = await createNode(options);
  const worker = node.spawn((message) => (isAtom(message, "stop") ? exit("stopped") : undefined), { allow });
  node.register(
    "calc",
    {
      call: (request) => {
        if (isAtom(request, "worker")) return worker.pid;
        if (isAtom(request, "never")) return new Promise(() => {});
        return request instanceof Tuple ? request.elements[1] + request.elements[2] : request;
      },
    },
    { allow },
  );
  node.on("nodeup", (peer) => process.send({ event: "nodeup", peer: peer.name }));
  node.on("nodedown", (peer, reason) => process.send({ event: "nodedown", peer: peer.name, reason }));
  process.on("message", async ({ connect }) => {
    await node.connect(connect).catch((error) => process.send({ event: "failed", reason: error.reason }));
  });
  process.send({ event: "listening" });
});
