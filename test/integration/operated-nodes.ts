import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerOf, type Cli, configure, type Fields, type Started, start as startIn } from "./cli-process.ts";

/** A pair of keys as the files of a node hold them: 32 octets each. */
export interface Pair {
  readonly seed: Buffer;
  readonly pub: Buffer;
}

export function makePair(): Pair {
  const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return { seed: Buffer.from(d ?? "", "base64url"), pub: Buffer.from(x ?? "", "base64url") };
}

/** What a running node said last of a peer: the assurance of its session, or the reason of its refusal. */
export async function verdict(node: Cli, peer: string, before: number): Promise<string> {
  for (;;) {
    for (const event of node.events.slice(before)) {
      if (event["event"] === "nodeup" && event["peer"] === `${peer}@127.0.0.1`) return String(event["assurance"]);
      if (event["event"] === "refused") return String(event["reason"]);
    }
    await node.says(new RegExp(`(?:.*\\n){${node.events.length + 1}}`));
  }
}

/** Nodes as their operators run them: processes of the command line, each with a directory of its own under `root`. */
export class OperatedNodes {
  readonly root: string = realpathSync(mkdtempSync(join(tmpdir(), "sp-pairing-")));
  readonly #running: Cli[] = [];

  async end(): Promise<void> {
    await Promise.all(this.#running.map((node) => node.kill("SIGKILL")));
    rmSync(this.root, { recursive: true, force: true });
  }

  home(name: string): string {
    return join(this.root, name);
  }

  keyDir(name: string): string {
    return join(this.home(name), "data/keys");
  }

  /** Where a key is kept: `trusted`, `first-use`, or `revoked`, whose files are named by the key. */
  store(owner: string, place: string, name: string, key: Buffer): void {
    const directory = join(this.keyDir(owner), place);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = place === "revoked" ? createHash("sha256").update(key).digest("hex") : `${name}@127.0.0.1.pub`;
    writeFileSync(join(directory, file), place === "revoked" ? "" : key);
  }

  /** Writes the configuration and the key of node NAME@127.0.0.1. */
  make(
    name: string,
    trust: "strict" | "tofu",
    more: Fields & { readonly identity?: object } = {},
    pair: Pair = makePair(),
  ): Pair {
    mkdirSync(this.keyDir(name), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.keyDir(name), "node.key"), pair.seed, { mode: 0o600 });
    configure(this.home(name), `${name}@127.0.0.1`, { ...more, identity: { trust, ...more.identity } });
    return pair;
  }

  async start(name: string): Promise<Started> {
    const started = await startIn(this.home(name));
    this.#running.push(started.node);
    return started;
  }

  /** `ping` of one node by another, as one line: the assurance, or exit code and reason. */
  async ping(from: string, to: string, endpoint: string): Promise<string> {
    const peer = `${to}@127.0.0.1`;
    const resolved = `${peer}=${endpoint}`;
    const { ok, result, error, exit } = await answerOf(this.home(from), "ping", peer, "--resolve", resolved);
    return ok ? String(result["assurance"]) : `${exit} ${error["reason"]}`;
  }
}
