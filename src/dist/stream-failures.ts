import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { UNREAD_RESET_CODE } from "../carrier/channel-errors.ts";
import { MAX_STREAM_RESET_CODE, OWNER_GONE_CODE, UNKNOWN_TAG_CODE } from "./stream-codes.ts";

export function tagInvalid(tag: string, maxBytes: number): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "STREAM_TAG", `"${quotePeerText(tag)}" is no tag of a stream`, {
    detail: { maxBytes },
    advice: `give 1 to ${maxBytes} bytes of text that does not begin with barrel_p2p: or sallyport:`,
  });
}

/** The stream cannot take more: this side has said all, or it is over. */
export function streamEnded(tag: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "STREAM_ENDED", `the stream "${quotePeerText(tag)}" takes nothing more`, {
    stage: "session",
    advice: "write before end(), and not after the stream was closed",
  });
}

/** The application would cut a stream with a code that it cannot have. */
export function resetCodeInvalid(code: number): SallyportError {
  const shown = quotePeerText(String(code));
  return new SallyportError("ERR_API_MISUSE", "STREAM_CODE", `a stream cannot be cut with the code ${shown}`, {
    detail: { value: shown, limit: MAX_STREAM_RESET_CODE, reserved: `${UNKNOWN_TAG_CODE}, ${UNREAD_RESET_CODE}` },
    advice: `give a whole number from 0 to ${MAX_STREAM_RESET_CODE}, but not ${UNKNOWN_TAG_CODE} or ${UNREAD_RESET_CODE}`,
  });
}

export function streamQueueFull(tag: string, value: number, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "STREAM_QUEUE_FULL",
    `${value} bytes of the stream "${quotePeerText(tag)}" would wait to leave; at most ${limit} may`,
    { stage: "session", detail: { value, limit }, advice: "await each write" },
  );
}

export function streamsFull(limit: number): SallyportError {
  return new SallyportError("ERR_LIMIT", "STREAMS_FULL", `${limit} streams with this peer are open`, {
    stage: "session",
    detail: { limit },
    advice: "end streams that are done, or send more over one",
  });
}

/** This side cut the stream. */
export function streamResetHere(tag: string, code: number): SallyportError {
  return new SallyportError("ERR_CLOSED", "STREAM_RESET", `this node cut the stream "${quotePeerText(tag)}"`, {
    stage: "session",
    detail: { resetCode: code },
    advice: "nothing: whoever called reset wanted this",
  });
}

/** The peer cut the stream, or a bound did. */
export function streamResetBy(tag: string, code: number): SallyportError {
  const name = `the stream "${quotePeerText(tag)}"`;
  const detail = { resetCode: code };
  switch (code) {
    case UNKNOWN_TAG_CODE:
      return new SallyportError("ERR_DENIED", "STREAM_REFUSED", `the peer refused ${name}`, {
        stage: "policy",
        detail,
        advice:
          "serve the tag there and allow it; a barrel_p2p node serves no hidden peer, and none within a second of nodeup: then open a new stream after a pause",
      });
    case OWNER_GONE_CODE:
      return new SallyportError("ERR_CLOSED", "STREAM_OWNER_GONE", `whoever served ${name} is gone`, {
        stage: "session",
        detail,
        advice: "open a new stream; look into the log of the other side",
      });
    case UNREAD_RESET_CODE:
      return new SallyportError("ERR_LIMIT", "STREAM_OVERRUN", `more of ${name} came than may wait unread`, {
        stage: "session",
        detail,
        advice: "read faster, or let the sender wait for answers now and then",
      });
    default:
      return new SallyportError("ERR_CLOSED", "STREAM_RESET", `the peer cut ${name} with code ${code}`, {
        stage: "session",
        detail,
        advice: "open a new stream; look into the log of the other side",
      });
  }
}

/** The session under the stream is over. */
export function sessionHasEnded(tag: string): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "SESSION_CLOSED",
    `the session of the stream "${quotePeerText(tag)}" is over`,
    {
      stage: "session",
      advice: "connect again and open a new stream",
    },
  );
}
