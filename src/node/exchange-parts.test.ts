import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Assurance } from "../base/assurance.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { DEFAULT_TERM_LIMITS } from "../term/limits.ts";
import { Atom, type Term, tuple } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { advertisedEndpoints } from "./advertised.ts";
import type { HandlerContext, Peer } from "./api.ts";
import { Counters } from "./counters.ts";
import { Exchange } from "./exchange.ts";
import { ExchangeBook } from "./exchange-book.ts";
import { EXCHANGE_TTL_MS, ExchangeHints, MAX_EXCHANGE_HINTS } from "./exchange-hints.ts";
import { MAX_EXCHANGE_WITH, readExchange } from "./exchange-plan.ts";
import {
  exchangeAnswer,
  exchangeRequest,
  formatEndpoint,
  MAX_EXCHANGE_PEERS,
  MAX_PEER_ENDPOINTS,
  parseEndpoint,
  readExchangeAnswer,
  readExchangeRequest,
} from "./exchange-words.ts";
import type { Session } from "./session.ts";

const bin = (text: string) => Buffer.from(text, "latin1");
const name = (text: string): NodeName => parseNodeName(text);
const at = (host: string, port = 1) => ({ scheme: "tls", host, port }) as const;
const told = (text: string, host: string) => ({ name: name(text), endpoints: [at(host)] });

describe("what is said in an exchange", () => {
  const endpoint = fc.record({
    scheme: fc.constantFrom("tls" as const, "tcp" as const),
    host: fc.constantFrom("h", "a-b.example", "192.0.2.1", "::1", "2001:db8::7", "x".repeat(253)),
    port: fc.integer({ min: 1, max: 65_535 }),
  });

  it("comes back as it was said", () => {
    fc.assert(
      fc.property(fc.array(endpoint, { maxLength: MAX_PEER_ENDPOINTS }), (endpoints) => {
        expect(readExchangeRequest(exchangeRequest(endpoints.map(formatEndpoint)))).toEqual(endpoints);
        const peers = endpoints.length === 0 ? [] : [{ name: name("a@h"), endpoints }];
        expect(readExchangeAnswer(exchangeAnswer(peers))).toEqual(peers);
      }),
    );
  });

  it.each<[string, Term]>([
    ["no tuple", new Atom("exchange")],
    ["another word", tuple(new Atom("peers"), [])],
    ["no list", tuple(new Atom("exchange"), new Atom("x"))],
    ["too many parts", tuple(new Atom("exchange"), [], [])],
    ["an answer", [tuple(bin("a@h"), [bin("tls://h:1")])]],
  ])("is no request: %s", (_, term) => {
    expect(readExchangeRequest(term)).toBeUndefined();
  });

  it.each([
    "",
    "h:1",
    "tls://h",
    "tls://h:0",
    "tls://h:65536",
    "tls://h:1/x",
    "quic://h:1",
    "tls://::1:1",
    "tls://[h]:1",
    "tls://h h:1",
    "tls://h\n:1",
    "tls://u@h:1",
    `tls://${"x".repeat(254)}:1`,
  ])("is no endpoint: %j", (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  it("keeps of an answer what is well said, and nothing of one that is too large", () => {
    const good = tuple(bin("a@h"), [bin("tls://h:1")]);
    const bad: Term[] = [
      tuple(bin("garbage"), [bin("tls://h:1")]),
      tuple(bin("a@h@h"), [bin("tls://h:1")]),
      tuple(new Atom("b@h"), [bin("tls://h:1")]),
      tuple(bin("b@h"), [bin("nonsense")]),
      tuple(bin("b@h"), []),
      tuple(bin("b@h")),
      tuple(bin("b@h"), bin("tls://h:1")),
      tuple(bin(`${"x".repeat(255)}@h`), [bin("tls://h:1")]),
      new Atom("b"),
      [],
    ];
    expect(readExchangeAnswer([...bad, good])).toEqual([told("a@h", "h")]);
    expect(readExchangeAnswer(new Atom("a"))).toBeUndefined();
    expect(readExchangeAnswer(Array.from({ length: MAX_EXCHANGE_PEERS }, () => good))).toHaveLength(MAX_EXCHANGE_PEERS);
    expect(readExchangeAnswer(Array.from({ length: MAX_EXCHANGE_PEERS + 1 }, () => good))).toBeUndefined();
    const endpoints = Array.from({ length: 100 }, (_, n) => bin(`tls://h:${n + 1}`));
    expect(readExchangeAnswer([tuple(bin("a@h"), endpoints)])?.[0]?.endpoints).toHaveLength(MAX_PEER_ENDPOINTS);
    expect(MAX_EXCHANGE_PEERS * (MAX_PEER_ENDPOINTS + 4)).toBeLessThan(DEFAULT_TERM_LIMITS.maxElements);
  });
});

describe("hints of peers", () => {
  it("lead to each address once, of all who told, and never to more than are looked at", async () => {
    const hints = new ExchangeHints(new VirtualClock());
    const many = Array.from({ length: 8 }, (_, n) => at("y", n + 1));
    hints.take(name("t@h"), 2, [{ name: name("a@H"), endpoints: [at("x"), at("y")] }]);
    hints.take(name("u@h"), 2, [{ name: name("A@h"), endpoints: many }]);
    expect(await hints.resolve(name("a@h"))).toEqual([at("x"), at("y")]);
    hints.take(name("u@h"), 2, [{ name: name("a@h"), endpoints: many }]);
    expect(await hints.resolve(name("a@h"))).toEqual([at("x"), ...many.slice(0, 7)]);
    expect(await hints.resolve(name("b@h"))).toEqual([]);
  });

  it("are replaced by the next answer of the same peer, and lapse without one", async () => {
    const clock = new VirtualClock();
    const hints = new ExchangeHints(clock);
    hints.take(name("t@h"), 1, [told("a@h", "x")]);
    hints.take(name("t@h"), 1, [told("b@h", "y")]);
    expect([await hints.resolve(name("a@h")), hints.names()]).toEqual([[], ["b@h"]]);
    clock.advance(EXCHANGE_TTL_MS - 1);
    expect(hints.names()).toEqual(["b@h"]);
    clock.advance(1);
    expect([await hints.resolve(name("b@h")), hints.names()]).toEqual([[], []]);
  });

  it("leave to each peer its part of the room, however much another one tells", () => {
    const hints = new ExchangeHints(new VirtualClock());
    const flood = Array.from({ length: MAX_EXCHANGE_PEERS }, (_, n) => told(`f${n}@h`, "x"));
    for (let teller = 0; teller < MAX_EXCHANGE_WITH - 1; teller++) hints.take(name(`t${teller}@h`), 256, flood);
    hints.take(name("honest@h"), 256, [told("a@h", "x")]);
    expect(hints.names()).toHaveLength(MAX_EXCHANGE_HINTS / MAX_EXCHANGE_WITH + 1);
    expect(hints.names()).toContain("a@h");
  });
});

describe("the book of those who take part", () => {
  const who = (text: string, assurance: Assurance) => ({ name: name(text), assurance });
  const names = (book: ExchangeBook, asker: ReturnType<typeof who>) => book.tell(asker).map((peer) => peer.name);

  it("tells of those who said where they are or were reached, never of the asker or of who only dials", () => {
    const book = new ExchangeBook(new VirtualClock());
    book.said(who("a@h", "ca"), [at("x")]);
    book.said(who("dialler@h", "ca"), []);
    book.reached(who("b@h", "ca"), at("y", 7));
    expect(book.tell(who("c@h", "ca")).map((peer) => [peer.name, peer.endpoints])).toEqual([
      ["b@h", [at("y", 7)]],
      ["a@h", [at("x")]],
    ]);
    expect(names(book, who("A@h", "ca"))).toEqual(["b@h", "a@h"]);
    expect(names(book, who("a@H", "ca"))).toEqual(["b@h"]);
    book.said(who("a@h", "ca"), []);
    expect(names(book, who("c@h", "ca"))).toEqual(["b@h"]);
  });

  it("tells nobody of one who is less surely who it says", () => {
    const book = new ExchangeBook(new VirtualClock());
    for (const assurance of ["cookie", "tofu", "ca", "pinned"] as const)
      book.said(who(`${assurance}@h`, assurance), [at("x")]);
    expect(names(book, who("asker@h", "pinned"))).toEqual(["pinned@h"]);
    expect(names(book, who("asker@h", "ca"))).toEqual(["ca@h", "pinned@h"]);
    expect(names(book, who("asker@h", "cookie"))).toHaveLength(4);
  });

  it("forgets who was reached with its session, and what one said after a while, or when it is cut", () => {
    const clock = new VirtualClock();
    const book = new ExchangeBook(clock);
    for (const peer of ["a@h", "b@h"]) {
      book.said(who(peer, "ca"), [at("x")]);
      book.reached(who(peer, "ca"), at("y"));
    }
    book.left(name("a@h"), true);
    book.left(name("b@h"), false);
    expect(book.tell(who("c@h", "ca")).map((peer) => [peer.name, peer.endpoints])).toEqual([["b@h", [at("x")]]]);
    clock.advance(EXCHANGE_TTL_MS);
    expect(book.tell(who("c@h", "ca"))).toEqual([]);
  });

  it("is bounded", () => {
    const book = new ExchangeBook(new VirtualClock());
    for (let n = 0; n < 3 * MAX_EXCHANGE_PEERS; n++) {
      book.said(who(`s${n}@h`, "ca"), [at("x")]);
      book.reached(who(`r${n}@h`, "ca"), at("x"));
    }
    expect(book.tell(who("c@h", "ca"))).toHaveLength(MAX_EXCHANGE_PEERS);
  });
});

/** An exchange of its own, with one peer to ask. */
function exchangeOf(world: { session: Session; answer?: Term }) {
  const clock = new VirtualClock();
  const hints = new ExchangeHints(clock);
  let asked = 0;
  const exchange = new Exchange({
    own: name("own@h"),
    clock,
    random: new SeededRandom(1),
    counters: new Counters(),
    plan: { with: [name("a@h")], connect: false, rule: undefined, advertised: () => [], hints },
    mayDial: () => true,
    sessionWith: () => world.session,
    call: async () => {
      asked++;
      return world.answer;
    },
    isKept: () => false,
    learned: () => {},
  });
  const ask = (peer: Peer | null, host: string) =>
    exchange.handlers.call?.(exchangeRequest([`tls://${host}:1`]), { peer } as HandlerContext);
  const pass = async () => {
    clock.advance(1);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return { exchange, hints, ask, pass, asked: () => asked };
}

describe("an exchange", () => {
  const peerOf = (text: string) => ({ name: name(text), assurance: "tofu" }) as unknown as Peer;
  const sessionOf = (peer: Peer) => ({ facts: { name: peer.name }, peer, holdsName: true }) as unknown as Session;

  it("takes no word of a stranger for where somebody is whose name it does not hold", () => {
    const holder = peerOf("a@h");
    const { ask } = exchangeOf({ session: sessionOf(holder) });
    ask(peerOf("a@h"), "evil");
    expect(ask(peerOf("b@h"), "b")).toEqual([]);
    ask(holder, "good");
    expect(ask(peerOf("b@h"), "b")).toEqual([tuple(bin("a@h"), [bin("tls://good:1")])]);
    expect(ask(null, "x")).toEqual(tuple(new Atom("error"), new Atom("badarg")));
  });

  it("keeps no hint for its own name", async () => {
    const session = sessionOf(peerOf("a@h"));
    const answer = ["own@H", "b@h"].map((text) => tuple(bin(text), [bin("tls://x:1")]));
    const { exchange, hints, pass } = exchangeOf({ session, answer });
    exchange.up(session, undefined);
    await pass();
    expect(hints.names()).toEqual(["b@h"]);
  });

  it("asks nobody over a session that another one has replaced, and takes no answer of it", async () => {
    const [old, young] = [sessionOf(peerOf("a@h")), sessionOf(peerOf("a@h"))];
    const world = { session: old, answer: [tuple(bin("b@h"), [bin("tls://x:1")])] };
    const { exchange, hints, pass, asked } = exchangeOf(world);
    exchange.up(old, undefined);
    world.session = young;
    await pass();
    expect([asked(), hints.names()]).toEqual([0, []]);
  });

  it("asks no stranger under the name of a peer on the list", async () => {
    const stranger = { ...sessionOf(peerOf("a@h")), holdsName: false } as Session;
    const { exchange, pass, asked } = exchangeOf({ session: stranger });
    exchange.up(stranger, undefined);
    await pass();
    expect(asked()).toBe(0);
  });
});

describe("the option exchange", () => {
  const own = name("own@h");
  const read = (option: Parameters<typeof readExchange>[0]) => readExchange(option, own, new VirtualClock(), () => []);

  it("asks nobody and lets nobody ask unless it says so", () => {
    expect(read(undefined)).toBeUndefined();
    expect(read({})).toMatchObject({ with: [], connect: false, rule: undefined });
    expect(read({ with: ["own@H", "a@h", "a@H"] })?.with).toEqual(["a@H"]);
  });

  it("refuses what cannot be meant", () => {
    const many = Array.from({ length: MAX_EXCHANGE_WITH + 1 }, (_, n) => `a${n}@h`);
    expect(failureOf(() => read({ with: many }))).toBe("ERR_CONFIG EXCHANGE_INVALID");
    expect(failureOf(() => read({ connect: true }))).toBe("ERR_CONFIG EXCHANGE_INVALID");
    expect(failureOf(() => read({ with: ["a"] }))).toBe("ERR_CONFIG NAME_INVALID");
    expect(failureOf(() => read({ allow: [] }))).toBe("ERR_API_MISUSE ALLOW_INVALID");
  });
});

describe("what a node says of where it listens", () => {
  it.each([
    [[], "x:1", []],
    [["tls://127.0.0.1:9100"], undefined, ["tls://127.0.0.1:9100"]],
    [["tls://0.0.0.0:9100", "tcp://[::]:7"], undefined, ["tls://h:9100", "tcp://h:7"]],
    [["tls://0.0.0.0:9100", "tls://192.0.2.1:9101"], "x.example:1", ["tls://x.example:1", "tls://192.0.2.1:9101"]],
  ] as const)("%j with advertise %j is %j", (endpoints, advertise, said) => {
    expect(advertisedEndpoints(name("own@h"), endpoints, advertise)).toEqual(said);
  });
});
