import { OpenChallenges } from "../../src/auth/otp-types.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink } from "../../src/carrier/carrier.ts";
import { DEFAULT_DIST_LIMITS } from "../../src/dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../../src/dist/tick.ts";
import { SallyportNode } from "../../src/node/node.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { SeededRandom } from "../../src/testkit/seeded-random.ts";
import { VirtualClock } from "../../src/testkit/virtual-clock.ts";
import { DEFAULT_FLAGS } from "../../src/wire/flags.ts";
import { atom, type Bytes, bin, genCall, list, NIL, pid, read, ref, show, tuple } from "../attack/etf.ts";
import { challengeReply, digest, FLAGS, FLAGS_PLAIN, message, op, type Style, sendName } from "../attack/frames.ts";
import { diceOf } from "./dice.ts";
import type { Target } from "./harness.ts";
import { framed, mutateFrames, splitBytes } from "./mutate.ts";
import { EVIL, everyFrame, everyMessage, fragmentsOf, VICTIM } from "./target-wire.ts";

const COOKIE = "cookie of the fuzzed node";
const GOOD = "good@home.example";

/** A carrier that keeps what is written to it. */
class TapedCarrier implements Carrier {
  sink: CarrierSink | undefined;
  taken: Buffer[] = [];
  isClosed = false;
  open(): number {
    throw new Error("not asked for");
  }
  write(_channel: number, bytes: Uint8Array): boolean {
    if (!this.isClosed) this.taken.push(Buffer.from(bytes));
    return true;
  }
  flush(): void {}
  reset(): void {}
  info(): CarrierInfo {
    const none = undefined;
    return {
      transport: "memory",
      remoteAddress: "memory:1",
      localAddress: "memory:2",
      tlsVersion: none,
      alpn: none,
      ownCertDer: none,
      peerCertDer: none,
      chainTrusted: true,
      chainError: none,
      exporter: none,
    };
  }
  pendingBytes(): number {
    return 0;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.destroy();
  }
  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.sink?.closed(undefined);
  }
  /** Frame bodies written since the last time. */
  frames(): Buffer[] {
    const bytes = Buffer.concat(this.taken);
    this.taken = [];
    const out: Buffer[] = [];
    for (let at = 0; at + 4 <= bytes.length; ) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > at + 4) out.push(bytes.subarray(at + 4, end));
      at = end;
    }
    return out;
  }
}

/** A node with services, functions, processes, a good peer, and a call open to that peer. */
export class FuzzedNode {
  readonly clock: VirtualClock = new VirtualClock();
  readonly node: SallyportNode;
  readonly good: TapedCarrier;
  readonly openRef: Bytes;
  readonly servicePid: Bytes;
  readonly mainPid: Bytes;
  settled: string | undefined;
  lastDown: string | undefined;
  lastRefused: string | undefined;
  #round = 0;

  constructor() {
    const random = new SeededRandom(1);
    const crypto = new RealCrypto();
    this.node = new SallyportNode({
      own: { name: parseNodeName(VICTIM), creation: 99, flags: DEFAULT_FLAGS },
      clock: this.clock,
      random,
      handshake: { crypto, random, openChallenges: new OpenChallenges(), cookieFor: () => Buffer.from(COOKIE) },
      dialers: {},
      resolver: { label: "nothing", resolve: async () => [] },
      judgeCertificate: () => ({ matched: true, presented: [] }),
      limits: { ...DEFAULT_DIST_LIMITS, maxFrameBytes: 1 << 20, maxReassemblyBytes: 1 << 20 },
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    const echo = { call: (request: unknown) => request as never, cast: () => undefined, info: () => undefined };
    const service = this.node.register("echo", echo, { allow: "cookie" });
    const onlyCalls = { call: echo.call, cast: () => this.#unreachable("cast"), info: () => this.#unreachable("info") };
    this.node.register("calls", onlyCalls, { allow: { atLeast: "cookie", verbs: ["call"] } });
    this.node.register("private", { ...echo, info: () => this.#unreachable("private") });
    this.node.registerFunction("worker", (args) => args.length, { allow: "cookie" });
    this.node.registerFunction({ module: "math", function: "add", arity: 2 }, (args) => args, { allow: "cookie" });
    const verbs = ["send", "call", "cast", "monitor", "link"] as const;
    this.node.spawn(() => undefined, { allow: { atLeast: "cookie", verbs } });
    this.node.on("nodedown", (_peer, reason) => {
      this.lastDown = reason;
    });
    this.node.on("refused", ({ error }) => {
      this.lastRefused = error.reason;
    });
    this.node.on("handlerError", ({ where, error }) => {
      throw new Error(`handler ${where} failed`, { cause: error });
    });
    this.good = this.connect(GOOD, FLAGS);
    const pending = this.node.call({ name: "slow", node: GOOD }, [1], { timeoutMs: 2_147_483_647 });
    const settle = (how: string) => (): void => {
      this.settled = how;
    };
    pending.then(settle("answered"), settle("failed"));
    this.clock.runTurn();
    const asked = this.good.frames().map((frame) => read(frame, 3).value);
    const monitor = asked.find((value) => show(value).startsWith("{19,"));
    if (monitor === undefined || typeof monitor !== "object" || !("tuple" in monitor))
      throw new Error("no monitor was sent");
    const [, main, , reference] = monitor.tuple;
    this.openRef = rawOf(reference);
    this.mainPid = rawOf(main);
    this.servicePid = pid(VICTIM, service.pid.id, service.pid.serial, 99);
  }

  /** Connects as `name` by the real handshake; the session stands when this returns. */
  connect(name: string, flags: bigint): TapedCarrier {
    const carrier = new TapedCarrier();
    const sink = this.node.accept(carrier, { release: () => undefined });
    carrier.sink = sink;
    sink.opened(carrier.info());
    sink.bytes(0, framed([sendName(name, flags)]));
    const asked = carrier.frames().at(-1);
    if (asked === undefined || asked[0] !== 0x4e) throw new Error(`no challenge for ${name}: ${this.lastRefused}`);
    sink.bytes(0, framed([challengeReply(9, digest(COOKIE, asked.readUInt32BE(9)))]));
    if (carrier.frames().at(-1)?.[0] !== 0x61) throw new Error("no session");
    return carrier;
  }

  /** A call of the good peer still gets its answer. */
  checkGoodPeer(): void {
    const own = ref(GOOD, 77, ++this.#round, 0, 1);
    const from = pid(GOOD, 50, 0, 77);
    this.good.sink?.bytes(
      0,
      framed([message("headers", op.regSend(from, "echo"), genCall(from, own, bin("still there")))]),
    );
    this.clock.runTurn();
    const answers = this.good.frames().map((frame) => {
      const control = read(frame, 3);
      return `${show(control.value)} ${control.end < frame.length ? show(read(frame, control.end).value) : ""}`;
    });
    if (!answers.some((text) => text.startsWith("{33,") && text.includes("still there")))
      throw new Error(`the good peer gets no answer any more: ${answers.join(" / ")}`);
  }

  #unreachable(name: string): undefined {
    throw new Error(`${name} was reached`);
  }
}

function rawOf(value: unknown): Bytes {
  if (typeof value === "object" && value !== null && "raw" in value && Buffer.isBuffer(value.raw)) return value.raw;
  throw new Error("not an identifier");
}

function makeTarget(style: Style): Target {
  let fuzzed: FuzzedNode | undefined;
  let frames: Buffer[] = [];
  let cases = 0;
  const evil = pid(EVIL, 100, 0, 77);
  const own = ref(EVIL, 77, 1, 2, 3);
  const start = (): FuzzedNode => {
    const made = new FuzzedNode();
    const messages = [
      ...everyMessage(evil, made.servicePid, "echo", own, made.openRef),
      ...everyMessage(evil, made.mainPid, "calls", own, made.openRef),
      [op.regSend(evil, "calls"), bin("not a tuple")] as const,
      ...everyMessage(pid(GOOD, 50, 0, 77), made.mainPid, "private", ref(GOOD, 77, 5, 5, 5), made.openRef),
      [op.send(made.mainPid), tuple(made.openRef, atom("forged"))] as const,
      [op.payloadMonitorExit(atom("slow"), made.mainPid, made.openRef), atom("forged")] as const,
      [op.spawnRequest(own, evil, evil, ["os", "cmd", 1]), list(bin("id"))] as const,
      [op.spawnRequest(own, evil, evil, ["sallyport_fn", "worker", 0], "link", "monitor"), NIL] as const,
    ];
    frames = everyFrame(style, messages);
    if (style === "headers") frames.push(...fragmentsOf(op.regSend(evil, "echo"), bin(Buffer.alloc(500)), 3n, 3));
    return made;
  };
  return {
    name: `node-${style}`,
    make(dice) {
      fuzzed ??= start();
      const chosen: Buffer[] = [];
      for (let left = 1 + dice.below(5); left > 0; left--) chosen.push(dice.pick(frames));
      return mutateFrames(dice, chosen, frames);
    },
    run(bytes) {
      fuzzed ??= start();
      const { node, clock } = fuzzed;
      fuzzed.lastDown = undefined;
      const carrier = fuzzed.connect(EVIL, style === "headers" ? FLAGS : FLAGS_PLAIN);
      for (const piece of splitBytes(diceOf(bytes), bytes, 4)) {
        if (!carrier.isClosed) carrier.sink?.bytes(0, Buffer.from(piece));
      }
      clock.runTurn();
      const refused: string | undefined = fuzzed.lastDown;
      if (carrier.isClosed !== (refused !== undefined)) throw new Error(`closed ${carrier.isClosed} with ${refused}`);
      if (!carrier.isClosed) carrier.destroy();
      clock.advance(1);
      if (refused === "CONNECTION_BUG" || refused === "CLOSED") throw new Error(`the connection ended with ${refused}`);
      if (fuzzed.settled !== undefined) throw new Error(`the open call to the good peer was ${fuzzed.settled}`);
      if (node.peers().length !== 1) throw new Error(`${node.peers().length} peers instead of the good one`);
      const { counters, processes } = node.vitals();
      if ((counters["handler_errors"] ?? 0) > 0) throw new Error("a handler failed");
      if (processes > 1_000) throw new Error(`${processes} processes live on`);
      if (++cases % 50 === 0) fuzzed.checkGoodPeer();
      return refused;
    },
  };
}

export const nodeHeadersTarget: Target = makeTarget("headers");
export const nodePlainTarget: Target = makeTarget("plain");
