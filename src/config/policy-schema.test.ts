import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { policySchema } from "./policy-schema.ts";

const SCHEMA_FILE = new URL("../../schema/policy.schema.json", import.meta.url);

describe("the published JSON Schema of policies", () => {
  it("is the one of the source (SALLYPORT_UPDATE=1 writes it)", () => {
    const text = `${JSON.stringify(policySchema(), null, 2)}\n`;
    if (process.env["SALLYPORT_UPDATE"] === "1") writeFileSync(SCHEMA_FILE, text);
    expect(readFileSync(SCHEMA_FILE, "utf8")).toBe(text);
  });
});
