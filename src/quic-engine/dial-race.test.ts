import { describe, expect, it, vi } from "vitest";
import type { ClosedFacts } from "../carrier/quic/engine-frames.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeConnection } from "./binding.ts";
import { type Answered, DialRace } from "./dial-race.ts";
import { type DatagramHandler, UdpSocket } from "./udp.ts";

const [ONE, TWO, THREE] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const ANSWER_MS = 30_000;

/**
 * QUIC as far as a dial sees it: a packet at once and one for each timer; one for what it is told to do, but nothing about its end before it
 * has heard somebody.
 */
class AskingQuic {
  closes: string[] = [];
  #toSend = 1;
  #heard = 0;
  #isClosed = false;
  #isEstablished = false;
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  send(): unknown {
    if (this.#toSend === 0 || (this.#isClosed && this.#heard === 0)) return null;
    this.#toSend--;
    return [1200, { to: { host: this.#host, port: 7 } }];
  }

  recv(bytes: Buffer): void {
    const word = bytes.toString();
    if (word === "versions") this.#isClosed = true;
    if (word === "garbage" || word === "versions") throw new Error("no packet for this connection");
    this.#toSend++;
    if (word === "finished") this.#isEstablished = true;
    if (word !== "retry") this.#heard++;
  }

  timeout = (): number => 1000;
  onTimeout(): void {
    this.#toSend++;
  }

  close(isApp: boolean, code: number): void {
    this.closes.push(`${isApp ? "app" : "quic"} ${code}`);
    this.#isClosed = true;
    this.#toSend++;
  }

  stats = (): { recv: number } => ({ recv: this.#heard });
  isClosed = (): boolean => this.#isClosed;
  isEstablished = (): boolean => this.#isEstablished;
  expire(): void {
    this.#isClosed = true;
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
    answer: (host: string, what = "answer") =>
      handlers.get(host)?.datagram(Buffer.from(what), { address: host, port: 7 } as never),
  };
}

describe("a dial over QUIC to a name with several addresses", () => {
  it("asks at one after the other, a quarter of a second apart, and goes on with the one that answers first", async () => {
    const w = race([ONE, TWO, THREE]);
    await w.resolved();
    await w.pass(300);
    expect(w.story.filter((line) => line.includes("asks"))).toEqual([`0 asks ${ONE}`, `250 asks ${TWO}`]);
    w.answer(TWO);
    expect(w.won.map(({ remote, octets }) => [remote.host, octets])).toEqual([[TWO, 6]]);
    const length = w.story.length;
    await w.pass(60_000);
    // The third is never asked, and the first no more.
    expect(w.story.slice(length)).toEqual([`3300 closes ${ONE}`]);
    w.answer(ONE);
    expect(w.story).toHaveLength(length + 1);
    expect([w.won.length, w.failed, w.clock.pendingTimers]).toEqual([1, [], 0]);
  });

  it("closes one whose answer comes late, so that its listener keeps no place for it", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(300);
    w.answer(TWO);
    await w.pass(2950);
    w.answer(ONE, "garbage");
    w.answer(ONE);
    expect(w.quics.get(ONE)?.closes).toEqual([]);
    const length = w.story.length;
    w.answer(ONE, "finished");
    expect(w.quics.get(ONE)?.closes).toEqual(["app 0"]);
    // What ends the handshake leaves before the end.
    expect(w.story.slice(length)).toEqual([`3250 asks ${ONE}`, `3250 asks ${ONE}`, `3250 closes ${ONE}`]);
    expect([w.won.length, w.clock.pendingTimers]).toEqual([1, 0]);
  });

  it("stops to hear one that closes itself before that", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(300);
    w.answer(TWO);
    w.answer(ONE, "versions");
    expect(w.story.slice(-1)).toEqual([`300 closes ${ONE}`]);
    expect(w.clock.pendingTimers).toBe(0);
  });

  it.each([
    ["garbage", []],
    ["retry", [`300 asks ${ONE}`]],
  ])("takes no %s for an answer", async (what, story) => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(300);
    const length = w.story.length;
    w.answer(ONE, what);
    expect(w.story.slice(length)).toEqual(story);
    expect(w.won).toEqual([]);
    w.answer(TWO);
    expect(w.won.map(({ remote }) => remote.host)).toEqual([TWO]);
  });

  it("takes for an answer that a listener has none of our versions", async () => {
    const w = race([ONE, TWO]);
    await w.resolved();
    w.answer(ONE, "versions");
    expect(w.won).toHaveLength(1);
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
    w.refuse(TWO);
    expect(w.failed).toEqual([{ by: "system", app: false, code: 0, system: "ECONNREFUSED" }]);
  });

  it.each([
    ["ECONNREFUSED", "ENETUNREACH"],
    ["ENETUNREACH", "ECONNREFUSED"],
  ])("tells of the closed port where the reasons are %s and %s", async (first, second) => {
    const w = race([ONE, TWO]);
    await w.resolved();
    await w.pass(600);
    w.refuse(ONE, first);
    w.refuse(TWO, second);
    expect(w.failed).toMatchObject([{ system: "ECONNREFUSED" }]);
  });

  it("counts out one whose connection has ended by itself", async () => {
    const w = race([ONE]);
    await w.resolved();
    w.quics.get(ONE)?.expire();
    await w.pass(1000);
    expect(w.failed).toMatchObject([{ system: "ETIMEDOUT" }]);
    expect(w.clock.pendingTimers).toBe(0);
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
    await w.pass(3000);
    expect(w.story.slice(-2)).toEqual([`33000 closes ${ONE}`, `33000 closes ${TWO}`]);
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
    if (ms > 0) w.answer(TWO, "finished");
    expect([...w.quics.values()].map(({ closes }) => closes)).toEqual(ms > 0 ? [[], ["app 0"]] : []);
    await w.pass(60_000);
    w.answer(ONE);
    expect([w.won, w.failed.length, w.clock.pendingTimers]).toEqual([[], 1, 0]);
  });

  it("that ends while its socket is being bound closes it then", async () => {
    const w = race([ONE], { slow: [ONE] });
    await w.resolved();
    w.race.destroy();
    await w.bound();
    expect(w.story).toEqual([`0 closes ${ONE}`]);
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
