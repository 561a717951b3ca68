import { describe, expect, it } from "vitest";
import { auditedParts } from "./audit-mode.ts";
import type { PolicyDocument } from "./document.ts";

const UNTIL = "2027-01-15";
const AT = Date.UTC(2027, 0, 15);

const DOCUMENT: PolicyDocument = {
  version: 1,
  node: "a@h",
  peers: {
    desk: { names: ["desk@h"], assurance: "ca", mode: "audit", until: UNTIL },
    shop: { names: ["shop@h"], assurance: "ca" },
  },
  rules: [
    { id: "put", from: "shop", allow: "call", to: "store", mode: "audit", until: UNTIL },
    { id: "never", from: "*", deny: "exit", to: "*", mode: "audit", until: "2027-01-16T00:00:00Z" },
    { id: "get", from: "shop", allow: "call", to: "store", until: UNTIL },
  ],
};

describe("auditedParts", () => {
  it("names peers and rules in audit mode with their end, and nothing that is enforced", () => {
    expect(auditedParts(DOCUMENT, AT - 1)).toEqual([
      { kind: "peer", id: "desk", until: UNTIL },
      { kind: "rule", id: "put", until: UNTIL },
      { kind: "rule", id: "never", until: "2027-01-16T00:00:00Z" },
    ]);
  });

  it("leaves out what has ended, from that very moment on", () => {
    expect(auditedParts(DOCUMENT, AT).map(({ id }) => id)).toEqual(["never"]);
    expect(auditedParts({ version: 1, node: "a@h" }, AT)).toEqual([]);
  });
});
