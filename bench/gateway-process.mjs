// The gateway of the gateway bench, with the default rules. Arguments: port and name of the inside node, `tcp` or `tls` for
// the outside, directory of the certificates, names of the outside nodes.
import { filesOf } from "./certificates.mjs";
import { fromLibrary } from "./library.mjs";
import { serveCommands } from "./worker-lines.mjs";

const [insidePort, inside, transport, certificates, ...outside] = process.argv.slice(2);
const { createGateway } = await fromLibrary("create-gateway.js");

const gateway = await createGateway({
  pairs: [
    {
      inside: { node: inside, address: `tcp://127.0.0.1:${insidePort}`, cookie: "benchmark-of-the-gateway" },
      outside: {
        nodes: outside,
        listen: `${transport}://127.0.0.1:0`,
        cookie: "benchmark-of-the-gateway",
        ...(transport === "tls" ? { tls: filesOf(certificates, inside) } : {}),
      },
    },
  ],
  dangerous: { plaintext: transport === "tcp" },
  onEvent: ({ kind, error }) => {
    if (error !== undefined) console.error(`${kind}: ${error.message}`);
  },
  onMessage: (event) => {
    if (event.kind !== "denied" || event.isFirst) console.error(JSON.stringify(event));
  },
});

await serveCommands({
  port: () => ({ port: Number(new URL(gateway.endpoints[0].endpoint).port) }),
  /** Bytes in use, after `gc`. */
  used: () => {
    const { heapUsed, external } = process.memoryUsage();
    return { bytes: heapUsed + external };
  },
});
