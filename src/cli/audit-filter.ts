import type { AuditFields, AuditValue } from "../audit/record.ts";
import { type AddressRange, parseAddress, parseAddressRange, rangeHolds } from "../base/address-range.ts";
import { tryNodeName } from "../base/node-name.ts";
import { hostOf } from "../carrier/socket-address.ts";
import { NamePatterns } from "../identity/name-patterns.ts";
import type { AuditTailFlags } from "./audit-commands.ts";

/** Whether a record is asked for. */
export type AuditFilter = (fields: AuditFields) => boolean;

/** Fields that hold the name of a node, as far as their kind does. */
const NAMES = ["peer", "alias", "source", "node", "target"] as const;

/**
 * The filter that the flags ask for: every one of them must take the record.
 * @param nowMs Unix milliseconds
 * @throws {SallyportError} ERR_CONFIG NAME_PATTERN
 */
export function auditFilter(flags: AuditTailFlags, nowMs: number): AuditFilter {
  const { kind, peer, address, outcome, reason, id } = flags;
  const from = sinceMs(flags, nowMs);
  const tests: AuditFilter[] = [];
  if (kind !== undefined) tests.push((fields) => kind.includes(String(fields["kind"])));
  if (peer !== undefined) tests.push(ofPeers(peer));
  if (address !== undefined) tests.push(ofAddresses(address.flatMap((text) => parseAddressRange(text) ?? [])));
  if (outcome !== undefined) tests.push((fields) => outcome.some((word) => isOutcome(fields["outcome"], word)));
  if (reason !== undefined) tests.push((fields) => reason.some((word) => hasReason(fields, word)));
  if (id !== undefined) tests.push(({ id: own, lastId }) => id.some((text) => text === own || text === lastId));
  if (from !== undefined) tests.push(({ at }) => Date.parse(String(at)) >= from);
  return (fields) => tests.every((test) => test(fields));
}

/** From when on records are asked for, Unix milliseconds; undefined for all. */
export function sinceMs({ since }: AuditTailFlags, nowMs: number): number | undefined {
  if (since === undefined) return undefined;
  return "atMs" in since ? since.atMs : nowMs - since.agoMs;
}

function ofPeers(wanted: readonly string[]): AuditFilter {
  const patterns = new NamePatterns(wanted.filter((text) => text.includes("@")));
  const aliases = wanted.filter((text) => !text.includes("@"));
  return (fields) =>
    NAMES.some((key) => {
      const value = fields[key];
      if (typeof value !== "string") return false;
      const name = tryNodeName(value);
      return aliases.includes(value) || (name !== undefined && patterns.matches(name));
    });
}

function ofAddresses(ranges: readonly AddressRange[]): AuditFilter {
  return ({ address, source }) =>
    [address, source].some((text) => {
      if (typeof text !== "string") return false;
      const octets = parseAddress(text) ?? parseAddress(hostOf(text) ?? "");
      return octets !== undefined && ranges.some((range) => rangeHolds(range, octets));
    });
}

/** `deny` takes every way of refusing. */
function isOutcome(outcome: AuditValue | undefined, word: string): boolean {
  return outcome === word || (word === "deny" && typeof outcome === "string" && outcome.startsWith("deny-"));
}

function hasReason({ reason, why, event, rule }: AuditFields, word: string): boolean {
  return reason === word || why === word || event === word || rule === word;
}
