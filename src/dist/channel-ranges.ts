import type { ChannelId } from "../carrier/carrier.ts";

/** Stream 0: handshake and ticks. */
export const CONTROL: ChannelId = 0;
