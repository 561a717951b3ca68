import type { BarrelAttempt, BarrelTools, BarrelTrustAnswer, BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";
import { BARREL_ALPN, BarrelLink } from "../dist/barrel-link.ts";
import type { BarrelLinkOwner, LinkNotice } from "../dist/barrel-link-owner.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "../dist/limits.ts";
import { limitsAboveLink } from "../dist/link-limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import type { UserChannels } from "../dist/user-channels.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { barrelTestNode } from "./barrel-end.ts";
import {
  type ChannelledMemoryOptions,
  type ChannelledMemoryPair,
  createChannelledMemoryPair,
} from "./channelled-memory.ts";
import { End, otpTools } from "./end.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What one side of a barrel connection in memory is made of. */
export interface BarrelSide {
  readonly name: NodeName;
  /** 32 bytes, or one that is repeated. */
  readonly seed: Buffer | number;
  readonly cookie: string;
  readonly flags: bigint;
  readonly creation: number;
  readonly limits: Partial<DistLimits>;
  readonly tools: Partial<BarrelTools>;
  /** Randomness of Erlang's handshake: the challenges. */
  readonly random: Random | undefined;
  readonly users: UserChannels | undefined;
}

/** A node at one end: what its link and its connection ask is answered here, and kept. */
export class BarrelSideEnd extends End implements BarrelLinkOwner {
  link!: BarrelLink;
  readonly trustQuestions: BarrelTrustQuestion[] = [];
  readonly attempts: BarrelAttempt[] = [];
  readonly notices: LinkNotice[] = [];
  /** `later` leaves the question open. */
  trust: BarrelTrustAnswer | "later" = { kind: "granted", assurance: "pinned" };
  info: CarrierInfo | undefined;
  cause: SallyportError | undefined;

  barrelSecured(): void {}

  barrelTrustAsked(question: BarrelTrustQuestion): void {
    this.trustQuestions.push(question);
    if (this.trust !== "later") this.link.answerTrust(this.trust);
  }

  barrelAttempted(attempt: BarrelAttempt): void {
    this.attempts.push(attempt);
  }

  barrelNoticed(notice: LinkNotice): void {
    this.notices.push(notice);
  }

  override down(cause: SallyportError | undefined): void {
    this.cause = cause;
    super.down(cause);
  }

  override secured(info?: CarrierInfo): void {
    this.info = info;
  }
}

export const BARREL_COOKIE = "a cookie of thirty-two bytes....";
export const BARREL_WALL_MS = 1_800_000_000_000;
export const LISTENER_CERTIFICATE: Buffer = Buffer.from("the certificate of the listener");

const crypto = new RealIdentityCrypto();

/** Makes the link and the connection of one side over a carrier. With a target it dials. */
export function barrelSide(
  given: Partial<BarrelSide> & { readonly name: NodeName },
  target: NodeName | undefined,
  clock: VirtualClock,
  makeCarrier: (sink: ChannelledSink) => ChannelledCarrier,
): BarrelSideEnd {
  const seed = given.seed ?? (target === undefined ? 2 : 1);
  const { identity, tools } = barrelTestNode(given.name, seed, crypto, given.tools);
  const limits = { ...DEFAULT_DIST_LIMITS, ...given.limits };
  const end = new BarrelSideEnd();
  const otp = otpTools(given.cookie ?? BARREL_COOKIE, target === undefined ? 12 : 11);
  end.connection = new DistConnection(
    {
      own: { name: given.name, creation: given.creation ?? 7, flags: given.flags ?? DEFAULT_FLAGS },
      target,
      tools: given.random === undefined ? otp : { ...otp, random: given.random },
      clock,
      limits: limitsAboveLink(limits, target === undefined ? "acceptor" : "initiator"),
      ticks: DEFAULT_TICK_OPTIONS,
    },
    end,
    (sink) => {
      end.link = new BarrelLink(
        { target, identity: () => identity, tools, clock, limits, owner: end, users: given.users },
        sink,
        makeCarrier,
      );
      return end.link;
    },
  );
  return end;
}

export interface BarrelPairOptions {
  readonly dialler?: Partial<BarrelSide>;
  readonly listener?: Partial<BarrelSide>;
  readonly memory?: ChannelledMemoryOptions;
  readonly target?: NodeName;
}

/** Two barrel ends joined in memory; nothing has been delivered yet. */
export interface BarrelPair {
  readonly clock: VirtualClock;
  readonly memory: ChannelledMemoryPair;
  readonly dialler: BarrelSideEnd;
  readonly listener: BarrelSideEnd;
}

export function createBarrelPair(options: BarrelPairOptions = {}): BarrelPair {
  const clock = new VirtualClock(BARREL_WALL_MS);
  const memory = createChannelledMemoryPair({
    clock,
    ...options.memory,
    dialled: { alpn: BARREL_ALPN, peerCertDer: LISTENER_CERTIFICATE, ...options.memory?.dialled },
    accepted: { alpn: BARREL_ALPN, ownCertDer: LISTENER_CERTIFICATE, ...options.memory?.accepted },
  });
  const a = { name: parseNodeName("a@h"), ...options.dialler };
  const b = { name: parseNodeName("b@h"), ...options.listener };
  let sinks: [ChannelledSink | undefined, ChannelledSink | undefined] = [undefined, undefined];
  const dialler = barrelSide(a, options.target ?? b.name, clock, (sink) => {
    sinks = [sink, sinks[1]];
    return memory.dialled;
  });
  const listener = barrelSide(b, undefined, clock, (sink) => {
    sinks = [sinks[0], sink];
    return memory.accepted;
  });
  const [dialled, accepted] = sinks;
  if (dialled !== undefined && accepted !== undefined) memory.connect(dialled, accepted);
  return { clock, memory, dialler, listener };
}
