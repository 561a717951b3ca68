import type { Detail } from "../base/errors.ts";
import { SallyportError } from "../base/errors.ts";
import {
  ATOM_CACHE_REF,
  BIT_BINARY_EXT,
  COMPRESSED,
  FUN_EXT,
  LOCAL_EXT,
  NATIVE_RECORD_EXT,
  NEW_FLOAT_EXT,
  NEW_PID_EXT,
  NEWER_REFERENCE_EXT,
  SMALL_INTEGER_EXT,
  V4_PORT_EXT,
  VERSION_MAGIC,
} from "./tags.ts";

/** Why bytes are not a term. Each is a reason under ERR_PEER_MISBEHAVED. */
export type MalformedReason =
  | "TERM_TRUNCATED"
  | "TERM_TAG_UNKNOWN"
  | "TERM_TAG_REFUSED"
  | "TERM_LOCAL"
  | "TERM_ATOM_INVALID"
  | "TERM_ATOM_REF_INVALID"
  | "TERM_FLOAT_INVALID"
  | "TERM_IDENTIFIER_INVALID"
  | "TERM_FUN_INVALID"
  | "TERM_BITS_INVALID"
  | "TERM_LIST_INVALID"
  | "TERM_RECORD_INVALID"
  | "TERM_MAP_DUPLICATE_KEY"
  | "TERM_COMPRESSED_INVALID"
  | "TERM_VERSION_INVALID"
  | "TERM_TRAILING_BYTES";

/** Which bound of `TermLimits` was passed. Each is a reason under ERR_LIMIT. */
export type TermLimitReason =
  | "TERM_DEPTH"
  | "TERM_INTEGER_BYTES"
  | "TERM_ATOMS"
  | "TERM_ELEMENTS"
  | "TERM_BYTES"
  | "TERM_KEY_STEPS";

/** The error for bytes that are no term; `what` says what stands at byte `at`. The caller throws it. */
export function malformed(reason: MalformedReason, at: number, what: string, detail: Detail = {}): SallyportError {
  return new SallyportError("ERR_PEER_MISBEHAVED", reason, `malformed term at byte ${at}: ${what}`, {
    detail: { at, ...detail },
    advice: "the sender does not follow the external term format; close the connection",
  });
}

/** The error for a claim of more bytes than there are. */
export function truncated(at: number, needed: number, present: number): SallyportError {
  return malformed("TERM_TRUNCATED", at, `${needed} more bytes are needed, ${present} are left`, { needed, present });
}

/** The error for a passed limit; the caller throws it. */
export function overLimit(reason: TermLimitReason, option: string, limit: number, what: string): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    reason,
    `${what} exceeds ${option} ${limit}; send less in one message, or raise it`,
    {
      detail: { option, limit },
      advice: `send less in one message, or raise ${option} on the receiving node`,
    },
  );
}

/** The error for a tag that may not stand at `at`; the caller throws it. */
export function refusedTag(tag: number, at: number): SallyportError {
  if (tag === LOCAL_EXT) return malformed("TERM_LOCAL", at, "a term that only the node that made it can read", { tag });
  const name =
    tag === FUN_EXT
      ? "FUN_EXT"
      : tag === COMPRESSED
        ? "compressed"
        : tag === VERSION_MAGIC
          ? "nested version"
          : undefined;
  if (name !== undefined) return malformed("TERM_TAG_REFUSED", at, `tag ${tag} (${name}) is not allowed here`, { tag });
  return malformed("TERM_TAG_UNKNOWN", at, `tag ${tag} is not one of the external term format`, { tag });
}

/** True for the tags that are decoded; used to tell a cut term from a wrong one. */
export function isKnownTag(tag: number): boolean {
  return (
    tag === NATIVE_RECORD_EXT ||
    tag === NEW_FLOAT_EXT ||
    tag === BIT_BINARY_EXT ||
    tag === ATOM_CACHE_REF ||
    (tag >= NEW_PID_EXT && tag <= NEWER_REFERENCE_EXT) ||
    (tag >= SMALL_INTEGER_EXT && tag <= V4_PORT_EXT && tag !== FUN_EXT)
  );
}

/**
 * A list of no elements with a tail that is no list. A BEAM takes it for its tail, so one term would have a second form that
 * begins like a list: whoever looks at the head of a message before it is decoded would see another one.
 */
export function emptyList(at: number, tag: number): SallyportError {
  return malformed("TERM_LIST_INVALID", at, `a list of no elements has a tail of tag ${tag}, which is no list`, {
    tag,
  });
}
