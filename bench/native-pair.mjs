// What the two processes of the handshake measure share: names, key directories that pin each other, certificates.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fromLibrary, loadCreateNode } from "./library.mjs";

export const ALPN = "sallyport/1";
export const NATIVE_SERVER = "native_server@localhost";
export const NATIVE_CLIENT = "native_client@localhost";

/** Options of a node that trusts provisioned keys only, and proves a cookie besides its key. */
export function nativeOptions(directory, name) {
  return {
    name,
    cookie: "benchmark of the handshake",
    epmd: "off",
    identity: { dir: join(directory, name), trust: "strict" },
  };
}

/** Makes both key directories below `directory`, each with the other's public key in `trusted/`. */
export async function makePinnedKeys(directory) {
  const createNode = await loadCreateNode();
  for (const name of [NATIVE_SERVER, NATIVE_CLIENT]) {
    mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
    const node = await createNode(nativeOptions(directory, name));
    await node.close();
  }
  for (const [owner, peer] of [
    [NATIVE_SERVER, NATIVE_CLIENT],
    [NATIVE_CLIENT, NATIVE_SERVER],
  ]) {
    mkdirSync(join(directory, owner, "trusted"), { recursive: true, mode: 0o700 });
    copyFileSync(join(directory, peer, "node.pub"), join(directory, owner, "trusted", `${peer}.pub`));
  }
}

/** A self-signed P-256 certificate like the one a node makes for itself. */
export async function selfSigned(name) {
  const [{ issueSelfSigned }, { RealClock }, { RealRandom }] = await Promise.all([
    fromLibrary("x509/issue.js"),
    fromLibrary("system/real-clock.js"),
    fromLibrary("system/real-random.js"),
  ]);
  const { certPem, keyPem } = await issueSelfSigned({ clock: new RealClock(), random: new RealRandom() }, { name });
  return { cert: certPem, key: keyPem };
}
