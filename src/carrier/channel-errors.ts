import { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "./carrier.ts";

/** Application code of a channel that this node resets because too many unread bytes wait on it. */
export const UNREAD_RESET_CODE = 0x101;

/** Application code with which a connection ends in good order. barrel-auth section 1. */
export const CLOSE_IN_ORDER = 0x00;

/** Application code of a connection that is cut: what was under way is lost. barrel-auth section 1. */
export const CLOSE_ABRUPT = 0x0c;

/** The caller wrote before anybody has judged the peer. */
export function channelsNotOpen(): SallyportError {
  return new SallyportError(
    "ERR_API_MISUSE",
    "CARRIER_NOT_OPEN",
    "nothing can be written before the connection is open",
    { advice: "write from the sink's opened() on" },
  );
}

/** The caller named a channel that neither side has opened, or that only the peer writes. */
export function channelNotOpen(channel: ChannelId): SallyportError {
  return new SallyportError(
    "ERR_API_MISUSE",
    "CHANNEL_NOT_OPEN",
    `channel ${channel} is not open for writing on this side`,
    { detail: { channel }, advice: "open() a channel, or answer on a bidirectional one that the peer has used" },
  );
}

/** This node ended the connection at once. */
export function channelsClosedLocally(address: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "CLOSED_LOCALLY", `this node closed the connection with ${address}`, {
    detail: { address },
    stage: "session",
    advice: "look for the reason this node gives at the same moment",
  });
}

/** The peer ended the connection at once. */
export function channelsCutByPeer(address: string, code: number): SallyportError {
  return new SallyportError("ERR_CLOSED", "CONNECTION_RESET", `${address} cut the connection (code ${code})`, {
    detail: { address, code },
    stage: "session",
    advice: "look for the reason the other node gives at the same moment",
  });
}

/** More was written than may wait for this peer. */
export function channelsWriteBufferFull(address: string, value: number, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WRITE_BUFFER_FULL",
    `${value} octets wait for ${address} where maxPendingBytes is ${limit}; the connection was cut`,
    {
      detail: { address, limit, value, option: "maxPendingBytes" },
      stage: "session",
      advice: "send less, wait for drained, or raise maxPendingBytes",
    },
  );
}
