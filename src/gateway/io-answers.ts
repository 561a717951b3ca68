import { Atom, type Pid, Tuple } from "../term/types.ts";
import { encoded, type Outgoing, withPayload } from "./verdict.ts";

/** Not this request, ever. */
export const ENOTSUP: Buffer = encoded(new Tuple([new Atom("error"), new Atom("enotsup")]));
/** Not so much, now. */
export const EAGAIN: Buffer = encoded(new Tuple([new Atom("error"), new Atom("eagain")]));
/** `{io_reply, ` in front of a tag and an answer. */
const IO_REPLY_HEAD: Buffer = Buffer.concat([Buffer.from([104, 3]), encoded(new Atom("io_reply"))]);

/** `{io_reply, Tag, Value}` in the name of a group leader. `tag` and `value` are encoded, and copied. */
export function ioReply(leader: Pid, to: Pid, tag: Buffer, value: Buffer): Outgoing {
  return withPayload({ kind: "send", from: leader, to }, Buffer.concat([IO_REPLY_HEAD, tag, value]));
}
