import type { Term } from "../term/types.ts";
import type { ReasonSource } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import type { Session } from "./session.ts";

/**
 * Decodes a payload, which must end at `end`; `session.watch` says afterwards what it holds besides data.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED PACKET_TRAILING_BYTES and what `TermDecoder` throws
 */
export function decodePayload(session: Session, buffer: Buffer, start: number, end: number): Term {
  const { terms } = session;
  session.watch.reset();
  const term = terms.decodeAt(buffer, start, end);
  if (terms.position !== end) {
    throw misbehaved("PACKET_TRAILING_BYTES", `${end - terms.position} bytes follow the payload of a message`);
  }
  return term;
}

/** An exit reason, wherever it stands. Where the control message held it, `session.watch` spoke of it already. */
export function decodeReason(session: Session, source: ReasonSource, buffer: Buffer, start: number, end: number): Term {
  return source === "payload" ? decodePayload(session, buffer, start, end) : source.term;
}
