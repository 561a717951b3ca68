import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import { reasonOf } from "../testkit/failure.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Session } from "./session.ts";
import { MAX_MOVE_MS, SessionMove, type Successor } from "./session-move.ts";
import { SessionMoves } from "./session-moves.ts";

const PEER = parseNodeName("b@h");
const CUT = new SallyportError("ERR_CLOSED", "CONNECTION_RESET", "reset");

/** A connection that notes what is asked of it. */
function connection(did: string[], label: string, more: object = {}): DistConnection {
  const note =
    (what: string) =>
    (arg?: unknown): void =>
      void did.push(`${label} ${what}${typeof arg === "boolean" ? ` ${arg}` : ""}`);
  const made = {
    isUp: true,
    peer: { flags: 1n },
    holdReading: note("hold"),
    releaseReading: note("release"),
    moveAway: note("away"),
    end: note("end"),
    destroy: ({ reason }: { reason: string }) => void did.push(`${label} destroy ${reason}`),
    ...more,
  };
  return made as unknown as DistConnection;
}

function scene(role: "initiator" | "acceptor") {
  const clock = new VirtualClock();
  const did: string[] = [];
  const [from, next] = [connection(did, "old"), connection(did, "new")];
  const session = {
    peer: { name: PEER },
    connection: from,
    source: from,
    sendOver: (to: DistConnection) => {
      did.push("send over new");
      session.connection = to;
    },
    readFrom: (to: DistConnection) => {
      did.push("read from new");
      session.source = to;
    },
  };
  const move = new SessionMove(session, clock);
  move.stands({ connection: next, peer: { role }, admitted: {} } as unknown as Successor);
  return { clock, did, from, next, move };
}

describe("a move", () => {
  it("is begun by the acceptor, and followed by the dialler when the acceptor's MOVED has come", () => {
    const acceptor = scene("acceptor");
    expect(acceptor.did).toEqual(["new hold", "old away false", "send over new"]);
    acceptor.move.moved(acceptor.from);
    expect(acceptor.did.slice(3)).toEqual(["read from new", "old end", "new release"]);
    const dialler = scene("initiator");
    expect(dialler.did).toEqual(["new hold"]);
    dialler.move.moved(dialler.from);
    expect(dialler.did.slice(1)).toEqual(["read from new", "send over new", "old away true", "new release"]);
  });

  it("takes no MOVED on the new connection", () => {
    for (const role of ["initiator", "acceptor"] as const) {
      const { move, next } = scene(role);
      expect(reasonOf(() => move.moved(next))).toBe("MOVED_UNASKED");
    }
  });

  it("knows what is lost with either connection", () => {
    const { move, from, next } = scene("initiator");
    expect([move.ended(next, CUT), move.ended(from, undefined)]).toEqual(["stays", "lost"]);
    expect(scene("acceptor").move.ended(next, undefined)).toBe("stays");
    const accepting = scene("acceptor");
    expect(accepting.move.ended(accepting.next, undefined)).toBe("lost");
    move.moved(from);
    expect([move.ended(from, undefined), move.ended(from, CUT), move.ended(next, undefined)]).toEqual([
      "moved",
      "lost",
      "lost",
    ]);
  });

  it("ends the session when the peer does not follow in time", () => {
    const { clock, did } = scene("acceptor");
    clock.advance(MAX_MOVE_MS - 1);
    expect(did.at(-1)).toBe("send over new");
    clock.advance(1);
    expect(did.at(-1)).toBe("new destroy MOVE_UNFINISHED");
  });
});

describe("a connection that wants to take a session over", () => {
  const facts = { name: PEER, assurance: "ca", fingerprints: ["SHA256:a"] };
  const successor = {
    peer: { role: "acceptor", creation: 7, flags: 1n, native: { peerIncarnation: 9n } },
    admitted: { facts, holdsName: true },
  };
  const take = (change: (parts: typeof successor) => object, of: object = {}): boolean => {
    const did: string[] = [];
    const session = {
      peer: { name: PEER },
      connection: connection(did, "old"),
      source: undefined,
      facts,
      holdsName: true,
      isAsking: false,
      incarnation: 9n,
      creation: 7,
      move: undefined,
      sendOver: () => {},
      ...of,
    };
    const moves = new SessionMoves({
      core: { clock: new VirtualClock(), counters: { add: () => {} } as never },
      certificates: { isLater: () => true, watch: () => {} },
      isShut: () => false,
      connect: () => connection(did, "new"),
      stands: () => {},
      moved: () => {},
    });
    const parts = { connection: connection(did, "new"), ...successor, ...change(successor) };
    return moves.take(session as unknown as Session, parts as unknown as Successor);
  };

  it("does where it is of the same peer in the same life, known as surely", () => {
    expect(take(() => ({}))).toBe(true);
  });

  it.each([
    ["of another life", ({ peer }: typeof successor) => ({ peer: { ...peer, native: { peerIncarnation: 10n } } })],
    ["of another creation", ({ peer }: typeof successor) => ({ peer: { ...peer, creation: 8 } })],
    ["with other flags", ({ peer }: typeof successor) => ({ peer: { ...peer, flags: 3n } })],
    ["known less surely", () => ({ admitted: { facts: { ...facts, assurance: "cookie" }, holdsName: true } })],
    ["with another key", () => ({ admitted: { facts: { ...facts, fingerprints: ["SHA256:b"] }, holdsName: true } })],
    ["that does not hold the name", () => ({ admitted: { facts, holdsName: false } })],
    [
      "that this node has dialled for nothing",
      ({ peer }: typeof successor) => ({ peer: { ...peer, role: "initiator" } }),
    ],
  ])("does not when it is one %s", (_, change) => {
    expect(take(change)).toBe(false);
  });

  it("does not while the session is asked whether it may end, moves already, or is over", () => {
    expect(take(() => ({}), { isAsking: true })).toBe(false);
    expect(take(() => ({}), { move: {} })).toBe(false);
    expect(take(() => ({}), { connection: connection([], "old", { isUp: false }) })).toBe(false);
  });
});
