// One end of a QUIC connection on a host of its own: `listen HOST`, or `dial HOST PORT`. The listener echoes.
import { AcceptGate } from "../../lib/carrier/accept-gate.js";
import { listenQuic, quicDialer } from "../../lib/carrier/quic/quic.js";
import { QuicEngine } from "../../lib/carrier/quic/quic-engine.js";
import { RealClock } from "../../lib/system/real-clock.js";
import { RealRandom } from "../../lib/system/real-random.js";
import { issueSelfSigned } from "../../lib/x509/issue.js";

const [role, host, port] = process.argv.slice(2);
const clock = new RealClock();
const random = new RealRandom();
const engine = new QuicEngine({ clock, warn: () => undefined });
const sink = (heard) => ({
  opened: () => undefined,
  bytes: () => undefined,
  drained: () => undefined,
  channelEnded: () => undefined,
  channelReset: () => undefined,
  heard: () => undefined,
  peerMoved: () => undefined,
  closed: (cause) => process.send({ closed: cause?.reason ?? "in order" }),
  ...heard,
});
process.on("disconnect", () => process.exit(0));
if (role === "listen") {
  const material = await issueSelfSigned({ clock, random }, { name: "host@127.0.0.1" });
  const gate = new AcceptGate({ clock, random });
  const accept = (carrier) =>
    sink({
      bytes(channel, chunk) {
        process.send({ from: carrier.info().remoteAddress });
        carrier.write(channel, chunk);
      },
    });
  const listener = await listenQuic(engine, gate, { host, ports: 0 }, material, accept);
  process.send({ port: listener.port });
} else {
  const address = { scheme: "quic", host, port: Number(port) };
  const carrier = quicDialer(engine).dial(
    address,
    "",
    sink({
      opened: () => process.send({ opened: true }),
      bytes: (_channel, chunk) => process.send({ text: chunk.toString("latin1") }),
    }),
  );
  let channel;
  process.on("message", ({ say }) => {
    channel ??= carrier.open("user");
    carrier.write(channel, Buffer.from(say));
  });
}
