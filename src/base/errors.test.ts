import { describe, expect, it } from "vitest";
import { assertNever, isSallyportError, SallyportError, systemCode } from "./errors.ts";

describe("SallyportError", () => {
  it("puts the code first in the message and keeps what it was given", () => {
    const cause = new Error("x");
    const error = new SallyportError("ERR_LIMIT", "A_REASON", "too much", {
      detail: { limit: 3 },
      advice: "less",
      stage: "call",
      peer: "a@h",
      cause,
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "SallyportError",
      code: "ERR_LIMIT",
      reason: "A_REASON",
      message: "[ERR_LIMIT] too much",
      detail: { limit: 3 },
      advice: "less",
      stage: "call",
      peer: "a@h",
    });
    expect(error.cause).toBe(cause);
  });

  it("has empty detail, and no cause property at all, by default", () => {
    const error = new SallyportError("ERR_CLOSED", "R", "m");
    expect(error.detail).toEqual({});
    expect("cause" in error).toBe(false);
    expect([error.advice, error.stage, error.peer]).toEqual([undefined, undefined, undefined]);
  });
});

describe("isSallyportError", () => {
  it("knows the errors of another copy of the package, and nothing else", () => {
    const other = Object.assign(new Error("m"), { name: "SallyportError", code: "ERR_LIMIT", reason: "R" });
    expect(isSallyportError(other)).toBe(true);
    expect(isSallyportError(new SallyportError("ERR_LIMIT", "R", "m"))).toBe(true);
    expect(isSallyportError(Object.assign(new Error("m"), { code: "ERR_LIMIT", reason: "R" }))).toBe(false);
    expect(isSallyportError(Object.assign(new Error("m"), { name: "SallyportError", code: "X" }))).toBe(false);
    expect(isSallyportError({ name: "SallyportError", code: "ERR_LIMIT", reason: "R" })).toBe(false);
    expect(isSallyportError(undefined)).toBe(false);
  });
});

describe("systemCode", () => {
  it.each([
    ["ENOENT", Object.assign(new Error("m"), { code: "ENOENT" })],
    ["UNKNOWN", new Error("m")],
    ["UNKNOWN", Object.assign(new Error("m"), { code: 2 })],
    ["UNKNOWN", { code: "ENOENT" }],
    ["UNKNOWN", undefined],
    ["ECONNREFUSED", new AggregateError([Object.assign(new Error("m"), { code: "ECONNREFUSED" }), new Error("n")])],
    ["UNKNOWN", new AggregateError([])],
  ])("is %s", (code, cause) => {
    expect(systemCode(cause)).toBe(code);
  });
});

describe("assertNever", () => {
  it("reports a state that should not be", () => {
    expect(() => assertNever("boo" as never)).toThrow(
      expect.objectContaining({ code: "ERR_INTERNAL", reason: "UNREACHABLE" }),
    );
  });
});
