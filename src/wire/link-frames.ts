import { misbehaved } from "./misbehaved.ts";
import { type RefuseReason, refuseNumber, refuseReason } from "./refuse-reason.ts";

// The one frame kind of our own beside the distribution's, in native sessions only: `F0 kind:8 body` (docs/protocol.md).

/** First byte of a link frame. The distribution's frames begin with 112 or 131. */
export const LINK_FRAME = 0xf0;

const PING = 1;
const PONG = 2;
const BYE = 3;
const REFUSE = 4;
const IDLE = 5;
const KEEP = 6;
const MOVED = 7;

/** Length of the token of PING and PONG, in bytes. */
export const PING_TOKEN_BYTES = 8;

/** Length of the count of IDLE, in bytes. */
export const IDLE_COUNT_BYTES = 8;

/**
 * Why a side leaves in good order: `stopping` the node ends, `disconnect` its owner ended this session, `idle` nothing needs
 * it at either end.
 */
export type ByeReason = "stopping" | "disconnect" | "idle";

const BYE_REASONS: readonly ByeReason[] = ["stopping", "disconnect", "idle"];

/**
 * A decoded link frame. `refuse` ends a standing session for a reason of the handshake's closed list; `idle` asks whether it
 * may end because nothing needs it, and says how many messages have come; `keep` says that it may not; `moved` says that all
 * that follows comes over the connection that takes this one's place.
 */
export type LinkFrame =
  | { readonly kind: "ping"; readonly token: bigint }
  | { readonly kind: "pong"; readonly token: bigint }
  | { readonly kind: "bye"; readonly reason: ByeReason }
  | { readonly kind: "refuse"; readonly reason: RefuseReason }
  | { readonly kind: "idle"; readonly received: bigint }
  | { readonly kind: "keep" }
  | { readonly kind: "moved" };

/** Encodes a link frame without its length prefix. Token and count are unsigned 64-bit numbers. */
export function encodeLinkFrame(frame: LinkFrame): Buffer {
  switch (frame.kind) {
    case "ping":
    case "pong": {
      const out = Buffer.alloc(2 + PING_TOKEN_BYTES);
      out[0] = LINK_FRAME;
      out[1] = frame.kind === "ping" ? PING : PONG;
      out.writeBigUInt64BE(frame.token, 2);
      return out;
    }
    case "bye":
      return Buffer.from([LINK_FRAME, BYE, BYE_REASONS.indexOf(frame.reason) + 1]);
    case "refuse":
      return Buffer.from([LINK_FRAME, REFUSE, refuseNumber(frame.reason)]);
    case "idle": {
      const out = Buffer.alloc(2 + IDLE_COUNT_BYTES);
      out[0] = LINK_FRAME;
      out[1] = IDLE;
      out.writeBigUInt64BE(frame.received, 2);
      return out;
    }
    case "keep":
      return Buffer.from([LINK_FRAME, KEEP]);
    case "moved":
      return Buffer.from([LINK_FRAME, MOVED]);
  }
}

/** True when a frame of a native session is a link frame. The caller has checked that it is not empty. */
export function isLinkFrame(buffer: Buffer, start: number): boolean {
  return buffer[start] === LINK_FRAME;
}

/**
 * Decodes a link frame, first byte F0 included. @throws {SallyportError} ERR_PEER_MISBEHAVED LINK_FRAME_MALFORMED
 */
export function decodeLinkFrame(buffer: Buffer, start: number, end: number): LinkFrame {
  const length = end - start;
  if (length < 2 || buffer[start] !== LINK_FRAME) throw malformed("it has no kind", length);
  const kind = buffer[start + 1] as number;
  switch (kind) {
    case PING:
    case PONG:
      if (length !== 2 + PING_TOKEN_BYTES) throw malformed("its token must have 8 bytes", length);
      return { kind: kind === PING ? "ping" : "pong", token: buffer.readBigUInt64BE(start + 2) };
    case BYE: {
      if (length !== 3) throw malformed("BYE has one byte of reason", length);
      const reason = BYE_REASONS[(buffer[start + 2] as number) - 1];
      if (reason === undefined) throw malformed("BYE has an unknown reason", length);
      return { kind: "bye", reason };
    }
    case REFUSE: {
      if (length !== 3) throw malformed("REFUSE has one byte of reason", length);
      const reason = refuseReason(buffer[start + 2] as number);
      if (reason === undefined) throw malformed("REFUSE has an unknown reason", length);
      return { kind: "refuse", reason };
    }
    case IDLE:
      if (length !== 2 + IDLE_COUNT_BYTES) throw malformed("the count of IDLE must have 8 bytes", length);
      return { kind: "idle", received: buffer.readBigUInt64BE(start + 2) };
    case KEEP:
      if (length !== 2) throw malformed("KEEP has nothing but its kind", length);
      return { kind: "keep" };
    case MOVED:
      if (length !== 2) throw malformed("MOVED has nothing but its kind", length);
      return { kind: "moved" };
    default:
      throw malformed(`the kind ${kind} is unknown`, length);
  }
}

function malformed(why: string, length: number): Error {
  return misbehaved("LINK_FRAME_MALFORMED", `a link frame of ${length} bytes: ${why}`, { value: length });
}
