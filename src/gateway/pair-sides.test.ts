import { describe, expect, it } from "vitest";
import { stretchCookie } from "../auth/native-cookie.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Admission, CarrierSink } from "../carrier/carrier.ts";
import type { ChannelledSink } from "../carrier/channels.ts";
import { createMemoryNetwork } from "../carrier/memory-network.ts";
import { BARREL_ALPN } from "../dist/barrel-link.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { fingerprintOf } from "../identity/public-key.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { Pid } from "../term/types.ts";
import { type BarrelSideEnd, barrelSide, LISTENER_CERTIFICATE } from "../testkit/barrel-pair.ts";
import { createChannelledMemoryPair } from "../testkit/channelled-memory.ts";
import { End, otpTools } from "../testkit/end.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { nativeTls } from "../testkit/memory-carriers.ts";
import { nativeTestNode } from "../testkit/native-end.ts";
import { testKeeper } from "../testkit/test-keeper.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS, PUBLISHED } from "../wire/flags.ts";
import { ConnectionBook } from "./connection-book.ts";
import { ExpectedNode } from "./expected-node.ts";
import type { LegCarrier } from "./leg-carrier.ts";
import type { LegIdentities, LegIdentity } from "./leg-identity.ts";
import { Link, type PairEvent } from "./link.ts";
import { otherSide, type PairFacts, SIDES, type Side } from "./message-filter.ts";
import { FAR_REDIAL_LATER_MS } from "./pair.ts";
import { pass } from "./verdict.ts";

// A pair of which either leg speaks any protocol; both ends are of the test.

type Kind = "otp" | "native" | "barrel";

const IN = parseNodeName("in@h");
const OUT = parseNodeName("out@h");
/** Another outside node, whose name is before that of the inside node. */
const AHEAD = parseNodeName("ahead@h");
const CREATION = { outside: 11, inside: 22 };
const SEED = { outside: 1, inside: 2 };
const COOKIES = { outside: "the cookie of the outside leg", inside: "the cookie of the inside leg" };
const crypto = new RealIdentityCrypto();
const STRETCHED = stretchCookie(Buffer.from(COOKIES.inside), crypto);

interface Given {
  readonly seed?: number;
  readonly name?: NodeName;
  readonly cookie?: string;
  readonly creation?: number;
  readonly incarnation?: bigint;
}

interface WorldOptions {
  readonly out?: NodeName;
  readonly kinds?: Partial<Record<Side, Kind>>;
  readonly trust?: "strict" | "tofu";
  /** Of the side by key: whether its node is pinned. Default true. */
  readonly isPinned?: boolean;
  /** The inside legs by key have the cookie, too. */
  readonly hasCookie?: boolean;
  /** Over QUIC, on that side. */
  readonly isVisible?: Side;
}

/** What a native node has, which was given another cookie or not. */
const wrongOr = (cookie: string | undefined) =>
  cookie === undefined ? STRETCHED : { ...STRETCHED, key: Buffer.alloc(32, 1) };

function world(options: WorldOptions = {}) {
  const { out = OUT } = options;
  const kinds = { outside: "native", inside: "native", ...options.kinds } satisfies Record<Side, Kind>;
  const clock = new VirtualClock(1_800_000_000_000);
  const nameOn = { outside: out, inside: IN };
  const keyed = (side: Side, given: Given = {}) =>
    nativeTestNode(
      given.name ?? nameOn[side],
      given.seed ?? SEED[side],
      crypto,
      { cookieFor: () => (options.hasCookie === true && side === "inside" ? wrongOr(given.cookie) : undefined) },
      { creation: given.creation ?? CREATION[side], incarnation: given.incarnation ?? 5n },
    );
  const identity = (side: Side, standsFor: NodeName, ownKey: number) => {
    const files = new FaultyFiles();
    files.put("/keys/node.key", Buffer.alloc(32, ownKey));
    if (options.isPinned !== false) files.put(`/keys/trusted/${nameOn[side]}.pub`, keyed(side).identity.publicKey);
    const cookie = options.hasCookie === true && side === "inside" ? Buffer.from(COOKIES.inside) : undefined;
    const keeper = testKeeper(standsFor, files, clock, { trust: options.trust ?? "strict", cookie });
    return { files, keeper, expected: new ExpectedNode(DEFAULT_FLAGS, () => undefined) };
  };
  const own = { outside: identity("outside", IN, 90), inside: identity("inside", out, 91) };
  const inside = new Map<NodeName, LegIdentity>(kinds.inside === "otp" ? [] : [[out, own.inside]]);
  const book: LegIdentities["book"] = new ConnectionBook(IN);
  const identities: LegIdentities = { outside: kinds.outside === "otp" ? undefined : own.outside, inside, book };
  const network = (kind: Kind) =>
    createMemoryNetwork(
      kind === "native" ? { clock, first: nativeTls("dialler"), second: nativeTls("acceptor") } : { clock },
    );
  const networks = { outside: network(kinds.outside), inside: network(kinds.inside) };
  const channels = () =>
    createChannelledMemoryPair({
      clock,
      dialled: { alpn: BARREL_ALPN, peerCertDer: LISTENER_CERTIFICATE },
      accepted: { alpn: BARREL_ALPN, ownCertDer: LISTENER_CERTIFICATE },
    });
  /** What takes the gateway's dials over QUIC, by side. */
  const barrelListeners: Partial<Record<Side, (make: (sink: ChannelledSink) => never) => void>> = {};
  const events: PairEvent[] = [];
  const facts: PairFacts[] = [];
  const dialOf = (side: Side, target: NodeName): LegCarrier => {
    if (kinds[side] !== "barrel") {
      const address = { scheme: "tcp", host: target, port: 1 } as const;
      return { kind: "stream", make: (sink) => networks[side].dial(address, target, sink) };
    }
    return {
      kind: "channels",
      make(sink) {
        const pair = channels();
        let below: ChannelledSink | undefined;
        barrelListeners[side]?.((given) => {
          below = given;
          return pair.accepted as never;
        });
        pair.connect(sink, below as ChannelledSink);
        return pair.dialled;
      },
    };
  };
  const link = (from: Side): Link => {
    const target = nameOn[otherSide(from)];
    const shown = (side: Side) => (peer: NodeName) => options.isVisible === side && peer === nameOn[side];
    const isVisibleTo = { outside: shown("outside"), inside: shown("inside") };
    const made = new Link(
      {
        from,
        target,
        mayDial: new Set([nameOn[from]]),
        mask: DEFAULT_FLAGS,
        identities,
        isVisibleTo,
        world: {
          clock,
          limits: DEFAULT_DIST_LIMITS,
          ticks: { tickTimeMs: 60_000, tickIntensity: 4 },
          judgeCertificate: () => ({ matched: false, presented: [] }),
        },
        tools: { outside: otpTools(COOKIES.outside, 21), inside: otpTools(COOKIES.inside, 22) },
        filterFor(given) {
          facts.push(given);
          return { judge: (_side, control, buffer, start, stop) => pass(control, buffer, start, stop) };
        },
        dial: () => dialOf(otherSide(from), target),
      },
      (event) => void events.push(event),
    );
    networks[from].listen("gate", 1, made.accept);
    return made;
  };
  const links = { outside: link("outside"), inside: link("inside") };
  for (const side of SIDES) {
    const { keeper } = own[side];
    keeper.watch({
      warned: () => {},
      changed: (changes) => {
        for (const each of SIDES) links[each].cut(keeper, changes);
      },
    });
  }
  const connection = (
    side: Side,
    it: End,
    target: NodeName | undefined,
    given: Given,
    make: (sink: CarrierSink) => ReturnType<(typeof networks)["inside"]["dial"]>,
  ): DistConnection => {
    const node = keyed(side, given);
    it.connection = new DistConnection(
      {
        own: {
          name: given.name ?? nameOn[side],
          creation: given.creation ?? CREATION[side],
          flags: DEFAULT_FLAGS | PUBLISHED,
        },
        target,
        tools: otpTools(given.cookie ?? COOKIES[side], 3),
        native:
          kinds[side] === "native"
            ? { identity: () => node.identity, tools: node.tools, inviteFor: () => undefined }
            : undefined,
        clock,
        limits: DEFAULT_DIST_LIMITS,
        ticks: { tickTimeMs: 60_000, tickIntensity: 4 },
      },
      it,
      make,
    );
    return it.connection;
  };
  const barrel = (side: Side, target: NodeName | undefined, given: Given, setting: Partial<End>) => {
    const parts = {
      name: nameOn[side],
      seed: SEED[side],
      cookie: COOKIES[side],
      creation: CREATION[side],
      flags: DEFAULT_FLAGS | PUBLISHED,
      ...given,
    };
    return (make: Parameters<typeof barrelSide>[3]): BarrelSideEnd =>
      Object.assign(barrelSide(parts, target, clock, make), setting);
  };
  const closeOf: Partial<Record<Side, () => unknown>> = {};
  /** The next dials of the gateway to that side are taken by the returned end, which is another one for each over QUIC. */
  const listen = (side: Side, setting: Partial<End> = {}, given: Given = {}): { readonly last: End } => {
    if (kinds[side] === "barrel") {
      const taken: { last: End } = { last: new End() };
      barrelListeners[side] = (make) => {
        taken.last = barrel(side, undefined, given, setting)(make);
      };
      return taken;
    }
    closeOf[side]?.();
    const it = Object.assign(new End(), setting);
    const listener = networks[side].listen(nameOn[side], 1, (carrier) =>
      connection(side, it, undefined, given, () => carrier),
    );
    closeOf[side] = () => listener.close();
    return { last: it };
  };
  const dial = (side: Side, setting: Partial<End> = {}, given: Given = {}): End => {
    const target = nameOn[otherSide(side)];
    if (kinds[side] !== "barrel") {
      const it = Object.assign(new End(), setting);
      connection(side, it, target, given, (sink) =>
        networks[side].dial({ scheme: "tcp", host: "gate", port: 1 }, target, sink),
      );
      return it;
    }
    const pair = channels();
    let above: ChannelledSink | undefined;
    const end = barrel(
      side,
      target,
      given,
      setting,
    )((sink) => {
      above = sink;
      return pair.dialled;
    });
    const admission: Admission = { release: () => {} };
    pair.connect(above as ChannelledSink, links[side].acceptChannels(pair.accepted, admission));
    return end;
  };
  const revoke = (side: Side): void => {
    const fingerprint = fingerprintOf(keyed(side).identity.publicKey, crypto);
    const hex = Buffer.from(fingerprint.replace(/^.*:/, ""), "base64").toString("hex");
    own[side].files.put(`/keys/revoked/${hex}`, "");
    clock.advance(500);
    clock.runTurn();
  };
  const told = () =>
    events.map((event) => (event.kind === "up" ? "up" : `${event.kind} ${event.endedBy} ${event.error?.reason}`));
  const run = (): void => void clock.runTurn();
  return { clock, own, identities, book, facts, told, listen, dial, revoke, run, keyed, links, out };
}

type World = ReturnType<typeof world>;

/** A node on `from` dials until the gateway knows the life of the other one. */
function meet(w: World, from: Side, setting: Partial<End> = {}, far: Partial<End> = {}) {
  const target = w.listen(otherSide(from), far);
  let dialler = w.dial(from, setting);
  w.run();
  if (w.told()[0] === `refused ${from} CREATION_CHANGED`) {
    dialler = w.dial(from, setting);
    w.run();
  }
  const ends =
    from === "outside" ? { outside: dialler, inside: target.last } : { outside: target.last, inside: dialler };
  return { ...ends, dialler, target: target.last };
}

const KINDS: readonly Kind[] = ["otp", "native", "barrel"];
const EVERY = KINDS.flatMap((inside) =>
  KINDS.flatMap((outside) => SIDES.map((from) => [inside, outside, from] as const)),
);
const up = (end: End): string | undefined => end.events.find((event) => event.startsWith("up"));
const send = (from: Side): Control => {
  const pids = { outside: new Pid(OUT, 1, 0, CREATION.outside), inside: new Pid(IN, 2, 0, CREATION.inside) };
  return { kind: "send", from: pids[from], to: pids[otherSide(from)] };
};

describe("a pair of any two protocols", () => {
  it.each(EVERY)(
    "inside by %s, outside by %s, dialled from %s: real names and creations, both ways",
    (inside, outside, from) => {
      const w = world({ kinds: { inside, outside } });
      const ends = meet(w, from);
      expect([up(ends.outside), up(ends.inside)]).toEqual(["up in@h 22", "up out@h 11"]);
      const isShownEarly = { outside, inside }[from] !== "otp";
      expect(w.told()).toEqual(isShownEarly ? [`refused ${from} CREATION_CHANGED`, "up"] : ["up"]);
      for (const side of SIDES) {
        const kind = { outside, inside }[side];
        const isRelayable = kind === "barrel" && side === from;
        expect(w.facts[0]?.[side]).toMatchObject({
          protocol: kind,
          creation: CREATION[side],
          assurance: kind === "otp" || isRelayable ? "cookie" : "pinned",
          fingerprints: kind === "otp" || isRelayable ? [] : [fingerprintOf(w.keyed(side).identity.publicKey, crypto)],
        });
      }
      const large = Buffer.alloc(300_000, 7);
      ends.outside.connection.message(send("outside"), large);
      ends.inside.connection.message(send("inside"), "hello");
      w.run();
      expect([large.equals(ends.inside.got[0] as Buffer), ends.outside.got]).toEqual([true, ["hello"]]);
      // And both hear when one leaves.
      ends.inside.connection.end();
      w.run();
      expect(ends.outside.events.at(-1)).toMatch(outside === "native" ? /^down PEER_LEFT/ : /^down/);
      expect([w.links.outside.size, w.links.inside.size]).toEqual([0, 0]);
    },
  );

  it.each([
    ["native", "otp", "outside"],
    ["native", "native", "inside"],
    ["barrel", "otp", "outside"],
    ["barrel", "native", "inside"],
  ] as const)(
    "inside by %s, outside by %s, dialled from %s: ends when the inside node's key is revoked, and no other comes up",
    (inside, outside, from) => {
      const w = world({ kinds: { inside, outside } });
      const ends = meet(w, from);
      w.revoke("inside");
      expect(w.told().at(-1)).toBe("down inside TRUST_WITHDRAWN");
      expect([ends.outside, ends.inside].map((end) => end.connection.isClosed)).toEqual([true, true]);
      meet(w, from);
      expect(w.told().at(-1)).toBe("refused inside KEY_REVOKED");
    },
  );

  it.each(SIDES)(
    "over QUIC shows a node as visible on the side %s where that is asked for, and nowhere else",
    (side) => {
      const shown = (end: End): boolean => ((end.peer?.flags ?? 0n) & PUBLISHED) !== 0n;
      for (const from of SIDES) {
        const ends = meet(world({ kinds: { inside: "barrel", outside: "barrel" }, isVisible: side }), from);
        expect([shown(ends[side]), shown(ends[otherSide(side)])]).toEqual([true, false]);
      }
      const ends = meet(world({ kinds: { inside: "barrel", outside: "barrel" } }), side);
      expect(SIDES.map((each) => shown(ends[each]))).toEqual([false, false]);
    },
  );
});

describe("an inside node by key that dials", () => {
  const KEYED: readonly Record<Side, Kind>[] = [
    { inside: "native", outside: "otp" },
    { inside: "native", outside: "native" },
    { inside: "barrel", outside: "otp" },
  ];
  const refusedAs = (kinds: Record<Side, Kind>, options: WorldOptions, given: Given) => {
    const w = world({ ...options, kinds });
    const outside = w.listen("outside");
    const inside = w.dial("inside", {}, given);
    w.run();
    expect([up(inside), outside.last.events]).toEqual([undefined, []]);
    return { ...w, inside };
  };

  it.each(KEYED)("dials nobody outside with another key than the pinned one: %j", (kinds) => {
    expect(refusedAs(kinds, {}, { seed: 5 }).told()).toEqual(["refused inside KEY_MISMATCH"]);
  });

  it.each(KEYED)("dials nobody outside as a stranger: %j", (kinds) => {
    expect(refusedAs(kinds, { isPinned: false }, {}).told()).toEqual(["refused inside KEY_UNTRUSTED"]);
  });

  it.each(KEYED)("dials nobody outside under another name: %j", (kinds) => {
    const w = refusedAs(kinds, { trust: "tofu" }, { seed: 5, name: parseNodeName("third@h") });
    expect(w.told()).toEqual(["refused inside NOT_PAIRED"]);
    expect(w.own.inside.keeper.waiting()).toEqual([]);
  });

  it.each(KEYED)("dials nobody outside without the cookie, and hears why: %j", (kinds) => {
    const w = refusedAs(kinds, { hasCookie: true }, { cookie: "another cookie of thirty-two bytes" });
    expect(w.told()).toEqual(["refused inside SECRET_MISMATCH"]);
    expect(w.inside.events.at(-1)).toMatch(/^down/);
  });

  it("waits for the operator as a stranger on first use", () => {
    const w = refusedAs({ inside: "native", outside: "otp" }, { trust: "tofu", isPinned: false }, {});
    expect(w.told()).toEqual(["refused inside KEY_UNTRUSTED"]);
    expect(w.own.inside.keeper.waiting()).toMatchObject([{ name: IN }]);
  });

  it("hears that the outside node is not there", () => {
    const w = world({ kinds: { outside: "otp" } });
    const inside = w.dial("inside");
    w.run();
    expect([inside.events, w.told()]).toEqual([["trusted", "down PEER_BUSY"], ["refused outside PORT_CLOSED"]]);
  });

  it("has no session when the outside node refuses it, and hears so", () => {
    const w = world();
    const { inside } = meet(w, "inside", {}, { arbitration: "stale" });
    expect(up(inside)).toBeUndefined();
    expect(w.told().at(-1)).toBe("refused outside STALE_INCARNATION");
  });

  it("is asked whether its old connection is gone when one stands, and then replaces it", () => {
    const w = world();
    const first = meet(w, "inside");
    const next = w.dial("inside");
    w.listen("outside");
    w.run();
    expect(next.events).toEqual(["trusted", "asked", "up out@h 11"]);
    expect([first.inside.connection.isClosed, w.told().slice(-2)]).toEqual([
      true,
      ["down inside SESSION_REPLACED", "up"],
    ]);
  });

  it("of an older life is refused, and of a younger one replaces", () => {
    for (const [incarnation, event] of [
      [4n, "down STALE_INCARNATION"],
      [6n, "up out@h 11"],
    ] as const) {
      const w = world();
      meet(w, "inside");
      w.listen("outside");
      const next = w.dial("inside", {}, { incarnation });
      w.run();
      expect(next.events.at(-1)).toBe(event);
    }
  });
});

describe("what a node has shown by its own dial", () => {
  it.each(SIDES.flatMap((from) => (["native", "barrel"] as const).map((kind) => [from, kind] as const)))(
    "from %s is expected of it when the other one dials by %s",
    (from, kind) => {
      const w = world({ kinds: { [otherSide(from)]: kind, [from]: "otp" } });
      meet(w, from).dialler.connection.end();
      w.run();
      const before = w.told().length;
      w.listen(from);
      const back = w.dial(otherSide(from));
      w.run();
      expect([up(back), w.told().slice(before)]).toEqual([
        `up ${from === "inside" ? IN : OUT} ${CREATION[from]}`,
        ["up"],
      ]);
    },
  );
});

describe("an inside node by key that is dialled", () => {
  it.each([
    ["native", { seed: 5 }, "refused inside KEY_MISMATCH"],
    ["barrel", { seed: 5 }, "refused inside KEY_MISMATCH"],
    ["native", { name: parseNodeName("third@h") }, "refused inside PEER_NAME_MISMATCH"],
    ["barrel", { name: parseNodeName("third@h") }, "refused inside PEER_NAME_MISMATCH"],
  ] as const)("by %s is not believed with %j", (kind, given, event) => {
    const w = world({ kinds: { inside: kind, outside: "otp" } });
    const inside = w.listen("inside", {}, given);
    const outside = w.dial("outside");
    w.run();
    expect([w.told(), up(outside), up(inside.last)]).toEqual([[event], undefined, undefined]);
  });

  it.each(["native", "barrel"] as const)("by %s is pinned at its first contact where the directory says so", (kind) => {
    const w = world({ kinds: { inside: kind, outside: "otp" }, trust: "tofu", isPinned: false, hasCookie: true });
    meet(w, "outside");
    expect([w.told(), w.facts[0]?.inside.assurance]).toEqual([["up"], "tofu"]);
    expect(w.own.inside.files.exists(`/keys/first-use/${IN}.pub`)).toBe(true);
  });

  it("sees the key that stands for the outside node, and not that of the outside legs", () => {
    const w = world();
    const { inside, outside } = meet(w, "outside");
    const keyOf = (end: End) => end.peer?.native?.publicKey;
    expect(keyOf(inside)).toEqual(w.own.inside.keeper.publicKey);
    expect(keyOf(outside)).toEqual(w.own.outside.keeper.publicKey);
    expect(keyOf(inside)).not.toEqual(keyOf(outside));
  });

  it("is dialled by OTP only as long as it has no pin", () => {
    const dialled = (isPinned: boolean) => {
      const w = world({ kinds: { inside: "otp", outside: "otp" }, isPinned });
      (w.identities.inside as Map<NodeName, LegIdentity>).set(OUT, w.own.inside);
      const { inside } = meet(w, "outside");
      return [...w.told(), inside.events[0]];
    };
    // Nothing was said to it.
    expect(dialled(true)).toEqual(["refused inside NATIVE_ONLY", "down CLOSED_DURING_HANDSHAKE"]);
    expect(dialled(false)).toEqual(["up", "claimed out@h 11"]);
  });

  it("dials by OTP only as long as it has no pin", () => {
    const w = world({ kinds: { inside: "otp", outside: "otp" } });
    (w.identities.inside as Map<NodeName, LegIdentity>).set(OUT, w.own.inside);
    const outside = w.listen("outside");
    w.dial("inside");
    w.run();
    expect([w.told(), outside.last.events]).toEqual([["refused inside NATIVE_ONLY"], []]);
  });

  it("and the outside one lose nothing when the trust of another directory changes", () => {
    const w = world();
    meet(w, "outside");
    const change = {
      kind: "revoked",
      fingerprint: fingerprintOf(w.keyed("inside").identity.publicKey, crypto),
    } as const;
    const other = { keeper: w.own.outside.keeper } as { readonly keeper: IdentityKeeper };
    for (const side of SIDES) w.links[side].cut(other.keeper, [change]);
    w.run();
    expect(w.told().at(-1)).toBe("up");
    for (const side of SIDES) w.links[side].cut(w.own.inside.keeper, [change]);
    w.run();
    expect(w.told().at(-1)).toBe("down inside TRUST_WITHDRAWN");
  });
});

describe("crossing dials of two nodes by key", () => {
  it.each([OUT, AHEAD])("of %s: the one that was proven first goes on, and the other hears that it does", (out) => {
    const w = world({ out });
    for (const side of SIDES) {
      // Each is known.
      meet(w, side);
      w.clock.runTurn();
    }
    const before = w.told().length;
    const outside = w.listen("outside", { arbitration: undefined });
    const first = w.dial("inside", { alive: "go" });
    w.run();
    const second = w.dial("outside", { alive: "go" });
    w.run();
    expect(second.events.at(-1)).toBe("down OTHER_CONNECTION_WINS");
    outside.last.connection.answerArbitration("go");
    w.run();
    expect(up(first)).toBe(`up ${out} 11`);
    expect(w.told().slice(before)).toEqual([
      "refused outside OTHER_CONNECTION_WINS",
      "down outside SESSION_REPLACED",
      "up",
    ]);
  });

  it.each([
    ["native", "otp"],
    ["native", "native"],
    ["native", "barrel"],
  ] as const)(
    "inside by %s, outside by %s: the inside one's own comes first when it says so, and the outside one's is made anew",
    (inside, outside) => {
      const w = world({ kinds: { inside, outside } });
      meet(w, "outside").outside.connection.end();
      w.run();
      const refusing = w.listen("inside", { arbitration: "other-wins" });
      const dialler = w.dial("outside");
      w.run();
      expect(refusing.last.events.at(-1)).toBe("down OTHER_CONNECTION_WINS");
      const taking = w.listen("inside");
      w.clock.advance(FAR_REDIAL_LATER_MS);
      w.run();
      expect([up(dialler), up(taking.last)]).toEqual(["up in@h 22", "up out@h 11"]);
    },
  );

  it("are not held for a node that dials again by itself: it is told at once, and its other one is free", () => {
    const w = world({ kinds: { inside: "barrel", outside: "native" } });
    meet(w, "outside").outside.connection.end();
    w.run();
    w.listen("inside", { claim: "nok" });
    const dialler = w.dial("outside");
    w.run();
    expect([dialler.events.at(-1), w.links.outside.size]).toEqual(["down OTHER_CONNECTION_WINS", 0]);
  });
});
