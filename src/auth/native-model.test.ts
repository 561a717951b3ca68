import { describe, expect, it } from "vitest";
import { ALL_FIELDS, check } from "../testkit/native-agreement.ts";
import type { Found } from "../testkit/native-model.ts";
import { type Alteration, METHODS, rules } from "../testkit/native-world.ts";

const ONE_EACH: readonly (readonly Alteration[])[] = [
  ["flags"],
  ["creation"],
  ["incarnation"],
  ["method"],
  ["versionHigh"],
];
/** Prints the figures when asked: `SALLYPORT_FIGURES=1`. */
function report(method: string, what: string, { states, accepted }: Found): void {
  if (process.env["SALLYPORT_FIGURES"] !== undefined)
    console.log(`${method}, ${what}: ${states} states, ${accepted} accepted`);
}

describe("the shipped handshake, with an attacker on every channel", () => {
  it.each(METHODS)("by %s: no session without its match, two at a time", { timeout: 120_000 }, (name, method) => {
    const mixed = method.withCookie === undefined;
    const found = check(rules({ altered: ONE_EACH, mixed, ...method }), 2, ALL_FIELDS);
    report(name, "two sessions", found);
    expect([...found.violations]).toEqual([]);
    expect(found.states).toBeGreaterThan(10_000);
  });

  it.each(METHODS)("by %s: no session without its match, three at a time", { timeout: 120_000 }, (name, method) => {
    const found = check(rules(method), 3, ALL_FIELDS);
    report(name, "three sessions", found);
    expect([...found.violations]).toEqual([]);
    expect(found.states).toBeGreaterThan(10_000);
  });

  it.each(METHODS)("by %s: an honest channel beside it carries its session", { timeout: 120_000 }, (name, method) => {
    const found = check(rules(method), 1, ALL_FIELDS, true);
    report(name, "one session beside an honest channel", found);
    expect([...found.violations]).toEqual([]);
    // One cookie against none never becomes a session; all else does, on both ends.
    if (method.withCookie?.length !== 1) expect(found.accepted).toBeGreaterThan(2);
  });
});
