import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import type { PlainSocketSink } from "../base/sockets.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { ControlConnection } from "./control-connection.ts";
import type { ControlPing, ControlTarget } from "./control-target.ts";
import { perform } from "./perform.ts";

interface Rig {
  readonly clock: VirtualClock;
  readonly sink: PlainSocketSink;
  readonly answers: Record<string, unknown>[];
  readonly state: { ended: boolean; destroyed: boolean; closed: number; ready: boolean };
  /** The pings that wait, each with its signal. */
  readonly pings: { signal: AbortSignal; done(result: ControlPing): void; failed(error: unknown): void }[];
  send(text: string): void;
}

const PONG: ControlPing = { peer: "b@h", protocol: "otp", assurance: "ca", fingerprint: null, rttMs: 1 };

function rig(): Rig {
  const clock = new VirtualClock();
  const answers: Record<string, unknown>[] = [];
  const pings: Rig["pings"] = [];
  const state = { ended: false, destroyed: false, closed: 0, ready: true };
  const target = {
    status: () => ({ name: "a@h" }),
    ping: (_node: string, { signal }: { signal: AbortSignal }) =>
      new Promise<ControlPing>((done, failed) => pings.push({ signal, done, failed })),
  } as unknown as ControlTarget;
  const connection = new ControlConnection({
    clock,
    socket: {
      write: (bytes) => answers.push(JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>),
      end: () => {
        state.ended = true;
      },
      destroy: () => {
        state.destroyed = true;
      },
      keepAlive: () => undefined,
    },
    limits: { maxOpenRequests: 2, idleMs: 1000, requestMs: 400 },
    target: () => (state.ready ? (request, signal) => perform(target, request, signal) : undefined),
    closed: () => state.closed++,
  });
  const sink = connection.sink();
  return { clock, sink, answers, state, pings, send: (text) => sink.bytes(Buffer.from(text)) };
}

/** Lets promises settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

const PING = '{"id":1,"op":"ping","args":{"node":"b@h","timeoutMs":50}}\n';

describe("ControlConnection", () => {
  it("answers requests, also several of one chunk and one of many", async () => {
    const { send, answers } = rig();
    send('{"id":1,"op":"status"}\n{"id":2,"op":"status"}\n{"id":3,');
    await settle();
    send('"op":"status"}\n');
    await settle();
    expect(answers.map(({ id, ok }) => [id, ok])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
  });

  it("answers an unknown operation and goes on", async () => {
    const { send, answers, state } = rig();
    send('{"id":9,"op":"shutdown"}\n{"id":10,"op":"status"}\n');
    await settle();
    expect(answers).toMatchObject([
      { id: 9, ok: false, error: { reason: "CONTROL_UNKNOWN_OP" } },
      { id: 10, ok: true },
    ]);
    expect(state.ended).toBe(false);
  });

  it.each(["garbage\n", `${"x".repeat(65_536)}\n`])(
    "says what is wrong with %.10s, and reads no more",
    async (text) => {
      const { send, answers, state, clock } = rig();
      send(text);
      send('{"id":1,"op":"status"}\n');
      await settle();
      expect(answers).toMatchObject([{ id: null, ok: false }]);
      expect(state).toMatchObject({ ended: true, destroyed: false });
      clock.advance(1000);
      expect(state.destroyed).toBe(true);
    },
  );

  it("cuts who sends nothing, or half a line a byte at a time", () => {
    const silent = rig();
    silent.clock.advance(999);
    expect(silent.state.destroyed).toBe(false);
    silent.clock.advance(1);
    expect(silent.state.destroyed).toBe(true);
    const slow = rig();
    for (let i = 0; i < 10; i++) {
      slow.send("{");
      slow.clock.advance(100);
    }
    expect(slow.state.destroyed).toBe(true);
  });

  it("does not cut who waits for an answer, and starts counting when it came", async () => {
    const { send, state, clock, pings, answers } = rig();
    send('{"id":1,"op":"ping","args":{"node":"b@h","timeoutMs":5000}}\n');
    clock.advance(4000);
    expect(state.destroyed).toBe(false);
    pings[0]?.done(PONG);
    await settle();
    expect(answers).toMatchObject([{ id: 1, ok: true, result: PONG }]);
    clock.advance(999);
    expect(state.destroyed).toBe(false);
    clock.advance(1);
    expect(state.destroyed).toBe(true);
  });

  it("does not cut who waits because of another request that was refused meanwhile", () => {
    const { send, state, clock } = rig();
    send('{"id":1,"op":"ping","args":{"node":"b@h","timeoutMs":5000}}\n{"id":2,"op":"nonsense"}\n');
    clock.advance(4000);
    expect(state.destroyed).toBe(false);
  });

  it("gives up what takes longer than its time and a second, and answers once", async () => {
    const { send, clock, pings, answers } = rig();
    send(PING);
    clock.advance(1050);
    expect(answers).toMatchObject([{ id: 1, ok: false, error: { code: "ERR_DEADLINE", reason: "CONTROL_TIMEOUT" } }]);
    expect(pings[0]?.signal.aborted).toBe(true);
    pings[0]?.done(PONG);
    await settle();
    expect(answers).toHaveLength(1);
  });

  it("passes on failures with all they say", async () => {
    const { send, pings, answers } = rig();
    send(PING);
    const context = { peer: "b@h", stage: "port", advice: "start it" } as const;
    pings[0]?.failed(new SallyportError("ERR_UNREACHABLE", "PORT_REFUSED", "nothing listens", context));
    await settle();
    expect(answers).toEqual([
      {
        id: 1,
        ok: false,
        error: { code: "ERR_UNREACHABLE", reason: "PORT_REFUSED", message: "nothing listens", detail: {}, ...context },
      },
    ]);
  });

  it("bounds what is under way", () => {
    const { send, pings, answers } = rig();
    send(PING.repeat(3));
    expect(pings).toHaveLength(2);
    expect(answers).toMatchObject([{ ok: false, error: { code: "ERR_LIMIT", reason: "CONTROL_REQUESTS" } }]);
  });

  it("aborts what is under way when the client goes, and answers nobody", async () => {
    const { send, sink, pings, answers, state } = rig();
    send(PING);
    sink.closed(undefined);
    expect(pings[0]?.signal.aborted).toBe(true);
    expect(state.closed).toBe(1);
    pings[0]?.done(PONG);
    await settle();
    expect(answers).toEqual([]);
  });

  it("says that the node is not ready", () => {
    const { send, answers, state } = rig();
    state.ready = false;
    send('{"id":1,"op":"status"}\n');
    expect(answers).toMatchObject([{ id: 1, ok: false, error: { code: "ERR_CLOSED", reason: "CONTROL_NOT_READY" } }]);
  });
});
