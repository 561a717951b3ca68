import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { crypto, F, FIRST_USE, K, NOW, name, open, outcome, seen } from "../testkit/trust-world.ts";
import { MAX_TRUST_FILES } from "./pin-reader.ts";
import { pinStem } from "./pin-stem.ts";
import { fingerprintHex } from "./public-key.ts";
import { losesStanding } from "./trust-change.ts";
import type { TrustStore } from "./trust-store.ts";

const fails = (reason: string, code = "ERR_DENIED") => expect.objectContaining({ code, reason });

describe("what is on disk", () => {
  const PLAIN = "/keys/trusted/a@h.pub";

  it.each([
    ["0 bytes", ""],
    ["31 bytes", Buffer.alloc(31, 7)],
    ["33 bytes", Buffer.alloc(33, 7)],
    ["text", "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    ["a small-order key", Buffer.from(`01${"00".repeat(31)}`, "hex")],
    ["a key that is not canonical", Buffer.from(`ed${"ff".repeat(30)}7f`, "hex")],
  ])("with %s in a pin file refuses that name and no other", (_, content) => {
    for (const place of ["trusted", "first-use"]) {
      const files = new FaultyFiles();
      files.put(`/keys/${place}/a@h.pub`, content);
      files.put("/keys/trusted/b@h.pub", K(2));
      const store = open(files);
      expect(store.warnings).toEqual([
        { reason: "PIN_SKIPPED", message: expect.stringContaining(`/keys/${place}/a@h.pub`) },
      ]);
      expect(outcome(store, "a@H", 1, { caNamesPeer: true, inviteValid: true })).toBe("PIN_BROKEN");
      expect(outcome(store, "b@h", 2)).toBe("pinned");
      expect(() => store.commit(name("a@h"), K(1), FIRST_USE, seen)).toThrow(fails("PIN_BROKEN"));
      expect(() => store.add(name("a@h"), K(1), { nowMs: NOW })).toThrow(fails("PIN_EXISTS", "ERR_CONFIG"));
      expect(store.lookup(name("a@h"))).toBeUndefined();
      store.add(name("a@h"), K(1), { nowMs: NOW, replace: true });
      store.reload(NOW);
      expect(outcome(store, "a@h", 1)).toBe("pinned");
    }
  });

  it("may be unreadable, a directory or an unsafe link: then the name is refused", () => {
    for (const spoil of [
      (files: FaultyFiles) => files.forbid(PLAIN),
      (files: FaultyFiles) => files.pretend(PLAIN, { kind: "directory" }),
      (files: FaultyFiles) => {
        files.pretend(PLAIN, { link: true });
        files.expose(PLAIN);
      },
    ]) {
      const files = new FaultyFiles();
      files.put(PLAIN, K(1));
      spoil(files);
      expect(outcome(open(files), "a@h", 1)).toBe("PIN_BROKEN");
    }
    const files = new FaultyFiles();
    files.put(PLAIN, K(1));
    files.pretend(PLAIN, { link: true });
    expect(outcome(open(files), "a@h", 1)).toBe("pinned");
  });

  it("may hold other files, which are skipped with a warning that names them", () => {
    const files = new FaultyFiles();
    for (const file of ["a@h.pem", "README", "noname.pub", "a@b@c.pub", "x\u001b[2J@h.pub", ".hidden", "..data"]) {
      files.put(`/keys/trusted/${file}`, K(1));
    }
    files.put("/keys/revoked/readme.txt", "");
    const { warnings } = open(files);
    expect(warnings.map((warning) => warning.reason).sort()).toEqual([
      ...Array(5).fill("PIN_SKIPPED"),
      "REVOKED_FILE_NAME",
    ]);
    expect(warnings.every((warning) => /^[\x20-\x7e]+$/.test(warning.message))).toBe(true);
    expect(outcome(open(files), "a@h", 1)).toBe("tofu");
  });

  it("with a name in upper case is refused and not taken for unknown", () => {
    const files = new FaultyFiles();
    files.put("/keys/trusted/Worker@Host.pub", K(1));
    files.put("/keys/trusted/b@HOST.pub", K(2));
    const store = open(files);
    expect(outcome(store, "Worker@host", 1)).toBe("PIN_BROKEN");
    expect(outcome(store, "b@host", 2)).toBe("PIN_BROKEN");
    expect(outcome(store, "worker@host", 3)).toBe("tofu");
  });

  it("is named by a hash when a file system could fold or cut the name, with the name beside it", () => {
    const long = `a@${"h".repeat(199)}`;
    const cases = [
      ["a@h", true],
      [`a@${"h".repeat(198)}`, true],
      [long, false],
      ["A@h", false],
      ["a@H", true],
      ["q@::1", true],
    ] as const;
    for (const [peer, plain] of cases) {
      const files = new FaultyFiles();
      const store = open(files);
      store.add(name(peer), K(1), { nowMs: NOW });
      const stem = pinStem(name(peer), crypto);
      expect(stem).toMatch(plain ? /@/ : /^sha256-[0-9a-f]{64}$/);
      expect(files.exists(`/keys/trusted/${stem}.name`)).toBe(!plain);
      expect(outcome(open(files, { mode: "strict" }), peer, 1)).toBe("pinned");
      expect(open(files).warnings).toEqual([]);
      store.remove(name(peer));
      expect(files.paths).toEqual([]);
    }
    expect(pinStem(name("A@h"), crypto)).not.toBe(pinStem(name("a@h"), crypto));
  });

  it("refuses a hashed name whose name file is missing or wrong", () => {
    const stem = pinStem(name("A@h"), crypto);
    for (const beside of [undefined, "B@h", "not a name", ""]) {
      const files = new FaultyFiles();
      files.put(`/keys/trusted/${stem}.pub`, K(1));
      if (beside !== undefined) files.put(`/keys/trusted/${stem}.name`, beside);
      expect(outcome(open(files), "A@h", 1)).toBe("PIN_BROKEN");
    }
    const files = new FaultyFiles();
    files.put(`/keys/trusted/${stem}.name`, "A@h");
    expect(outcome(open(files), "A@h", 1)).toBe("tofu");
  });

  it("takes trusted/ before first-use/", () => {
    const files = new FaultyFiles();
    files.put(PLAIN, K(1));
    files.put("/keys/first-use/a@h.pub", K(2));
    files.put("/keys/trusted/b@h.pub", K(3));
    files.put("/keys/first-use/b@h.pub", "broken");
    const store = open(files);
    expect(outcome(store, "a@h", 1)).toBe("pinned");
    expect(outcome(store, "a@h", 2)).toBe("KEY_MISMATCH");
    expect(outcome(store, "b@h", 3)).toBe("pinned");
    expect(store.warnings).toHaveLength(2);
  });

  it("handles names that are properties of every object", () => {
    const store = open(new FaultyFiles());
    for (const [i, peer] of ["__proto__@h", "constructor@h", "toString@h"].entries()) {
      expect(outcome(store, peer, i + 1)).toBe("tofu");
      store.commit(name(peer), K(i + 1), FIRST_USE, seen);
      expect(outcome(store, peer, 9)).toBe("KEY_MISMATCH");
    }
    expect(store.list()).toHaveLength(3);
  });

  it("is refused as a whole when a directory cannot be read or holds too many files", () => {
    for (const inner of ["trusted", "first-use", "revoked"]) {
      const files = new FaultyFiles();
      files.put(`/keys/${inner}/x`, "");
      files.forbid(`/keys/${inner}`);
      expect(() => open(files)).toThrow(fails("TRUST_UNREADABLE", "ERR_CONFIG"));
    }
    const files = new FaultyFiles();
    const crowded = new Proxy(files, {
      get(target, property) {
        if (property === "list") return () => Array.from({ length: MAX_TRUST_FILES + 1 }, (_, i) => `.${i}`);
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    expect(() => open(crowded)).toThrow(fails("TRUST_FILES", "ERR_LIMIT"));
  });
});

describe("edits while the node runs", () => {
  function live() {
    const files = new FaultyFiles();
    const store = open(files);
    store.add(name("a@h"), K(1), { nowMs: NOW });
    store.commit(name("b@h"), K(2), FIRST_USE, seen);
    files.wallMs = NOW + 10_000;
    expect(store.reload(NOW + 10_000)).toEqual([]);
    return { files, store };
  }

  const cut = (files: FaultyFiles, store: TrustStore, nowMs = NOW + 20_000) => {
    files.wallMs = nowMs;
    const changes = store.reload(nowMs);
    return [1, 2].filter((i) => changes.some((change) => losesStanding(change, name(i === 1 ? "a@H" : "b@h"), F(i))));
  };

  it("end the sessions of a pin that was removed, replaced, broken or demoted", () => {
    for (const edit of [
      (files: FaultyFiles) => files.take("/keys/trusted/a@h.pub"),
      (files: FaultyFiles) => files.put("/keys/trusted/a@h.pub", K(5)),
      (files: FaultyFiles) => files.put("/keys/trusted/a@h.pub", "broken"),
      (files: FaultyFiles) => {
        files.take("/keys/trusted/a@h.pub");
        files.put("/keys/first-use/a@h.pub", K(1));
      },
    ]) {
      const { files, store } = live();
      edit(files);
      expect(cut(files, store)).toEqual([1]);
      expect(cut(files, store)).toEqual([]);
    }
  });

  it("end the sessions of a revoked key, in either case of its digits", () => {
    for (const hex of [fingerprintHex(F(2)), fingerprintHex(F(2)).toUpperCase()]) {
      const { files, store } = live();
      files.put(`/keys/revoked/${hex}`, "");
      expect(cut(files, store)).toEqual([2]);
      expect(outcome(store, "b@h", 2)).toBe("KEY_REVOKED");
    }
  });

  it("end sessions of a name that got another key, also where none was pinned", () => {
    const { files, store } = live();
    files.put("/keys/trusted/c@h.pub", K(7));
    const changes = store.reload(NOW + 20_000);
    const loses = (i: number) => changes.some((change) => losesStanding(change, name("c@h"), F(i)));
    expect(loses(8)).toBe(true);
    expect(loses(7)).toBe(false);
  });

  it("end nothing when a pin is promoted, written again or another one is added", () => {
    const { files, store } = live();
    files.put("/keys/trusted/a@h.pub", K(1));
    files.put("/keys/trusted/b@h.pub", K(2));
    files.put("/keys/trusted/c@h.pub", K(3));
    expect(cut(files, store)).toEqual([]);
    expect(outcome(store, "b@h", 2)).toBe("pinned");
  });

  it("stay out of force when the directory cannot be read", () => {
    const { files, store } = live();
    files.take("/keys/trusted/a@h.pub");
    files.forbid("/keys/revoked");
    expect(() => store.reload(NOW)).toThrow(fails("TRUST_UNREADABLE", "ERR_CONFIG"));
    expect(outcome(store, "a@h", 1)).toBe("pinned");
  });

  it("are noticed without reading files that did not change", () => {
    const { files, store } = live();
    let reads = 0;
    const read = files.read.bind(files);
    files.read = (path) => {
      reads++;
      return read(path);
    };
    store.reload(NOW + 20_000);
    expect(reads).toBe(0);
    files.wallMs = NOW + 20_000;
    files.put("/keys/trusted/a@h.pub", K(5));
    store.reload(NOW + 20_000);
    // Read again until it cannot have been changed within the grain of the clock.
    store.reload(NOW + 21_000);
    expect(reads).toBe(2);
    store.reload(NOW + 23_000);
    store.reload(NOW + 24_000);
    expect(reads).toBe(3);
  });
});

describe("the time of the last sight", () => {
  it("is written at most once an hour, and never for a key without a pin", () => {
    const files = new FaultyFiles();
    const store = open(files);
    const pinned = { kind: "none", rests: "pin" } as const;
    store.add(name("a@h"), K(1), { nowMs: NOW });
    store.commit(name("a@h"), K(1), pinned, { address: "x", nowMs: NOW + 1 });
    const steps = files.steps;
    store.commit(name("a@h"), K(1), pinned, { address: "x", nowMs: NOW + 1000 });
    store.commit(name("b@h"), K(2), { kind: "none", rests: "ca" }, { address: "x", nowMs: NOW + 1000 });
    expect(files.steps).toBe(steps);
    store.commit(name("a@h"), K(1), pinned, { address: "y", nowMs: NOW + 3_700_000 });
    expect(store.list()[0]?.meta).toEqual({
      origin: "operator",
      addedMs: NOW,
      lastSeenMs: NOW + 3_700_000,
      address: "y",
    });
  });

  it("stays when the key is promoted, from first use or from waiting", () => {
    const store = open(new FaultyFiles());
    const last = { lastSeenMs: NOW, address: seen.address };
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    store.promote(name("a@h"), undefined, NOW + 5);
    store.commit(name("b@h"), K(2), { kind: "pending" }, seen);
    store.promote(name("b@h"), F(2), NOW + 5);
    store.add(name("c@h"), K(3), { nowMs: NOW + 5, origin: "promoted", seen });
    const meta = { origin: "promoted", addedMs: NOW + 5, ...last };
    expect(store.list().map((pin) => pin.meta)).toEqual([meta, meta, meta]);
  });

  it("is written anew for a pin that another process made anew", () => {
    const files = new FaultyFiles();
    const store = open(files);
    const pinned = { kind: "none", rests: "pin" } as const;
    open(files).add(name("a@h"), K(1), { nowMs: NOW });
    store.reload(NOW, true);
    store.commit(name("a@h"), K(1), pinned, { address: "x", nowMs: NOW + 1 });
    open(files).remove(name("a@h"));
    store.reload(NOW + 2, true);
    open(files).add(name("a@h"), K(1), { nowMs: NOW + 3 });
    store.reload(NOW + 4, true);
    store.commit(name("a@h"), K(1), pinned, { address: "x", nowMs: NOW + 5 });
    expect(store.list()[0]?.meta).toMatchObject({ addedMs: NOW + 3, lastSeenMs: NOW + 5 });
  });
});
