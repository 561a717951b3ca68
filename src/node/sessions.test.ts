import { describe, expect, it } from "vitest";
import { canonicalName, parseNodeName } from "../base/node-name.ts";
import type { PeerClaim } from "../dist/sink.ts";
import type { Dial } from "./dial.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

const name = parseNodeName;
const claim = (text: string) => ({ name: name(text), creation: 1 }) as PeerClaim;
const session = (text: string) =>
  ({ peer: { name: name(text) }, facts: { name: canonicalName(name(text)) } }) as unknown as Session;
const dial = (text: string) => ({ target: name(text) }) as unknown as Dial;

describe("a native handshake that ends beside a session of the same name", () => {
  const key = Buffer.alloc(32, 1);
  const standing = (publicKey: Buffer | null, incarnation: bigint | undefined): Sessions => {
    const sessions = new Sessions(name("m@h"));
    const { facts, peer } = session("a@h");
    sessions.add({ facts, peer: { ...peer, publicKey }, incarnation } as unknown as Session);
    return sessions;
  };

  it("replaces it with the same key and no older a life", () => {
    expect(new Sessions(name("m@h")).mayReplace(name("a@h"), key, 5n)).toBe(true);
    for (const life of [5n, 6n]) expect(standing(key, 5n).mayReplace(name("a@H"), Buffer.from(key), life)).toBe(true);
    expect(standing(key, 5n).mayReplace(name("a@h"), key, 4n)).toBe(false);
    expect(standing(null, 5n).mayReplace(name("a@h"), undefined, 5n)).toBe(true);
  });

  it("does not with another key, or with one where there was none", () => {
    expect(standing(key, 5n).mayReplace(name("a@h"), Buffer.alloc(32, 2), 6n)).toBe(false);
    expect(standing(key, 5n).mayReplace(name("a@h"), undefined, 6n)).toBe(false);
    expect(standing(null, undefined).mayReplace(name("a@h"), key, 6n)).toBe(false);
  });
});

describe("Sessions.answerClaim (otp-distribution section 2.3)", () => {
  it("says ok to a stranger", () => {
    expect(new Sessions(name("m@h")).answerClaim(claim("a@h"))).toBe("ok");
  });

  it("settles crossing dials by the names: the greater one's connection goes on", () => {
    const sessions = new Sessions(name("m@h"));
    for (const peer of ["a@h", "z@H"]) sessions.addDial(dial(peer));
    expect(sessions.answerClaim(claim("a@h"))).toBe("nok");
    expect(sessions.answerClaim(claim("z@h"))).toBe("ok_simultaneous");
  });

  it("says alive where a session stands, and refuses the same name in another case", () => {
    const sessions = new Sessions(name("m@h"));
    const held = session("a@Host");
    sessions.add(held);
    expect(sessions.answerClaim(claim("a@Host"))).toBe("alive");
    expect(sessions.answerClaim(claim("a@host"))).toBe("not_allowed");
    expect(sessions.get("a@HOST")).toBe(held);
    const next = session("a@Host");
    sessions.add(next);
    expect([sessions.remove(held), sessions.get("a@Host"), sessions.remove(next), sessions.size]).toEqual([
      false,
      next,
      true,
      0,
    ]);
  });
});
