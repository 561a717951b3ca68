// The carriers of TLS and QUIC alone, without a node: what bytes cost before there is a protocol. Both ends of the QUIC bench use it.
import { AcceptGate } from "../lib/carrier/accept-gate.js";
import { listenQuic, quicDialer } from "../lib/carrier/quic/quic.js";
import { QuicEngine } from "../lib/carrier/quic/quic-engine.js";
import { createTlsDialer, listenTls } from "../lib/carrier/tls.js";
import { RealClock } from "../lib/system/real-clock.js";
import { RealRandom } from "../lib/system/real-random.js";
import { issueSelfSigned } from "../lib/x509/issue.js";
import { latencyOf } from "./worker-lines.mjs";

const clock = new RealClock();
const random = new RealRandom();
const LOOPBACK = { host: "127.0.0.1", ports: 0 };
/** The counting side answers one octet for each so many. */
const COUNTED_BYTES = 256 * 1024;
const WRITE_BYTES = 64 * 1024;
const PING_BYTES = 64;
const MAX_SAMPLES = 200_000;
const warn = (reason, message) => console.error(reason, message);

/** Listens on both; resolves to the ports: `tls`, `quic`. A connection counts what comes after its first octet, or sends it back. */
export async function listenBare() {
  const material = await issueSelfSigned({ clock, random }, { name: "bench@127.0.0.1" });
  const gate = new AcceptGate({ clock, random });
  const tls = await listenTls({ clock, gate }, LOOPBACK, material, accept);
  const quic = await listenQuic(new QuicEngine({ clock, warn }), gate, LOOPBACK, material, accept);
  return { tls: tls.port, quic: quic.port };
}

const ECHO = 1;
const COUNT = 2;

function accept(carrier, admission) {
  let mode;
  let counted = 0;
  return {
    opened: () => admission.release(),
    bytes(channel, chunk) {
      let rest = chunk;
      if (mode === undefined) {
        mode = chunk[0];
        rest = chunk.subarray(1);
      }
      if (mode === ECHO) {
        carrier.write(channel, rest);
        return;
      }
      counted += rest.length;
      const answers = Math.floor(counted / COUNTED_BYTES);
      counted -= answers * COUNTED_BYTES;
      if (answers > 0) carrier.write(0, Buffer.alloc(answers));
    },
    drained() {},
    channelEnded() {},
    channelReset() {},
    heard() {},
    peerMoved() {},
    closed() {},
  };
}

/** The dialling side, for the ports of the other. */
export async function bareClient(ports) {
  const material = await issueSelfSigned({ clock, random }, { name: "bench2@127.0.0.1" });
  const dialers = {
    tls: createTlsDialer({ clock }, material),
    quic: quicDialer(new QuicEngine({ clock, warn })),
  };
  const dial = (way, mode, heard) =>
    new Promise((resolve, reject) => {
      const address = { scheme: way, host: "127.0.0.1", port: Number(ports[way]) };
      const carrier = dialers[way].dial(address, "localhost", {
        opened() {
          if (way === "quic") carrier.open("control");
          carrier.write(0, Buffer.from([mode]));
          resolve(carrier);
        },
        bytes: (_channel, chunk) => heard.bytes(chunk),
        drained: () => heard.drained?.(),
        channelEnded() {},
        channelReset() {},
        heard() {},
        peerMoved() {},
        closed: (cause) => reject(cause ?? new Error("closed")),
      });
    });

  /** 64 KiB writes one way for `ms`; over when the other side has counted all of them. */
  async function oneway(way, ms) {
    const heard = {};
    const carrier = await dial(way, COUNT, heard);
    const piece = Buffer.alloc(WRITE_BYTES, 7);
    const start = performance.now();
    let sent = 0;
    let counted = 0;
    return new Promise((resolve) => {
      let isOver = false;
      const pour = () => {
        while (!isOver) {
          // A whole number of what the other side counts by.
          isOver = performance.now() - start >= ms && sent % COUNTED_BYTES === 0;
          if (isOver) return;
          sent += piece.length;
          if (!carrier.write(0, piece)) return;
        }
      };
      heard.drained = pour;
      heard.bytes = (chunk) => {
        counted += chunk.length * COUNTED_BYTES;
        if (!isOver || counted < sent) return;
        carrier.destroy();
        resolve({ bytes: sent, seconds: (performance.now() - start) / 1000 });
      };
      pour();
    });
  }

  /** One message of 64 octets there and back after another, for `ms`. */
  async function latency(way, ms) {
    const heard = {};
    const carrier = await dial(way, ECHO, heard);
    const samples = new Float64Array(MAX_SAMPLES);
    const until = performance.now() + ms;
    return new Promise((resolve) => {
      let [count, got, sentAt] = [0, 0, 0n];
      const send = () => {
        sentAt = process.hrtime.bigint();
        carrier.write(0, Buffer.alloc(PING_BYTES, 7));
      };
      heard.bytes = (chunk) => {
        got += chunk.length;
        if (got < PING_BYTES) return;
        got = 0;
        samples[count++] = Number(process.hrtime.bigint() - sentAt);
        if (performance.now() < until && count < MAX_SAMPLES) send();
        else {
          carrier.destroy();
          resolve(latencyOf(samples, count));
        }
      };
      send();
    });
  }

  return { oneway, latency };
}
