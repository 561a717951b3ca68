// Writes test/fixtures/native/vectors.json from the built sources: `npm run -s build && node scripts/native-vectors.mjs`.
// An optional argument names the directory of the build. Run it only when the protocol changes, with a new version.
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const lib = pathToFileURL(`${resolve(root, process.argv[2] ?? "lib")}/`);
const { makeNativeVectors } = await import(new URL("testkit/native-vectors.js", lib).href);
const { RealIdentityCrypto } = await import(new URL("system/real-identity-crypto.js", lib).href);
const folder = resolve(root, "test/fixtures/native");
mkdirSync(folder, { recursive: true });
const vectors = makeNativeVectors(new RealIdentityCrypto());
writeFileSync(resolve(folder, "vectors.json"), `${JSON.stringify(vectors, undefined, 2)}\n`);
console.log(`wrote ${vectors.length} vectors`);
