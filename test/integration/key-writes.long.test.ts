import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import { InviteStore } from "../../src/identity/invite.ts";
import { loadNodeKey } from "../../src/identity/key-files.ts";
import { TrustStore } from "../../src/identity/trust-store.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";

/** `SALLYPORT_KILL_ROUNDS=500` for the full count. */
const ROUNDS = Number(process.env["SALLYPORT_KILL_ROUNDS"] ?? 100);
const CHILD = new URL("./key-writes-child.mjs", import.meta.url).pathname;

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "sallyport-kill-")), "keys");
});
afterEach(() => {
  rmSync(join(directory, ".."), { recursive: true, force: true });
});

/** Sizes of all files that should have 32 octets, by path. */
function rawFiles(at: string): [string, number][] {
  return readdirSync(at, { recursive: true, encoding: "utf8" })
    .filter((path) => /(^|\/)node\.key$|\.pub$/.test(path))
    .map((path) => [path, statSync(join(at, path)).size]);
}

it(
  `leaves no short, missing or mixed key file in ${ROUNDS} rounds of kill -9`,
  async () => {
    const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom(), directory };
    const ownName = parseNodeName("me@h");
    const keys = new Set<string>();
    let unfinished = 0;
    let hadKey = false;
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(process.execPath, [CHILD, directory, hadKey ? String(round) : "0"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const errors: Buffer[] = [];
      child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
      const ended = once(child, "exit");
      // Kills before the first write, after one rotation and after two, each with some milliseconds of chance.
      const lines = 1 + (round % 3);
      let seen = 0;
      const reached = new Promise<void>((resolve) => {
        child.stdout.on("data", (chunk: Buffer) => {
          for (const byte of chunk) if (byte === 0x0a && ++seen === lines) resolve();
        });
      });
      await Promise.race([reached, ended]);
      await sleep(Math.random() * 12);
      child.kill("SIGKILL");
      const [, signal] = await ended;
      expect(signal, Buffer.concat(errors).toString()).toBe("SIGKILL");

      hadKey ||= existsSync(join(directory, "node.key"));
      if (!hadKey) continue;
      for (const [path, bytes] of rawFiles(directory)) expect(bytes, path).toBe(32);
      const left = readdirSync(directory).some((path) => path.startsWith(".tmp-") || path === "rotating");
      if (left) unfinished++;
      const loaded = loadNodeKey({ ...world, profile: "strict", nowMs: Date.now() });
      expect(loaded.created).toBe(false);
      expect(loaded.warnings).toEqual([]);
      expect(readFileSync(join(directory, "node.pub")).equals(loaded.key.publicKey)).toBe(true);
      keys.add(loaded.key.fingerprint);
      const ownKey = loaded.key.publicKey;
      const store = new TrustStore({ ...world, mode: "tofu", ownName, ownKey, nowMs: Date.now() });
      expect(store.broken()).toEqual([]);
      expect(store.warnings).toEqual([]);
      new InviteStore(world).prune(Date.now());
    }
    // The kills really fell among writes.
    expect(keys.size).toBeGreaterThan(ROUNDS / 4);
    expect(unfinished).toBeGreaterThan(0);
  },
  ROUNDS * 1000 + 30_000,
);

it("reads keys and pins from a read-only mount made of links, and refuses one that others can redirect", () => {
  const files = new RealFiles();
  const crypto = new RealIdentityCrypto();
  const target = join(directory, "..2026_01_01", "x");
  const world = { files, crypto, random: new RealRandom(), directory, profile: "strict", nowMs: Date.now() } as const;
  files.makeDirectory(join(target, ".."), 0o700);
  files.makeDirectory(join(directory, "trusted"), 0o700);
  const seed = Buffer.alloc(32, 7);
  files.writeAtomic(join(target, "..", "node.key"), seed, 0o400);
  files.writeAtomic(join(target, "..", "p@h.pub"), crypto.ed25519PublicKey(Buffer.alloc(32, 8)), 0o444);
  symlinkSync("..2026_01_01", join(directory, "..data"));
  symlinkSync(join("..data", "node.key"), join(directory, "node.key"));
  symlinkSync(join("..", "..data", "p@h.pub"), join(directory, "trusted", "p@h.pub"));
  const { key, warnings } = loadNodeKey(world);
  expect(warnings).toEqual([]);
  expect(key.publicKey.equals(crypto.ed25519PublicKey(seed))).toBe(true);
  const open = () =>
    new TrustStore({ ...world, mode: "strict", ownName: parseNodeName("me@h"), ownKey: key.publicKey });
  expect(open().lookup(parseNodeName("p@h"))?.place).toBe("trusted");
  expect(open().warnings).toEqual([]);

  chmodSync(join(directory, "..2026_01_01"), 0o777);
  expect(() => loadNodeKey({ ...world, profile: "standard" })).toThrow(
    expect.objectContaining({ code: "ERR_DENIED", reason: "KEY_PERMISSIONS" }),
  );
  expect(open().broken()).toMatchObject([{ stem: "p@h", place: "trusted" }]);
});
