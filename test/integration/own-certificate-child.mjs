// Loads, rotates and loses the certificate of a key directory again and again, beside others that do the same.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { rmSync } from "node:fs";
import { parseNodeName } from "../../lib/base/node-name.js";
import { loadOwnCertificate } from "../../lib/node/certificate-files.js";
import { rotateOwnCertificate } from "../../lib/node/certificate-rotation.js";
import { RealClock } from "../../lib/system/real-clock.js";
import { RealFiles } from "../../lib/system/real-files.js";
import { RealIdentityCrypto } from "../../lib/system/real-identity-crypto.js";
import { RealRandom } from "../../lib/system/real-random.js";

const [directory, rounds] = process.argv.slice(2);
const options = {
  files: new RealFiles(),
  crypto: new RealIdentityCrypto(),
  random: new RealRandom(),
  clock: new RealClock(),
  directory,
  name: parseNodeName("me@h"),
  profile: "strict",
};

const seen = new Set();
const warnings = new Set();
for (let i = 0; i < Number(rounds); i++) {
  const loaded = await loadOwnCertificate(options);
  const { certPem, keyPem } = loaded.pair;
  if (!new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))) throw new Error("a mixed pair");
  seen.add(loaded.pair.fingerprint);
  for (const { reason } of loaded.warnings) warnings.add(reason);
  const dice = Math.random();
  if (dice < 0.3) await rotateOwnCertificate(options).catch((error) => warnings.add(error.reason));
  else if (dice < 0.5) rmSync(`${directory}/tls/node.key`, { force: true });
  else if (dice < 0.6) rmSync(`${directory}/tls/node.crt`, { force: true });
}
process.stdout.write(JSON.stringify({ seen: seen.size, warnings: [...warnings] }));
