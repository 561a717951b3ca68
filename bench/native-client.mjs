// Dialling side of the handshake measure. Arguments: parent directory of the key directories, ports of node and TLS.
import { once } from "node:events";
import tls from "node:tls";
import { loadCreateNode } from "./library.mjs";
import { ALPN, NATIVE_CLIENT, NATIVE_SERVER, nativeOptions, selfSigned } from "./native-pair.mjs";
import { latencyOf, serveCommands } from "./worker-lines.mjs";

const [directory, nodePort, tlsPort] = process.argv.slice(2);
const createNode = await loadCreateNode();
const node = await createNode({
  ...nativeOptions(directory, NATIVE_CLIENT),
  resolve: { [NATIVE_SERVER]: `127.0.0.1:${nodePort}` },
});
const secureContext = tls.createSecureContext({ ...(await selfSigned(NATIVE_CLIENT)), minVersion: "TLSv1.3" });

let told = () => {};
node.on("nodedown", () => told());

/** From the dial to the session of pinned peers: the acceptor's confirmation has been checked, ours has left. */
async function native() {
  const peer = await node.connect(NATIVE_SERVER);
  if (peer.assurance !== "pinned") throw new Error(`the session is ${peer.assurance}, not pinned`);
  return async () => {
    const down = new Promise((done) => {
      told = done;
    });
    node.disconnect(NATIVE_SERVER);
    await down;
  };
}

/** From the dial to the first byte of the acceptor: the client's own end of TLS 1.3 comes before the acceptor's. */
async function tlsAlone() {
  const socket = tls.connect({
    host: "127.0.0.1",
    port: tlsPort,
    secureContext,
    servername: "localhost",
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
    noDelay: true,
  });
  await once(socket, "data");
  if (socket.alpnProtocol !== ALPN || socket.isSessionReused()) throw new Error("not the handshake to compare with");
  return async () => {
    const closed = once(socket, "close");
    socket.end();
    await closed;
  };
}

const SUBJECTS = { sallyport: native, raw: tlsAlone };

/** One connection after another for `ms`; only the connecting is timed. */
async function handshakes(subject, ms) {
  const connect = SUBJECTS[subject];
  const samples = new Float64Array(20_000);
  const until = performance.now() + Number(ms);
  let count = 0;
  while (performance.now() < until && count < samples.length) {
    const start = process.hrtime.bigint();
    const disconnect = await connect();
    samples[count++] = Number(process.hrtime.bigint() - start);
    await disconnect();
  }
  return latencyOf(samples, count);
}

await serveCommands({ handshakes });
