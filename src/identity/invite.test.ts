import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { InviteStore, MAX_INVITES } from "./invite.ts";
import { parseInvite } from "./invite-token.ts";
import { NodeKey } from "./node-key.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const acceptor = parseNodeName("me@h");
const invitee = parseNodeName("Guest@Host");
const key = new NodeKey(Buffer.alloc(32, 1), crypto);
const guest = new NodeKey(Buffer.alloc(32, 2), crypto);
const H = Buffer.alloc(64, 9);
const fails = (reason: string, code = "ERR_DENIED") => expect.objectContaining({ code, reason });

function world(files: FaultyFiles = new FaultyFiles()) {
  const store = new InviteStore({ files, crypto, random: new SeededRandom(7), directory: "/keys" });
  const issue = (nowMs = NOW, ttlMs?: number) =>
    store.issue({ acceptor, acceptorKey: key.fingerprint, invitee, nowMs, ...(ttlMs === undefined ? {} : { ttlMs }) });
  return { files, store, issue };
}

const proof = (token: { id: Buffer; mac(hash: Buffer): Buffer }) => ({
  id: token.id,
  mac: token.mac(H),
  transcriptHash: H,
  name: parseNodeName("Guest@hOST"),
});

describe("an invite", () => {
  it("travels as text and proves itself once", () => {
    const { files, store, issue } = world();
    const text = issue().text();
    expect(text).toMatch(/^sallyport-invite:[A-Za-z0-9_-]+$/);
    const token = parseInvite(`  ${text}\n`, NOW, crypto);
    expect(token).toMatchObject({ acceptor, acceptorKey: key.fingerprint, invitee: "Guest@host" });
    expect(token.expiresMs).toBe(NOW + HOUR);
    expect(store.check(proof(token), NOW)).toBe("valid");
    store.burn(token.id, guest.fingerprint);
    expect(store.check(proof(token), NOW)).toBe("burned");
    expect(() => store.burn(token.id, guest.fingerprint)).toThrow(fails("INVITE_BURNED"));
    expect(files.paths).toEqual([`/keys/invites/${token.id.toString("hex")}.burned`]);
    expect(files.readText(files.paths[0]!)).toBe(`${guest.fingerprint}\n`);
  });

  it("is for one name, one acceptor with one key, one hour, one transcript", () => {
    const { store, issue } = world();
    const token = issue();
    const good = proof(token);
    expect(store.check({ ...good, name: parseNodeName("guest@host") }, NOW)).toBe("other-name");
    expect(store.check(good, NOW + HOUR)).toBe("valid");
    expect(store.check({ ...good, transcriptHash: Buffer.alloc(64, 8) }, NOW)).toBe("bad-proof");
    expect(store.check({ ...good, id: Buffer.alloc(16) }, NOW)).toBe("unknown");
    expect(token.namesKey(key.publicKey)).toBe(true);
    expect(token.namesKey(guest.publicKey)).toBe(false);
    expect(store.check(good, NOW + HOUR + 1)).toBe("expired");
    // Also for a clock that is set back.
    expect(store.check(good, NOW)).toBe("unknown");
  });

  it("is not fooled by proofs of other lengths", () => {
    const { store, issue } = world();
    const good = proof(issue());
    for (let length = 0; length < 40; length++) {
      if (length !== 32) expect(store.check({ ...good, mac: Buffer.alloc(length) }, NOW)).toBe("bad-proof");
      if (length !== 16) expect(store.check({ ...good, id: Buffer.alloc(length, 0x2e) }, NOW)).toBe("unknown");
    }
    expect(store.check({ ...good, mac: Buffer.alloc(32) }, NOW)).toBe("bad-proof");
  });

  it("is burned by one of two processes that both found it valid", () => {
    const { files, store, issue } = world();
    const token = issue();
    const other = world(files).store;
    expect([store.check(proof(token), NOW), other.check(proof(token), NOW)]).toEqual(["valid", "valid"]);
    other.burn(token.id, guest.fingerprint);
    expect(() => store.burn(token.id, guest.fingerprint)).toThrow(fails("INVITE_BURNED"));
  });

  it("is never usable twice, wherever the process that burns it is killed or fails", () => {
    const clean = world();
    const cleanToken = clean.issue();
    const before = clean.files.steps;
    clean.store.burn(cleanToken.id, guest.fingerprint);
    const steps = clean.files.steps - before;
    expect(steps).toBeGreaterThan(6);
    for (const crash of [true, false]) {
      for (let step = 0; step <= steps; step++) {
        const { files, store, issue } = world();
        const token = issue();
        if (crash) files.crashAt(step);
        else files.failAt(step, "ENOSPC");
        let wins = 0;
        try {
          store.burn(token.id, guest.fingerprint);
          wins++;
        } catch (cause) {
          expect(cause).toMatchObject({ code: "ERR_DENIED", reason: "INVITE_NOT_DURABLE" });
        }
        const next = world(crash ? files.survivor() : files).store;
        next.prune(NOW);
        if (next.check(proof(token), NOW) === "valid") {
          next.burn(token.id, guest.fingerprint);
          wins++;
        }
        next.prune(NOW + 2 * HOUR);
        expect(next.check(proof(token), NOW)).not.toBe("valid");
        expect(wins, `step ${step}`).toBeLessThanOrEqual(1);
      }
    }
  });

  it("can be withdrawn, and expired ones leave the disk", () => {
    const { files, store, issue } = world();
    const [one, two] = [issue(), issue(NOW + 5, 1000)];
    expect(store.prune(NOW)).toEqual([
      { id: one.id.toString("hex"), invitee: "Guest@host", createdMs: NOW, expiresMs: NOW + HOUR },
      { id: two.id.toString("hex"), invitee: "Guest@host", createdMs: NOW + 5, expiresMs: NOW + 1005 },
    ]);
    expect(store.withdraw("../../node.key")).toBe(false);
    expect(store.withdraw(one.id.toString("hex").toUpperCase())).toBe(true);
    expect(store.withdraw(one.id.toString("hex"))).toBe(false);
    expect(store.check(proof(one), NOW)).toBe("unknown");
    expect(() => store.burn(one.id, guest.fingerprint)).toThrow(fails("INVITE_BURNED"));
    expect(store.prune(NOW + 2000)).toEqual([]);
    expect(files.paths).toEqual([]);
  });

  it("keeps the mark of a used one for a while, and then forgets it", () => {
    const { files, store, issue } = world();
    store.burn(issue().id, guest.fingerprint);
    store.prune(NOW + HOUR);
    expect(files.paths).toHaveLength(1);
    store.prune(NOW + HOUR + 1);
    expect(files.paths).toHaveLength(0);
  });

  it("is issued within bounds", () => {
    const { store, issue } = world();
    for (const ttlMs of [0, -1, 1.5, Number.NaN, 8 * 86_400_000]) {
      expect(() => issue(NOW, ttlMs)).toThrow(fails("INVITE_TTL", "ERR_CONFIG"));
    }
    for (let i = 0; i < MAX_INVITES; i++) issue();
    expect(() => issue()).toThrow(fails("INVITES_FULL", "ERR_LIMIT"));
    issue(NOW + HOUR + 1);
    expect(store.prune(NOW + HOUR + 1)).toHaveLength(1);
  });

  it("is not issued when it cannot be saved", () => {
    const { files, store, issue } = world();
    files.failAt(3, "ENOSPC");
    expect(() => issue()).toThrow(fails("INVITE_NOT_DURABLE"));
    expect(store.prune(NOW)).toEqual([]);
  });

  it("is unknown when its file is broken", () => {
    const { files, store, issue } = world();
    const token = issue();
    const path = files.paths[0]!;
    for (const content of [
      "",
      "{",
      "[]",
      '{"version":2}',
      '{"version":1,"invitee":"x"}',
      files.readText(path).slice(0, -9),
    ]) {
      files.put(path, content);
      expect(store.check(proof(token), NOW)).toBe("unknown");
    }
  });
});

describe("the text of an invite", () => {
  const text = world().issue().text();

  it("is refused when it is cut, changed or not one", () => {
    for (let end = 0; end < text.length; end++) {
      expect(() => parseInvite(text.slice(0, end), NOW, crypto)).toThrow(fails("INVITE_INVALID", "ERR_CONFIG"));
    }
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        if (changed === text) return;
        expect(() => parseInvite(changed, NOW, crypto)).toThrow(fails("INVITE_INVALID", "ERR_CONFIG"));
      }),
      { numRuns: 300 },
    );
    expect(() => parseInvite("x".repeat(1_000_000), NOW, crypto)).toThrow(fails("INVITE_INVALID", "ERR_CONFIG"));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const made = `sallyport-invite:${Buffer.from(bytes).toString("base64url")}`;
        expect(() => parseInvite(made, NOW, crypto)).toThrow(fails("INVITE_INVALID", "ERR_CONFIG"));
      }),
    );
  });

  it("is refused after its time", () => {
    parseInvite(text, NOW + HOUR, crypto);
    expect(() => parseInvite(text, NOW + HOUR + 1, crypto)).toThrow(fails("INVITE_EXPIRED"));
  });

  it("and its secret are in no print, JSON or error", () => {
    const { files, store, issue } = world();
    const token = issue();
    const secret = Buffer.from(token.text().slice(17), "base64url").subarray(17, 49);
    expect(files.readText(files.paths[0]!)).toContain(secret.toString("base64"));
    const seen: string[] = [];
    const note = (value: unknown) => {
      seen.push(inspect(value, { depth: 10, showHidden: true }), JSON.stringify(value) ?? "");
      if (value instanceof Error) seen.push(value.stack ?? "", inspect(value.cause));
    };
    note(token);
    note(store);
    note(store.prune(NOW));
    for (const bad of [token.text().slice(0, -1), `${token.text()}A`, token.text().replace("invite", "Invite")]) {
      try {
        parseInvite(bad, NOW, crypto);
      } catch (cause) {
        note(cause);
      }
    }
    try {
      parseInvite(token.text(), NOW + 2 * HOUR, crypto);
    } catch (cause) {
      note(cause);
    }
    files.failAt(4);
    try {
      issue();
    } catch (cause) {
      note(cause);
    }
    store.burn(token.id, guest.fingerprint);
    try {
      store.burn(token.id, guest.fingerprint);
    } catch (cause) {
      note(cause);
    }
    expect(seen.length).toBeGreaterThan(15);
    const forms = [secret.toString("hex"), secret.toString("base64").slice(0, 40), inspect(secret).slice(8, 60)];
    for (const form of [...forms, token.text().slice(40, 80)]) expect(seen.join("\n").includes(form)).toBe(false);
    token.destroy();
    expect(store.check(proof(token), NOW)).toBe("burned");
  });
});
