import { describe, expect, it } from "vitest";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Admission, CarrierSink } from "../carrier/carrier.ts";
import type { ChannelledSink } from "../carrier/channels.ts";
import { createMemoryNetwork } from "../carrier/memory-network.ts";
import { BARREL_ALPN } from "../dist/barrel-link.ts";
import { CONTROL } from "../dist/channel-ranges.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { fingerprintOf } from "../identity/public-key.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { barrelTestNode } from "../testkit/barrel-end.ts";
import { type BarrelSide, type BarrelSideEnd, barrelSide, LISTENER_CERTIFICATE } from "../testkit/barrel-pair.ts";
import { createChannelledMemoryPair } from "../testkit/channelled-memory.ts";
import { End, otpTools } from "../testkit/end.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { testKeeper } from "../testkit/test-keeper.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { DEFAULT_FLAGS, PUBLISHED } from "../wire/flags.ts";
import { ConnectionBook } from "./connection-book.ts";
import { ExpectedNode } from "./expected-node.ts";
import type { LegIdentities } from "./leg-identity.ts";
import { Link, type PairEvent } from "./link.ts";
import type { PairFacts, Side } from "./message-filter.ts";
import { FAR_REDIAL_LATER_MS } from "./pair.ts";
import type { Route } from "./route.ts";
import { pass } from "./verdict.ts";

// The outside leg over QUIC, in memory: whoever is outside runs the same link as a node does.

const IN = parseNodeName("in@h");
const OUT = parseNodeName("out@h");
const COOKIE = "a cookie of more than 16 bytes";
const SEED = 1;
const crypto = new RealIdentityCrypto();
const KEY = barrelTestNode(OUT, SEED, crypto).identity.publicKey;

interface WorldOptions {
  readonly trust?: "strict" | "tofu";
  readonly isPinned?: boolean;
  readonly isVisible?: boolean;
  /** What the port mapper gave the inside node; default nothing. */
  readonly registered?: number;
}

/** A gateway with a listener for each direction, an inside node with a cookie, and room for nodes outside. */
function world(options: WorldOptions = {}) {
  const clock = new VirtualClock(1_800_000_000_000);
  const files = new FaultyFiles();
  files.put("/keys/node.key", Buffer.alloc(32, 9));
  if (options.isPinned !== false) files.put(`/keys/trusted/${OUT}.pub`, KEY);
  const keeper = testKeeper(IN, files, clock, { trust: options.trust ?? "strict", cookie: Buffer.from(COOKIE) });
  const expected = new ExpectedNode(DEFAULT_FLAGS, () => options.registered);
  const book: LegIdentities["book"] = new ConnectionBook(IN);
  const identities: LegIdentities = { outside: { keeper, expected }, inside: new Map(), book };
  const inside = createMemoryNetwork({ clock });
  const events: PairEvent[] = [];
  const facts: PairFacts[] = [];
  /** The outside node that is dialled next; it is dialled `dials` times. */
  const outside: { side: Partial<BarrelSide>; setting: Partial<BarrelSideEnd>; end?: BarrelSideEnd; dials: number } = {
    side: {},
    setting: {},
    dials: 0,
  };
  const memory = () =>
    createChannelledMemoryPair({
      clock,
      dialled: { alpn: BARREL_ALPN, peerCertDer: LISTENER_CERTIFICATE },
      accepted: { alpn: BARREL_ALPN, ownCertDer: LISTENER_CERTIFICATE },
    });
  /** First letters of what an outside node that dials is told in Erlang's handshake: status, challenge, acknowledgement. */
  const said: string[] = [];
  const side = (given: Partial<BarrelSide>) => ({ name: OUT, seed: SEED, cookie: COOKIE, creation: 11, ...given });
  const link = (from: Side, target: NodeName, dial: ReturnType<Route["dial"]>): Link =>
    new Link(
      {
        from,
        target,
        mayDial: new Set([from === "outside" ? OUT : IN]),
        mask: DEFAULT_FLAGS,
        identities,
        isVisibleTo: { outside: (peer) => options.isVisible === true && peer === OUT, inside: () => false },
        world: {
          clock,
          limits: DEFAULT_DIST_LIMITS,
          ticks: { tickTimeMs: 60_000, tickIntensity: 4 },
          judgeCertificate: () => ({ matched: false, presented: [] }),
        },
        tools: { outside: otpTools(COOKIE, 21), inside: otpTools("inside-secret", 22) },
        filterFor(given) {
          facts.push(given);
          return { judge: (_side, control, buffer, start, stop) => pass(control, buffer, start, stop) };
        },
        dial: () => dial,
      },
      (event) => void events.push(event),
    );
  const inward = link("outside", IN, {
    kind: "stream",
    make: (sink) => inside.dial({ scheme: "tcp", host: IN, port: 1 }, IN, sink),
  });
  const outward = link("inside", OUT, {
    kind: "channels",
    make(sink) {
      const pair = memory();
      outside.dials++;
      let below: ChannelledSink | undefined;
      outside.end = Object.assign(
        barrelSide(side(outside.side), undefined, clock, (given) => {
          below = given;
          return pair.accepted;
        }),
        outside.setting,
      );
      pair.connect(sink, below as ChannelledSink);
      return pair.dialled;
    },
  });
  inside.listen("gate", 1, outward.accept);
  keeper.watch({
    warned: () => {},
    changed: (changes) => {
      for (const each of [inward, outward]) each.cut(keeper, changes);
    },
  });
  /** An outside node dials. */
  const dial = (given: Partial<BarrelSide> = {}): BarrelSideEnd => {
    const pair = memory();
    let above: ChannelledSink | undefined;
    const end = barrelSide(side(given), IN, clock, (sink) => {
      above = sink;
      return pair.dialled;
    });
    const write = pair.accepted.write.bind(pair.accepted);
    pair.accepted.write = (channel, bytes) => {
      if (channel === CONTROL) said.push(String.fromCharCode(bytes[0] ?? 0));
      return write(channel, bytes);
    };
    const admission: Admission = { release: () => {} };
    pair.connect(above as ChannelledSink, inward.acceptChannels(pair.accepted, admission));
    return end;
  };
  const connection = (
    it: End,
    target: NodeName | undefined,
    make: (sink: CarrierSink) => ReturnType<typeof inside.dial>,
  ) => {
    const own = { name: IN, creation: 22, flags: DEFAULT_FLAGS | PUBLISHED };
    const parts = { own, target, tools: otpTools("inside-secret", 3), clock, limits: DEFAULT_DIST_LIMITS };
    it.connection = new DistConnection({ ...parts, ticks: { tickTimeMs: 60_000, tickIntensity: 4 } }, it, make);
    return it.connection;
  };
  /** The inside node: takes connections, each as the returned end, the last one last. */
  const insideNode = (setting: Partial<End> = {}): End => {
    const it = Object.assign(new End(), setting);
    inside.listen(IN, 1, (carrier) => connection(it, undefined, () => carrier));
    return it;
  };
  /** The inside node dials. */
  const dialOut = (): End => {
    const it = new End();
    connection(it, OUT, (sink) => inside.dial({ scheme: "tcp", host: "gate", port: 1 }, OUT, sink));
    return it;
  };
  const revoke = (): void => {
    const fingerprint = fingerprintOf(KEY, crypto);
    files.put(`/keys/revoked/${Buffer.from(fingerprint.replace(/^.*:/, ""), "base64").toString("hex")}`, "");
  };
  const revokeNow = (): void => {
    revoke();
    keeper.reload();
  };
  const told = () =>
    events.map((event) => (event.kind === "up" ? "up" : `${event.kind} ${event.endedBy} ${event.error?.reason}`));
  const run = (): void => void clock.runTurn();
  return { clock, files, keeper, said, outside, facts, told, dial, insideNode, dialOut, revoke, revokeNow, run };
}

const isPinned = ({ files }: { files: FaultyFiles }): boolean => files.exists(`/keys/first-use/${OUT}.pub`);

describe("a pair whose outside node dials over QUIC", () => {
  it("shows each the real name and creation of the other, and no rule its key", () => {
    const w = world({ registered: 22 });
    const inside = w.insideNode();
    const outside = w.dial();
    w.run();
    expect([outside.events, w.said]).toEqual([
      ["proven", "up in@h 22"],
      ["s", "N", "a"],
    ]);
    expect(inside.events).toEqual(["claimed out@h 11", "proven", "up out@h 11"]);
    expect(w.told()).toEqual(["up"]);
    const fingerprint = fingerprintOf(KEY, crypto);
    expect(w.facts).toMatchObject([
      {
        outside: { protocol: "barrel", assurance: "cookie", fingerprints: [], shownFingerprint: fingerprint },
        inside: { protocol: "otp", assurance: "cookie" },
        dialledBy: "outside",
      },
    ]);
    expect(w.facts[0]?.outside.publicKey).toBeUndefined();
  });

  it("ends the first dial to a life that it did not expect before anything is acknowledged, and takes the next", () => {
    const w = world();
    const inside = w.insideNode();
    const first = w.dial();
    w.run();
    expect(first.events.filter((event) => event.startsWith("up"))).toEqual([]);
    expect(inside.events).not.toContain("proven");
    expect(w.told()).toEqual(["refused outside CREATION_CHANGED"]);
    const second = w.dial();
    w.run();
    expect(second.events).toEqual(["proven", "up in@h 22"]);
  });

  it.each([
    ["without the cookie", { cookie: "another cookie of thirty-two bytes" }, "SECRET_MISMATCH"],
    ["with another key", { seed: 5 }, "KEY_MISMATCH"],
    ["under a name that is in no pair", { name: parseNodeName("other@h") }, "KEY_REUSED"],
  ])("dials the inside node for nobody %s", (_what, given, reason) => {
    const w = world({ registered: 22 });
    const inside = w.insideNode();
    w.dial(given);
    w.run();
    expect(inside.events).toEqual([]);
    expect(w.told()).toEqual([`refused outside ${reason}`]);
  });

  it("refuses a trusted key under a name that is in no pair", () => {
    const w = world({ registered: 22, trust: "tofu" });
    const inside = w.insideNode();
    const outside = w.dial({ name: parseNodeName("other@h"), seed: 5 });
    w.run();
    expect([inside.events, w.told()]).toEqual([[], ["refused outside NOT_PAIRED"]]);
    // It did not even see our key.
    expect([outside.trustQuestions, outside.attempts[0]?.outcome]).toEqual([[], "fail"]);
  });

  it("dials it for nobody whose key was revoked before it proved the cookie", () => {
    const w = world({ registered: 22 });
    const inside = w.insideNode();
    const outside = w.dial();
    // When the inside is asked for, what was granted at HELLO is gone.
    outside.barrelAttempted = () => w.revokeNow();
    w.run();
    expect([inside.events, w.told()]).toEqual([[], ["refused outside TRUST_WITHDRAWN"]]);
  });

  it("acknowledges nobody whose key was revoked while the inside node was asked", () => {
    const w = world({ registered: 22 });
    w.insideNode({
      claimed() {
        w.revokeNow();
        this.connection?.answerClaim("ok");
      },
    });
    const outside = w.dial();
    w.run();
    expect([outside.events.filter((event) => event.startsWith("up")), w.said]).toEqual([[], ["s", "N"]]);
    expect(w.told()).toEqual(["refused outside TRUST_WITHDRAWN"]);
  });

  it("ends when the key that was shown is revoked", () => {
    const w = world({ registered: 22 });
    const inside = w.insideNode();
    w.dial();
    w.run();
    w.revoke();
    w.clock.advance(1_000);
    w.run();
    expect(w.told()).toEqual(["up", "down outside TRUST_WITHDRAWN"]);
    expect(inside.events.at(-1)).toMatch(/^down/);
  });

  it("with trust on first use takes a stranger that has the cookie as such, and pins nothing", () => {
    const w = world({ registered: 22, trust: "tofu", isPinned: false });
    w.insideNode();
    w.dial();
    w.run();
    expect(w.told()).toEqual(["up"]);
    expect(w.facts[0]?.outside.assurance).toBe("cookie");
    expect(isPinned(w)).toBe(false);
    expect(w.keeper.waiting()).toMatchObject([{ name: OUT, fingerprint: fingerprintOf(KEY, crypto) }]);
  });

  it("asks the node whether its old connection is gone when one stands, and then replaces it", () => {
    const w = world({ registered: 22 });
    const inside = w.insideNode({ claim: "ok" });
    const old = w.dial();
    w.run();
    inside.claim = "alive";
    const anew = w.dial();
    w.run();
    expect(anew.events).toEqual(["proven", "up in@h 22"]);
    expect(old.events.at(-1)).toMatch(/^down/);
    expect(w.told()).toEqual(["up", "down outside SESSION_REPLACED", "up"]);
  });

  it("lets a session stand of whose node it is surer", () => {
    const w = world({ registered: 22 });
    const inside = w.insideNode();
    w.dialOut();
    w.run();
    expect(w.facts[0]?.outside.assurance).toBe("pinned");
    w.dial();
    w.run();
    expect(w.told()).toEqual(["up", "refused outside OTHER_CONNECTION_WINS"]);
    expect(inside.events).toEqual([]);
  });

  it.each([true, false])("shows the inside node as visible %s to it, and it to the inside node never", (isVisible) => {
    const w = world({ registered: 22, isVisible });
    const inside = w.insideNode();
    const outside = w.dial({ flags: DEFAULT_FLAGS | PUBLISHED });
    w.run();
    const shown = (end: End): boolean => ((end.peer?.flags ?? 0n) & PUBLISHED) !== 0n;
    expect([shown(outside), shown(inside)]).toEqual([isVisible, false]);
  });
});

describe("a pair whose inside node dials over QUIC", () => {
  it("knows the outside node by its pin", () => {
    const w = world();
    const inside = w.dialOut();
    w.run();
    expect(inside.events).toEqual(["proven", "up out@h 11"]);
    expect(w.outside.end?.events).toEqual(["claimed in@h 22", "proven", "up in@h 22"]);
    const fingerprint = fingerprintOf(KEY, crypto);
    expect(w.facts).toMatchObject([
      { outside: { protocol: "barrel", assurance: "pinned", publicKey: KEY, fingerprints: [fingerprint] } },
    ]);
  });

  it("pins a first contact when the cookie is proven", () => {
    const w = world({ trust: "tofu", isPinned: false });
    w.dialOut();
    w.run();
    expect([w.told(), w.facts[0]?.outside.assurance, isPinned(w)]).toEqual([["up"], "tofu", true]);
  });

  it.each([
    ["another cookie", { cookie: "another cookie of thirty-two bytes" }, /SECRET_MISMATCH|AUTH|CLOSED/],
    ["another key than the pinned one", { seed: 5 }, /KEY_UNTRUSTED|KEY_MISMATCH/],
  ])("pins nobody with %s", (_what, given, reason) => {
    const w = world({ trust: "tofu", isPinned: "seed" in given });
    w.outside.side = given;
    const inside = w.dialOut();
    w.run();
    expect(w.told()[0]).toMatch(reason);
    expect(isPinned(w)).toBe(false);
    expect(inside.events.filter((event) => event.startsWith("up"))).toEqual([]);
  });

  it("shows the inside node as visible where asked to, and never the outside one to it", () => {
    const w = world({ isVisible: true });
    w.outside.side = { flags: DEFAULT_FLAGS | PUBLISHED };
    const inside = w.dialOut();
    w.run();
    const shown = (end: End | undefined): boolean => ((end?.peer?.flags ?? 0n) & PUBLISHED) !== 0n;
    expect([shown(w.outside.end), shown(inside)]).toEqual([true, false]);
  });

  it("dials again while the inside node waits when the outside node's own dial went first", () => {
    const w = world();
    w.outside.setting = { claim: "nok" };
    const inside = w.dialOut();
    w.run();
    expect(w.outside.dials).toBe(1);
    w.outside.setting = {};
    w.clock.advance(FAR_REDIAL_LATER_MS);
    w.run();
    expect(w.outside.dials).toBe(2);
    expect(inside.events).toEqual(["proven", "up out@h 11"]);
  });
});
