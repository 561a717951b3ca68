// A node's process with a QUIC listener; with `leave` it gives everything back and has to end by itself.
import { AcceptGate } from "../../lib/carrier/accept-gate.js";
import { listenQuic, quicDialer } from "../../lib/carrier/quic/quic.js";
import { QuicEngine } from "../../lib/carrier/quic/quic-engine.js";
import { RealClock } from "../../lib/system/real-clock.js";
import { RealRandom } from "../../lib/system/real-random.js";
import { issueSelfSigned } from "../../lib/x509/issue.js";

const clock = new RealClock();
const random = new RealRandom();
const engine = new QuicEngine({ clock, warn: () => undefined });
const material = await issueSelfSigned({ clock, random }, { name: "parent@127.0.0.1" });
const sink = (opened, closed = () => undefined) => ({
  opened,
  bytes: () => undefined,
  drained: () => undefined,
  channelEnded: () => undefined,
  channelReset: () => undefined,
  heard: () => undefined,
  peerMoved: () => undefined,
  closed,
});
const accept = () => sink(() => undefined);
const gate = new AcceptGate({ clock, random });
const listener = await listenQuic(engine, gate, { host: "127.0.0.1", ports: 0 }, material, accept);
if (process.argv[2] === "leave") {
  await new Promise((resolve) => {
    const address = { scheme: "quic", host: "127.0.0.1", port: listener.port };
    const carrier = quicDialer(engine).dial(
      address,
      "localhost",
      sink(() => carrier.end(), resolve),
    );
  });
  await listener.close();
  process.disconnect();
} else {
  process.send({ pid: engine.pid });
}
