import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { RealFiles } from "../system/real-files.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { crypto, F, K, NOW, name, own } from "../testkit/trust-world.ts";
import { FILES_PER_LOOK, READ_ALL_MS } from "./pin-reader.ts";
import { pinStem } from "./pin-stem.ts";
import { fingerprintHex } from "./public-key.ts";
import { TrustStore } from "./trust-store.ts";

/** How often a node looks. */
const LOOK_MS = 500;

/** Pins of `count` peers, the first one of key 1, read and settled long after they were written. */
function settled(count: number, options: { readonly freeze?: boolean } = {}) {
  const files = new FaultyFiles();
  for (let i = 0; i < count; i++) files.put(`/keys/trusted/p${String(i).padStart(5, "0")}@h.pub`, K(i === 0 ? 1 : 2));
  if (options.freeze) files.pretend("/keys/trusted", { stamp: "never dated" });
  return { files, ...watched(files, "/keys", NOW + 10_000) };
}

function watched(files: FaultyFiles | RealFiles, directory: string, startMs: number) {
  let nowMs = startMs;
  const store = new TrustStore({
    files,
    crypto,
    directory,
    mode: "tofu",
    ownName: name("me@h"),
    ownKey: own.publicKey,
    allowReusedKeys: true,
    nowMs,
  });
  /** The kinds of changes that the next look finds. */
  const look = (afterMs = LOOK_MS) => {
    nowMs += afterMs;
    if (files instanceof FaultyFiles) files.wallMs = nowMs;
    return store.reload(nowMs).map(({ kind }) => kind);
  };
  /** Number of looks until something is found. */
  const looksUntilChange = () => {
    for (let looks = 1; looks < 1000; looks++) if (look().length > 0) return looks;
    return undefined;
  };
  for (let i = 0; i < 6; i++) look();
  return { store, look, looksUntilChange };
}

function count(files: FaultyFiles) {
  const calls = { facts: 0, list: 0, read: 0, readText: 0 };
  for (const method of ["facts", "list", "read", "readText"] as const) {
    const real: (path: string) => unknown = files[method].bind(files);
    Object.assign(files, {
      [method]: (path: string) => {
        calls[method]++;
        return real(path);
      },
    });
  }
  return calls;
}

describe("a look at the trust files", () => {
  it("costs the stamps of three directories and a few files when nothing changed", () => {
    const { files, look } = settled(1000);
    const calls = count(files);
    expect(look()).toEqual([]);
    expect(calls).toEqual({ facts: 3 + FILES_PER_LOOK, list: 0, read: 0, readText: 0 });
  });

  it("sees at once what was made, renamed or removed among thousands", () => {
    const pin = "/keys/trusted/p03999@h.pub";
    for (const [edit, kinds] of [
      [(files: FaultyFiles) => files.take(pin), ["unpinned"]],
      [(files: FaultyFiles) => files.writeAtomic(pin, K(5), 0o644), ["unpinned", "pinned"]],
      [(files: FaultyFiles) => files.put("/keys/trusted/new@h.pub", K(5)), ["pinned"]],
      [(files: FaultyFiles) => files.put("/keys/first-use/new@h.pub", K(5)), ["pinned"]],
      [(files: FaultyFiles) => files.put(`/keys/revoked/${fingerprintHex(F(2))}`, ""), ["revoked"]],
    ] as const) {
      const { files, look } = settled(4000);
      edit(files);
      expect(look()).toEqual(kinds);
      expect(look()).toEqual([]);
    }
  });

  it("reads only the file that changed", () => {
    const { files, look } = settled(1000);
    const calls = count(files);
    files.put("/keys/trusted/new@h.pub", K(5));
    look();
    expect(calls).toMatchObject({ list: 3, read: 1 });
  });

  it("sees a file that was written over in place within a second up to 256 pins, in its turn beyond", () => {
    for (const [pins, bound] of [
      [1, 1],
      [2 * FILES_PER_LOOK, 2],
      [1000, Math.ceil(1000 / FILES_PER_LOOK)],
    ] as const) {
      let worst = 0;
      for (let at = 0; at < pins; at += Math.max(1, Math.floor(pins / 20))) {
        const { files, looksUntilChange } = settled(pins);
        files.put(`/keys/trusted/p${String(at).padStart(5, "0")}@h.pub`, "broken");
        worst = Math.max(worst, looksUntilChange() ?? Number.POSITIVE_INFINITY);
      }
      expect(worst).toBeLessThanOrEqual(bound);
    }
  });

  it("sees every file at once when asked to", () => {
    const { files, store } = settled(1000);
    files.put("/keys/trusted/p00999@h.pub", "broken");
    expect(store.reload(NOW + 20_000, true)).toEqual([{ kind: "unpinned", name: "p00999@h", fingerprint: F(2) }]);
  });

  it("looks again while a change could hide behind the same date", () => {
    const files = new FaultyFiles();
    files.put("/keys/trusted/a@h.pub", K(1));
    files.pretend("/keys/trusted", { stamp: "of this second" });
    files.wallMs = NOW + 60_000;
    const store = new TrustStore({
      files,
      crypto,
      directory: "/keys",
      mode: "strict",
      ownName: name("me@h"),
      ownKey: own.publicKey,
      nowMs: NOW + 60_000,
    });
    files.put("/keys/trusted/b@h.pub", K(2));
    expect(store.reload(NOW + 62_000)).toMatchObject([{ kind: "pinned", name: "b@h" }]);
    files.take("/keys/trusted/b@h.pub");
    expect(store.reload(NOW + 62_001)).toMatchObject([{ kind: "unpinned", name: "b@h" }]);
  });

  it("reads everything once a minute, also where directories bear no dates, and when the clock was set back", () => {
    for (const laterMs of [READ_ALL_MS, -3_600_000]) {
      const { files, look } = settled(10, { freeze: true });
      files.put("/keys/trusted/new@h.pub", K(5));
      expect(look()).toEqual([]);
      expect(look(laterMs)).toEqual(["pinned"]);
    }
  });

  it("tries again after a failure, though nothing is dated anew", () => {
    const { files, look } = settled(10, { freeze: true });
    files.put("/keys/first-use/new@h.pub", K(5));
    files.forbid("/keys/trusted", "EMFILE");
    expect(() => look()).toThrow(expect.objectContaining({ reason: "TRUST_UNREADABLE" }));
    files.permit("/keys/trusted");
    expect(look()).toEqual(["pinned"]);
  });

  it("tries a file again that could not be read", () => {
    const { files, look } = settled(10);
    const pin = "/keys/trusted/p00000@h.pub";
    files.forbid(pin, "EMFILE");
    files.put(pin, K(1));
    expect(look()).toEqual(["unpinned"]);
    look(10_000);
    files.permit(pin);
    expect(look()).toEqual(["pinned"]);
  });

  it("sees the name beside a pin and a link that others can redirect", () => {
    const stem = pinStem(name("A@h"), crypto);
    for (const edit of [
      (files: FaultyFiles) => files.put(`/keys/trusted/${stem}.name`, "B@h"),
      (files: FaultyFiles) => files.expose(`/keys/trusted/${stem}.pub`),
    ]) {
      const files = new FaultyFiles();
      files.put(`/keys/trusted/${stem}.pub`, K(1));
      files.put(`/keys/trusted/${stem}.name`, "A@h");
      files.pretend(`/keys/trusted/${stem}.pub`, { link: true });
      const { store, look } = watched(files, "/keys", NOW + 10_000);
      expect(store.lookup(name("A@h"))?.fingerprint).toBe(F(1));
      edit(files);
      expect(look()).toEqual(["unpinned"]);
    }
  });
});

describe("on a real disk", () => {
  const made: string[] = [];
  afterEach(() => {
    for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
  });

  it("a look sees writes in place, renames, removals, revocations and links that lead elsewhere", () => {
    for (const edit of [
      (keys: string) => writeFileSync(`${keys}/trusted/a@h.pub`, K(5)),
      (keys: string) => rmSync(`${keys}/trusted/a@h.pub`),
      (keys: string) => {
        writeFileSync(`${keys}/other`, K(5));
        renameSync(`${keys}/other`, `${keys}/trusted/a@h.pub`);
      },
      (keys: string) => {
        symlinkSync(`${keys}/new`, `${keys}/next`);
        renameSync(`${keys}/next`, `${keys}/trusted`);
      },
      (keys: string) => {
        symlinkSync(`${keys}/elsewhere.pub`, `${keys}/next`);
        renameSync(`${keys}/next`, `${keys}/trusted/a@h.pub`);
      },
      (keys: string) => writeFileSync(`${keys}/revoked/${fingerprintHex(F(1))}`, ""),
      (keys: string) => chmodSync(`${keys}/old/a@h.pub`, 0o646),
    ]) {
      const keys = mkdtempSync(`${tmpdir()}/pins-`);
      made.push(keys);
      for (const inner of ["old", "new", "revoked"]) mkdirSync(`${keys}/${inner}`);
      symlinkSync(`${keys}/old`, `${keys}/trusted`);
      writeFileSync(`${keys}/linked.pub`, K(1));
      symlinkSync(`${keys}/linked.pub`, `${keys}/old/a@h.pub`);
      writeFileSync(`${keys}/new/a@h.pub`, K(7));
      writeFileSync(`${keys}/elsewhere.pub`, K(7));
      const { store, look } = watched(new RealFiles(), keys, Date.now() + 60_000);
      expect(store.lookup(name("a@h"))?.fingerprint).toBe(F(1));
      edit(keys);
      const kinds = look();
      expect(kinds.some((kind) => kind === "unpinned" || kind === "revoked")).toBe(true);
    }
  });
});
