import { readFileSync } from "node:fs";
import process from "node:process";
import { parseNodeName } from "../../base/node-name.ts";
import { AcceptGate } from "../../carrier/accept-gate.ts";
import { listenTls } from "../../carrier/tls.ts";
import { loadTlsMaterial } from "../../carrier/tls-material.ts";
import { NATIVE_ALPN } from "../../dist/handshake.ts";
import { readCookies } from "../../identity/cookies.ts";
import { loadIdentity } from "../../node/load-identity.ts";
import { RealClock } from "../../system/real-clock.ts";
import { RealFiles } from "../../system/real-files.ts";
import { RealIdentityCrypto } from "../../system/real-identity-crypto.ts";
import { RealRandom } from "../../system/real-random.ts";
import { DEFAULT_FLAGS } from "../../wire/flags.ts";
import type { HostileCommand } from "./hostile-commands.ts";
import { HostilePeer } from "./hostile-peer.ts";
import type { MachineStart } from "./machine-commands.ts";
import { answerLines } from "./typed-lines.ts";

// A machine of the demo after somebody took it over: the key, certificate and cookie are those of the real one.

const start = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as MachineStart;
const system = { clock: new RealClock(), random: new RealRandom(), files: new RealFiles() };
const creation = 4 + (system.random.uint32() % 1_000_000);
const { keeper } = loadIdentity(
  { dir: start.keyDirectory, trust: "tofu" },
  { name: parseNodeName(start.name), creation, flags: DEFAULT_FLAGS },
  {
    ...system,
    crypto: new RealIdentityCrypto(),
    cookies: readCookies({ file: start.cookieFile }, system.files).book,
    judgeCertificate: () => ({ matched: false, presented: [] }),
    profile: "standard",
    allowShortCookie: false,
  },
);
const peer = new HostilePeer({ name: start.name, creation, native: keeper.native });
const { material } = loadTlsMaterial(system.files, start, system.clock.wallMs());
const gate = new AcceptGate({ ...system, isKnown: () => true });
const ports = Number(/:(\d+)$/.exec(start.listen)?.[1] ?? 0);
const listener = await listenTls({ ...system, gate }, { host: "127.0.0.1", ports }, material, peer.accept, {
  alpn: [NATIVE_ALPN],
});

answerLines<HostileCommand>(`tls://127.0.0.1:${listener.port}`, {
  async carryOut(command) {
    if (command.do === "attack") return peer.attack(command.attack, command.knowledge);
    peer.mode = command.mode;
    return { kind: "nothing", text: "nothing" };
  },
  failed: (error) => ({ kind: "failed", text: String(error) }),
  left: async () => undefined,
});
