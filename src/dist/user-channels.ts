import type { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";

/** What lies above the pool of lanes: streams of the application. */
export interface UserChannels {
  /** The session stands: streams may be taken and opened. */
  up(carrier: ChannelledCarrier): void;
  /** A stream that came before was refused. */
  tooEarly(): void;
  bytes(channel: ChannelId, chunk: Buffer): void;
  ended(channel: ChannelId): void;
  reset(channel: ChannelId, code: number): void;
  drained(channel: ChannelId): void;
  /** The connection is gone. */
  closed(cause: SallyportError | undefined): void;
}
