import { readFileSync } from "node:fs";
import { AcceptGate } from "../../lib/carrier/accept-gate.js";
import { createTlsDialer, listenTls } from "../../lib/carrier/tls.js";
import { RealClock } from "../../lib/system/real-clock.js";
import { RealRandom } from "../../lib/system/real-random.js";

/** Run as its own process with NODE_EXTRA_CA_CERTS: connects to itself without a configured CA and prints both verdicts. */
const [certFile = "", keyFile = ""] = process.argv.slice(2);
const material = { certPem: readFileSync(certFile, "utf8"), keyPem: readFileSync(keyFile, "utf8") };
const clock = new RealClock();
const gate = new AcceptGate({ clock, random: new RealRandom() });
const verdicts = [];
const sink = () => ({
  opened(info) {
    verdicts.push(info.chainTrusted);
    if (verdicts.length < 2) return;
    process.stdout.write(JSON.stringify(verdicts));
    process.exit(0);
  },
  bytes: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
});
const listener = await listenTls({ clock, gate }, { host: "127.0.0.1", ports: 0 }, material, sink);
createTlsDialer({ clock }, material).dial(
  { scheme: "tls", host: "127.0.0.1", port: listener.port },
  "localhost",
  sink(),
);
