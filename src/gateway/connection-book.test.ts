import { describe, expect, it } from "vitest";
import type { ArbitrationQuestion } from "../auth/native-types.ts";
import type { SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Newcomer } from "../node/standing.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { ConnectionBook, type LegParty } from "./connection-book.ts";
import type { Side } from "./message-filter.ts";

const IN = parseNodeName("in@h");
const OUT = parseNodeName("out@h");
const K1 = Buffer.alloc(32, 1);
const K2 = Buffer.alloc(32, 2);

class FakePair {
  readonly ends: string[] = [];
  giveWay(error: SallyportError): void {
    this.ends.push(error.reason);
  }
}

const question = (incarnation = 5n): ArbitrationQuestion => ({
  role: "acceptor",
  name: OUT,
  incarnation,
  creation: 11,
  flags: DEFAULT_FLAGS,
  peerHoldsSession: false,
  isProven: true,
});
const by = (key: Buffer, more: Partial<Newcomer> = {}): Newcomer => ({
  key,
  assurance: "pinned",
  holdsName: true,
  succeeds: undefined,
  ...more,
});
const party = (more: Partial<LegParty> = {}): LegParty => ({
  name: OUT,
  protocol: "native",
  key: K1,
  assurance: "pinned",
  incarnation: 5n,
  succeeds: undefined,
  ...more,
});
/** Of one who has only a cookie. */
const plain = (name: NodeName): LegParty =>
  party({ name, protocol: "otp", key: undefined, assurance: "cookie", incarnation: undefined });

/** The book as it looks from one side: that of the node that proves keys. */
function pairs(side: Side = "outside") {
  const book = new ConnectionBook<FakePair>(IN);
  const other = plain(side === "outside" ? IN : OUT);
  return {
    book,
    first: new FakePair(),
    second: new FakePair(),
    arbitrate: (asked: ArbitrationQuestion, who: Newcomer, pair: FakePair, outside = OUT) =>
      book.arbitrate(side, outside, asked, who, pair),
    whenFree: (asked: ArbitrationQuestion, who: Newcomer, pair: FakePair, run: () => void, outside = OUT) =>
      book.whenFree(side, outside, asked, who, pair, run),
    up: (pair: FakePair, given: LegParty, dialledBy = side) =>
      book.up(
        pair,
        side === "outside" ? { outside: given, inside: other } : { outside: other, inside: given },
        dialledBy,
      ),
  };
}

describe("where a pair stands", () => {
  it.each([
    ["the same life of the same party", party(), by(K1), 5n, "alive"],
    ["a younger life", party(), by(K1), 6n, "go"],
    ["an older life", party(), by(K1), 4n, "stale"],
    ["another key, as sure", party(), by(K2), 6n, "other-wins"],
    ["another key, surer", party({ assurance: "tofu" }), by(K2), 5n, "go"],
    ["the key that follows it", party(), by(K2, { succeeds: K1 }), 5n, "go"],
    ["a key, where the cookie stands by OTP", party({ protocol: "otp", key: undefined }), by(K1), 5n, "other-wins"],
    [
      "no key, where the cookie stands by OTP",
      party({ protocol: "otp", key: undefined, assurance: "cookie" }),
      { ...by(K1), key: undefined, assurance: "cookie" },
      5n,
      "other-wins",
    ],
  ] as const)("asked by %s", (_who, standing, newcomer, incarnation, answer) => {
    for (const side of ["outside", "inside"] as const) {
      const { up, arbitrate, first, second } = pairs(side);
      expect(up(first, standing)).toBe(true);
      expect(arbitrate(question(incarnation), newcomer, second)).toBe(answer);
    }
  });

  it("another that comes up takes its place, unless it may not by then", () => {
    const { book, up, arbitrate, first, second } = pairs();
    up(first, party());
    expect(up(second, party({ key: K2 }))).toBe(false);
    expect(first.ends).toEqual([]);
    expect(up(second, party({ incarnation: 6n }))).toBe(true);
    expect(first.ends).toEqual(["SESSION_REPLACED"]);
    // The end of the old one is not that of the new one.
    book.release(first, OUT);
    expect(arbitrate(question(6n), by(K1), new FakePair())).toBe("alive");
    book.release(second, OUT);
    expect(arbitrate(question(6n), by(K2), new FakePair())).toBe("go");
  });
});

describe("where a pair comes up", () => {
  it("a second one of the same life asks, and ends the first when it is up; a younger life ends it at once", () => {
    const { arbitrate, up, first, second } = pairs();
    expect(arbitrate(question(), by(K1), first)).toBe("go");
    expect(arbitrate(question(), by(K1), second)).toBe("alive");
    up(second, party());
    expect(first.ends).toEqual(["OTHER_CONNECTION_WINS"]);

    const other = pairs();
    other.arbitrate(question(5n), by(K1), other.first);
    expect(other.arbitrate(question(6n), by(K1), other.second)).toBe("go");
    expect(other.first.ends).toEqual(["OTHER_CONNECTION_WINS"]);
  });

  it("a dial of the inside node goes when no other is judged, whatever the key of that one", () => {
    const { book, arbitrate, whenFree, first, second } = pairs();
    let went = 0;
    arbitrate(question(), by(K1), first);
    whenFree(question(), by(K1), second, () => went++);
    expect(went).toBe(0);
    book.release(first, OUT);
    book.release(new FakePair(), OUT);
    expect(went).toBe(1);
  });

  it.each([
    [OUT, "alive"],
    [parseNodeName("ahead@h"), "other-wins"],
  ] as const)("a dial of the inside node that waits leaves %s its own: %s", (name, answer) => {
    const { arbitrate, whenFree, first, second } = pairs();
    arbitrate(question(), by(K1), first, name);
    whenFree(question(), by(K1), second, () => {}, name);
    expect(arbitrate(question(), by(K1), new FakePair(), name)).toBe(answer);
  });

  it("a dial that is over does not go", () => {
    const { book, arbitrate, whenFree, first, second } = pairs();
    let went = 0;
    arbitrate(question(), by(K1), first);
    whenFree(question(), by(K1), second, () => went++);
    book.release(second, OUT);
    book.release(first, OUT);
    expect(went).toBe(0);
  });
});

describe("a name that is said over QUIC", () => {
  const barrel = (more: Partial<LegParty> = {}): LegParty =>
    party({ protocol: "barrel", assurance: "cookie", incarnation: undefined, ...more });

  it.each<[string, LegParty | undefined, "ok" | "alive" | "nok"]>([
    ["nothing", undefined, "ok"],
    ["one that came the same way", barrel(), "alive"],
    ["one that came by cookie", party({ protocol: "otp", key: undefined, assurance: "cookie" }), "alive"],
    ["one of which we are surer", party(), "nok"],
    ["one that is spelt otherwise", barrel({ name: parseNodeName("out@H") }), "nok"],
  ])("is answered by what stands: %s", (_what, standing, answer) => {
    const { book, up, first } = pairs();
    if (standing !== undefined) up(first, standing);
    expect(book.answerBarrel("outside", OUT, "cookie")).toBe(answer);
  });

  it("takes the place of none of which we are surer, also where that came up meanwhile", () => {
    const { up, first, second } = pairs();
    up(first, party());
    expect([up(second, barrel()), first.ends]).toEqual([false, []]);
    expect([up(second, barrel(), "inside"), first.ends]).toEqual([true, ["SESSION_REPLACED"]]);
  });
});

describe("two nodes that both prove keys", () => {
  it("go on by the dial that was proven first, and the other one is free when that is over", () => {
    const { book, first, second } = pairs();
    expect(book.arbitrate("inside", OUT, { ...question(), name: IN }, by(K2), first)).toBe("go");
    expect(book.arbitrate("outside", OUT, question(), by(K1), second)).toBe("other-wins");
    book.release(first, OUT);
    expect(book.arbitrate("outside", OUT, question(), by(K1), second)).toBe("go");
    expect(book.arbitrate("inside", OUT, { ...question(), name: IN }, by(K2), first)).toBe("other-wins");
  });

  it("of other names have nothing to do with it", () => {
    const { book, first, second } = pairs();
    const ahead = parseNodeName("ahead@h");
    expect(book.arbitrate("inside", OUT, { ...question(), name: IN }, by(K2), first)).toBe("go");
    expect(book.arbitrate("outside", ahead, question(), by(K1), second)).toBe("go");
  });

  it("and an older life of either takes no place", () => {
    const { book, first, second } = pairs();
    const parties = { outside: party(), inside: party({ name: IN, key: K2, incarnation: 7n }) };
    expect(book.up(first, parties, "outside")).toBe(true);
    expect(book.up(second, { ...parties, inside: { ...parties.inside, incarnation: 6n } }, "inside")).toBe(false);
    expect(book.up(second, { ...parties, inside: { ...parties.inside, incarnation: 8n } }, "inside")).toBe(true);
    expect(first.ends).toEqual(["SESSION_REPLACED"]);
  });
});
