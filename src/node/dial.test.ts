import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseDialTarget } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { Dial, MAX_DIAL_WAITERS, MAX_WAITING_SENDS } from "./dial.ts";
import type { Session } from "./session.ts";

const address = (host: string, port = 1): DialAddress => ({ scheme: "tls", host, port });
const error = (code: "ERR_UNREACHABLE" | "ERR_DENIED" | "ERR_CLOSED", reason = "X") =>
  new SallyportError(code, reason, "x");

function make(
  addresses: readonly DialAddress[] | Promise<readonly DialAddress[]>,
  target = "b@h",
  notes: readonly string[] = [],
) {
  const clock = new VirtualClock();
  const tried: string[] = [];
  const connections: { destroyed: string[]; connection: DistConnection }[] = [];
  const finished: (string | undefined)[] = [];
  const failures: (SallyportError | undefined)[] = [];
  const signals: AbortSignal[] = [];
  const dial: Dial = new Dial(parseDialTarget(target), {
    resolver: {
      label: "the test",
      resolve: async (_, signal, note) => {
        signals.push(signal);
        for (const said of notes) note?.(said);
        return addresses;
      },
    },
    clock,
    maxDialMs: 1_000,
    maxWaitingBytes: 1_000,
    explained: (target, cause) => (cause.reason === "GONE" ? error("ERR_UNREACHABLE", `GONE ${target}`) : cause),
    connect(_, { host, port }, isFull) {
      if (host === "bad") throw error("ERR_DENIED", "SCHEME");
      tried.push(`${host}:${port}${isFull ? " in full" : ""}`);
      const destroyed: string[] = [];
      const connection = {
        // The dialers of the host `kept` have something to resume, whatever they are told.
        resumption: host === "kept" ? "offered" : undefined,
        destroy: (cause: SallyportError) => destroyed.push(cause.reason),
      } as unknown as DistConnection;
      connections.push({ destroyed, connection });
      return connection;
    },
    finished(_, cause) {
      finished.push(cause?.reason);
      failures.push(cause);
    },
  });
  const results: string[] = [];
  const wait = (label: string) =>
    dial.wait(
      () => results.push(`${label} up`),
      (cause) => results.push(`${label} ${cause.reason}`),
    );
  const run = async () => {
    await dial.run();
  };
  const last = () => connections.at(-1)!;
  return { dial, clock, tried, connections, last, finished, failures, results, wait, run, signals };
}
const sessionOver = (connection: DistConnection | undefined) => ({ connection }) as unknown as Session;

describe("Dial", () => {
  it("takes the next address when one cannot be reached, and only then", async () => {
    const { dial, tried, last, run, results, wait, finished } = make([address("h1"), address("h2"), address("h3")]);
    wait("a");
    await run();
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE"));
    expect([tried, results]).toEqual([["h1:1", "h2:1"], []]);
    dial.attemptEnded(last().connection, error("ERR_DENIED", "SECRET_MISMATCH"));
    expect([tried, results, finished]).toEqual([["h1:1", "h2:1"], ["a SECRET_MISMATCH"], ["SECRET_MISMATCH"]]);
  });

  it("dials once more in full, without a word, what ended with an earlier TLS session, and then no more", async () => {
    const { dial, tried, last, run, results, wait, clock } = make([address("kept"), address("h2")]);
    wait("a");
    await run();
    const first = last().connection;
    expect(dial.triesInFull(first, error("ERR_CLOSED"))).toBe(true);
    dial.attemptEnded(first, error("ERR_CLOSED"));
    expect([tried, results]).toEqual([["kept:1", "kept:1 in full"], []]);
    expect([first, last().connection].map((each) => dial.triesInFull(each, error("ERR_CLOSED")))).toEqual([
      false,
      false,
    ]);
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE"));
    expect(tried).toEqual(["kept:1", "kept:1 in full", "h2:1 in full"]);
    dial.attemptEnded(last().connection, error("ERR_DENIED", "KEY_REVOKED"));
    expect([results, clock.pendingTimers]).toEqual([["a KEY_REVOKED"], 0]);
  });

  it("tells why it dialled in full, where that one comes to nothing in time", async () => {
    const { dial, last, run, results, wait, clock } = make([address("kept")]);
    wait("a");
    await run();
    dial.attemptEnded(last().connection, error("ERR_DENIED", "CERT_EXPIRED"));
    clock.advance(1_000);
    expect(results).toEqual(["a CERT_EXPIRED"]);
  });

  it("goes on to the next address where nobody was reached to resume with", async () => {
    const { dial, tried, last, run } = make([address("kept"), address("h2")]);
    await run();
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE"));
    expect(tried).toEqual(["kept:1", "h2:1"]);
  });

  it("fails with the last address's failure", async () => {
    const { dial, last, run, results, wait, clock } = make([address("h1"), address("h2")]);
    wait("a");
    await run();
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE", "FIRST"));
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE", "LAST"));
    expect([results, clock.pendingTimers]).toEqual([["a LAST"], 0]);
  });

  it("does not mind the end of a connection that is not its own or not its last", async () => {
    const { dial, connections, run, results, wait, tried } = make([address("h1"), address("h2")]);
    wait("a");
    await run();
    dial.attemptEnded({} as DistConnection, error("ERR_DENIED"));
    dial.attemptEnded(connections[0]!.connection, error("ERR_UNREACHABLE"));
    dial.attemptEnded(connections[0]!.connection, error("ERR_DENIED"));
    expect([results, tried]).toEqual([[], ["h1:1", "h2:1"]]);
  });

  it.each([
    ["no address", () => Promise.resolve([]), "NAME_UNRESOLVED"],
    ["a resolver that fails", () => Promise.reject(new Error("x")), "NAME_UNRESOLVED"],
    ["an address that may not be dialled", () => Promise.resolve([address("bad")]), "SCHEME"],
  ] as const)("fails with %s", async (_, addresses, reason) => {
    const { run, results, wait } = make(addresses());
    wait("a");
    await run();
    expect(results).toEqual([`a ${reason}`]);
  });

  it("dials the port that was given with the name, once per host, and the host part where nothing is known", async () => {
    const known = make([address("h1", 1), address("h1", 2), address("h2", 3)], "b@h:77");
    await known.run();
    known.dial.attemptEnded(known.last().connection, error("ERR_UNREACHABLE"));
    known.dial.attemptEnded(known.last().connection, error("ERR_UNREACHABLE"));
    expect(known.tried).toEqual(["h1:77", "h2:77"]);
    const unknown = make([], "b@h:77");
    await unknown.run();
    expect(unknown.tried).toEqual(["h:77"]);
  });

  it("dials the host part at a given port when nobody knows the name, but never a node that only dials", async () => {
    const nobody = make(Promise.reject(error("ERR_UNREACHABLE", "NAME_UNRESOLVED")), "b@h:77");
    await nobody.run();
    expect(nobody.tried).toEqual(["h:77"]);
    const offline = make(Promise.reject(error("ERR_UNREACHABLE", "PEER_OFFLINE")), "b@h:77");
    await offline.run();
    expect([offline.tried, offline.finished]).toEqual([[], ["PEER_OFFLINE"]]);
  });

  it("says why it came to a guess when nobody is at the guessed address", async () => {
    const ended = async (cause: SallyportError, target = "b@h") => {
      const { dial, run, last, failures } = make([address("h1")], target, ["the table: no entry", "EPMD: no answer"]);
      await run();
      dial.attemptEnded(last().connection, cause);
      return failures[0];
    };
    const closed = new SallyportError("ERR_UNREACHABLE", "PORT_CLOSED", "nothing there", {
      stage: "port",
      detail: { a: 1 },
    });
    expect(await ended(closed)).toMatchObject({
      code: "ERR_UNREACHABLE",
      reason: "PORT_CLOSED",
      stage: "port",
      message: "[ERR_UNREACHABLE] nothing there; the address is a guess (the table: no entry; EPMD: no answer)",
      detail: { a: 1, asked: "the table: no entry; EPMD: no answer" },
    });
    expect(await ended(closed, "b@h:77")).toBe(closed);
    const denied = error("ERR_DENIED");
    expect(await ended(denied)).toBe(denied);
  });

  it("hands one session to all who wait, the queued sends first and in order", async () => {
    const { dial, last, run, results, wait, finished, clock } = make([address("h1")]);
    wait("a");
    wait("b")();
    wait("c");
    for (const n of [1, 2]) dial.queue(() => results.push(`send ${n}`), 1);
    dial.queue(() => {
      throw new Error("cannot leave");
    }, 1);
    dial.queue(() => results.push("send 3"), 1);
    await run();
    const session = sessionOver(last().connection);
    dial.succeeded(session);
    dial.succeeded(session);
    dial.fail(error("ERR_DENIED"));
    expect(results).toEqual(["send 1", "send 2", "send 3", "a up", "c up"]);
    expect([finished, last().destroyed, clock.pendingTimers]).toEqual([[undefined], [], 0]);
  });

  it("ends its own connection when the session came the other way", async () => {
    const { dial, last, run } = make([address("h1")]);
    await run();
    dial.succeeded(sessionOver(undefined));
    expect(last().destroyed).toEqual(["OTHER_CONNECTION_WINS"]);
  });

  it("waits for the other side's connection after OTHER_CONNECTION_WINS, and tries the same address again meanwhile", async () => {
    const won = make([address("h1"), address("h2")]);
    won.wait("a");
    await won.run();
    const lose = ({ dial, last }: typeof won) =>
      dial.attemptEnded(last().connection, error("ERR_CLOSED", "OTHER_CONNECTION_WINS"));
    lose(won);
    won.clock.advance(199);
    expect([won.results, won.tried]).toEqual([[], ["h1:1"]]);
    won.clock.advance(1);
    expect(won.tried).toEqual(["h1:1", "h1:1"]);
    lose(won);
    won.clock.advance(399);
    won.dial.succeeded(sessionOver(undefined));
    won.clock.advance(1_000);
    expect([won.results, won.tried.length, won.clock.pendingTimers]).toEqual([["a up"], 2, 0]);
    const lost = make([address("h1")]);
    lost.wait("a");
    await lost.run();
    for (let n = 0; n < 3; n++) {
      lose(lost);
      lost.clock.advance(400);
    }
    expect([lost.results, lost.clock.pendingTimers]).toEqual([["a CONNECT_TIMEOUT"], 0]);
  });

  it("has one deadline from its start, over resolving and all addresses", async () => {
    const slow = make(new Promise(() => {}));
    slow.wait("a");
    void slow.run();
    slow.dial.queue(
      () => slow.results.push("sent"),
      1,
      () => slow.results.push("not sent"),
    );
    slow.clock.advance(999);
    expect(slow.results).toEqual([]);
    slow.clock.advance(1);
    expect([slow.results, slow.signals[0]?.aborted, slow.dial.waitingSends]).toEqual([
      ["not sent", "a CONNECT_TIMEOUT"],
      true,
      0,
    ]);
    const { dial, clock, last, run, results, wait, tried } = make([address("h1"), address("h2")]);
    wait("a");
    await run();
    clock.advance(600);
    dial.attemptEnded(last().connection, error("ERR_UNREACHABLE"));
    clock.advance(400);
    expect([results, tried.length, last().destroyed]).toEqual([["a CONNECT_TIMEOUT"], 2, ["CONNECT_TIMEOUT"]]);
  });

  it("does not dial when its addresses come too late", async () => {
    let found: (addresses: readonly DialAddress[]) => void = () => {};
    const { run, clock, tried } = make(new Promise((resolve) => (found = resolve)));
    const running = run();
    clock.advance(1_000);
    found([address("h1")]);
    await running;
    expect(tried).toEqual([]);
  });

  it("begins its time anew when it starts after a wait", async () => {
    const { dial, clock, results, wait } = make(new Promise(() => {}));
    wait("a");
    clock.advance(900);
    void dial.run();
    clock.advance(999);
    expect(results).toEqual([]);
    clock.advance(1);
    expect([results, clock.pendingTimers]).toEqual([["a CONNECT_TIMEOUT"], 0]);
  });

  it("explains its failure to those who wait", () => {
    const { dial, results, wait, finished } = make([]);
    wait("a");
    dial.fail(error("ERR_UNREACHABLE", "GONE"));
    expect([results, finished]).toEqual([["a GONE b@h"], ["GONE b@h"]]);
  });

  it("holds a bounded number of sends and of waiters", () => {
    const { dial } = make([]);
    for (let i = 0; i < MAX_WAITING_SENDS; i++) dial.queue(() => {}, 0);
    const limited = (reason: string) => expect.objectContaining({ code: "ERR_LIMIT", reason });
    expect(() => dial.queue(() => {}, 0)).toThrow(limited("WAITING_SENDS"));
    expect(dial.waitingSends).toBe(MAX_WAITING_SENDS);
    const nothing = () => {};
    for (let i = 1; i < MAX_DIAL_WAITERS; i++) dial.wait(nothing, nothing);
    const takeBack = dial.wait(nothing, nothing);
    expect(() => dial.wait(nothing, nothing)).toThrow(limited("WAITING_CALLS"));
    takeBack();
    dial.wait(nothing, nothing);
  });

  it("holds a bounded number of bytes, of sends and waiters together, and gives back those of who went away", () => {
    const { dial } = make([]);
    const nothing = () => {};
    dial.queue(nothing, 400);
    const takeBack = dial.wait(nothing, nothing, { bytes: 600 });
    const limited = expect.objectContaining({
      code: "ERR_LIMIT",
      reason: "WAITING_BYTES",
      detail: { value: 1_001, limit: 1_000, option: "limits.maxWaitingBytes" },
    });
    expect(() => dial.queue(nothing, 1)).toThrow(limited);
    expect(() => dial.wait(nothing, nothing, { bytes: 1 })).toThrow(limited);
    takeBack();
    takeBack();
    expect(dial.waitingBytes).toBe(400);
    dial.queue(nothing, 600);
    expect(() => dial.queue(nothing, 1)).toThrow(limited);
  });
});
