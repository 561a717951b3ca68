import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Raw } from "../attack/client.ts";
import { dial, selfOf } from "../attack/native-client.ts";
import { ALPN, TOLD } from "../attack/native-frames.ts";

// A node that may open few files, and strangers who take them all: what then cannot be read must not end it.

const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
const OPEN_FILES = 200;

let root: string;
let node: ChildProcessWithoutNullStreams;
let said = "";
let heard: () => void = () => undefined;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "sallyport-descriptors-"));
  const options = "--json --name victim@127.0.0.1 --key-dir keys --listen tls://127.0.0.1:0 --epmd off";
  const command = `ulimit -n ${OPEN_FILES} && exec "$0" "$1" start ${options} --no-control --no-config`;
  node = spawn("sh", ["-c", command, process.execPath, MAIN], { cwd: root });
  node.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    heard();
  });
  node.on("exit", () => heard());
});
afterAll(() => {
  node.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

async function says(pattern: RegExp): Promise<string> {
  while (!pattern.test(said)) {
    if (node.exitCode !== null) throw new Error(`the node ended with ${node.exitCode}: ${said.slice(-500)}`);
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
  return said;
}

describe("strangers who take all files that a node may open (AU-41)", () => {
  it("make it warn, not end, and afterwards it answers as before", async () => {
    const port = Number(/tls:\/\/127\.0\.0\.1:(\d+)/.exec(await says(/listening.*\n/))?.[1]);
    const sockets: Socket[] = [];
    for (let i = 0; i < 2 * OPEN_FILES; i++) {
      const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.${1 + (i % 20)}.2` });
      socket.on("error", () => undefined);
      sockets.push(socket);
    }
    await says(/"event":"warning".*"TRUST_UNREADABLE"/);
    for (const socket of sockets) socket.destroy();
    const { certPem: cert, keyPem: key } = await (await testAuthority(join(root, "ca"))).selfSigned("evil@127.0.0.1");
    const raw = await Raw.tls(port, { cert, key, ALPNProtocols: [ALPN] });
    expect((await dial(raw, selfOf("evil@127.0.0.1"))).end).toBe(TOLD.auth);
    await says(/"refused".*"KEY_UNTRUSTED"/);
    expect(node.exitCode).toBeNull();
  });
});
