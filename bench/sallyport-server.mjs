// Receiving side for Sallyport. Argument: directory of the certificates.
import { filesOf } from "./certificates.mjs";
import { loadCreateNode } from "./library.mjs";
import { serveCommands } from "./worker-lines.mjs";

const NAME = "sallyport_server@localhost";
const createNode = await loadCreateNode();
const node = await createNode({
  name: NAME,
  cookie: "benchmark",
  listen: ["tls://127.0.0.1:0"],
  epmd: "off",
  tls: { ...filesOf(process.argv[2], NAME), minVersion: "TLSv1.3" },
  limits: JSON.parse(process.env.SALLYPORT_BENCH_LIMITS ?? "{}"),
});

let messages = 0;
let bytes = 0;
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
  { allow: "ca" },
);
node.on("refused", ({ error }) => console.error(`refused: ${error.message}`));

await serveCommands({ port: () => ({ port: Number(new URL(node.endpoints[0]).port) }) });
