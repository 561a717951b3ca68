import { createHash, generateKeyPairSync } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  answerOf,
  ask,
  type Cli,
  configure,
  type Fields,
  refused,
  type Started,
  start as startIn,
} from "./cli-process.ts";

// Nodes as their operators run them: processes of the command line, each with a directory of its own.

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-pairing-")));
const COOKIE = "a cookie of 27 random bytes";

interface Pair {
  readonly seed: Buffer;
  readonly pub: Buffer;
}

const running: Cli[] = [];

afterAll(async () => {
  await Promise.all(running.map((node) => node.kill("SIGKILL")));
  rmSync(ROOT, { recursive: true, force: true });
});

function makePair(): Pair {
  const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return { seed: Buffer.from(d ?? "", "base64url"), pub: Buffer.from(x ?? "", "base64url") };
}

const home = (name: string): string => join(ROOT, name);
const keyDir = (name: string): string => join(home(name), "data/keys");

/** Where a key is kept: `trusted`, `first-use`, or `revoked`, whose files are named by the key. */
function store(owner: string, place: string, name: string, key: Buffer): void {
  const directory = join(keyDir(owner), place);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = place === "revoked" ? createHash("sha256").update(key).digest("hex") : `${name}@127.0.0.1.pub`;
  writeFileSync(join(directory, file), place === "revoked" ? "" : key);
}

/** Writes the configuration and the key of node NAME@127.0.0.1. */
function make(
  name: string,
  trust: "strict" | "tofu",
  more: Fields & { readonly identity?: object } = {},
  pair = makePair(),
): Pair {
  mkdirSync(keyDir(name), { recursive: true, mode: 0o700 });
  writeFileSync(join(keyDir(name), "node.key"), pair.seed, { mode: 0o600 });
  configure(home(name), `${name}@127.0.0.1`, { ...more, identity: { trust, ...more.identity } });
  return pair;
}

async function start(name: string): Promise<Started> {
  const started = await startIn(home(name));
  running.push(started.node);
  return started;
}

/** `ping` of one node by another, as one line: the assurance, or exit code and reason. */
async function ping(from: string, to: string, endpoint: string): Promise<string> {
  const { ok, result, error, exit } = await answerOf(
    home(from),
    "ping",
    `${to}@127.0.0.1`,
    "--resolve",
    `${to}@127.0.0.1=${endpoint}`,
  );
  return ok ? String(result["assurance"]) : `${exit} ${error["reason"]}`;
}

/** What a running node said last of a peer: the assurance of its session, or the reason of its refusal. */
async function verdict(node: Cli, peer: string, before: number): Promise<string> {
  for (;;) {
    for (const event of node.events.slice(before)) {
      if (event["event"] === "nodeup" && event["peer"] === `${peer}@127.0.0.1`) return String(event["assurance"]);
      if (event["event"] === "refused") return String(event["reason"]);
    }
    await node.says(new RegExp(`(?:.*\\n){${node.events.length + 1}}`));
  }
}

/** The rows of the trust table (docs/identity.md), apart from who dials. */
const ROWS = [
  {
    stored: "no key",
    dialler: { tofu: "tofu", strict: "KEY_UNTRUSTED" },
    acceptor: { tofu: "tofu", strict: "KEY_UNTRUSTED" },
  },
  { stored: "the same key in trusted/", both: { tofu: "pinned", strict: "pinned" } },
  { stored: "the same key in first-use/", both: { tofu: "tofu", strict: "KEY_UNTRUSTED" } },
  { stored: "another key in trusted/", both: { tofu: "KEY_MISMATCH", strict: "KEY_MISMATCH" } },
  { stored: "another key in first-use/", both: { tofu: "KEY_MISMATCH", strict: "KEY_MISMATCH" } },
  { stored: "the same key, revoked", both: { tofu: "KEY_REVOKED", strict: "KEY_REVOKED" } },
  { stored: "the same key under another name", both: { tofu: "KEY_REUSED", strict: "KEY_REUSED" } },
  { stored: "a broken file", both: { tofu: "PIN_BROKEN", strict: "PIN_BROKEN" } },
].map(({ stored, both, dialler = both, acceptor = both }) => ({ stored, dialler, acceptor }));

/** Prepares what `owner` has stored of `peer`, whose key is `key`. */
function prepare(owner: string, stored: string, peer: string, key: Buffer): void {
  const place = stored.includes("first-use") ? "first-use" : "trusted";
  if (stored === "no key") return;
  if (stored.startsWith("another")) store(owner, place, peer, makePair().pub);
  else if (stored.endsWith("another name")) store(owner, place, `other-${peer}`, key);
  else if (stored === "a broken file") store(owner, place, peer, Buffer.alloc(31, 7));
  else store(owner, place, peer, key);
  if (stored.endsWith("revoked")) store(owner, "revoked", peer, key);
}

const CASES = (["tofu", "strict"] as const).flatMap((mode) =>
  ROWS.map(({ stored, dialler, acceptor }, row) => ({
    mode,
    stored,
    row,
    dialler: dialler?.[mode] ?? "",
    acceptor: acceptor?.[mode] ?? "",
  })),
);

describe("the trust table between processes", () => {
  const acceptors = new Map<string, Started>();
  const peers = new Map<string, Pair>();
  let open: Started;

  beforeAll(async () => {
    const openKey = make("open", "tofu");
    for (const mode of ["tofu", "strict"] as const) make(`checker-${mode}`, mode);
    for (const { mode, stored, row } of CASES) {
      const peer = `peer${row}-${mode}`;
      const key = make(peer, "tofu");
      peers.set(peer, key);
      prepare(`checker-${mode}`, stored, peer, key.pub);
      make(`dialler${row}-${mode}`, mode);
      prepare(`dialler${row}-${mode}`, stored, "open", openKey.pub);
    }
    open = await start("open");
    for (const mode of ["tofu", "strict"]) acceptors.set(mode, await start(`checker-${mode}`));
  });

  it.each(CASES)("in mode $mode with $stored: dialling $dialler", async ({ mode, row, dialler }) => {
    const name = `dialler${row}-${mode}`;
    const told = await ping(name, "open", open.endpoint);
    expect(told).toBe(/^[A-Z]/.test(dialler) ? `3 ${dialler}` : dialler);
    // At first sight a dialler pins what it saw, and only then.
    const firstUse = join(keyDir(name), "first-use", "open@127.0.0.1.pub");
    if (row === 0) expect(existsSync(firstUse)).toBe(mode === "tofu");
  });

  it.each(CASES)("in mode $mode with $stored: accepting $acceptor", async ({ mode, row, acceptor }) => {
    const checker = acceptors.get(mode);
    if (checker === undefined) throw new Error(`no checker in mode ${mode}`);
    const peer = `peer${row}-${mode}`;
    const before = checker.node.events.length;
    const told = await ping(peer, `checker-${mode}`, checker.endpoint);
    expect(await verdict(checker.node, peer, before)).toBe(acceptor);
    // Whatever the reason, the refused one hears the same.
    expect(told).toBe(/^[A-Z]/.test(acceptor) ? "3 REFUSED_BY_PEER" : "tofu");
    // A refused dialler has pinned nothing either.
    if (/^[A-Z]/.test(acceptor)) expect(existsSync(join(keyDir(peer), "first-use"))).toBe(false);
  });
});

describe("two processes pair", () => {
  it("by an invite, between strict nodes", async () => {
    make("inviter", "strict");
    make("guest", "strict");
    const { endpoint, node } = await start("inviter");
    expect(await ping("guest", "inviter", endpoint)).toBe("3 KEY_UNTRUSTED");
    const file = join(ROOT, "invite.txt");
    const { fingerprint } = await ask(home("inviter"), "keys", "invite", "guest@127.0.0.1", "--out", file);
    expect(await ask(home("guest"), "keys", "join", file)).toMatchObject({
      acceptor: "inviter@127.0.0.1",
      fingerprint,
    });
    const before = node.events.length;
    expect(await ping("guest", "inviter", endpoint)).toBe("pinned");
    expect(await verdict(node, "guest", before)).toBe("pinned");
    // The token is used up on both sides; the pins stay.
    expect(readdirSync(join(keyDir("guest"), "joining"))).toEqual([]);
    expect(await ping("guest", "inviter", endpoint)).toBe("pinned");
    expect(readFileSync(file, "utf8")).toMatch(/^sallyport-invite:/);
    make("second", "strict");
    expect(await refused(home("second"), "keys", "join", file)).toMatchObject({ reason: "INVITE_OTHER_NODE" });
  });

  it("by the cookie alone, where both list the other", async () => {
    const only = { cookie: COOKIE, identity: { cookieOnly: ["*@127.0.0.1"] } };
    make("cook", "strict", only);
    make("waiter", "strict", only);
    make("unlisted", "strict", { cookie: COOKIE });
    const { endpoint, node } = await start("cook");
    await node.says(/"event":"warning".*"reason":"COOKIE_ONLY"/);
    const before = node.events.length;
    expect(await ping("waiter", "cook", endpoint)).toBe("cookie");
    expect(await verdict(node, "waiter", before)).toBe("cookie");
    expect(await ping("unlisted", "cook", endpoint)).toBe("3 KEY_UNTRUSTED");
  });

  it("again after a rotation, by the signed succession alone", async () => {
    const base = make("base", "strict");
    const rover = make("rover", "strict");
    store("base", "trusted", "rover", rover.pub);
    store("rover", "trusted", "base", base.pub);
    const { endpoint, node } = await start("base");
    expect(await ping("rover", "base", endpoint)).toBe("pinned");
    const { oldFingerprint, fingerprint } = await ask(home("rover"), "keys", "rotate");
    let before = node.events.length;
    expect(await ping("rover", "base", endpoint)).toBe("pinned");
    expect(await verdict(node, "rover", before)).toBe("pinned");
    expect(node.events.at(-1)).not.toMatchObject({ event: "refused" });
    expect(oldFingerprint).not.toBe(fingerprint);
    // The same without the statement is a stranger.
    rmSync(join(keyDir("rover"), "succession"));
    await ask(home("rover"), "keys", "rotate");
    rmSync(join(keyDir("rover"), "succession"));
    before = node.events.length;
    expect(await ping("rover", "base", endpoint)).toBe("3 REFUSED_BY_PEER");
    expect(await verdict(node, "rover", before)).toBe("KEY_MISMATCH");
  });
});
