import { UNREAD_RESET_CODE } from "../carrier/channel-errors.ts";

/** Nobody takes streams of this tag, or of any (barrel-auth section 11). */
export const UNKNOWN_TAG_CODE = 0x100;

/** The owner of a stream is gone, or gave it up. */
export const OWNER_GONE_CODE = 0;

/** What `reset` without a code tells the peer. */
export const DEFAULT_STREAM_RESET_CODE: number = OWNER_GONE_CODE;

/** Highest code with which an application cuts a stream. QUIC has room for 2^62 - 1; four octets are a number in every language. */
export const MAX_STREAM_RESET_CODE = 0xffff_ffff;

/** Whether an application may cut a stream with this code: those by which a node refuses and overruns mean that and nothing else. */
export function isResetCode(code: number): boolean {
  if (!Number.isInteger(code) || code < 0 || code > MAX_STREAM_RESET_CODE) return false;
  return code !== UNKNOWN_TAG_CODE && code !== UNREAD_RESET_CODE;
}
