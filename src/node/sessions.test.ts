import { describe, expect, it } from "vitest";
import { canonicalName, parseNodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { PeerClaim, ProvenPeer } from "../dist/sink.ts";
import type { Dial } from "./dial.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import type { Newcomer } from "./standing.ts";

const name = parseNodeName;
const claim = (text: string) => ({ name: name(text), creation: 1 }) as PeerClaim;
const session = (text: string) =>
  ({ peer: { name: name(text) }, facts: { name: canonicalName(name(text)) } }) as unknown as Session;
const dial = (text: string) => ({ target: name(text) }) as unknown as Dial;

describe("who takes the place of a standing session", () => {
  const K1 = Buffer.alloc(32, 1);
  const K2 = Buffer.alloc(32, 2);
  const pinned = { key: K1, assurance: "pinned", holdsName: true, succeeds: undefined } as const;
  const stranger = { key: K2, assurance: "tofu", holdsName: false, succeeds: undefined } as const;
  const byCookie = { key: undefined, assurance: "cookie", holdsName: true, succeeds: undefined } as const;
  const question = {
    role: "acceptor",
    name: name("a@h"),
    incarnation: 6n,
    creation: 9,
    flags: 0n,
    peerHoldsSession: false,
    isProven: true,
  } as const;

  /** A table with one session of a@h, in its fifth life. */
  const standing = (of: { key: Buffer | undefined; assurance: string; holdsName: boolean }, protocol = "native") => {
    const sessions = new Sessions(name("m@h"));
    const { facts, peer } = session("a@h");
    const { key, assurance, holdsName } = of;
    const full = { ...peer, protocol, assurance, publicKey: key ?? null };
    const incarnation = protocol === "native" ? 5n : undefined;
    sessions.add({
      facts,
      peer: full,
      holdsName,
      incarnation,
      creation: 7,
      connection: { role: "acceptor" },
    } as unknown as Session);
    return {
      sessions,
      asks: (newcomer: Newcomer) => sessions.arbitrate(question, newcomer, {} as DistConnection),
      may: (newcomer: Newcomer, life = 6n) => sessions.mayReplace(name("a@h"), newcomer, life),
    };
  };

  it("a younger life of the same key, or of the same cookie", () => {
    expect(standing(pinned).asks({ ...pinned, key: Buffer.from(K1) })).toBe("go");
    expect([5n, 6n, 4n].map((life) => standing(pinned).may(pinned, life))).toEqual([true, true, false]);
    expect([standing(byCookie).asks(byCookie), standing(byCookie).may(byCookie)]).toEqual(["go", true]);
    expect(new Sessions(name("m@h")).mayReplace(name("a@h"), stranger, 1n)).toBe(true);
  });

  it.each([
    ["another key of the same assurance", { ...pinned, key: K2 }, pinned, "native", false],
    ["another key of a lower one", { ...pinned, key: K2, assurance: "ca" }, pinned, "native", false],
    ["another key of a higher one", { ...pinned, key: K2 }, { ...pinned, assurance: "ca" }, "native", true],
    ["a stranger, whatever stands", stranger, byCookie, "native", false],
    ["a key, where a stranger stands", { ...pinned, assurance: "tofu" }, stranger, "native", true],
    ["a CA's word, where a stranger stands", { ...pinned, assurance: "ca" }, stranger, "native", true],
    ["the cookie alone, where a key stands", byCookie, pinned, "native", false],
    ["the cookie alone, where a certificate stands", byCookie, { ...byCookie, assurance: "ca" }, "otp", false],
    ["the cookie alone, where the cookie stands over OTP", byCookie, byCookie, "otp", false],
    ["a pinned key, where a certificate stands", pinned, { ...byCookie, assurance: "ca" }, "otp", true],
    ["who follows the standing key by succession", { ...pinned, key: K2, succeeds: K1 }, pinned, "native", true],
    ["who follows another key", { ...pinned, key: K2, succeeds: Buffer.alloc(32, 3) }, pinned, "native", false],
  ] as const)("%s", (_, newcomer, there, protocol, expected) => {
    const { asks, may } = standing(there, protocol);
    expect([asks(newcomer), may(newcomer)]).toEqual([expected ? "go" : "other-wins", expected]);
  });

  it("nobody who comes without a key, where a native session stands", () => {
    const { sessions } = standing(byCookie);
    const peer = { name: name("a@h"), role: "acceptor" } as unknown as ProvenPeer;
    expect(sessions.judge(peer, { answer: "alive", existing: sessions.get("a@h") })).toBe("other-wins");
  });

  it("is reached by name only when it holds the name, and by the pids it sent", () => {
    const { sessions } = standing(stranger);
    expect([sessions.reach("a@h"), sessions.reach("a@h", 8)]).toEqual([undefined, undefined]);
    expect(sessions.reach("a@h", 7)).toBe(sessions.get("a@h"));
    expect(standing(pinned).sessions.reach("a@h")).toBeDefined();
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
