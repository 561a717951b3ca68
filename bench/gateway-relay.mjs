// The reference of the gateway bench: takes connections and pipes their bytes to a node, blind to what they mean.
// Arguments: port of the node, `tcp` or `tls` for the side that dials, directory of the certificates, name of the node.
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { filesOf } from "./certificates.mjs";
import { serveCommands } from "./worker-lines.mjs";

const [nodePort, transport, certificates, name] = process.argv.slice(2);
const OPTIONS = { noDelay: true };
/** Messages of the handshake (OTP 23 and later, status `ok`): what is dialled says three, who dials two. */
const FROM_DIALLER = 2;
const FROM_DIALLED = 3;

const server = transport === "tls" ? createTlsServer({ ...OPTIONS, ...tlsFiles() }, join) : createServer(OPTIONS, join);
await new Promise((done) => server.listen(0, "127.0.0.1", done));

function tlsFiles() {
  const { certFile, keyFile, caFile } = filesOf(certificates, name);
  const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file));
  return { cert, key, ca, requestCert: true, minVersion: "TLSv1.3" };
}

function join(near) {
  const far = connect({ ...OPTIONS, host: "127.0.0.1", port: Number(nodePort) });
  for (const [one, other] of [
    [near, far],
    [far, near],
  ]) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
  if (transport === "tcp") {
    near.pipe(far);
    far.pipe(near);
    return;
  }
  // Frames of the handshake have lengths of four bytes over TLS and of two over TCP. All that follows is the same.
  reframe(near, far, 4, 2, FROM_DIALLER);
  reframe(far, near, 2, 4, FROM_DIALLED);
}

/** Writes `count` frames with another length, then pipes. */
function reframe(from, to, prefix, newPrefix, count) {
  let held = Buffer.alloc(0);
  let left = count;
  const take = (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (left > 0 && held.length >= prefix) {
      const size = held.readUIntBE(0, prefix);
      if (held.length < prefix + size) return;
      const head = Buffer.alloc(newPrefix);
      head.writeUIntBE(size, 0, newPrefix);
      to.write(Buffer.concat([head, held.subarray(prefix, prefix + size)]));
      held = held.subarray(prefix + size);
      left--;
    }
    if (left > 0) return;
    from.off("data", take);
    if (held.length > 0) to.write(held);
    from.pipe(to);
  };
  from.on("data", take);
}

await serveCommands({
  port: () => ({ port: server.address().port }),
  used: () => ({ bytes: process.memoryUsage().heapUsed + process.memoryUsage().external }),
});
