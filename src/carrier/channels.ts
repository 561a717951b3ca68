import type { Admission, Carrier, CarrierInfo, CarrierSink, ChannelId, DialAddress } from "./carrier.ts";

/**
 * A carrier that multiplexes: its channels are the streams of one QUIC connection, and a ChannelId is the stream's id.
 * `open` gives: "auth" our first unidirectional stream (2 dialled, 3 accepted), "control" bidirectional stream 0 (dialling side
 * only; the accepting side writes to 0 once it has heard from it), "data" the next of the pool (4..64 dialled, 1..61 accepted,
 * each step 4), "user" the next bidirectional stream above the pool (from 68 or 65), "user-uni" the next unidirectional one
 * (from 70 or 67). An opened stream appears on the wire with its first bytes. barrel-auth section 2.
 */
export interface ChannelledCarrier extends Carrier {
  /** Ends our direction of the channel behind what is queued on it (FIN). Idempotent; nothing may be written after it. */
  finish(channel: ChannelId): void;
  /**
   * Stops and resumes handing up one channel's bytes; the others go on. What arrives meanwhile waits within the carrier's bound
   * for unread bytes of one channel; above it the channel is reset.
   */
  pauseChannel(channel: ChannelId): void;
  resumeChannel(channel: ChannelId): void;
  /** Bytes queued on one channel that the engine has not taken yet. */
  pendingOn(channel: ChannelId): number;
}

/** Upward side of a channelled carrier. */
export interface ChannelledSink extends CarrierSink {
  /** As a carrier of one stream may say; here every sink hears it, and whoever wraps one hands it on. */
  heard(): void;
  /** The peer ended its direction of the channel in good order; every byte before it was handed up. At most once per channel. */
  channelEnded(channel: ChannelId): void;
  /** The peer, or a bound of the carrier, ended the channel abruptly with this application code. At most once per channel. */
  channelReset(channel: ChannelId, code: number): void;
  /** The peer goes on from another address, which is that of `info` from now on. */
  peerMoved(info: CarrierInfo): void;
}

/** Makes outgoing channelled carriers; as `CarrierDialer`. */
export interface ChannelledDialer {
  dial(address: DialAddress, serverName: string, sink: ChannelledSink): ChannelledCarrier;
}

/** Called once per accepted connection, before its handshake has finished: it returns the sink that hears the rest. */
export type ChannelledAcceptHandler = (carrier: ChannelledCarrier, admission: Admission) => ChannelledSink;
