import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { F, FIRST_USE, facts, K, keyPair, NOW, name, open, outcome, own, seen } from "../testkit/trust-world.ts";
import { fingerprintHex } from "./public-key.ts";
import type { TrustChange } from "./trust-change.ts";
import type { TrustFacts } from "./trust-decision.ts";
import type { TrustStore } from "./trust-store.ts";
import { FIRST_USE_TTL_MS } from "./trust-store.ts";

const HOUR = 3_600_000;
const fails = (reason: string, code = "ERR_DENIED") => expect.objectContaining({ code, reason });

describe("a first contact", () => {
  it("is pinned in first-use/ as 32 raw bytes, and is tofu for ever, also after a restart", () => {
    const files = new FaultyFiles();
    const store = open(files);
    expect(store.commit(name("a@H"), K(1), { kind: "first-use" }, seen)).toEqual([
      { kind: "pinned", name: "a@h", fingerprint: F(1), place: "first-use" },
    ]);
    expect(files.read("/keys/first-use/a@h.pub").equals(K(1))).toBe(true);
    for (const one of [store, open(files)]) {
      expect(outcome(one, "a@h", 1)).toBe("tofu");
      expect(outcome(one, "a@h", 2)).toBe("KEY_MISMATCH");
      expect(one.list()[0]?.meta).toMatchObject({ origin: "first-use", addedMs: NOW, address: seen.address });
    }
    expect(outcome(open(files, { mode: "strict" }), "a@h", 1)).toBe("KEY_UNTRUSTED");
  });

  it("of fifty keys for one name pins exactly one, in any order", () => {
    for (let round = 0; round < 20; round++) {
      const files = new FaultyFiles();
      const store = open(files);
      const contenders = Array.from({ length: 50 }, (_, i) => 1 + ((i * 7 + round) % 50));
      for (const i of contenders) expect(outcome(store, "a@h", i)).toBe("tofu");
      const won = contenders.filter((i) => {
        try {
          store.commit(name("a@h"), K(i), { kind: "first-use" }, seen);
          return true;
        } catch (cause) {
          expect(cause).toMatchObject({ code: "ERR_DENIED", reason: "KEY_MISMATCH" });
          return false;
        }
      });
      expect(won).toEqual([contenders[0]]);
      expect(files.read("/keys/first-use/a@h.pub").equals(K(won[0]!))).toBe(true);
      expect(store.lookup(name("a@h"))?.fingerprint).toBe(F(won[0]!));
    }
  });

  it("in two processes of one directory pins exactly one", () => {
    for (const place of ["first-use", "trusted"] as const) {
      const files = new FaultyFiles();
      const [one, two] = [open(files), open(files)];
      if (place === "trusted") one.add(name("a@h"), K(1), { nowMs: NOW });
      else one.commit(name("a@h"), K(1), FIRST_USE, seen);
      expect(() => two.commit(name("a@h"), K(2), FIRST_USE, seen)).toThrow(fails("KEY_MISMATCH"));
      two.commit(name("a@h"), K(1), FIRST_USE, seen);
      two.reload(NOW);
      expect(outcome(two, "a@h", 2)).toBe("KEY_MISMATCH");
      expect(outcome(two, "a@h", 1)).toBe(place === "trusted" ? "pinned" : "tofu");
    }
  });

  it("counts only when it is on disk", () => {
    const clean = new FaultyFiles();
    open(clean).commit(name("a@h"), K(1), FIRST_USE, seen);
    let refused = 0;
    for (let step = 0; step < clean.steps; step++) {
      const files = new FaultyFiles();
      const store = open(files);
      files.failAt(step, "ENOSPC");
      try {
        store.commit(name("a@h"), K(1), FIRST_USE, seen);
        expect(open(files).lookup(name("a@h"))?.fingerprint).toBe(F(1));
      } catch (cause) {
        refused++;
        expect(cause).toMatchObject({ code: "ERR_DENIED", reason: "PIN_NOT_DURABLE" });
        expect(store.lookup(name("a@h"))).toBeUndefined();
        store.reload(NOW);
        expect(store.lookup(name("a@h"))).toBeUndefined();
        expect(files.paths.filter((path) => path.startsWith("/keys/first-use/"))).toEqual([]);
        store.commit(name("a@h"), K(2), FIRST_USE, seen);
      }
    }
    // mkdir, create, mode, two pieces, sync, link, sync of the directory; what follows is metadata.
    expect(refused).toBeGreaterThanOrEqual(8);
  });

  it("refuses a stranger when first-use/ is full, and forgets nobody for it", () => {
    const store = open(new FaultyFiles(), { limits: { maxFirstUse: 2 } });
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    store.commit(name("b@h"), K(2), FIRST_USE, seen);
    expect(() => store.commit(name("c@h"), K(3), FIRST_USE, seen)).toThrow(fails("FIRST_USE_FULL", "ERR_LIMIT"));
    expect(store.list().map((pin) => pin.name)).toEqual(["a@h", "b@h"]);
    store.promote(name("a@h"), undefined, NOW);
    store.commit(name("c@h"), K(3), FIRST_USE, seen);
  });

  /** All looks that it takes for a pin to lapse, an hour apart, and what they said together. */
  function lookADay(store: TrustStore, fromMs: number): TrustChange[] {
    return Array.from({ length: 24 }, (_, hour) => [...store.reload(fromMs + hour * HOUR)]).flat();
  }

  it("lapses by the time of the last sight, when it is found overdue for a day", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    store.commit(name("b@h"), K(2), FIRST_USE, { ...seen, nowMs: NOW + 30 * HOUR });
    expect(lookADay(store, NOW + FIRST_USE_TTL_MS)).toEqual([]);
    expect(store.reload(NOW + FIRST_USE_TTL_MS + 24 * HOUR)).toEqual([
      { kind: "unpinned", name: "a@h", fingerprint: F(1) },
    ]);
    expect(files.exists("/keys/first-use/a@h.pub")).toBe(false);
    expect(files.exists("/keys/first-use/b@h.pub")).toBe(true);
  });

  it("outlives a clock that is wrong for a while, and looks that come one after the other", () => {
    const store = open(new FaultyFiles());
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    const late = NOW + FIRST_USE_TTL_MS + HOUR;
    for (let i = 0; i < 100; i++) expect(store.reload(late + i)).toEqual([]);
    for (let hour = 0; hour < 23; hour++) expect(store.reload(late + hour * HOUR)).toEqual([]);
    expect(store.reload(NOW)).toEqual([]);
    for (let hour = 0; hour < 23; hour++) expect(store.reload(late + hour * HOUR)).toEqual([]);
    expect(store.reload(late + 23 * HOUR)).toHaveLength(1);
  });

  it("that cannot be removed when it lapses hides no other change", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    const late = NOW + FIRST_USE_TTL_MS + HOUR;
    for (let hour = 0; hour < 23; hour++) store.reload(late + hour * HOUR);
    files.put(`/keys/revoked/${fingerprintHex(F(2))}`, "");
    files.failAt(0, "EROFS");
    expect(store.reload(late + 23 * HOUR)).toEqual([{ kind: "revoked", fingerprint: F(2) }]);
    expect(outcome(store, "a@h", 1)).toBe("tofu");
    expect(store.reload(late + 24 * HOUR)).toEqual([{ kind: "unpinned", name: "a@h", fingerprint: F(1) }]);
  });

  it("checks again at the commit what was decided before", () => {
    const store = open(new FaultyFiles());
    store.revoke(F(3), NOW);
    store.add(name("t@h"), K(4), { nowMs: NOW });
    expect(() => store.commit(name("a@h"), K(3), FIRST_USE, seen)).toThrow(fails("KEY_REVOKED"));
    expect(() => store.commit(name("a@h"), K(4), FIRST_USE, seen)).toThrow(fails("KEY_REUSED"));
    expect(() => store.commit(name("me@H"), K(5), FIRST_USE, seen)).toThrow(fails("OWN_IDENTITY"));
    expect(() => store.commit(name("a@h"), own.publicKey, FIRST_USE, seen)).toThrow(fails("OWN_IDENTITY"));
    for (const rests of ["pin", "ca"] as const) {
      const none = { kind: "none", rests } as const;
      expect(() => store.commit(name("t@h"), K(3), none, seen)).toThrow(fails("KEY_REVOKED"));
      expect(() => store.commit(name("t@h"), K(5), none, seen)).toThrow(fails("KEY_MISMATCH"));
    }
    expect(() => store.commit(name("x@h"), K(5), { kind: "none", rests: "pin" }, seen)).toThrow(fails("KEY_MISMATCH"));
    expect(store.commit(name("x@h"), K(5), { kind: "none", rests: "ca" }, seen)).toEqual([]);
    const strict = open(new FaultyFiles(), { mode: "strict" });
    expect(() => strict.commit(name("a@h"), K(6), FIRST_USE, seen)).toThrow(fails("KEY_UNTRUSTED"));
    expect(() => strict.commit(name("a@h"), K(6), { kind: "pending" }, seen)).toThrow(fails("KEY_UNTRUSTED"));
    expect(outcome(strict, "a@h", 6)).toBe("KEY_UNTRUSTED");
    store.setOwnKey(K(6));
    expect(outcome(store, "a@h", 6)).toBe("OWN_KEY");
  });
});

describe("a stranger that dialled us", () => {
  it("waits as pending, reserves no name, and writes no file", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.commit(name("a@h"), K(1), { kind: "pending" }, seen);
    store.commit(name("a@h"), K(2), { kind: "pending" }, seen);
    expect(files.paths).toEqual([]);
    expect(store.pending(NOW).map((peer) => peer.fingerprint)).toEqual([F(1), F(2)]);
    store.commit(name("a@h"), K(3), FIRST_USE, seen);
    expect(store.pending(NOW)).toEqual([]);
    expect(() => store.commit(name("a@h"), K(1), { kind: "pending" }, seen)).toThrow(fails("KEY_MISMATCH"));
  });

  it("is promoted only by its fingerprint", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.commit(name("a@h"), K(1), { kind: "pending" }, seen);
    expect(() => store.promote(name("a@h"), undefined, NOW)).toThrow(fails("FINGERPRINT_NEEDED", "ERR_CONFIG"));
    expect(() => store.promote(name("a@h"), F(2), NOW)).toThrow(fails("PIN_NOT_FOUND", "ERR_CONFIG"));
    expect(store.promote(name("a@h"), F(1), NOW)).toEqual([
      { kind: "pinned", name: "a@h", fingerprint: F(1), place: "trusted" },
    ]);
    expect(outcome(open(files, { mode: "strict" }), "a@h", 1)).toBe("pinned");
    expect(store.pending(NOW)).toEqual([]);
  });

  it("waits no more once another process has pinned or revoked its key, or pinned its name", () => {
    const files = new FaultyFiles();
    const store = open(files);
    for (const [i, peer] of ["a@h", "b@h", "c@h", "d@h"].entries()) {
      store.commit(name(peer), K(i + 1), { kind: "pending" }, seen);
    }
    const other = open(files);
    other.add(name("a@h"), K(1), { nowMs: NOW, origin: "promoted" });
    other.revoke(F(2), NOW);
    other.add(name("c@h"), K(9), { nowMs: NOW });
    store.reload(NOW, true);
    expect(store.pending(NOW).map((peer) => peer.name)).toEqual(["d@h"]);
    store.revoke(F(4), NOW);
    expect(store.pending(NOW)).toEqual([]);
  });

  it("is forgotten after a day, or when others from its own address crowd it out first", () => {
    const store = open(new FaultyFiles(), { limits: { maxPending: 6, maxPendingPerAddress: 3 } });
    const come = (i: number, address: string, nowMs: number) =>
      store.commit(name(`n${i}@h`), K(i), { kind: "pending" }, { address, nowMs });
    come(1, "victim", NOW);
    for (let i = 2; i < 30; i++) come(i, `192.0.2.7:${40_000 + i}`, NOW + i);
    expect(store.pending(NOW + 30).map((peer) => peer.name)).toEqual(["n1@h", "n27@h", "n28@h", "n29@h"]);
    for (let i = 30; i < 50; i++) come(i, `192.0.2.${i}:9100`, NOW + i);
    expect(store.pending(NOW + 50)).toHaveLength(6);
    expect(store.pending(NOW + 86_400_049).map((peer) => peer.name)).toEqual(["n49@h"]);
    expect(store.pending(NOW + 86_400_050)).toEqual([]);
  });
});

describe("the operator", () => {
  it("promotes a first-use pin", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.commit(name("a@h"), K(1), FIRST_USE, seen);
    expect(() => store.promote(name("a@h"), F(2), NOW)).toThrow(fails("KEY_MISMATCH"));
    expect(store.promote(name("a@h"), F(1), NOW)).toEqual([{ kind: "promoted", name: "a@h", fingerprint: F(1) }]);
    expect(files.paths).toEqual(["/keys/meta/a@h.json", "/keys/trusted/a@h.pub"]);
    expect(store.promote(name("a@h"), undefined, NOW)).toEqual([]);
    expect(() => store.promote(name("b@h"), undefined, NOW)).toThrow(fails("PIN_NOT_FOUND", "ERR_CONFIG"));
  });

  it("overwrites only when asked to", () => {
    const store = open(new FaultyFiles());
    store.add(name("a@h"), K(1), { nowMs: NOW });
    expect(store.add(name("a@H"), K(1), { nowMs: NOW })).toEqual([]);
    expect(() => store.add(name("a@h"), K(2), { nowMs: NOW })).toThrow(fails("PIN_EXISTS", "ERR_CONFIG"));
    expect(store.lookup(name("a@h"))?.fingerprint).toBe(F(1));
    expect(store.add(name("a@h"), K(2), { nowMs: NOW, replace: true })).toEqual([
      { kind: "unpinned", name: "a@h", fingerprint: F(1) },
      { kind: "pinned", name: "a@h", fingerprint: F(2), place: "trusted" },
    ]);
  });

  it("does not overwrite what another process pinned since the last reload, unless asked to", () => {
    const files = new FaultyFiles();
    const [store, other] = [open(files), open(files)];
    other.add(name("a@h"), K(1), { nowMs: NOW });
    expect(() => store.add(name("a@h"), K(2), { nowMs: NOW })).toThrow(fails("KEY_MISMATCH"));
    store.add(name("a@h"), K(2), { nowMs: NOW, replace: true });
    expect(files.read("/keys/trusted/a@h.pub").equals(K(2))).toBe(true);
  });

  it("cannot pin its own name or key, a revoked key, or one key for two names unless that is allowed", () => {
    const files = new FaultyFiles();
    const store = open(files);
    const add = (peer: string, key: number) => () => store.add(name(peer), K(key), { nowMs: NOW, replace: true });
    store.revoke(F(3), NOW);
    expect(add("me@H", 1)).toThrow(fails("OWN_IDENTITY"));
    expect(add("a@h", 0)).toThrow(fails("OWN_IDENTITY"));
    expect(add("a@h", 3)).toThrow(fails("KEY_REVOKED"));
    add("a@h", 1)();
    expect(add("b@h", 1)).toThrow(fails("KEY_REUSED"));
    const allowing = open(files, { allowReusedKeys: true });
    allowing.add(name("b@h"), K(1), { nowMs: NOW });
    expect(open(files).warnings.map((warning) => warning.reason)).toEqual(["KEY_REUSED", "KEY_REUSED"]);
  });

  it("removes a pin, after which the name is unknown again", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.add(name("a@h"), K(1), { nowMs: NOW });
    expect(store.remove(name("a@H"))).toEqual([{ kind: "unpinned", name: "a@h", fingerprint: F(1) }]);
    expect(files.paths).toEqual([]);
    expect(outcome(store, "a@h", 2)).toBe("tofu");
    expect(() => store.remove(name("a@h"))).toThrow(fails("PIN_NOT_FOUND", "ERR_CONFIG"));
  });

  it("revokes a key for ever: removal, succession, CA and invite do not bring it back", () => {
    const files = new FaultyFiles();
    const store = open(files);
    store.add(name("a@h"), K(1), { nowMs: NOW });
    expect(store.revoke(F(1), NOW)).toEqual([{ kind: "revoked", fingerprint: F(1) }]);
    expect(store.revoke(F(1), NOW)).toEqual([]);
    store.remove(name("a@h"));
    expect(files.paths).toEqual([`/keys/revoked/${fingerprintHex(F(1))}`]);
    const everything = { caNamesPeer: true, inviteValid: true, cookieProven: true };
    for (const one of [store, open(files)]) {
      expect(outcome(one, "a@h", 1, everything)).toBe("KEY_REVOKED");
      expect(outcome(one, "z@h", 1, everything)).toBe("KEY_REVOKED");
      expect(one.revoked()).toEqual([F(1)]);
    }
  });

  it("revokes at once even when the disk is full, and learns that it will not last", () => {
    const files = new FaultyFiles();
    const store = open(files);
    files.failAt(0, "ENOSPC");
    expect(() => store.revoke(F(1), NOW)).toThrow(fails("PIN_NOT_DURABLE"));
    expect(outcome(store, "a@h", 1)).toBe("KEY_REVOKED");
    expect(store.reload(NOW)).toEqual([{ kind: "revoked", fingerprint: F(1) }]);
    expect(store.reload(NOW)).toEqual([]);
    expect(outcome(store, "a@h", 1)).toBe("KEY_REVOKED");
    expect(store.revoke(F(1), NOW)).toEqual([{ kind: "revoked", fingerprint: F(1) }]);
    expect(outcome(open(files), "a@h", 1)).toBe("KEY_REVOKED");
  });
});

describe("a succession", () => {
  const statement = (from: number, to: number, serial: number) =>
    keyPair(from).succeed({ serial, notBefore: NOW, notAfter: NOW + 1000, newKey: K(to), name: name("a@h") });

  function follow(store: TrustStore, chain: TrustFacts["chain"], to: number): string {
    const decision = store.decide(facts("a@h", to, { chain }));
    if (decision.kind === "refuse") return `${decision.reason} ${decision.fault}`;
    store.commit(name("a@h"), K(to), decision.commit, seen);
    return decision.assurance;
  }

  it("replaces the pin where it was, and an old statement does not lead back", () => {
    const files = new FaultyFiles();
    const store = open(files, { mode: "strict" });
    store.add(name("a@h"), K(1), { nowMs: NOW });
    const there = [statement(1, 2, 5)];
    expect(follow(store, there, 2)).toBe("pinned");
    expect(files.read("/keys/trusted/a@h.pub").equals(K(2))).toBe(true);
    expect(store.list()[0]?.meta).toMatchObject({ origin: "succession", succession: { serial: 5, key: F(2) } });
    expect(follow(store, [...there, statement(2, 1, 6)], 1)).toBe("pinned");
    expect(follow(store, there, 2)).toBe("KEY_MISMATCH replayed");
    store.remove(name("a@h"));
    store.add(name("a@h"), K(1), { nowMs: NOW });
    expect(follow(open(files), there, 2)).toBe("KEY_MISMATCH replayed");
    files.put("/keys/meta/a@h.json", "{");
    expect(follow(store, [statement(1, 3, 9)], 3)).toBe("KEY_MISMATCH replayed");
  });

  it("that was taken back leads nowhere, also where it was never followed", () => {
    const store = open(new FaultyFiles(), { mode: "strict" });
    store.add(name("a@h"), K(1), { nowMs: NOW });
    const [there, back] = [statement(1, 2, 5), statement(2, 1, 6)];
    const decision = store.decide(facts("a@h", 1, { chain: [there, back] }));
    if (decision.kind !== "accept") throw new Error("the pinned key was refused");
    store.commit(name("a@h"), K(1), decision.commit, seen, [there, back]);
    expect(follow(store, [there], 2)).toBe("KEY_MISMATCH replayed");
    expect(follow(store, [statement(1, 3, 7)], 3)).toBe("pinned");
  });

  it("that is signed by somebody else, for another name or another key is not remembered", () => {
    const store = open(new FaultyFiles(), { mode: "strict" });
    store.add(name("a@h"), K(1), { nowMs: NOW });
    const forged = { ...statement(2, 1, 90), signature: Buffer.alloc(64, 1) };
    const foreign = keyPair(2).succeed({ ...statement(2, 1, 90), name: name("b@h") });
    for (const chain of [[forged], [foreign], [statement(2, 3, 90)]]) {
      store.commit(name("a@h"), K(1), { kind: "none", rests: "pin" }, seen, chain);
    }
    expect(follow(store, [statement(1, 2, 5)], 2)).toBe("pinned");
  });

  it("is refused when the pin changed since the decision", () => {
    const files = new FaultyFiles();
    const [store, other] = [open(files), open(files)];
    store.add(name("a@h"), K(1), { nowMs: NOW });
    const commit = { kind: "succession", place: "trusted", from: K(1), serial: 5 } as const;
    other.reload(NOW);
    other.add(name("a@h"), K(4), { nowMs: NOW, replace: true });
    expect(() => store.commit(name("a@h"), K(2), commit, seen)).toThrow(fails("KEY_MISMATCH"));
    store.reload(NOW);
    expect(() => store.commit(name("a@h"), K(2), commit, seen)).toThrow(fails("KEY_MISMATCH"));
    expect(files.read("/keys/trusted/a@h.pub").equals(K(4))).toBe(true);
  });

  it("leaves the old or the new pin when it is killed at any point, and can be done again", () => {
    const prepare = () => {
      const files = new FaultyFiles();
      open(files).add(name("a@h"), K(1), { nowMs: NOW });
      return files;
    };
    const clean = prepare();
    const before = clean.steps;
    expect(follow(open(clean), [statement(1, 2, 5)], 2)).toBe("pinned");
    const steps = clean.steps - before;
    const results = new Set<string>();
    for (let step = 0; step < steps; step++) {
      const files = prepare();
      const store = open(files);
      files.crashAt(step);
      expect(() => follow(store, [statement(1, 2, 5)], 2)).toThrow();
      const next = open(files.survivor(), { mode: "strict" });
      results.add(String(next.lookup(name("a@h"))?.fingerprint));
      expect(follow(next, [statement(1, 2, 5)], 2)).toBe("pinned");
      expect(outcome(next, "a@h", 3)).toBe("KEY_MISMATCH");
    }
    expect(results).toEqual(new Set([F(1), F(2)]));
    expect(steps).toBeGreaterThan(15);
  });
});
