import { describe, expect, it } from "vitest";
import {
  ALIAS,
  ALTACT_SIG,
  commonFlags,
  DEFAULT_FLAGS,
  DIST_HDR_ATOM_CACHE,
  expandDigest,
  FRAGMENTS,
  flagNames,
  frameStyle,
  MANDATORY_25,
  MANDATORY_25_DIGEST,
  MANDATORY_26,
  missingMandatory,
  NAME_ME,
  PUBLISHED,
  REQUIRED_STRICT,
  UNLINK_ID,
  V4_NC,
} from "./flags.ts";

const OTP_25_VISIBLE = 0xd_07df_7fbdn;
const OTP_29_VISIBLE = 0x6d_07df_7fbdn;

describe("distribution flags", () => {
  it("names every flag at the bit the specification gives it", () => {
    expect(flagNames((1n << 39n) - 1n)).toMatchInlineSnapshot(`
      [
        "PUBLISHED",
        "ATOM_CACHE",
        "EXTENDED_REFERENCES",
        "DIST_MONITOR",
        "FUN_TAGS",
        "DIST_MONITOR_NAME",
        "HIDDEN_ATOM_CACHE",
        "NEW_FUN_TAGS",
        "EXTENDED_PIDS_PORTS",
        "EXPORT_PTR_TAG",
        "BIT_BINARIES",
        "NEW_FLOATS",
        "UNICODE_IO",
        "DIST_HDR_ATOM_CACHE",
        "SMALL_ATOM_TAGS",
        "BIT_15",
        "UTF8_ATOMS",
        "MAP_TAG",
        "BIG_CREATION",
        "SEND_SENDER",
        "BIG_SEQTRACE_LABELS",
        "BIT_21",
        "EXIT_PAYLOAD",
        "FRAGMENTS",
        "HANDSHAKE_23",
        "UNLINK_ID",
        "MANDATORY_25_DIGEST",
        "BIT_27",
        "BIT_28",
        "BIT_29",
        "BIT_30",
        "BIT_31",
        "SPAWN",
        "NAME_ME",
        "V4_NC",
        "ALIAS",
        "LOCAL_EXT",
        "ALTACT_SIG",
        "NATIVE_RECORDS",
      ]
    `);
    expect(flagNames(1n << 63n)).toEqual(["BIT_63"]);
  });

  it("sends what a hidden OTP 25 node sends, without the atom cache", () => {
    expect(DEFAULT_FLAGS).toBe(OTP_25_VISIBLE & ~PUBLISHED & ~DIST_HDR_ATOM_CACHE);
    expect(DEFAULT_FLAGS & FRAGMENTS).toBe(FRAGMENTS);
    expect(DEFAULT_FLAGS & (NAME_ME | ALTACT_SIG)).toBe(0n);
  });

  it("accepts every OTP release from 25 on, also under the strict set", () => {
    for (const theirs of [OTP_25_VISIBLE, OTP_29_VISIBLE, DEFAULT_FLAGS]) {
      expect(missingMandatory(theirs)).toEqual([]);
      expect(missingMandatory(theirs, REQUIRED_STRICT)).toEqual([]);
    }
  });

  it("takes the digest shorthand for the flags of OTP 25 and for nothing more", () => {
    expect(expandDigest(MANDATORY_25_DIGEST)).toBe(MANDATORY_25_DIGEST | MANDATORY_25);
    expect(missingMandatory(MANDATORY_25_DIGEST)).toEqual(["UNLINK_ID", "V4_NC"]);
    expect(missingMandatory(0x4_0600_0000n)).toEqual([]);
    expect(missingMandatory(1n << 36n)).toHaveLength(13);
  });

  it("names each single mandatory flag that is missing", () => {
    for (let n = 0n; n < 40n; n++) {
      const bit = 1n << n;
      if ((MANDATORY_26 & bit) !== 0n) expect(missingMandatory(MANDATORY_26 & ~bit)).toEqual(flagNames(bit));
    }
    expect(MANDATORY_26).toBe(MANDATORY_25 | UNLINK_ID | V4_NC);
    expect(missingMandatory(DEFAULT_FLAGS & ~ALIAS, REQUIRED_STRICT)).toEqual(["ALIAS"]);
  });

  it("derives the frame style from the working set, not from one side", () => {
    expect(frameStyle(commonFlags(DEFAULT_FLAGS, OTP_25_VISIBLE))).toBe("header");
    expect(frameStyle(commonFlags(DEFAULT_FLAGS & ~FRAGMENTS, OTP_25_VISIBLE))).toBe("pass-through");
    expect(frameStyle(commonFlags(OTP_25_VISIBLE, OTP_25_VISIBLE & ~FRAGMENTS))).toBe("header");
    expect(commonFlags(0x400_0000n, MANDATORY_25)).toBe(MANDATORY_25);
  });
});
