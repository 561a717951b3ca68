// Distribution capability flags, otp-distribution section 2.4. Unsigned 64-bit, so bigint throughout.

/** Visible node. Absent on either side: the connection is hidden on both. */
export const PUBLISHED: bigint = 0x1n;
export const ATOM_CACHE: bigint = 0x2n;
export const EXTENDED_REFERENCES: bigint = 0x4n;
export const DIST_MONITOR: bigint = 0x8n;
export const FUN_TAGS: bigint = 0x10n;
export const DIST_MONITOR_NAME: bigint = 0x20n;
export const HIDDEN_ATOM_CACHE: bigint = 0x40n;
export const NEW_FUN_TAGS: bigint = 0x80n;
export const EXTENDED_PIDS_PORTS: bigint = 0x100n;
export const EXPORT_PTR_TAG: bigint = 0x200n;
export const BIT_BINARIES: bigint = 0x400n;
export const NEW_FLOATS: bigint = 0x800n;
export const UNICODE_IO: bigint = 0x1000n;
/** Frames carry an atom header and refer to a cache. Together with FRAGMENTS it decides the frame style. */
export const DIST_HDR_ATOM_CACHE: bigint = 0x2000n;
export const SMALL_ATOM_TAGS: bigint = 0x4000n;
export const UTF8_ATOMS: bigint = 0x1_0000n;
export const MAP_TAG: bigint = 0x2_0000n;
export const BIG_CREATION: bigint = 0x4_0000n;
/** Sends name their sender: op 22 and 23 in place of 2 and 12. */
export const SEND_SENDER: bigint = 0x8_0000n;
export const BIG_SEQTRACE_LABELS: bigint = 0x10_0000n;
/** Exit reasons travel as payload: ops 24 to 28. */
export const EXIT_PAYLOAD: bigint = 0x40_0000n;
/** Large messages are cut into fragments. */
export const FRAGMENTS: bigint = 0x80_0000n;
export const HANDSHAKE_23: bigint = 0x100_0000n;
/** Links end with an id that is acknowledged: ops 35 and 36. */
export const UNLINK_ID: bigint = 0x200_0000n;
/** Shorthand for all flags that OTP 25 made mandatory. Bit 26; the published documentation says 36 and is wrong. */
export const MANDATORY_25_DIGEST: bigint = 0x400_0000n;
/** Spawn by protocol: ops 29 to 32. */
export const SPAWN: bigint = 0x1_0000_0000n;
/** Not a capability: the initiator asks for a generated name. */
export const NAME_ME: bigint = 0x2_0000_0000n;
/** Full 32-bit pid fields, 64-bit ports, references of up to five words. */
export const V4_NC: bigint = 0x4_0000_0000n;
/** Process aliases: ops 33 and 34. */
export const ALIAS: bigint = 0x8_0000_0000n;
/** Internal to the Erlang VM, never on the wire. */
export const LOCAL_EXT: bigint = 0x10_0000_0000n;
/** Priority and alternate-action signals: op 37. OTP 28 and newer. */
export const ALTACT_SIG: bigint = 0x20_0000_0000n;
/** Tag 67. OTP 29 and newer. */
export const NATIVE_RECORDS: bigint = 0x40_0000_0000n;

/** What OTP 25 demands of a peer. */
export const MANDATORY_25: bigint = 0x107_0f94n;

/** What OTP 26 to 29 demand of a peer: OTP 25's set, UNLINK_ID and V4_NC. */
export const MANDATORY_26: bigint = 0x4_0307_0f94n;

/**
 * What Sallyport demands of a peer: the set of OTP 26, that is EXTENDED_REFERENCES, FUN_TAGS, NEW_FUN_TAGS,
 * EXTENDED_PIDS_PORTS, EXPORT_PTR_TAG, BIT_BINARIES, NEW_FLOATS, UTF8_ATOMS, MAP_TAG, BIG_CREATION, HANDSHAKE_23,
 * UNLINK_ID and V4_NC. OTP 25 sends all of them too. Without UNLINK_ID an unlink cannot be told from a late exit; without
 * V4_NC pids and references shrink to guessable sizes (threat-model HS-15).
 */
export const REQUIRED: bigint = MANDATORY_26;

/**
 * The stricter set of threat-model HS-14: in addition SEND_SENDER, EXIT_PAYLOAD, SPAWN and ALIAS, without which a peer's
 * sends have no sender and answers change shape. Every BEAM from OTP 25 on meets it; C and Java nodes may not.
 */
export const REQUIRED_STRICT: bigint = REQUIRED | SEND_SENDER | EXIT_PAYLOAD | SPAWN | ALIAS;

/** What we send by default: hidden, fragments, no atom cache, every frame in the `83 44 00` style. */
export const DEFAULT_FLAGS: bigint = 0xd_07df_5fbcn;

const NAMED: readonly (readonly [string, bigint])[] = [
  ["PUBLISHED", PUBLISHED],
  ["ATOM_CACHE", ATOM_CACHE],
  ["EXTENDED_REFERENCES", EXTENDED_REFERENCES],
  ["DIST_MONITOR", DIST_MONITOR],
  ["FUN_TAGS", FUN_TAGS],
  ["DIST_MONITOR_NAME", DIST_MONITOR_NAME],
  ["HIDDEN_ATOM_CACHE", HIDDEN_ATOM_CACHE],
  ["NEW_FUN_TAGS", NEW_FUN_TAGS],
  ["EXTENDED_PIDS_PORTS", EXTENDED_PIDS_PORTS],
  ["EXPORT_PTR_TAG", EXPORT_PTR_TAG],
  ["BIT_BINARIES", BIT_BINARIES],
  ["NEW_FLOATS", NEW_FLOATS],
  ["UNICODE_IO", UNICODE_IO],
  ["DIST_HDR_ATOM_CACHE", DIST_HDR_ATOM_CACHE],
  ["SMALL_ATOM_TAGS", SMALL_ATOM_TAGS],
  ["UTF8_ATOMS", UTF8_ATOMS],
  ["MAP_TAG", MAP_TAG],
  ["BIG_CREATION", BIG_CREATION],
  ["SEND_SENDER", SEND_SENDER],
  ["BIG_SEQTRACE_LABELS", BIG_SEQTRACE_LABELS],
  ["EXIT_PAYLOAD", EXIT_PAYLOAD],
  ["FRAGMENTS", FRAGMENTS],
  ["HANDSHAKE_23", HANDSHAKE_23],
  ["UNLINK_ID", UNLINK_ID],
  ["MANDATORY_25_DIGEST", MANDATORY_25_DIGEST],
  ["SPAWN", SPAWN],
  ["NAME_ME", NAME_ME],
  ["V4_NC", V4_NC],
  ["ALIAS", ALIAS],
  ["LOCAL_EXT", LOCAL_EXT],
  ["ALTACT_SIG", ALTACT_SIG],
  ["NATIVE_RECORDS", NATIVE_RECORDS],
];

/** Names of the bits that are set, lowest first. Bits without a name come as `BIT_n`. */
export function flagNames(bits: bigint): string[] {
  const names: string[] = [];
  for (let n = 0; n < 64; n++) {
    const bit = 1n << BigInt(n);
    if ((bits & bit) === 0n) continue;
    names.push(NAMED.find((entry) => entry[1] === bit)?.[0] ?? `BIT_${n}`);
  }
  return names;
}

/** The flags with the shorthand MANDATORY_25_DIGEST written out. */
export function expandDigest(flags: bigint): bigint {
  return (flags & MANDATORY_25_DIGEST) === 0n ? flags : flags | MANDATORY_25;
}

/** Names of the flags in `required` that the peer lacks; empty when it is acceptable. The digest shorthand counts. */
export function missingMandatory(theirs: bigint, required: bigint = REQUIRED): string[] {
  return flagNames(required & ~expandDigest(theirs));
}

/** The working set of a connection: what both sides have, shorthand written out. */
export function commonFlags(ours: bigint, theirs: bigint): bigint {
  return expandDigest(ours) & expandDigest(theirs);
}

/** How frames look under a working set (section 3.1). */
export type FrameStyle = "pass-through" | "header";

/** The frame style that a working set demands of both sides. */
export function frameStyle(common: bigint): FrameStyle {
  return (common & (DIST_HDR_ATOM_CACHE | FRAGMENTS)) === 0n ? "pass-through" : "header";
}
