import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Started } from "./cli-process.ts";
import { makePair, OperatedNodes, type Pair, verdict } from "./operated-nodes.ts";

const nodes = new OperatedNodes();

afterAll(() => nodes.end());

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
  if (stored.startsWith("another")) nodes.store(owner, place, peer, makePair().pub);
  else if (stored.endsWith("another name")) nodes.store(owner, place, `other-${peer}`, key);
  else if (stored === "a broken file") nodes.store(owner, place, peer, Buffer.alloc(31, 7));
  else nodes.store(owner, place, peer, key);
  if (stored.endsWith("revoked")) nodes.store(owner, "revoked", peer, key);
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
    const openKey = nodes.make("open", "tofu");
    for (const mode of ["tofu", "strict"] as const) nodes.make(`checker-${mode}`, mode);
    for (const { mode, stored, row } of CASES) {
      const peer = `peer${row}-${mode}`;
      const key = nodes.make(peer, "tofu");
      peers.set(peer, key);
      prepare(`checker-${mode}`, stored, peer, key.pub);
      nodes.make(`dialler${row}-${mode}`, mode);
      prepare(`dialler${row}-${mode}`, stored, "open", openKey.pub);
    }
    open = await nodes.start("open");
    for (const mode of ["tofu", "strict"]) acceptors.set(mode, await nodes.start(`checker-${mode}`));
  });

  it.each(CASES)("in mode $mode with $stored: dialling $dialler", async ({ mode, row, dialler }) => {
    const name = `dialler${row}-${mode}`;
    const told = await nodes.ping(name, "open", open.endpoint);
    expect(told).toBe(/^[A-Z]/.test(dialler) ? `3 ${dialler}` : dialler);
    // At first sight a dialler pins what it saw, and only then.
    const firstUse = join(nodes.keyDir(name), "first-use", "open@127.0.0.1.pub");
    if (row === 0) expect(existsSync(firstUse)).toBe(mode === "tofu");
  });

  it.each(CASES)("in mode $mode with $stored: accepting $acceptor", async ({ mode, row, acceptor }) => {
    const checker = acceptors.get(mode);
    if (checker === undefined) throw new Error(`no checker in mode ${mode}`);
    const peer = `peer${row}-${mode}`;
    const before = checker.node.events.length;
    const told = await nodes.ping(peer, `checker-${mode}`, checker.endpoint);
    expect(await verdict(checker.node, peer, before)).toBe(acceptor);
    // Whatever the reason, the refused one hears the same.
    expect(told).toBe(/^[A-Z]/.test(acceptor) ? "3 REFUSED_BY_PEER" : "tofu");
    // A refused dialler has pinned nothing either.
    if (/^[A-Z]/.test(acceptor)) expect(existsSync(join(nodes.keyDir(peer), "first-use"))).toBe(false);
  });
});
