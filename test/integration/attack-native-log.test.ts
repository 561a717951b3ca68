import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Raw, type TlsFrom } from "../attack/client.ts";
import { BAD_NAMES } from "../attack/native-bends.ts";
import { dial, selfOf } from "../attack/native-client.ts";
import { ALPN, framed, REFUSE } from "../attack/native-frames.ts";
import { Cli } from "./cli-process.ts";

// What a stranger can write into the log of a node, as JSON and as text for people (AU-25).

const NAME = "victim@127.0.0.1";
const ESCAPES = '\u001b[2J\r\n{"event":"nodeup"}\u202e\u0000\u0007';
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

let root: string;
let certificate: TlsFrom;
const started: Cli[] = [];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "sallyport-log-"));
  const { certPem: cert, keyPem: key } = await (await testAuthority(join(root, "ca"))).selfSigned("evil@127.0.0.1");
  certificate = { cert, key };
});
afterAll(async () => {
  for (const node of started) await node.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** Each refused connection once: names of every bad kind, a stranger, text as frames, text as protocol. */
async function attacks(port: number): Promise<number> {
  const connect = (more: TlsFrom = {}): Promise<Raw> =>
    Raw.tls(port, { ...certificate, ALPNProtocols: [ALPN], ...more });
  let made = 0;
  const ended = async (raw: Raw): Promise<void> => {
    await raw.untilClosed();
    made++;
  };
  for (const [, name] of [...BAD_NAMES, ["escapes", ESCAPES] as const]) {
    const raw = await connect();
    await dial(raw, selfOf(NAME), { hello: { name: typeof name === "string" ? Buffer.from(name, "latin1") : name } });
    await ended(raw);
  }
  const stranger = await connect();
  await dial(stranger, selfOf(`${"x".repeat(240)}@127.0.0.1`));
  await ended(stranger);
  for (const bytes of [
    Buffer.from(ESCAPES.repeat(3_000)),
    framed(REFUSE, Buffer.from([6])),
    framed(200, Buffer.from(ESCAPES)),
  ]) {
    const raw = await connect();
    raw.write(bytes);
    await ended(raw);
  }
  for (const more of [{ ALPNProtocols: [ESCAPES] }, { servername: "x.example" }, { ALPNProtocols: [] }]) {
    const raw = await connect(more);
    raw.write(Buffer.from(`\u0000\u0000\u0000\u0020N${ESCAPES.repeat(4)}`));
    await ended(raw);
  }
  return made;
}

function start(...args: readonly string[]): Cli {
  mkdirSync(join(root, "keys"), { recursive: true, mode: 0o700 });
  const where = ["--key-dir", "keys", "--listen", "tls://127.0.0.1:0", "--epmd", "off", "--no-control", "--no-config"];
  const node = new Cli(root, ["start", "--name", NAME, ...where, ...args]);
  started.push(node);
  return node;
}

const portIn = (text: string): number => Number(/tls:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);

describe("the log of a node that strangers dial", () => {
  it("has one line of JSON for each refusal, of bounded length, and no control characters", async () => {
    const node = start("--json");
    const made = await attacks(portIn(await node.says(/listening.*\n/)));
    await node.says(new RegExp(`(?:.*"event":"refused".*\\n){${made}}`));
    const { out, err } = await node.kill("SIGTERM");
    expect(err).toBe("");
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      "listening",
      ...Array<string>(made).fill("refused"),
      "stopped",
    ]);
    for (const line of lines) {
      expect(line).not.toMatch(CONTROL);
      expect(line.length).toBeLessThan(2_000);
    }
    expect(out).not.toContain('"event":"nodeup"');
    expect(readdirSync(join(root, "keys")).sort()).not.toContain("first-use");
  });

  it("has one line of text for each refusal, without control characters", async () => {
    const node = start();
    const made = await attacks(portIn(await node.says(/listening.*\n/)));
    await node.says(new RegExp(`(?:.* refused .*\\n){${made}}`));
    const { out, err } = await node.kill("SIGTERM");
    expect(err).toBe("");
    const lines = out.trimEnd().split("\n");
    expect(lines.filter((line) => /^\d\d:\d\d:\d\d refused /.test(line))).toHaveLength(made);
    expect(lines).toHaveLength(made + 2);
    for (const line of lines) expect(line).not.toMatch(CONTROL);
  });
});
