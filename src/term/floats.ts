import { malformed } from "./faults.ts";
import { FLOAT_EXT_BYTES } from "./tags.ts";
import { Float } from "./types.ts";

/**
 * The term of a float: `Float` for whole values (and so for -0.0 and beyond 2^53), which as numbers would be integers;
 * else a number (rulings U14).
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_FLOAT_INVALID for NaN and infinities
 */
export function floatTerm(value: number, at: number): Float | number {
  if (Number.isInteger(value)) return new Float(value);
  if (Number.isFinite(value)) return value;
  throw malformed("TERM_FLOAT_INVALID", at, "a float that is not a finite number");
}

/** The value in the 31 bytes of FLOAT_EXT: `%.20e`, padded with NUL. Errors as `floatTerm`. */
export function floatFromText(buffer: Buffer, start: number): number {
  let end = start;
  while (end < start + FLOAT_EXT_BYTES && buffer[end] !== 0) end++;
  const text = buffer.toString("latin1", start, end);
  if (!/^[+-]?\d+\.\d+(?:[eE][+-]?\d+)?$/.test(text)) {
    throw malformed("TERM_FLOAT_INVALID", start, "the text of an old float is not a number");
  }
  return Number(text);
}

/**
 * A float as Erlang prints it: the fewest digits that read back the same, `1.0`, `1.0e-5`, `1.0e22`. Plain digits when
 * they are no longer than the form with an exponent and the value is below 2^53.
 */
export function printFloat(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const absolute = Math.abs(value);
  if (absolute === 0) return `${sign}0.0`;
  // JavaScript finds the same shortest digits; only their layout differs.
  const [mantissa = "", exponent = "0"] = absolute.toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const power = Number(exponent);
  return sign + layOut(digits, power + 1, absolute);
}

/** Lays out 0.`digits` times ten to `place`. */
function layOut(digits: string, place: number, absolute: number): string {
  const count = digits.length;
  const exponent = String(place - 1);
  const exponentCost = exponent.length + 1 + (count === 1 ? 2 : 1);
  const scientific = `${digits[0]}.${count === 1 ? "0" : digits.slice(1)}e${exponent}`;
  if (absolute >= 2 ** 53) return scientific;
  if (place < 0) return 2 - place <= exponentCost ? `0.${"0".repeat(-place)}${digits}` : scientific;
  if (place === 0) return `0.${digits}`;
  if (place < count) return `${digits.slice(0, place)}.${digits.slice(place)}`;
  return place - count + 2 <= exponentCost ? `${digits}${"0".repeat(place - count)}.0` : scientific;
}
