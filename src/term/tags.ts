/**
 * Tags of the external term format (otp-distribution section 5), under the names of the specification.
 */

/** First byte of a stand-alone term; absent inside frames that carry a distribution header. */
export const VERSION_MAGIC = 131;

/** Native record of OTP 29; a BEAM sends it without asking whether we know it. */
export const NATIVE_RECORD_EXT = 67;
export const NEW_FLOAT_EXT = 70;
export const BIT_BINARY_EXT = 77;
/** `80 size:u32 zlib`: only in data of `term_to_binary/2`, never in frames. */
export const COMPRESSED = 80;
/** Index into the atoms of the distribution header. */
export const ATOM_CACHE_REF = 82;
export const NEW_PID_EXT = 88;
export const NEW_PORT_EXT = 89;
export const NEWER_REFERENCE_EXT = 90;
export const SMALL_INTEGER_EXT = 97;
export const INTEGER_EXT = 98;
export const FLOAT_EXT = 99;
export const ATOM_EXT = 100;
export const REFERENCE_EXT = 101;
export const PORT_EXT = 102;
export const PID_EXT = 103;
export const SMALL_TUPLE_EXT = 104;
export const LARGE_TUPLE_EXT = 105;
export const NIL_EXT = 106;
export const STRING_EXT = 107;
export const LIST_EXT = 108;
export const BINARY_EXT = 109;
export const SMALL_BIG_EXT = 110;
export const LARGE_BIG_EXT = 111;
export const NEW_FUN_EXT = 112;
export const EXPORT_EXT = 113;
export const NEW_REFERENCE_EXT = 114;
export const SMALL_ATOM_EXT = 115;
export const MAP_EXT = 116;
/** Removed from the format; refused. */
export const FUN_EXT = 117;
export const ATOM_UTF8_EXT = 118;
export const SMALL_ATOM_UTF8_EXT = 119;
export const V4_PORT_EXT = 120;
/** Meaningful only to the node that made it; refused. */
export const LOCAL_EXT = 121;

/** Most 32-bit words in a reference. */
export const MAX_REFERENCE_WORDS = 5;
/** Greatest creation in the old forms of pid, port and reference. */
export const MAX_OLD_CREATION = 3;
/** The first word of a reference in the old forms stays below this. */
export const OLD_REFERENCE_WORD_BOUND = 0x4_0000;
/** Most characters (code points) of an atom. */
export const MAX_ATOM_CHARS = 255;
/** Most bytes of an atom: 255 characters of four bytes. */
export const MAX_ATOM_BYTES = 1020;
/** Length of the ASCII text in FLOAT_EXT. */
export const FLOAT_EXT_BYTES = 31;
/** Greatest length of STRING_EXT. */
export const MAX_STRING_EXT_LENGTH = 65_535;
