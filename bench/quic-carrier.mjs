// The bare QUIC carrier between two processes on loopback: 64 KiB writes on one channel in MiB/s, a 64-byte ping-pong on another.
//
//   npm run build && node bench/quic-carrier.mjs [--mib=256] [--pings=5000]
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { AcceptGate } from "../lib/carrier/accept-gate.js";
import { listenQuic, quicDialer } from "../lib/carrier/quic/quic.js";
import { QuicEngine } from "../lib/carrier/quic/quic-engine.js";
import { RealClock } from "../lib/system/real-clock.js";
import { RealRandom } from "../lib/system/real-random.js";
import { issueSelfSigned } from "../lib/x509/issue.js";

const clock = new RealClock();
const random = new RealRandom();
const MIB = 1024 * 1024;
const WRITE_BYTES = 64 * 1024;
const number = (name, fallback) => {
  const given = process.argv.find((each) => each.startsWith(`--${name}=`));
  return given === undefined ? fallback : Number(given.split("=")[1]);
};

if (process.send === undefined) await measure();
else await serve();

/** The far process: counts what comes on data channels, and sends back what comes on the control channel. */
async function serve() {
  const engine = new QuicEngine({ clock, warn: (reason, message) => console.error(reason, message) });
  const material = await issueSelfSigned({ clock, random }, { name: "bench@127.0.0.1" });
  const gate = new AcceptGate({ clock, random });
  const listener = await listenQuic(engine, gate, { host: "127.0.0.1", ports: 0 }, material, (carrier) => {
    let octets = 0;
    return {
      opened() {},
      bytes(channel, chunk) {
        if (channel === 0) carrier.write(0, chunk);
        else octets += chunk.length;
      },
      drained() {},
      channelEnded() {
        process.send({ octets });
        octets = 0;
      },
      channelReset() {},
      closed() {},
    };
  });
  process.send({ port: listener.port });
  process.on("disconnect", () => process.exit(0));
}

async function measure() {
  const total = number("mib", 256) * MIB;
  const far = fork(fileURLToPath(import.meta.url));
  const { port } = await told(far);
  const engine = new QuicEngine({ clock, warn: (reason, message) => console.error(reason, message) });
  let onDrained = () => {};
  let onBytes = () => {};
  const started = clock.now();
  const carrier = await new Promise((resolve, reject) => {
    const made = quicDialer(engine).dial({ scheme: "quic", host: "127.0.0.1", port }, "localhost", {
      opened: () => resolve(made),
      bytes: (_channel, chunk) => onBytes(chunk),
      drained: () => onDrained(),
      channelEnded() {},
      channelReset() {},
      closed: (cause) => reject(cause ?? new Error("closed")),
    });
  });
  console.log(`connect, with both engines' start of this side: ${(clock.now() - started).toFixed(1)} ms`);

  const data = carrier.open("data");
  const piece = Buffer.alloc(WRITE_BYTES, 1);
  const done = told(far);
  const from = clock.now();
  let left = total;
  const pour = () => {
    while (left > 0) {
      left -= WRITE_BYTES;
      if (!carrier.write(data, piece)) break;
    }
    if (left <= 0) carrier.finish(data);
  };
  onDrained = pour;
  pour();
  const { octets } = await done;
  const seconds = (clock.now() - from) / 1000;
  if (octets !== total) throw new Error(`${octets} of ${total} octets came`);
  console.log(`64 KiB writes on one channel: ${(total / MIB / seconds).toFixed(0)} MiB/s`);

  const pings = number("pings", 5000);
  const control = carrier.open("control");
  const ping = Buffer.alloc(64, 2);
  const times = [];
  await new Promise((resolve) => {
    let sent = clock.now();
    let got = 0;
    onBytes = (chunk) => {
      got += chunk.length;
      if (got < ping.length) return;
      got = 0;
      times.push(clock.now() - sent);
      if (times.length >= pings) {
        resolve();
        return;
      }
      sent = clock.now();
      carrier.write(control, ping);
    };
    carrier.write(control, ping);
  });
  times.sort((a, b) => a - b);
  const at = (part) => (times[Math.floor(times.length * part)] * 1000).toFixed(0);
  console.log(`64-byte ping-pong: p50 ${at(0.5)} us, p99 ${at(0.99)} us`);
  far.kill();
  engine.close();
}

function told(process) {
  return new Promise((resolve) => process.once("message", resolve));
}
