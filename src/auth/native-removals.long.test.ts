import { describe, expect, it } from "vitest";
import { type Agreement, ALL_FIELDS, CHANNEL_FIELDS, check } from "../testkit/native-agreement.ts";
import { type Alteration, METHODS, type Part, type Rules, rules } from "../testkit/native-world.ts";
import { TRANSCRIPT_FIELDS, type TranscriptField } from "./native-transcript.ts";

const PARTS: readonly Part[] = [...TRANSCRIPT_FIELDS, "role"];
const DATA_FIELDS: readonly TranscriptField[] = TRANSCRIPT_FIELDS.filter((field) => !CHANNEL_FIELDS.includes(field));

/**
 * The smallest set that contains a part and whose removal lets two honest nodes differ in it, while M holds the TLS keys
 * of both. `undefined`: no set does, because a check of the machines stands behind the field as well.
 */
const SMALLEST: Readonly<Record<TranscriptField, readonly Part[] | undefined>> = {
  label: undefined,
  versionLow: undefined,
  versionHigh: ["versionHigh", "exporter"],
  version: undefined,
  diallerMethod: ["diallerMethod", "exporter"],
  acceptorMethod: undefined,
  diallerName: ["diallerName", "exporter"],
  acceptorName: ["acceptorName", "exporter"],
  diallerCreation: ["diallerCreation", "exporter"],
  diallerIncarnation: ["diallerIncarnation", "exporter"],
  diallerKey: ["diallerKey", "exporter"],
  diallerNonce: ["diallerNonce", "exporter"],
  diallerFlags: ["diallerFlags", "exporter"],
  acceptorCreation: ["acceptorCreation", "exporter"],
  acceptorIncarnation: ["acceptorIncarnation", "exporter"],
  acceptorKey: ["acceptorKey", "exporter"],
  acceptorNonce: ["acceptorNonce", "exporter"],
  acceptorFlags: ["acceptorFlags", "exporter"],
  exporter: ["exporter"],
  diallerCertificate: undefined,
  acceptorCertificate: undefined,
};
/** The same for the labels of the two roles: a proof made as dialler is taken for one made as acceptor. */
const SMALLEST_FOR_ROLE: readonly Part[] = [
  "role",
  "exporter",
  "diallerCertificate",
  "acceptorCertificate",
  "diallerKey",
  "acceptorKey",
  "acceptorName",
  "acceptorCreation",
  "acceptorIncarnation",
  "acceptorNonce",
];
const ALTERATIONS: readonly Alteration[] = ["flags", "creation", "incarnation", "method", "versionHigh"];

/** Whether agreement breaks when `removed` is covered by nothing. */
function breaks(agreement: Agreement, removed: readonly Part[], other: Partial<Rules> = {}): boolean {
  const touched = ALTERATIONS.filter((a) => removed.some((p) => p.toLowerCase().endsWith(a.toLowerCase())));
  const altered = touched.map((a) => [a]);
  const r = rules({ removed: new Set(removed), altered, mixed: true, old: false, ...other });
  return check(r, 2, agreement, false, true).violations.size > 0;
}
const without = (parts: readonly Part[], part: Part): readonly Part[] => parts.filter((p) => p !== part);

// What is removed only gives M more: a set is safe when a larger one is. So few runs speak for all sets.
describe("fields taken out of the transcript", { timeout: 120_000 }, () => {
  it("by keys: the channel binding alone breaks agreement when it goes, and nothing else does while it stays", () => {
    expect(breaks(ALL_FIELDS, ["exporter"])).toBe(true);
    expect(breaks(ALL_FIELDS, without(PARTS, "exporter"))).toBe(false);
  });

  it.each(METHODS.filter(([name]) => name === "keys and cookie" || name === "cookie only"))(
    "by %s: the binding alone, or the role alone, breaks agreement when it goes, and nothing else does",
    (_name, method) => {
      expect(breaks(ALL_FIELDS, ["exporter"], method)).toBe(true);
      // Without its role a dialler's proof of the cookie comes back to it as the acceptor's.
      expect(breaks(ALL_FIELDS, ["role"], method)).toBe(true);
      expect(breaks(ALL_FIELDS, without(without(PARTS, "exporter"), "role"), method)).toBe(false);
    },
  );

  it("without the exporter alone both ends still agree on all that HELLO says", () => {
    expect(breaks({ fields: DATA_FIELDS, mode: "all" }, ["exporter"])).toBe(false);
  });

  it.each(TRANSCRIPT_FIELDS.filter((field) => (SMALLEST[field]?.length ?? 0) > 1))(
    "%s and the exporter are the smallest set for that field",
    (field) => {
      // That the one alone, or the exporter alone, breaks nothing here is what the two tests above say.
      expect(breaks({ fields: [field], mode: "each" }, SMALLEST[field] ?? [])).toBe(true);
    },
  );

  it("has fields that no set of removals lets two nodes differ in", () => {
    const fields = TRANSCRIPT_FIELDS.filter((field) => SMALLEST[field] === undefined);
    expect(fields).toHaveLength(6);
    expect(breaks({ fields, mode: "each" }, PARTS)).toBe(false);
  });

  it("needs both certificates gone too when the attacker holds no TLS key", () => {
    const none: Partial<Rules> = { stolen: [] };
    expect(breaks(ALL_FIELDS, CHANNEL_FIELDS, none)).toBe(true);
    const fields = without(PARTS, "role");
    for (const field of CHANNEL_FIELDS) expect(breaks(ALL_FIELDS, without(fields, field), none)).toBe(false);
  });

  it("needs ten parts gone before a proof in one role passes in the other", () => {
    // No other end in the other role at all: agreement on nothing.
    const nothing: Agreement = { fields: [], mode: "all" };
    expect(breaks(nothing, SMALLEST_FOR_ROLE)).toBe(true);
    for (const part of SMALLEST_FOR_ROLE) expect(breaks(nothing, without(SMALLEST_FOR_ROLE, part))).toBe(false);
  });
});
