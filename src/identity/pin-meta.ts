import { type Fingerprint, tryFingerprint } from "./public-key.ts";

/** How a pin came about. */
export type PinOrigin = "operator" | "bundle" | "invite" | "promoted" | "succession" | "first-use" | "unknown";

/** What is kept about a pin beside its 32 octets, in `meta/NAME.json`. Times are Unix milliseconds. */
export interface PinMeta {
  readonly origin: PinOrigin;
  readonly addedMs: number;
  readonly lastSeenMs?: number;
  /** Where it was last seen. */
  readonly address?: string;
  /** The last statement of succession that was accepted, and the key it led to. Outlives the pin. */
  readonly succession?: {
    readonly serial: number;
    readonly key: Fingerprint;
    /** The keys that this one follows, the latest first, at most `MAX_FOLLOWED`: what a policy says of them holds for it. */
    readonly followed?: readonly Fingerprint[];
  };
}

/** Keys remembered that a key follows; as many as a chain of successions has (rulings S4). */
export const MAX_FOLLOWED = 8;

const ORIGINS: readonly string[] = ["operator", "bundle", "invite", "promoted", "succession", "first-use", "unknown"];

/** Longest such file that is read, octets. */
export const MAX_META_BYTES = 4096;

/** The content of the file. */
export function formatMeta(meta: PinMeta): string {
  return `${JSON.stringify({ version: 1, ...meta })}\n`;
}

/** Reads the content of the file; undefined when it is not one of version 1. */
export function parseMeta(text: string): PinMeta | undefined {
  if (text.length > MAX_META_BYTES) return undefined;
  const value = parseObject(text);
  if (value === undefined || value["version"] !== 1) return undefined;
  const { origin, addedMs, lastSeenMs, address, succession } = value;
  if (!isOrigin(origin) || !isTime(addedMs)) return undefined;
  if (lastSeenMs !== undefined && !isTime(lastSeenMs)) return undefined;
  if (address !== undefined && typeof address !== "string") return undefined;
  const accepted = succession === undefined ? undefined : parseSuccession(succession);
  if (succession !== undefined && accepted === undefined) return undefined;
  return {
    origin,
    addedMs,
    ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
    ...(address === undefined ? {} : { address }),
    ...(accepted === undefined ? {} : { succession: accepted }),
  };
}

/** A JSON object without a chain of prototypes to fall into; undefined for any other text. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return asObject(value);
  } catch {
    return undefined;
  }
}

/** The own properties of an object that is no array; undefined for any other value. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.assign(Object.create(null), value);
}

function parseSuccession(value: unknown): PinMeta["succession"] {
  const object = asObject(value);
  const serial = object?.["serial"];
  const key = object?.["key"];
  const fingerprint = typeof key === "string" ? tryFingerprint(key) : undefined;
  if (typeof serial !== "number" || !Number.isInteger(serial) || serial < 1 || serial > 0xffff_ffff) return undefined;
  if (fingerprint === undefined) return undefined;
  const followed = parseFollowed(object?.["followed"]);
  return followed.length === 0 ? { serial, key: fingerprint } : { serial, key: fingerprint, followed };
}

/** What is no list of fingerprints says nothing: the record of the succession itself must not depend on it. */
function parseFollowed(value: unknown): readonly Fingerprint[] {
  if (!Array.isArray(value) || value.length > MAX_FOLLOWED) return [];
  const keys = value.map((text) => (typeof text === "string" ? tryFingerprint(text) : undefined));
  return keys.every((key) => key !== undefined) ? keys : [];
}

function isOrigin(value: unknown): value is PinOrigin {
  return typeof value === "string" && ORIGINS.includes(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
