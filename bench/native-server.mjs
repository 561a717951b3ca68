// Accepting side of the handshake measure. Argument: parent directory of the key directories.
// One process plays both subjects in turn: a Sallyport node that pins its dialler, and TLS alone.
import { constants } from "node:crypto";
import tls from "node:tls";
import { loadCreateNode } from "./library.mjs";
import { ALPN, NATIVE_CLIENT, NATIVE_SERVER, nativeOptions, selfSigned } from "./native-pair.mjs";
import { serveCommands } from "./worker-lines.mjs";

const createNode = await loadCreateNode();
const node = await createNode({
  ...nativeOptions(process.argv[2], NATIVE_SERVER),
  listen: ["tls://127.0.0.1:0"],
});
let ups = 0;
node.on("nodeup", (peer) => {
  if (peer.name !== NATIVE_CLIENT || peer.assurance !== "pinned") throw new Error(`${peer.name} is ${peer.assurance}`);
  ups++;
});
node.on("refused", ({ error }) => console.error(`refused: ${error.message}`));

const server = tls.createServer({
  ...(await selfSigned(NATIVE_SERVER)),
  requestCert: true,
  rejectUnauthorized: false,
  minVersion: "TLSv1.3",
  ALPNProtocols: [ALPN],
  noDelay: true,
  // As the node does: every session proves itself anew.
  secureOptions: constants.SSL_OP_NO_TICKET,
});
server.on("secureConnection", (socket) => {
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.resume();
  socket.write(Buffer.of(1));
});
server.on("tlsClientError", () => {});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

await serveCommands({
  ports: () => ({ node: Number(new URL(node.endpoints[0]).port), tls: server.address().port }),
  ups: () => ({ ups }),
});
