import { SallyportError } from "../base/errors.ts";
import type { ChannelId, ChannelKind } from "./carrier.ts";

/** Which end of a channelled carrier: the dialling side has even ids, the accepting side odd ones. RFC 9000 section 2.1. */
export type ChannelSide = "dial" | "accept";

/** Ids of one kind of stream are this far apart. RFC 9000 section 2.1. */
const ID_STEP = 4;
const SIDE_BIT = 1;
const UNI_BIT = 2;

/** First id of each kind and, where it is bounded, the last. barrel-auth section 2. */
const PLAN: Readonly<Record<ChannelSide, Readonly<Record<ChannelKind, readonly [first: number, last: number]>>>> = {
  dial: {
    auth: [2, 2],
    control: [0, 0],
    data: [4, 64],
    user: [68, Number.MAX_SAFE_INTEGER],
    "user-uni": [70, Number.MAX_SAFE_INTEGER],
  },
  accept: {
    auth: [3, 3],
    // None: stream 0 belongs to the dialling side.
    control: [1, 0],
    data: [1, 61],
    user: [65, Number.MAX_SAFE_INTEGER],
    "user-uni": [67, Number.MAX_SAFE_INTEGER],
  },
};

/** True when `side` opens channels of this id. */
export function isOpenedBy(side: ChannelSide, channel: ChannelId): boolean {
  return (channel & SIDE_BIT) === (side === "dial" ? 0 : 1);
}

/** True above the pool of lanes. The boundary that barrel draws: the bit for one-way streams is not looked at. barrel-auth section 2. */
export function isUserChannel(channel: ChannelId): boolean {
  return channel >= (isOpenedBy("dial", channel) ? PLAN.dial.user[0] : PLAN.accept.user[0]);
}

/** True for a channel on which only the side that opened it writes. */
export function isUnidirectional(channel: ChannelId): boolean {
  return (channel & UNI_BIT) !== 0;
}

/** The other end. */
export function otherSide(side: ChannelSide): ChannelSide {
  return side === "dial" ? "accept" : "dial";
}

/** Gives out the channel ids of one end in the order of the plan. */
export class ChannelIds {
  readonly #side: ChannelSide;
  readonly #taken: Map<ChannelKind, number> = new Map<ChannelKind, number>();
  readonly #highestHeard: [bidirectional: number, unidirectional: number] = [-1, -1];

  constructor(side: ChannelSide) {
    this.#side = side;
  }

  /**
   * The next id of a kind.
   * @throws {SallyportError} ERR_API_MISUSE CHANNEL_UNSUPPORTED for "control" of the accepting side; ERR_LIMIT
   *   CHANNELS_EXHAUSTED when the plan has no further one: "auth" and "control" are one each, "data" 16
   */
  next(kind: ChannelKind): ChannelId {
    const [first, last] = PLAN[this.#side][kind];
    if (last < first) {
      throw new SallyportError(
        "ERR_API_MISUSE",
        "CHANNEL_UNSUPPORTED",
        "the accepting side opens no control channel: it answers on channel 0 once it has heard from it",
        { advice: "write on channel 0 after its first bytes" },
      );
    }
    const taken = this.#taken.get(kind);
    const id = taken === undefined ? first : taken + ID_STEP;
    if (id > last) {
      const limit = (last - first) / ID_STEP + 1;
      throw new SallyportError(
        "ERR_LIMIT",
        "CHANNELS_EXHAUSTED",
        `a connection has ${limit} channels of kind ${kind}, and all are open`,
        { detail: { kind, limit }, stage: "session", advice: "use the open ones: they stay for the whole connection" },
      );
    }
    this.#taken.set(kind, id);
    return id;
  }

  /** Notes that the other end uses this channel. A stream opens those of its type below it too. RFC 9000 section 3.2. */
  heard(channel: ChannelId): void {
    const type = isUnidirectional(channel) ? 1 : 0;
    if (channel > this.#highestHeard[type]) this.#highestHeard[type] = channel;
  }

  /** True when this end may write to the channel, or could before the channel ended. */
  isWritable(channel: ChannelId): boolean {
    if (!(Number.isSafeInteger(channel) && channel >= 0)) return false;
    if (!isOpenedBy(this.#side, channel)) return !isUnidirectional(channel) && channel <= this.#highestHeard[0];
    for (const [kind, last] of this.#taken) {
      const first = PLAN[this.#side][kind][0];
      if (channel >= first && channel <= last && (channel - first) % ID_STEP === 0) return true;
    }
    return false;
  }
}
