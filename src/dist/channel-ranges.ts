import type { ChannelId } from "../carrier/carrier.ts";

/** Stream 0: handshake and ticks. */
export const CONTROL: ChannelId = 0;

const FIRST_DIALLED_USER = 68;
const FIRST_ACCEPTED_USER = 65;

/** True above the pool of lanes. The boundary that barrel draws: the bit for one-way streams is not looked at (barrel-auth section 2). */
export function isUserChannel(channel: ChannelId): boolean {
  return channel % 2 === 0 ? channel >= FIRST_DIALLED_USER : channel >= FIRST_ACCEPTED_USER;
}
