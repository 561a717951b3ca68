// Writes key files, pins and invites as fast as it can, until it is killed.
import { parseNodeName } from "../../lib/base/node-name.js";
import { InviteStore } from "../../lib/identity/invite.js";
import { loadNodeKey } from "../../lib/identity/key-files.js";
import { rollbackNodeKey, rotateNodeKey } from "../../lib/identity/key-rotation.js";
import { parsePublicKey } from "../../lib/identity/public-key.js";
import { TrustStore } from "../../lib/identity/trust-store.js";
import { RealFiles } from "../../lib/system/real-files.js";
import { RealIdentityCrypto } from "../../lib/system/real-identity-crypto.js";
import { RealRandom } from "../../lib/system/real-random.js";

const [directory, round] = process.argv.slice(2);
const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom(), directory };
const name = parseNodeName("me@h");
// Every lock that is found belongs to a process that was killed.
const options = () => ({ ...world, profile: "strict", nowMs: Date.now() + 120_000, name });

process.stdout.write("ready\n");
const { key } = loadNodeKey({ ...options(), lost: round === "0" ? "create" : "refuse" });
const store = new TrustStore({ ...world, mode: "tofu", ownName: name, ownKey: key.publicKey, nowMs: Date.now() });
const invites = new InviteStore(world);
for (let i = 0; ; i++) {
  const rotated = i % 3 === 2 ? rollbackNodeKey(options()) : rotateNodeKey(options());
  process.stdout.write("rotated\n");
  store.setOwnKey(rotated.key.publicKey);
  const peer = parsePublicKey(world.crypto.ed25519PublicKey(world.random.bytes(32)), "a test key");
  const peerName = parseNodeName(`${i % 2 === 0 ? "p" : "P"}${round}-${i}@h`);
  const seen = { address: "test", nowMs: Date.now() };
  store.commit(peerName, peer, { kind: "first-use" }, seen);
  store.promote(peerName, undefined, Date.now());
  const acceptorKey = rotated.key.fingerprint;
  const token = invites.issue({ invitee: peerName, acceptor: name, acceptorKey, nowMs: Date.now() });
  invites.burn(token.id, rotated.key.fingerprint);
}
