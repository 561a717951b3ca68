// Receiving side of the plain TLS references. Argument: directory of the certificates.
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { filesOf } from "./certificates.mjs";
import { COUNT_BYTES, COUNT_FRAMES, ECHO_BYTES, ECHO_FRAMES, Frames, HIGH_WATER_BYTES } from "./stream-protocol.mjs";
import { serveCommands } from "./worker-lines.mjs";

const { certFile, keyFile, caFile } = filesOf(process.argv[2], "stream_server@localhost");
const [cert, key, ca] = [certFile, keyFile, caFile].map((path) => readFileSync(path));

const server = tls.createServer({
  cert,
  key,
  ca,
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: "TLSv1.3",
  noDelay: true,
  allowHalfOpen: true,
  highWaterMark: HIGH_WATER_BYTES,
});
server.on("secureConnection", (socket) => {
  socket.on("error", () => socket.destroy());
  socket.once("data", (first) => {
    serve(first[0], socket);
    if (first.length > 1) socket.emit("data", first.subarray(1));
  });
  socket.on("end", () => socket.end());
});
server.on("tlsClientError", () => {});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

function serve(mode, socket) {
  if (mode === COUNT_BYTES) {
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.prependListener("end", () => socket.write(count(bytes)));
  } else if (mode === ECHO_BYTES) {
    socket.on("data", (chunk) => socket.write(chunk));
  } else if (mode === COUNT_FRAMES) {
    let messages = 0;
    const frames = new Frames((payload) => {
      if (payload.length > 0) messages++;
      else socket.write(count(messages));
    });
    socket.on("data", (chunk) => frames.take(chunk));
  } else if (mode === ECHO_FRAMES) {
    echoFrames(socket);
  }
}

function echoFrames(socket) {
  let answers = [];
  const frames = new Frames((payload) => answers.push(payload));
  socket.on("data", (chunk) => {
    frames.take(chunk);
    const out = Buffer.allocUnsafe(answers.reduce((sum, payload) => sum + 4 + payload.length, 0));
    let at = 0;
    for (const payload of answers) {
      out.writeUInt32BE(payload.length, at);
      out.set(payload, at + 4);
      at += 4 + payload.length;
    }
    answers = [];
    if (at > 0) socket.write(out);
  });
}

function count(value) {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

await serveCommands({ port: () => ({ port: server.address().port }) });
