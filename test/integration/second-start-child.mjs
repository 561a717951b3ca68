// Starts a node with the key directory given, says what came of it, and lives until it is killed or told to end.
import { createNode } from "../../lib/index.js";

const [dir] = process.argv.slice(2);
try {
  const node = await createNode({ name: "one@127.0.0.1", epmd: "off", identity: { dir, trust: "strict" } });
  process.stdout.write("running\n");
  process.stdin.resume();
  process.stdin.on("end", () => void node.close({ timeoutMs: 0 }));
} catch (error) {
  process.stdout.write(`${error.reason}\n`);
}
