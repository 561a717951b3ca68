import { describe, expect, it } from "vitest";
import { type ErrorCode, SallyportError } from "../base/errors.ts";
import { type DialTarget, parseDialTarget } from "../base/node-name.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Session } from "./session.ts";
import { CONFIGURED, MAX_SEED_DIALS, Upkeep } from "./upkeep.ts";

const own = parseDialTarget("own@h").name;
const failure = (code: ErrorCode, reason: string, detail: Readonly<Record<string, string>> = {}) =>
  new SallyportError(code, reason, "x", { detail });
const GONE = failure("ERR_UNREACHABLE", "PORT_CLOSED");
const REFUSED = failure("ERR_DENIED", "KEY_MISMATCH");

interface Dialled {
  readonly target: DialTarget;
  up(): void;
  fail(error: SallyportError): void;
  readonly stopped: string[];
}

/** Upkeep on dials that end when the test says so. Waits are always as long as they can be. */
function make(seeds: readonly string[]) {
  const clock = new VirtualClock();
  const sessions = new Map<string, Session>();
  const dials: Dialled[] = [];
  const warnings: string[] = [];
  const upkeep: Upkeep = new Upkeep({
    own,
    clock,
    random: { uint32: () => 0xffff_ffff, bytes: (length) => Buffer.alloc(length) },
    reconnect: { minMs: 500, maxMs: 60_000 },
    sessionWith: (name) => sessions.get(name),
    dial(target) {
      const waiters = new Set<readonly [(session: Session) => void, (error: SallyportError) => void]>();
      const stopped: string[] = [];
      dials.push({
        target,
        stopped,
        up: () => {
          for (const [up] of waiters) up(join(target.name));
        },
        fail: (error) => {
          for (const [, failed] of waiters) failed(error);
        },
      });
      return {
        wait(up, failed) {
          const waiter = [up, failed] as const;
          waiters.add(waiter);
          return () => waiters.delete(waiter);
        },
        get isUnwanted() {
          return waiters.size === 0;
        },
        fail: (error) => stopped.push(error.reason),
      };
    },
    warn: (reason) => warnings.push(reason),
  });
  const join = (name: string, holdsName = true): Session => {
    const session = { facts: { name }, peer: { name }, holdsName } as unknown as Session;
    if (holdsName) sessions.set(name, session);
    upkeep.up(session);
    return session;
  };
  const lose = (session: Session, cause?: SallyportError) => {
    sessions.delete(session.facts.name);
    upkeep.down(session, cause);
  };
  upkeep.keep(CONFIGURED, seeds.map(parseDialTarget));
  upkeep.start();
  const last = () => dials.at(-1)!;
  const first = () => upkeep.health()[0]!;
  return { clock, upkeep, dials, last, first, warnings, join, lose };
}

describe("upkeep of a seed", () => {
  it("dials at start, and again after waits that double to the cap", () => {
    const { clock, dials, last, first } = make(["b@h:7"]);
    expect([dials.length, last().target]).toEqual([1, { name: "b@h", port: 7 }]);
    const waits: (number | null)[] = [];
    for (let i = 0; i < 10; i++) {
      last().fail(GONE);
      waits.push(first().nextDialInMs);
      clock.advance((first().nextDialInMs ?? 0) - 1);
      expect(dials).toHaveLength(i + 1);
      clock.advance(1);
      expect(dials).toHaveLength(i + 2);
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(first()).toMatchObject({ state: "dialling", attempts: 10, lastReason: "PORT_CLOSED", nextDialInMs: null });
  });

  it("is joined by a session whoever made it, and dials none while it stands", () => {
    const { clock, dials, last, first, join, upkeep } = make(["b@h", "c@h"]);
    last().up();
    join("b@h");
    expect(upkeep.health().map(({ state }) => state)).toEqual(["joined", "joined"]);
    expect([dials[0]!.stopped, dials[1]!.stopped]).toEqual([[], []]);
    clock.advance(1_000_000);
    expect([dials.length, first().attempts]).toEqual([2, 0]);
  });

  it("is not joined by a stranger under its name, until that one turns out to hold it", () => {
    const { join, first } = make(["b@h"]);
    join("b@h", false);
    expect(first().state).toBe("dialling");
    join("b@h");
    expect(first().state).toBe("joined");
  });

  it("goes on waiting where it was after a short session, and starts anew after one longer than the cap", () => {
    const { clock, last, first, join, lose } = make(["b@h"]);
    for (let i = 0; i < 3; i++) {
      last().fail(GONE);
      clock.advance(first().nextDialInMs ?? 0);
    }
    let session = join("b@h");
    clock.advance(60_000);
    lose(session, failure("ERR_CLOSED", "PEER_SILENT"));
    expect(first()).toMatchObject({ state: "waiting", attempts: 0, lastReason: "PEER_SILENT", nextDialInMs: 4_000 });
    clock.advance(4_000);
    session = join("b@h");
    clock.advance(60_001);
    lose(session, failure("ERR_CLOSED", "PEER_LEFT", { reason: "stopping" }));
    expect(first()).toMatchObject({ lastReason: "PEER_LEFT", nextDialInMs: 500 });
  });

  it("knows a session that was replaced from one that was lost", () => {
    const { first, join, upkeep } = make(["b@h"]);
    const old = join("b@h");
    join("b@h");
    upkeep.down(old, failure("ERR_CLOSED", "SESSION_REPLACED"));
    expect(first().state).toBe("joined");
  });

  it.each([
    ["ERR_DENIED", "KEY_MISMATCH", {}],
    ["ERR_PEER_INCOMPATIBLE", "METHOD_MISMATCH", {}],
    ["ERR_PEER_MISBEHAVED", "FRAME_TOO_EARLY", {}],
    ["ERR_CONFIG", "SCHEME_NOT_ALLOWED", {}],
    ["ERR_CLOSED", "ENDED_BY_PEER", { reason: "auth" }],
  ] as const)(
    "waits the longest time at once after a refusal (%s %s), and warns once until it joins",
    (code, reason, detail) => {
      const { clock, last, first, warnings, join, lose } = make(["b@h"]);
      for (let i = 0; i < 3; i++) {
        last().fail(failure(code, reason, detail));
        expect(first().nextDialInMs).toBe(60_000);
        clock.advance(60_000);
      }
      expect(warnings).toEqual(["SEED_REFUSED"]);
      lose(join("b@h"), failure(code, reason, detail));
      expect(warnings).toEqual(["SEED_REFUSED", "SEED_REFUSED"]);
    },
  );

  it.each([
    ["ERR_UNREACHABLE", "PORT_CLOSED", {}],
    ["ERR_DENIED", "STALE_INCARNATION", {}],
    ["ERR_CLOSED", "ENDED_BY_PEER", { reason: "busy" }],
    ["ERR_CLOSED", "OTHER_CONNECTION_WINS", {}],
    ["ERR_DEADLINE", "CONNECT_TIMEOUT", {}],
  ] as const)("does not take %s %s for a refusal", (code, reason, detail) => {
    const { last, first, warnings } = make(["b@h"]);
    last().fail(failure(code, reason, detail));
    expect([first().nextDialInMs, warnings]).toEqual([500, []]);
  });

  it("waits the longest time when the owner of the peer ended the session, without a warning", () => {
    const { first, join, lose, warnings } = make(["b@h"]);
    lose(join("b@h"), failure("ERR_CLOSED", "PEER_LEFT", { reason: "disconnect" }));
    expect([first().nextDialInMs, warnings]).toEqual([60_000, []]);
  });

  it("stops when its owner disconnects it, and goes on when it is wanted or comes by itself", () => {
    const { clock, dials, first, join, lose, upkeep } = make(["b@h"]);
    const session = join("b@h");
    upkeep.disconnected(own);
    upkeep.disconnected(session.peer.name);
    lose(session);
    clock.advance(1_000_000);
    expect([first().state, dials.length]).toEqual(["stopped", 1]);
    upkeep.wanted(session.peer.name);
    expect([first().state, dials.length]).toEqual(["dialling", 2]);
    upkeep.disconnected(session.peer.name);
    lose(join("b@h"));
    expect(first().state).toBe("waiting");
  });

  it("takes back a dial that nobody else wants", () => {
    const { last, upkeep, first, clock } = make(["b@h"]);
    upkeep.disconnected(last().target.name);
    expect([last().stopped, first().state]).toEqual([["DIAL_STOPPED"], "stopped"]);
    last().fail(GONE);
    clock.advance(1_000_000);
    expect(first().attempts).toBe(0);
  });

  it("dials so many at once and no more, and the others when there is room", () => {
    const names = Array.from({ length: MAX_SEED_DIALS + 2 }, (_, n) => `b${n}@h`);
    const { clock, dials } = make(names);
    clock.advance(10_000);
    expect(dials).toHaveLength(MAX_SEED_DIALS);
    dials[0]!.up();
    dials[1]!.up();
    clock.advance(500);
    expect(new Set(dials.map(({ target }) => target.name)).size).toBe(names.length);
  });

  it("dials nothing any more once it is stopped", () => {
    const { clock, dials, last, join, lose, upkeep } = make(["b@h", "c@h"]);
    last().fail(GONE);
    upkeep.stop();
    lose(join("b@h"));
    upkeep.keep("later", [parseDialTarget("d@h")]);
    upkeep.wanted(last().target.name);
    clock.advance(1_000_000);
    expect([dials.length, clock.pendingTimers]).toEqual([2, 0]);
  });

  it("is a problem when it was refused, or failed three times, and not while it is stopped or joined", () => {
    const { clock, last, first, upkeep, join } = make(["b@h"]);
    const troubled: boolean[] = [];
    for (let i = 0; i < 3; i++) {
      last().fail(GONE);
      troubled.push(upkeep.isTroubled("x"));
      clock.advance(first().nextDialInMs ?? 0);
    }
    const session = join("b@h");
    troubled.push(upkeep.isTroubled("x"));
    upkeep.down({ ...session, facts: { name: "other@h" } } as Session, undefined);
    upkeep.disconnected(session.peer.name);
    troubled.push(upkeep.isTroubled("x"));
    expect(troubled).toEqual([false, false, true, false, false]);
    const other = make(["b@h"]);
    other.last().fail(REFUSED);
    expect([other.upkeep.isTroubled("x"), other.upkeep.isTroubled(CONFIGURED)]).toEqual([true, false]);
  });
});

describe("seeds of a source", () => {
  const target = parseDialTarget;

  it("come and go with it, but not while they are connected", () => {
    const { upkeep, join, lose, dials } = make([]);
    upkeep.keep("dns", [target("b@h"), target("c@h"), target("own@H")]);
    expect(upkeep.health().map(({ name, from }) => `${name} ${from}`)).toEqual(["b@h dns", "c@h dns"]);
    const session = join("b@h");
    upkeep.keep("dns", []);
    expect(upkeep.health().map(({ name }) => name)).toEqual(["b@h"]);
    lose(session);
    expect([upkeep.health(), dials.length]).toEqual([[], 2]);
  });

  it("are left to who named them first", () => {
    const { upkeep } = make(["b@h"]);
    upkeep.keep("dns", [target("b@H")]);
    upkeep.keep("dns", []);
    expect(upkeep.health().map(({ name }) => name)).toEqual(["b@h"]);
  });

  it("are bounded, whatever a source lists", () => {
    const { upkeep } = make(["b@h"]);
    upkeep.keep(
      "dns",
      Array.from({ length: 5_000 }, (_, n) => target(`x${n}@h`)),
    );
    expect(upkeep.health()).toHaveLength(1_024);
  });
});
