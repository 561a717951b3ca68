import { describe, expect, it, vi } from "vitest";
import type { ClosedFacts } from "../carrier/quic/engine-frames.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeConnection } from "./binding.ts";
import { type Answered, DialRace } from "./dial-race.ts";
import { type DatagramHandler, UdpSocket } from "./udp.ts";

const [ONE, TWO, THREE] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const ANSWER_MS = 30_000;

/** QUIC before the first answer: a packet at once, one for each timer, and one that says why it closes. */
class AskingQuic {
  closes: number[] = [];
  #toSend = 1;
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  send(): unknown {
    if (this.#toSend === 0) return null;
    this.#toSend--;
    return [1200, { to: { host: this.#host, port: 7 } }];
  }

  timeout = (): number => 1000;
  onTimeout(): void {
    this.#toSend++;
  }

  close(_app: boolean, code: number): void {
    this.closes.push(code);
    this.#toSend++;
  }
}

/** A race whose sockets, addresses and ports are of the test: some cannot be bound, and some only when `bound` is called. */
function race(
  hosts: readonly string[] | Error,
  { broken = [] as readonly string[], slow = [] as readonly string[] } = {},
) {
  const clock = new VirtualClock();
  /** What happened, `MILLISECONDS what`. */
  const story: string[] = [];
  const tell = (what: string): void => void story.push(`${clock.now()} ${what}`);
  const handlers = new Map<string, DatagramHandler>();
  const refusers = new Map<string, (system: string) => void>();
  const quics = new Map<string, AskingQuic>();
  let found: (() => void) | undefined;
  let bind: (() => void) | undefined;
  const won: Answered[] = [];
  const failed: ClosedFacts[] = [];
  const parts = {
    clock,
    answerMs: ANSWER_MS,
    find: () =>
      new Promise<readonly string[]>((resolve, reject) => {
        found = () => (hosts instanceof Error ? reject(hosts) : resolve(hosts));
      }),
    knock(_clock: unknown, { host }: { host: string }, isWanted: () => boolean, closed: (system: string) => void) {
      tell(`knocks at ${host}`);
      refusers.set(host, (system) => isWanted() && closed(system));
    },
    async ask(host: string, handler: DatagramHandler) {
      if (slow.includes(host)) await new Promise<void>((resolve) => (bind = resolve));
      if (broken.includes(host)) throw new Error("EAFNOSUPPORT");
      handlers.set(host, handler);
      const quic = new AskingQuic(host);
      quics.set(host, quic);
      const socket = {
        host: "0.0.0.0",
        port: 9,
        send(datagram: Parameters<UdpSocket["send"]>[0], _length: number, to: string) {
          tell(`asks ${to}`);
          UdpSocket.giveBack(datagram);
        },
        close: () => tell(`closes ${host}`),
      };
      return { connection: quic as unknown as NativeConnection, socket, remote: { host, port: 7 } };
    },
    won: (answered: Answered) => void won.push(answered),
    failed: (facts: ClosedFacts) => void failed.push(facts),
  };
  const made = new DialRace(parts);
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    race: made,
    story,
    won,
    failed,
    quics,
    handlers,
    clock,
    async resolved() {
      await settle();
      found?.();
      await settle();
    },
    async bound() {
      bind?.();
      await settle();
    },
    async pass(ms: number) {
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(Math.min(left, 50));
        await settle();
      }
    },
    settle,
    refuse: (host: string, system = "ECONNREFUSED") => refusers.get(host)?.(system),
    answer: (host: string) => handlers.get(host)?.datagram(Buffer.from(host), { address: host, port: 7 } as never),
  };
}

describe("a dial over QUIC to a name with several addresses", () => {
  it("asks at one after the other, a quarter of a second apart, and goes on with the one that answers first", async () => {
    const w = race([ONE, TWO, THREE]);
    await w.resolved();
    await w.pass(300);
    expect(w.story.filter((line) => line.includes("asks"))).toEqual([`0 asks ${ONE}`, `250 asks ${TWO}`]);
    w.answer(TWO);
    expect(w.won.map(({ remote, bytes }) => [remote.host, String(bytes)])).toEqual([[TWO, TWO]]);
    // The other listener hears that nobody waits, and the third is never asked.
    expect(w.quics.get(ONE)?.closes).toEqual([2]);
    expect(w.story.slice(-2)).toEqual([`300 asks ${ONE}`, `300 closes ${ONE}`]);
    const length = w.story.length;
    await w.pass(60_000);
    w.answer(ONE);
    expect(w.story).toHaveLength(length);
    expect([w.won.length, w.failed, w.clock.pendingTimers]).toEqual([1, [], 0]);
  });

  it("asks once where the first answers at once", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    w.answer(ONE);
    expect(w.clock.pendingTimers).toBe(0);
    await w.pass(60_000);
    expect(w.story).toEqual([`0 asks ${ONE}`]);
    expect(w.won).toHaveLength(1);
  });

  it("asks the next at once when the system says that nobody is at one", async () => {
    const w = race([ONE, TWO, THREE]);
    await w.resolved();
    await w.pass(260);
    w.refuse(ONE);
    await w.settle();
    expect(w.story.filter((line) => line.includes(THREE))).toEqual([`260 asks ${THREE}`]);
    expect(w.story).toContain(`260 closes ${ONE}`);
  });

  it("asks the next at once when there is no socket for one", async () => {
    const w = race([ONE, TWO], { broken: [ONE] });
    await w.resolved();
    expect(w.story).toEqual([`0 asks ${TWO}`]);
    w.answer(TWO);
    expect(w.won).toHaveLength(1);
  });

  it("fails when nobody is at any of them, and not before", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(600);
    w.refuse(ONE);
    expect(w.failed).toEqual([]);
    w.refuse(TWO, "EHOSTUNREACH");
    expect(w.failed).toEqual([{ by: "system", app: false, code: 0, system: "EHOSTUNREACH" }]);
  });

  it("does not fail while one still may answer, or its socket is being bound", async () => {
    const early = race([ONE, TWO], { broken: [TWO] });
    await early.resolved();
    await early.pass(260);
    expect(early.failed).toEqual([]);
    early.answer(ONE);
    expect(early.won).toHaveLength(1);
    const late = race([ONE, TWO], { slow: [TWO] });
    await late.resolved();
    await late.pass(260);
    late.refuse(ONE);
    expect(late.failed).toEqual([]);
    await late.bound();
    late.answer(TWO);
    expect(late.won).toHaveLength(1);
  });
});

describe("a dial over QUIC", () => {
  it("asks again when QUIC wants to, and asks the system about a port that is silent", async () => {
    const w = race([ONE]);
    await w.resolved();
    await w.pass(2000);
    expect(w.story).toEqual([`0 asks ${ONE}`, `250 knocks at ${ONE}`, `1000 asks ${ONE}`, `2000 asks ${ONE}`]);
  });

  it("is over when nobody has answered in time", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(ANSWER_MS - 50);
    expect(w.failed).toEqual([]);
    await w.pass(50);
    expect(w.failed).toEqual([{ by: "timeout", app: false, code: 0, system: "" }]);
    expect(w.story.slice(-4)).toEqual(
      [ONE, ONE, TWO, TWO].map((host, i) => `30000 ${["asks", "closes"][i % 2]} ${host}`),
    );
    expect(w.clock.pendingTimers).toBe(0);
  });

  it("fails with what the look-up says", async () => {
    const w = race(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
    await w.resolved();
    expect(w.failed).toMatchObject([{ by: "system", system: "ENOTFOUND" }]);
    expect(w.clock.pendingTimers).toBe(0);
  });

  it.each([
    ["during the look-up", 0],
    ["while it asks", 300],
  ])("ends when the node changes its mind %s, once", async (_when, ms) => {
    const w = race([ONE, TWO]);
    if (ms > 0) await w.resolved();
    await w.pass(ms);
    w.race.destroy();
    w.race.destroy();
    await w.resolved();
    expect(w.failed).toMatchObject([{ by: "system", system: "DESTROYED" }]);
    expect([...w.quics.values()].map(({ closes }) => closes)).toEqual(ms > 0 ? [[2], [2]] : []);
    await w.pass(60_000);
    w.answer(ONE);
    expect([w.won, w.failed.length, w.clock.pendingTimers]).toEqual([[], 1, 0]);
  });

  it("that ends while its socket is being bound closes it then", async () => {
    const w = race([ONE], { slow: [ONE] });
    await w.resolved();
    w.race.destroy();
    await w.bound();
    expect(w.story.slice(-1)).toEqual([`0 closes ${ONE}`]);
    expect(w.clock.pendingTimers).toBe(0);
  });

  it("keeps for the connection that the node reads nothing yet", async () => {
    for (const isPaused of [true, false]) {
      const w = race([ONE]);
      w.race.pause(true);
      w.race.pause(isPaused);
      await w.resolved();
      w.answer(ONE);
      expect(w.won[0]?.isPaused).toBe(isPaused);
    }
  });

  it("gives what else comes on its socket to the connection", async () => {
    const w = race([ONE]);
    await w.resolved();
    w.answer(ONE);
    const heard = vi.fn();
    w.won[0]?.hear(heard);
    w.answer(ONE);
    expect(heard).toHaveBeenCalledOnce();
  });
});
