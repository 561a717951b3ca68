import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { reasonOf } from "../testkit/failure.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { HeldInvites, MAX_HELD_INVITES } from "./held-invites.ts";
import { InviteStore } from "./invite.ts";
import { NodeKey } from "./node-key.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const acceptor = parseNodeName("shop@h");
const acceptorKey = new NodeKey(Buffer.alloc(32, 1), crypto).fingerprint;
const own = { name: parseNodeName("me@h"), key: new NodeKey(Buffer.alloc(32, 2), crypto).fingerprint };

function world(files: FaultyFiles = new FaultyFiles()) {
  const held = new HeldInvites({ files, crypto, directory: "/keys" });
  const store = new InviteStore({ files: new FaultyFiles(), crypto, random: new SeededRandom(7), directory: "/x" });
  const invite = (from = acceptor, to = own.name, nowMs = NOW): string =>
    store.issue({ acceptor: from, acceptorKey, invitee: to, nowMs }).text();
  return { files, held, invite };
}

describe("a held invite", () => {
  it("is found by its acceptor's name, whatever the case of the host, until it is dropped", () => {
    const { files, held, invite } = world();
    expect(held.find(acceptor, NOW)).toBeUndefined();
    expect(held.hold(` ${invite()}\n`, own, NOW)).toMatchObject({ acceptor, acceptorKey, invitee: own.name });
    expect(files.mode("/keys/joining/shop@h.invite")).toBe(0o600);
    expect(held.find(parseNodeName("shop@H"), NOW)?.acceptor).toBe(acceptor);
    expect(held.find(parseNodeName("other@h"), NOW)).toBeUndefined();
    held.drop(parseNodeName("shop@H"));
    expect(held.find(acceptor, NOW)).toBeUndefined();
    expect(files.paths).toEqual([]);
    held.drop(acceptor);
  });

  it("proves itself as the token that was handed over", () => {
    const { held, invite } = world();
    const text = invite();
    held.hold(text, own, NOW);
    const token = held.find(acceptor, NOW);
    expect(token?.text()).toBe(text);
  });

  it("gives way to a newer one of the same acceptor", () => {
    const { files, held, invite } = world();
    held.hold(invite(), own, NOW);
    const newer = invite(acceptor, own.name, NOW + 1);
    held.hold(newer, own, NOW);
    expect(held.find(acceptor, NOW)?.text()).toBe(newer);
    expect(files.paths).toHaveLength(1);
  });

  it("is gone when it has expired", () => {
    const { files, held, invite } = world();
    held.hold(invite(), own, NOW);
    expect(held.find(acceptor, NOW + HOUR)).toBeDefined();
    expect(held.find(acceptor, NOW + HOUR + 1)).toBeUndefined();
    expect(files.paths).toEqual([]);
  });

  it("counts for nothing when its file is broken, too large, or another node's", () => {
    const { files, held, invite } = world();
    for (const content of [
      "",
      "sallyport-invite:",
      `${invite()}x`,
      " ".repeat(2000) + invite(),
      invite(parseNodeName("b@h")),
    ]) {
      files.put("/keys/joining/shop@h.invite", content);
      expect(held.find(acceptor, NOW)).toBeUndefined();
    }
  });

  it("is refused when it is for another node, made by this one, expired or cut short", () => {
    const { files, held, invite } = world();
    const refused = (text: string, nowMs = NOW): string => reasonOf(() => held.hold(text, own, nowMs));
    expect(refused(invite(acceptor, parseNodeName("you@h")))).toBe("INVITE_OTHER_NODE");
    expect(refused(invite(own.name, parseNodeName("you@h")))).toBe("INVITE_OWN");
    expect(reasonOf(() => held.hold(invite(), { ...own, key: acceptorKey }, NOW))).toBe("INVITE_OWN");
    expect(refused(invite(), NOW + HOUR + 1)).toBe("INVITE_EXPIRED");
    expect(refused(invite().slice(0, -1))).toBe("INVITE_INVALID");
    expect(files.paths).toEqual([]);
  });

  it("finds room among a bounded number; expired and broken ones make it", () => {
    const { files, held, invite } = world();
    for (let i = 0; i < MAX_HELD_INVITES; i++) held.hold(invite(parseNodeName(`n${i}@h`)), own, NOW);
    expect(reasonOf(() => held.hold(invite(), own, NOW))).toBe("INVITES_HELD");
    // One that is there already may be replaced.
    held.hold(invite(parseNodeName("n0@h")), own, NOW);
    files.put("/keys/joining/n1@h.invite", "broken");
    held.hold(invite(), own, NOW);
    expect(files.paths).toHaveLength(MAX_HELD_INVITES);
    held.hold(invite(parseNodeName("late@h"), own.name, NOW + 2 * HOUR), own, NOW + 2 * HOUR);
    expect(files.paths).toEqual(["/keys/joining/late@h.invite"]);
  });

  it("that cannot be written is refused, with the reason of the system", () => {
    const { files, held, invite } = world();
    files.failAt(2, "ENOSPC");
    expect(reasonOf(() => held.hold(invite(), own, NOW))).toBe("INVITE_NOT_KEPT");
  });
});
