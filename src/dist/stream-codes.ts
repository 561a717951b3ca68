/** Nobody takes streams of this tag, or of any (barrel-auth section 11). */
export const UNKNOWN_TAG_CODE = 0x100;

/** The owner of a stream is gone, or gave it up. */
export const OWNER_GONE_CODE = 0;
