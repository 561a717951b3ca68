import { describe, expect, it } from "vitest";
import type { ArbitrationQuestion } from "../auth/native-types.ts";
import type { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { Newcomer } from "../node/standing.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { OutsideBook, type OutsideParty } from "./outside-book.ts";

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
const party = (more: Partial<OutsideParty> = {}): OutsideParty => ({
  name: OUT,
  protocol: "native",
  key: K1,
  assurance: "pinned",
  incarnation: 5n,
  succeeds: undefined,
  isDialled: false,
  ...more,
});
const pairs = () => ({ book: new OutsideBook<FakePair>(IN), first: new FakePair(), second: new FakePair() });

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
    const { book, first, second } = pairs();
    expect(book.up(first, standing)).toBe(true);
    expect(book.arbitrate(question(incarnation), newcomer, second)).toBe(answer);
  });

  it("another that comes up takes its place, unless it may not by then", () => {
    const { book, first, second } = pairs();
    book.up(first, party());
    expect(book.up(second, party({ key: K2 }))).toBe(false);
    expect(first.ends).toEqual([]);
    expect(book.up(second, party({ incarnation: 6n }))).toBe(true);
    expect(first.ends).toEqual(["SESSION_REPLACED"]);
    // The end of the old one is not that of the new one.
    book.release(first, OUT);
    expect(book.arbitrate(question(6n), by(K1), new FakePair())).toBe("alive");
    book.release(second, OUT);
    expect(book.arbitrate(question(6n), by(K2), new FakePair())).toBe("go");
  });
});

describe("where a pair comes up", () => {
  it("a second one of the same life asks, and ends the first when it is up; a younger life ends it at once", () => {
    const { book, first, second } = pairs();
    expect(book.arbitrate(question(), by(K1), first)).toBe("go");
    expect(book.arbitrate(question(), by(K1), second)).toBe("alive");
    book.up(second, party());
    expect(first.ends).toEqual(["OTHER_CONNECTION_WINS"]);

    const other = pairs();
    other.book.arbitrate(question(5n), by(K1), other.first);
    expect(other.book.arbitrate(question(6n), by(K1), other.second)).toBe("go");
    expect(other.first.ends).toEqual(["OTHER_CONNECTION_WINS"]);
  });

  it("a dial of the inside node goes when no other is judged, whatever the key of that one", () => {
    const { book, first, second } = pairs();
    let went = 0;
    book.arbitrate(question(), by(K1), first);
    book.whenFree(question(), by(K1), second, () => went++);
    expect(went).toBe(0);
    book.release(first, OUT);
    book.release(new FakePair(), OUT);
    expect(went).toBe(1);
  });

  it.each([
    [OUT, "alive"],
    [parseNodeName("ahead@h"), "other-wins"],
  ] as const)("a dial of the inside node that waits leaves %s its own: %s", (name, answer) => {
    const { book, first, second } = pairs();
    book.arbitrate({ ...question(), name }, by(K1), first);
    book.whenFree({ ...question(), name }, by(K1), second, () => {});
    expect(book.arbitrate({ ...question(), name }, by(K1), new FakePair())).toBe(answer);
  });

  it("a dial that is over does not go", () => {
    const { book, first, second } = pairs();
    let went = 0;
    book.arbitrate(question(), by(K1), first);
    book.whenFree(question(), by(K1), second, () => went++);
    book.release(second, OUT);
    book.release(first, OUT);
    expect(went).toBe(0);
  });
});

describe("a name that is said over QUIC", () => {
  const barrel = (more: Partial<OutsideParty> = {}): OutsideParty =>
    party({ protocol: "barrel", assurance: "cookie", incarnation: undefined, ...more });

  it.each<[string, OutsideParty | undefined, "ok" | "alive" | "nok"]>([
    ["nothing", undefined, "ok"],
    ["one that came the same way", barrel(), "alive"],
    ["one that came by cookie", party({ protocol: "otp", key: undefined, assurance: "cookie" }), "alive"],
    ["one of which we are surer", party(), "nok"],
    ["one that is spelt otherwise", barrel({ name: parseNodeName("out@H") }), "nok"],
  ])("is answered by what stands: %s", (_what, standing, answer) => {
    const { book, first } = pairs();
    if (standing !== undefined) book.up(first, standing);
    expect(book.answerBarrel(OUT, "cookie")).toBe(answer);
  });

  it("takes the place of none of which we are surer, also where that came up meanwhile", () => {
    const { book, first, second } = pairs();
    book.up(first, party());
    expect([book.up(second, barrel()), first.ends]).toEqual([false, []]);
    expect([book.up(second, barrel({ isDialled: true })), first.ends]).toEqual([true, ["SESSION_REPLACED"]]);
  });
});
