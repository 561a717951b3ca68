import { describe, expect, it } from "vitest";
import {
  answerOtpClaim,
  arbitrateNative,
  judgeOtpProof,
  mayReplaceNative,
  type NativeFacts,
  type Opening,
  type StandingFacts,
} from "./arbiter.ts";
import { type NotedOpening, Openings } from "./openings.ts";

const there = (incarnation: bigint): StandingFacts => ({ isSameParty: true, isOutranked: false, incarnation });
const dial = (incarnation: bigint, isProven = true): Opening => ({ role: "dialler", incarnation, isProven });
const letIn = (incarnation: bigint): Opening => ({ role: "acceptor", incarnation, isProven: true });

/** The verdict on a connection that the peer dialled in its fifth life, and which openings end. */
function verdict(change: Partial<NativeFacts<Opening>>): string {
  const facts: NativeFacts<Opening> = {
    role: "acceptor",
    incarnation: 5n,
    isProven: true,
    peerHoldsSession: false,
    isOwnNameSmaller: true,
    standing: undefined,
    openings: [],
    ...change,
  };
  const { answer, ended } = arbitrateNative(facts);
  return [answer, ...ended.map((opening) => `${opening.role} ${opening.incarnation}`)].join(", ");
}

describe("what a native connection hears that the peer dialled", () => {
  it.each([
    ["nothing stands", {}, "go"],
    ["a session of this life", { standing: there(5n) }, "alive"],
    ["a session of an older life", { standing: there(4n) }, "go"],
    ["a session of a younger life", { standing: there(6n) }, "stale"],
    ["a connection of this life was let in", { openings: [letIn(5n)] }, "alive"],
    ["one of an older life was let in", { openings: [letIn(4n)] }, "go, acceptor 4"],
    ["one of a younger life was let in", { openings: [letIn(6n)] }, "stale"],
    ["our own dial has its go, and our name is smaller", { openings: [dial(5n)] }, "other-wins"],
    [
      "our own dial has its go, and our name is larger",
      { openings: [dial(5n)], isOwnNameSmaller: false },
      "go, dialler 5",
    ],
    ["our own dial reached an older life", { openings: [dial(4n)] }, "go, dialler 4"],
    ["our own dial reached somebody who claims an older life", { openings: [dial(4n, false)] }, "other-wins"],
    ["our own dial reached somebody who claims a younger life", { openings: [dial(6n, false)] }, "other-wins"],
    ["another party's session", { standing: { ...there(4n), isSameParty: false } }, "other-wins"],
    [
      "the session of one that it outranks",
      { standing: { ...there(9n), isSameParty: false, isOutranked: true } },
      "go",
    ],
  ] as const)("%s", (_, change, expected) => {
    expect(verdict(change)).toBe(expected);
  });
});

describe("what a native connection hears that we dialled", () => {
  const role = "dialler";
  it.each([
    ["nothing stands", {}, "go"],
    ["a session of this life", { standing: there(5n) }, "other-wins"],
    ["a session of this life, and the peer has one too", { standing: there(5n), peerHoldsSession: true }, "alive"],
    ["no session, and the peer has one", { peerHoldsSession: true }, "go"],
    ["a session of an older life", { standing: there(4n) }, "go"],
    ["a session of a younger life", { standing: there(6n) }, "stale"],
    ["a session of what it only claims to be younger than", { standing: there(4n), isProven: false }, "other-wins"],
    ["a session of what it only claims to be older than", { standing: there(6n), isProven: false }, "other-wins"],
    ["the peer was let in", { openings: [letIn(5n)] }, "other-wins"],
    ["the peer was let in, and our name is larger", { openings: [letIn(5n)], isOwnNameSmaller: false }, "other-wins"],
    ["the peer was let in, and speaks of that", { openings: [letIn(5n)], peerHoldsSession: true }, "other-wins"],
    ["an older life was let in", { openings: [letIn(4n)] }, "go, acceptor 4"],
    ["an older life was let in, by its claim", { openings: [letIn(4n)], isProven: false }, "other-wins"],
    ["another party's session", { standing: { ...there(4n), isSameParty: false } }, "other-wins"],
  ] as const)("%s", (_, change, expected) => {
    expect(verdict({ role, ...change })).toBe(expected);
  });
});

describe("what may take the place of a session when its handshake has ended", () => {
  it("the same party in this life or a younger one, and another that outranks it", () => {
    expect([4n, 5n, 6n].map((life) => mayReplaceNative(there(5n), life))).toEqual([false, true, true]);
    expect(mayReplaceNative(undefined, 1n)).toBe(true);
    const stranger = { ...there(5n), isSameParty: false };
    expect([false, true].map((isOutranked) => mayReplaceNative({ ...stranger, isOutranked }, 9n))).toEqual([
      false,
      true,
    ]);
  });
});

describe("OTP's own rule", () => {
  it("answers a claim", () => {
    const claim = { standing: "none", ownDial: false, isOwnNameGreater: true } as const;
    expect(answerOtpClaim(claim)).toBe("ok");
    expect(answerOtpClaim({ ...claim, standing: "same-name", ownDial: true })).toBe("alive");
    expect(answerOtpClaim({ ...claim, standing: "other-spelling" })).toBe("not_allowed");
    expect(answerOtpClaim({ ...claim, ownDial: true })).toBe("nok");
    expect(answerOtpClaim({ ...claim, ownDial: true, isOwnNameGreater: false })).toBe("ok_simultaneous");
  });

  it("admits a proven peer, and waits for a crossing dial of ours that it may have let in", () => {
    const proof = { role: "acceptor", isOwnNameGreater: true, isDialAwaitingAck: true, standing: undefined } as const;
    expect(judgeOtpProof(proof)).toBe("after-dial");
    expect(judgeOtpProof({ ...proof, isDialAwaitingAck: false })).toBe("admit");
    expect(judgeOtpProof({ ...proof, isOwnNameGreater: false })).toBe("admit");
    expect(judgeOtpProof({ ...proof, role: "initiator" })).toBe("admit");
  });

  it.each([
    ["a native session", "acceptor", true, { isNative: true, wasAskedAbout: true }, "other-wins"],
    ["the session that was asked about", "acceptor", true, { role: "initiator", wasAskedAbout: true }, "replace"],
    ["one that the peer dialled before", "acceptor", true, { role: "acceptor" }, "replace"],
    ["our dial, and our name is greater", "acceptor", true, { role: "initiator" }, "other-wins"],
    ["our dial, and our name is smaller", "acceptor", false, { role: "initiator" }, "replace"],
    ["theirs, by our dial of the greater name", "initiator", true, { role: "acceptor" }, "replace"],
    ["theirs, by our dial of the smaller name", "initiator", false, { role: "acceptor" }, "other-wins"],
  ] as const)("replaces, or keeps, %s", (_, role, isOwnNameGreater, change, expected) => {
    const standing = { isNative: false, role: "acceptor", wasAskedAbout: false, ...change } as const;
    expect(judgeOtpProof({ role, isOwnNameGreater, isDialAwaitingAck: false, standing })).toBe(expected);
  });
});

describe("connections between verdict and session", () => {
  const party = (byte: number) => ({ key: Buffer.alloc(32, byte), assurance: "pinned", holdsName: true }) as const;
  const opening = (connection: string, byte = 1): NotedOpening<string> => ({
    ...letIn(5n),
    connection,
    key: party(byte).key,
  });
  const newcomer = { ...party(1), succeeds: undefined };

  it("concern their own party alone, and never themselves", () => {
    const openings = new Openings<string>();
    for (const one of [opening("c1"), opening("c2", 2), opening("c3")]) openings.note("a@h", one);
    openings.note("b@h", opening("c4"));
    expect(openings.rivals("a@h", newcomer, "c3").map(({ connection }) => connection)).toEqual(["c1"]);
    expect(openings.rivals("c@h", newcomer, "c3")).toEqual([]);
    const byCookie = { ...newcomer, key: undefined };
    expect(openings.rivals("a@h", byCookie, "c9")).toEqual([]);
  });

  it("keep the order of their first verdicts", () => {
    const openings = new Openings<string>();
    for (const one of [opening("c1"), opening("c2", 2), opening("c3"), opening("c4")]) openings.note("a@h", one);
    openings.note("a@h", opening("c1"));
    expect([openings.before("c1"), openings.before("c3"), openings.before("c4"), openings.before("c9")]).toEqual([
      [],
      ["c1"],
      ["c1", "c3"],
      [],
    ]);
  });

  it("are gone when they are released", () => {
    const openings = new Openings<string>();
    for (const one of [opening("c1"), opening("c3")]) openings.note("a@h", one);
    openings.release("c1");
    openings.release("c1");
    expect([openings.size, openings.before("c3")]).toEqual([1, []]);
    openings.release("c3");
    expect([openings.size, openings.rivals("a@h", newcomer, "c9")]).toEqual([0, []]);
  });
});
