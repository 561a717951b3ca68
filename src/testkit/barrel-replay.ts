import type { BarrelTools } from "../auth/barrel-types.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledSink } from "../carrier/channels.ts";
import { BARREL_ALPN } from "../dist/barrel-link.ts";
import type { DistLimits } from "../dist/limits.ts";
import { type BarrelSideEnd, barrelSide } from "./barrel-pair.ts";
import { type ChannelledMemoryCarrier, createChannelledMemoryPair } from "./channelled-memory.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** One message of a record. */
export interface Recorded {
  readonly from: "dialler" | "listener";
  readonly message: string;
  readonly hex: string;
}
/** One exchange with a real node. */
export interface Exchange {
  readonly name: string;
  readonly dialler: { readonly name: string; readonly seed: string };
  readonly listener: { readonly name: string; readonly seed: string };
  readonly certificate: string;
  readonly frames: readonly Recorded[];
  readonly handshake: readonly Recorded[];
  readonly firstFrameOnStream4?: string;
}
/** The cookie of the recorded handshakes. */
export const RECORDED_COOKIE = "secret";

/** One of our sides against a peer that says only what was recorded. */
export class Replay {
  readonly clock: VirtualClock;
  readonly end: BarrelSideEnd;
  readonly peer: ChannelledMemoryCarrier;
  /** What came from our side, by stream, as hex; one entry for each delivery. */
  readonly heard: [ChannelId, string][] = [];
  readonly ended: ChannelId[] = [];
  readonly resets: [ChannelId, number][] = [];

  /** What our side did on its carrier with stream 0: `w` and the bytes, or `flush`. */
  readonly control: string[] = [];

  constructor(
    exchange: Exchange,
    role: "dialler" | "listener",
    options: {
      readonly split?: ((bytes: Buffer) => Buffer[]) | undefined;
      readonly tools?: Partial<BarrelTools>;
      readonly limits?: Partial<DistLimits>;
    } = {},
  ) {
    const { split } = options;
    const hex = (from: string, message: string, list: readonly Recorded[]): Buffer =>
      Buffer.from(list.find((r) => r.from === from && r.message === message)?.hex ?? "", "hex");
    const challenge = hex(role, "CHALLENGE", exchange.frames);
    const own = hex(role, role === "dialler" ? "send_name" : "challenge", exchange.handshake);
    const number = role === "dialler" ? hex(role, "reply", exchange.handshake).readUInt32BE(1) : own.readUInt32BE(9);
    this.clock = new VirtualClock(Number(challenge.readBigUInt64BE(35)));
    const certificate = Buffer.from(exchange.certificate, "hex");
    const memory = createChannelledMemoryPair({
      clock: this.clock,
      ...(split === undefined ? {} : { split }),
      dialled: { alpn: BARREL_ALPN, peerCertDer: certificate },
      accepted: { alpn: BARREL_ALPN, ownCertDer: certificate },
    });
    const [ours, theirs] = role === "dialler" ? [memory.dialled, memory.accepted] : [memory.accepted, memory.dialled];
    this.peer = theirs;
    const write = ours.write.bind(ours);
    const flush = ours.flush.bind(ours) as (channel: ChannelId) => void;
    ours.write = (channel, bytes) => {
      if (channel === 0) this.control.push(Buffer.from(bytes).toString("hex"));
      return write(channel, bytes);
    };
    Object.assign(ours, {
      flush: (channel: ChannelId) => {
        if (channel === 0) this.control.push("flush");
        flush(channel);
      },
    });
    let sink: ChannelledSink | undefined;
    this.end = barrelSide(
      {
        name: parseNodeName(exchange[role].name),
        seed: Buffer.from(exchange[role].seed, "hex"),
        cookie: RECORDED_COOKIE,
        flags: own.readBigUInt64BE(1),
        creation: own.readUInt32BE(role === "dialler" ? 9 : 13),
        tools: { nonceFor: () => challenge.subarray(3, 35), ...options.tools },
        limits: options.limits ?? {},
        random: { bytes: (length) => Buffer.alloc(length), uint32: () => number },
      },
      role === "dialler" ? parseNodeName(exchange.listener.name) : undefined,
      this.clock,
      (given) => {
        sink = given;
        return ours;
      },
    );
    const peerSink: ChannelledSink = {
      opened: () => {},
      bytes: (channel, chunk) => void this.heard.push([channel, chunk.toString("hex")]),
      drained: () => {},
      closed: () => {},
      heard: () => {},
      peerMoved: () => {},
      channelEnded: (channel) => void this.ended.push(channel),
      channelReset: (channel, code) => void this.resets.push([channel, code]),
    };
    if (sink === undefined) throw new Error("no carrier was asked for");
    if (role === "dialler") memory.connect(sink, peerSink);
    else memory.connect(peerSink, sink);
    this.clock.advance(0);
  }

  /** The peer says something on a stream. */
  say(channel: ChannelId, bytes: string | Buffer): this {
    this.peer.write(channel, typeof bytes === "string" ? Buffer.from(bytes, "hex") : bytes);
    this.clock.advance(0);
    return this;
  }

  /** What was heard on a stream, joined. */
  on(channel: ChannelId): string {
    return this.heard
      .filter(([from]) => from === channel)
      .map(([, text]) => text)
      .join("");
  }

  get last(): string | undefined {
    return this.end.events.at(-1);
  }

  get failure(): string | undefined {
    return this.last?.startsWith("down") === true ? this.last : undefined;
  }
}

/** Runs the recorded exchange up to the last message of Erlang's handshake; `before` runs before each message of the peer's there. */
export function replay(
  exchange: Exchange,
  role: "dialler" | "listener",
  options: {
    split?: (bytes: Buffer) => Buffer[];
    before?: (r: Replay) => void;
    merged?: boolean;
    limits?: Partial<DistLimits>;
  } = {},
): Replay {
  const run = new Replay(exchange, role, options);
  const peerAuth = run.peer.open("auth");
  for (const frame of exchange.frames) if (frame.from !== role) run.say(peerAuth, frame.hex);
  const theirs = exchange.handshake.filter((r) => r.from !== role);
  if (role === "listener") run.peer.open("control");
  if (options.merged === true) {
    const [first, second, ...rest] = theirs;
    run.say(0, `${first?.hex}${second?.hex}`);
    for (const message of rest) run.say(0, message.hex);
    return run;
  }
  for (const message of theirs) {
    options.before?.(run);
    run.say(0, message.hex);
  }
  options.before?.(run);
  return run;
}
