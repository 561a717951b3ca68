import { describe, expect, it } from "vitest";
import { type CookieKey, stretchCookie } from "../auth/native-cookie.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { CarrierSink } from "../carrier/carrier.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../carrier/memory-network.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "../dist/limits.ts";
import { fingerprintOf } from "../identity/public-key.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { Pid, type Term } from "../term/types.ts";
import { End, otpTools } from "../testkit/end.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { inOneChunk, nativeTls } from "../testkit/memory-carriers.ts";
import { type NativeTestNode, nativeTestNode } from "../testkit/native-end.ts";
import { testKeeper } from "../testkit/test-keeper.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS, FRAGMENTS, UNICODE_IO } from "../wire/flags.ts";
import { ConnectionBook } from "./connection-book.ts";
import { ExpectedNode } from "./expected-node.ts";
import type { LegIdentities } from "./leg-identity.ts";
import { Link, type PairEvent } from "./link.ts";
import { otherSide, type PairFacts, type Side } from "./message-filter.ts";
import { FAR_REDIAL_LATER_MS, FAR_REDIAL_MS, MAX_FAR_DIALS } from "./pair.ts";
import type { Route } from "./route.ts";
import { pass } from "./verdict.ts";

const IN = parseNodeName("in@h");
/** Its name is after, and before, that of the inside node. */
const OUT = parseNodeName("out@h");
const AHEAD = parseNodeName("ahead@h");
const CREATION = { outside: 11, inside: 22 };
const crypto = new RealIdentityCrypto();
const COOKIE = "a cookie of more than 16 bytes";
const STRETCHED = stretchCookie(Buffer.from(COOKIE), crypto);

interface WorldOptions {
  readonly out?: NodeName;
  readonly trust?: "strict" | "tofu";
  readonly isPinned?: boolean;
  /** The gateway has it on the outside leg, and the outside node. */
  readonly cookie?: { readonly gateway?: boolean; readonly outside?: boolean | "wrong" };
  readonly inCookie?: string;
  readonly inFlags?: bigint;
  readonly mask?: bigint;
  readonly limits?: Partial<DistLimits>;
  /** Of the inside network. */
  readonly highWaterBytes?: number;
  /** What the inside node sends in one turn comes as one chunk. */
  readonly oneChunk?: boolean;
  /** The outside speaks OTP's handshake, with a certificate that TLS trusts. */
  readonly isOtp?: boolean;
  /** What the port mapper gave the inside node; default its creation. */
  readonly registered?: number | "nothing";
}

/** An outside node with a key, the gateway with a listener for each direction, and an inside node with a cookie. */
function world(options: WorldOptions = {}) {
  const { out = OUT, mask = DEFAULT_FLAGS } = options;
  const clock = new VirtualClock();
  const networks: Record<Side, MemoryNetwork> = {
    inside: createMemoryNetwork({
      clock,
      ...(options.highWaterBytes === undefined ? {} : { highWaterBytes: options.highWaterBytes }),
    }),
    outside: createMemoryNetwork(
      options.isOtp === true ? { clock } : { clock, first: nativeTls("dialler"), second: nativeTls("acceptor") },
    ),
  };
  const outsideNode = (seed = 1, incarnation = 5n, creation = CREATION.outside, name = out): NativeTestNode =>
    nativeTestNode(name, seed, crypto, { cookieFor: () => keyOf(options.cookie?.outside) }, { creation, incarnation });
  const files = new FaultyFiles();
  files.put("/keys/node.key", Buffer.alloc(32, 9));
  if (options.isPinned !== false) files.put(`/keys/trusted/${out}.pub`, outsideNode().identity.publicKey);
  const cookie = options.cookie?.gateway === true ? Buffer.from(COOKIE) : undefined;
  const keeper = testKeeper(IN, files, clock, { trust: options.trust ?? "strict", cookie });
  const { registered = CREATION.inside } = options;
  const expected = new ExpectedNode(mask, () => (registered === "nothing" ? undefined : registered));
  const identities: LegIdentities = { outside: { keeper, expected }, inside: new Map(), book: new ConnectionBook(IN) };
  const events: PairEvent[] = [];
  const facts: PairFacts[] = [];
  const limits = { ...DEFAULT_DIST_LIMITS, ...options.limits };
  const heard = (sink: CarrierSink): CarrierSink => (options.oneChunk === true ? inOneChunk(sink, clock) : sink);
  const link = (from: Side, target: NodeName, dialler: NodeName): Link => {
    const route: Route = {
      from,
      target,
      mayDial: new Set([dialler]),
      mask,
      identities,
      world: {
        clock,
        limits,
        ticks: { tickTimeMs: 60_000, tickIntensity: 4 },
        judgeCertificate: () => ({ matched: false, presented: [] }),
      },
      tools: { outside: otpTools(COOKIE, 1), inside: otpTools("inside-secret", 2) },
      filterFor(given) {
        facts.push(given);
        return { judge: (_side, control, buffer, start, stop) => pass(control, buffer, start, stop) };
      },
      dial: () => ({
        kind: "stream",
        make: (sink) => networks[otherSide(from)].dial({ scheme: "tcp", host: target, port: 1 }, target, heard(sink)),
      }),
    };
    const made = new Link(route, (event) => void events.push(event));
    networks[from].listen("gate", 1, made.accept);
    return made;
  };
  const links = { inward: link("outside", IN, out), outward: link("inside", out, IN) };
  keeper.watch({
    warned: () => {},
    changed: (changes) => {
      for (const each of [links.inward, links.outward]) each.cut(keeper, changes);
    },
  });
  const end = (side: Side, target: NodeName | undefined, node: NativeTestNode, setting: Partial<End>) => {
    const it = Object.assign(new End(), setting);
    const name = side === "outside" ? node.identity.name : IN;
    const flags = (side === "inside" ? options.inFlags : undefined) ?? DEFAULT_FLAGS;
    const connect = (make: (sink: CarrierSink) => ReturnType<MemoryNetwork["dial"]>): DistConnection => {
      it.connection = new DistConnection(
        {
          own: { name, creation: CREATION[side], flags },
          target,
          tools: otpTools(side === "outside" ? COOKIE : (options.inCookie ?? "inside-secret"), 3),
          native:
            side === "inside"
              ? undefined
              : { identity: () => node.identity, tools: node.tools, inviteFor: () => undefined },
          clock,
          limits: DEFAULT_DIST_LIMITS,
          ticks: { tickTimeMs: 60_000, tickIntensity: 4 },
        },
        it,
        make,
      );
      return it.connection;
    };
    return { it, connect };
  };
  const listenerOf = new Map<Side, () => Promise<void>>();
  /** The next connections to that node are taken by the returned end, the last one last. */
  const listen = (side: Side, setting: Partial<End> = {}, node = outsideNode()): End => {
    const { it, connect } = end(side, undefined, node, setting);
    void listenerOf.get(side)?.();
    const listener = networks[side].listen(side === "outside" ? out : IN, 1, (carrier) => connect(() => carrier));
    listenerOf.set(side, () => listener.close());
    return it;
  };
  const dial = (side: Side, setting: Partial<End> = {}, node = outsideNode()): End => {
    const target = side === "outside" ? IN : out;
    const { it, connect } = end(side, target, node, setting);
    connect((sink) => networks[side].dial({ scheme: "tcp", host: "gate", port: 1 }, target, sink));
    return it;
  };
  const revoke = (): void => {
    const fingerprint = fingerprintOf(outsideNode().identity.publicKey, crypto);
    files.put(`/keys/revoked/${Buffer.from(fingerprint.replace(/^.*:/, ""), "base64").toString("hex")}`, "");
  };
  const told = () =>
    events.map((event) => (event.kind === "up" ? "up" : `${event.kind} ${event.endedBy} ${event.error?.reason}`));
  return { clock, files, keeper, book: identities.book, facts, told, listen, dial, outsideNode, revoke, ...links };
}

function keyOf(has: boolean | "wrong" | undefined): CookieKey | undefined {
  if (has === "wrong") return { ...STRETCHED, key: Buffer.alloc(32, 1) };
  return has === true ? STRETCHED : undefined;
}

const toInside = (out: NodeName): Control => ({
  kind: "send",
  from: new Pid(out, 1, 0, 11),
  to: new Pid(IN, 2, 0, 22),
});
const toOutside = (out: NodeName): Control => ({
  kind: "send",
  from: new Pid(IN, 2, 0, 22),
  to: new Pid(out, 1, 0, 11),
});

function pairUp(options: WorldOptions = {}, inside: Partial<End> = {}, outside: Partial<End> = {}) {
  const w = world(options);
  const ends = { inside: w.listen("inside", inside), outside: w.dial("outside", outside) };
  w.clock.runTurn();
  for (let ms = 0; options.oneChunk === true && ms < 10; ms++) {
    w.clock.advance(1);
    w.clock.runTurn();
  }
  return { ...w, ...ends };
}

function pairOut(options: WorldOptions = {}, inside: Partial<End> = {}, outside: Partial<End> = {}) {
  const w = world(options);
  const ends = { outside: w.listen("outside", outside), inside: w.dial("inside", inside) };
  w.clock.runTurn();
  return { ...w, ...ends };
}

describe("a pair with a native leg", () => {
  it("shows each node the real name and creation of the other when the outside one dials", () => {
    const { inside, outside, facts, outsideNode } = pairUp();
    expect(outside.events).toEqual(["trusted", "up in@h 22"]);
    expect(inside.events).toEqual(["claimed out@h 11", "proven", "up out@h 11"]);
    const { publicKey } = outsideNode().identity;
    expect(facts).toMatchObject([
      {
        outside: { name: OUT, creation: 11, protocol: "native", assurance: "pinned", publicKey },
        inside: {
          name: IN,
          creation: 22,
          protocol: "otp",
          assurance: "cookie",
          fingerprints: [],
          publicKey: undefined,
        },
        dialledBy: "outside",
      },
    ]);
    expect(facts[0]?.outside.fingerprints).toEqual([fingerprintOf(publicKey, crypto)]);
  });

  it("and when the inside one dials", () => {
    const { inside, outside, facts } = pairOut();
    expect([outside.events[1], inside.events]).toEqual(["up in@h 22", ["proven", "up out@h 11"]]);
    expect(facts).toMatchObject([{ outside: { protocol: "native", creation: 11 }, dialledBy: "inside" }]);
  });

  it.each([DEFAULT_FLAGS, DEFAULT_FLAGS & ~FRAGMENTS])("forwards both ways with the mask %s", (mask) => {
    const { inside, outside, clock } = pairUp({ mask });
    expect(inside.peer?.flags).toBe(outside.peer?.flags);
    const large = Buffer.alloc(3_000_000, 7);
    outside.connection.message(toInside(OUT), large);
    inside.connection.message(toOutside(OUT), "hello");
    inside.connection.message(toOutside(OUT), large);
    clock.runTurn();
    expect(large.equals(inside.got[0] as Buffer)).toBe(true);
    expect(outside.got[0]).toBe("hello");
    expect(large.equals(outside.got[1] as Buffer)).toBe(true);
  });

  it("says goodbye to the outside node when the inside one leaves, and keeps an idle session", () => {
    const { inside, outside, clock } = pairUp();
    outside.connection.askIdle();
    clock.runTurn();
    inside.connection.end();
    clock.runTurn();
    expect(outside.events.slice(2)).toEqual(["kept", "down PEER_LEFT"]);
  });

  it("does not let its peer take it for dead while that is not read", () => {
    const { inside, outside, clock, told } = pairUp({ limits: { congestedBytes: 10_000 }, highWaterBytes: 10_000 });
    inside.connection.holdReading();
    outside.connection.message(toInside(OUT), Buffer.alloc(300_000, 1));
    // Without a byte the outside node asks after 15 seconds, and gives up 10 seconds later.
    for (let second = 0; second < 28; second++) {
      clock.runTurn();
      clock.advance(1_000);
    }
    expect([told(), outside.events.length]).toEqual([["up"], 2]);
    inside.connection.releaseReading();
    clock.runTurn();
    expect(inside.got).toHaveLength(1);
  });

  it("forwards what came in one chunk with the last word of the inside node", () => {
    const firstWords = ["one", "two"].map((word): [Control, Term] => [toOutside(OUT), word]);
    const w = pairUp({ oneChunk: true }, { firstWords });
    expect([w.told(), w.outside.got]).toEqual([["up"], ["one", "two"]]);
  });
});

describe("the creation in our HELLO", () => {
  it("ends the attempt when it is a wrong one, before any proof, and is known at the next", () => {
    const w = pairUp({ registered: "nothing" });
    expect(w.outside.events).toEqual(["trusted", "down OTHER_CONNECTION_WINS"]);
    expect(w.inside.events).toEqual(["claimed out@h 11", "down CLOSED_DURING_HANDSHAKE"]);
    const inside = w.listen("inside");
    const again = w.dial("outside");
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside CREATION_CHANGED", "up"]);
    expect([again.events.at(-1), inside.events.at(-1)]).toEqual(["up in@h 22", "up out@h 11"]);
  });

  it("is known from a dial of the inside node, too", () => {
    const w = pairOut({ registered: "nothing" });
    w.inside.connection.end();
    w.clock.runTurn();
    w.listen("inside");
    expect(w.dial("outside").events).toEqual([]);
    w.clock.runTurn();
    expect(w.told().at(-1)).toBe("up");
  });

  it("and the capabilities with it", () => {
    const w = pairUp({ inFlags: DEFAULT_FLAGS & ~UNICODE_IO });
    expect(w.told()).toEqual(["refused outside CREATION_CHANGED"]);
    w.listen("inside");
    const again = w.dial("outside");
    w.clock.runTurn();
    expect([again.events.at(-1), (again.peer?.flags ?? UNICODE_IO) & UNICODE_IO]).toEqual(["up in@h 22", 0n]);
  });
});

describe("an outside node that dials", () => {
  it.each([
    ["has a key that is not pinned", { isPinned: false }, 1, "refused outside KEY_UNTRUSTED"],
    ["has another key than the pinned one", {}, 2, "refused outside KEY_MISMATCH"],
    ["is a stranger on first use", { isPinned: false, trust: "tofu" }, 1, "refused outside KEY_UNTRUSTED"],
  ] as const)("is refused, and nothing is dialled, when it %s", (_why, options, seed, event) => {
    const w = world(options);
    const inside = w.listen("inside");
    const outside = w.dial("outside", {}, w.outsideNode(seed));
    w.clock.runTurn();
    expect(outside.events).toEqual(["trusted", "down REFUSED_BY_PEER"]);
    expect([w.told(), inside.events]).toEqual([[event], []]);
    expect(w.keeper.waiting()).toHaveLength("trust" in options ? 1 : 0);
  });

  it("is refused under a name of no pair, and waits for nobody", () => {
    const w = world({ trust: "tofu" });
    const inside = w.listen("inside");
    const stranger = w.dial("outside", {}, w.outsideNode(3, 1n, 5, parseNodeName("third@h")));
    w.clock.runTurn();
    expect([stranger.events, inside.events]).toEqual([["trusted", "down REFUSED_BY_PEER"], []]);
    expect([w.told(), w.keeper.waiting()]).toEqual([["refused outside NOT_PAIRED"], []]);
  });

  it("is refused, and nothing is dialled, when it has not the cookie", () => {
    const w = pairUp({ cookie: { gateway: true } });
    expect(w.outside.events).toEqual(["down SECRET_MISMATCH"]);
    expect([w.told(), w.inside.events]).toEqual([["refused outside SECRET_MISMATCH"], []]);
    // Whoever it is: nothing else is said, and nothing kept.
    const stranger = pairUp({ cookie: { gateway: true, outside: "wrong" }, isPinned: false, trust: "tofu" });
    expect(stranger.outside.events).toEqual(["trusted", "down SECRET_MISMATCH"]);
    expect(stranger.keeper.waiting()).toEqual([]);
  });

  it("is let in with the cookie", () => {
    expect(pairUp({ cookie: { gateway: true, outside: true } }).told()).toEqual(["up"]);
  });

  it.each([
    ["nok", "OTHER_CONNECTION_WINS"],
    ["not_allowed", "REFUSED_BY_PEER"],
  ] as const)("hears what the inside node says: %s", (claim, reason) => {
    const w = pairUp({}, { claim });
    expect(w.outside.events).toEqual(["trusted", `down ${reason}`]);
  });

  it("hears that the inside node is not there", () => {
    const w = world();
    const outside = w.dial("outside");
    w.clock.runTurn();
    expect(outside.events).toEqual(["trusted", "down PEER_BUSY"]);
    expect(w.told()).toEqual(["refused inside PORT_CLOSED"]);
  });

  it("gets no session when the inside node has not the cookie", () => {
    const w = pairUp({ inCookie: "wrong" });
    expect(w.outside.events).toEqual(["trusted", "down PEER_COMMIT_FAILED"]);
    expect(w.inside.events).toEqual(["claimed out@h 11", "down SECRET_MISMATCH"]);
  });

  it("is asked whether it goes on when the inside node has a session with it, and the answer counts", () => {
    const w = pairUp({}, { claim: "alive" });
    expect(w.outside.events).toEqual(["trusted", "asked", "up in@h 22"]);
    const not = pairUp({}, { claim: "alive" }, { alive: "alive" });
    expect(not.outside.events).toEqual(["trusted", "asked", "down OTHER_CONNECTION_WINS"]);
    expect(not.inside.events).toEqual(["claimed out@h 11", "down PEER_GAVE_UP"]);
  });

  it("gets in order what the inside node says at once, however late it confirms, and not more than is read", () => {
    const firstWords = ["one", "two"].map((word): [Control, Term] => [toOutside(OUT), word]);
    const w = pairUp({}, { firstWords }, { commit: undefined });
    expect([w.inside.events.at(-1), w.outside.events]).toEqual(["up out@h 11", ["trusted"]]);
    w.inside.connection.message(toOutside(OUT), "three");
    w.clock.runTurn();
    expect(w.told()).toEqual([]);
    expect(w.inside.connection.waitingBytes).toBeGreaterThan(0);
    w.outside.connection.answerCommit({ ok: true });
    w.clock.runTurn();
    expect(w.outside.got).toEqual(["one", "two", "three"]);
  });

  it("loses its session when its key is revoked", () => {
    const w = pairUp();
    w.revoke();
    w.clock.advance(500);
    w.clock.runTurn();
    expect(w.told()).toEqual(["up", "down outside TRUST_WITHDRAWN"]);
    expect(w.inside.events.at(-1)).toBe("down in order");
  });

  it("gets no session when its key was revoked before it has confirmed", () => {
    const w = pairUp({}, {}, { commit: undefined });
    w.revoke();
    w.keeper.reload();
    w.outside.connection.answerCommit({ ok: true });
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside TRUST_WITHDRAWN"]);
    expect(w.inside.events.at(-1)).toMatch(/^down/);
  });
});

describe("an inside node that dials", () => {
  it("has the outside one hear no proof before its own", () => {
    const w = pairOut({ inCookie: "wrong" });
    expect(w.told()).toEqual(["refused inside SECRET_MISMATCH"]);
    expect(w.outside.events).toEqual(["down CLOSED_DURING_HANDSHAKE"]);
  });

  it("is not acknowledged when the outside one refuses", () => {
    const w = pairOut({}, {}, { arbitration: "stale" });
    expect(w.told()).toEqual(["refused outside STALE_INCARNATION"]);
    expect(w.inside.events.some((event) => event.startsWith("up"))).toBe(false);
  });

  it("reaches nobody whose key is not trusted", () => {
    const w = pairOut({ isPinned: false });
    expect(w.told()).toEqual(["refused outside KEY_UNTRUSTED"]);
    expect(w.inside.events).toEqual(["down CLOSED_DURING_HANDSHAKE"]);
  });

  it("is not acknowledged when the pin cannot be saved", () => {
    const w = world({ isPinned: false, trust: "tofu" });
    const outside = w.listen("outside");
    w.files.failAt(0);
    const inside = w.dial("inside");
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside PIN_NOT_DURABLE"]);
    expect([outside, inside].some(({ events }) => events.some((event) => event.startsWith("up")))).toBe(false);
  });

  it("goes on where the outside one still holds a session", () => {
    expect(pairOut({}, {}, { arbitration: "alive" }).told()).toEqual(["up"]);
  });
});

describe("two connections of one outside node", () => {
  /** A pair stands; another connection comes. */
  const second = (seed: number, incarnation: bigint, setting: Partial<End> = {}) => {
    const w = pairUp();
    if (seed === 2) w.files.put(`/keys/trusted/${OUT}.pub`, w.outsideNode(2).identity.publicKey);
    w.listen("inside");
    const next = w.dial("outside", setting, w.outsideNode(seed, incarnation));
    w.clock.runTurn();
    return { ...w, next };
  };

  it("of one life: it is asked, and the new one stands when it goes on", () => {
    const { next, told, inward } = second(1, 5n);
    expect(next.events).toEqual(["trusted", "asked", "up in@h 22"]);
    expect([told(), inward.size]).toEqual([["up", "down outside SESSION_REPLACED", "up"], 1]);
  });

  it("of one life: the old one stands when it says so", () => {
    const { told, outside } = second(1, 5n, { alive: "alive" });
    expect(told()).toEqual(["up", "refused outside PEER_GAVE_UP"]);
    expect(outside.connection.isUp).toBe(true);
  });

  it("of which another has come up in the meantime: it ends", () => {
    const w = world();
    w.book.up = () => false;
    const ends = [w.listen("inside"), w.dial("outside")];
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside OTHER_CONNECTION_WINS"]);
    expect(ends.every(({ connection }) => connection.isClosed)).toBe(true);
  });

  it("of a younger life replaces, and of an older one is refused", () => {
    expect(second(1, 6n).next.events).toEqual(["trusted", "up in@h 22"]);
    expect(second(1, 4n).next.events).toEqual(["trusted", "down STALE_INCARNATION"]);
  });
});

describe("crossing dials", () => {
  it("wait for each other: the inside node's proves nothing while the inside node judges the other", () => {
    const w = world();
    const inside = w.listen("inside", { claim: undefined });
    const first = w.dial("outside");
    w.clock.runTurn();
    const outside = w.listen("outside");
    const own = w.dial("inside");
    w.clock.runTurn();
    expect(inside.events).toEqual(["claimed out@h 11"]);
    expect(outside.events).toEqual([]);
    first.connection.end();
    w.clock.runTurn();
    expect([own.events.at(-1), outside.events.at(-1)]).toEqual(["up out@h 11", "up in@h 22"]);
  });

  it("once the inside node's has proven itself, the other gives way", () => {
    const w = world();
    const outside = w.listen("outside", { arbitration: undefined });
    w.dial("inside");
    w.clock.runTurn();
    const inside = w.listen("inside");
    const crossing = w.dial("outside");
    w.clock.runTurn();
    expect(crossing.events).toEqual(["trusted", "down OTHER_CONNECTION_WINS"]);
    expect(inside.events).toEqual([]);
    outside.connection.answerArbitration("go");
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside OTHER_CONNECTION_WINS", "up"]);
  });

  it.each([
    [AHEAD, FAR_REDIAL_MS],
    [OUT, FAR_REDIAL_LATER_MS],
  ])("dial %s anew after %d ms when it preferred its own, and the inside node notices nothing", (out, afterMs) => {
    const w = world({ out });
    const refusing = w.listen("outside", { arbitration: "other-wins" });
    const inside = w.dial("inside");
    w.clock.runTurn();
    expect(refusing.events).toEqual(["trusted", "down OTHER_CONNECTION_WINS"]);
    const outside = w.listen("outside");
    w.clock.advance(afterMs - 1);
    w.clock.runTurn();
    expect(outside.events).toEqual([]);
    w.clock.advance(1);
    w.clock.runTurn();
    expect([inside.events, w.told()]).toEqual([["proven", `up ${out} 11`], ["up"]]);
  });

  it("let the inside node judge the other one meanwhile, and end with their node", () => {
    const w = world();
    const outside = w.listen("outside", { arbitration: "other-wins" });
    const own = w.dial("inside");
    w.clock.runTurn();
    const inside = w.listen("inside", { claim: undefined });
    w.dial("outside");
    w.clock.runTurn();
    expect(inside.events).toEqual(["claimed out@h 11"]);
    own.connection.end();
    w.clock.runTurn();
    w.clock.advance(FAR_REDIAL_LATER_MS);
    w.clock.runTurn();
    w.clock.advance(DEFAULT_DIST_LIMITS.maxHandshakeMs);
    w.clock.runTurn();
    expect(outside.events).toEqual(["trusted", "down OTHER_CONNECTION_WINS"]);
  });

  it("end when it shows another creation then", () => {
    const w = world({ out: AHEAD });
    w.listen("outside", { arbitration: "other-wins" });
    const inside = w.dial("inside");
    w.clock.runTurn();
    const outside = w.listen("outside", {}, w.outsideNode(1, 6n, 12));
    w.clock.advance(FAR_REDIAL_MS);
    w.clock.runTurn();
    expect([w.told(), outside.events]).toEqual([["refused inside CREATION_CHANGED"], ["down CLOSED_DURING_HANDSHAKE"]]);
    expect(inside.events).toEqual(["down SECRET_MISMATCH"]);
  });

  it("give up after so many", () => {
    const w = world({ out: AHEAD });
    const outside = w.listen("outside", { arbitration: "other-wins" });
    w.dial("inside");
    for (let tries = 0; tries < 2 * MAX_FAR_DIALS; tries++) {
      w.clock.runTurn();
      w.clock.advance(FAR_REDIAL_MS);
    }
    expect(outside.questions).toHaveLength(MAX_FAR_DIALS);
    expect(w.told()).toEqual(["refused outside OTHER_CONNECTION_WINS"]);
    expect(w.outward.size).toBe(0);
  });
});

describe("a name with a pin", () => {
  it("does not come without its key", () => {
    const w = pairUp({ isOtp: true });
    const events = [w.told(), w.outside.events, w.inside.events];
    expect(events).toEqual([["refused outside NATIVE_ONLY"], ["down NOT_ALLOWED"], []]);
  });

  it("is not dialled without it", () => {
    const w = pairOut({ isOtp: true });
    expect([w.told(), w.outside.events]).toEqual([["refused outside NATIVE_ONLY"], ["down CLOSED_DURING_HANDSHAKE"]]);
  });

  it("does not go on when it is pinned on the way", () => {
    const w = world({ isOtp: true, isPinned: false });
    const inside = w.listen("inside", { claim: undefined });
    const outside = w.dial("outside");
    w.clock.runTurn();
    w.files.put(`/keys/trusted/${OUT}.pub`, w.outsideNode().identity.publicKey);
    w.keeper.reload();
    inside.connection.answerClaim("ok");
    w.clock.runTurn();
    expect(w.told()).toEqual(["refused outside NATIVE_ONLY"]);
    expect(outside.events.some((event) => event.startsWith("up"))).toBe(false);
  });

  it("may come by certificate and cookie as long as it has none", () => {
    expect(pairUp({ isOtp: true, isPinned: false }).told()).toEqual(["up"]);
  });
});
