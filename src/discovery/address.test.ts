import { describe, expect, it } from "vitest";
import { formatEndpoint, isAddress, parseAddress, tryAddress } from "./address.ts";

describe("parseAddress", () => {
  it.each([
    ["h:1", { scheme: "tls", host: "h", port: 1 }],
    ["203.0.113.7:65535", { scheme: "tls", host: "203.0.113.7", port: 65_535 }],
    ["tls://h:9100", { scheme: "tls", host: "h", port: 9100 }],
    ["tcp://h:9100", { scheme: "tcp", host: "h", port: 9100 }],
    ["tcp://[::1]:9100", { scheme: "tcp", host: "::1", port: 9100 }],
    ["[fe80::1]:1", { scheme: "tls", host: "fe80::1", port: 1 }],
  ] as const)("reads %s", (text, address) => {
    expect(parseAddress(text, "tls")).toEqual(address);
  });

  it.each([
    "",
    "h",
    "h:",
    "h:0",
    "h:65536",
    "h:123456",
    ":1",
    "::1:1",
    "[::1]",
    "http://h:1",
    "tls://",
    "h:1/x",
    "a b:1",
    "h\u00e9:1",
    "[1:2]:1",
    "[::1%eth0]:1",
    `${"h".repeat(256)}:1`,
    "[h]:1",
  ])("refuses %j", (text) => {
    expect(() => parseAddress(text, "tls")).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "ADDRESS_INVALID" }),
    );
  });
});

describe("addresses of others", () => {
  it("are undefined where they are none, and come back as they were written", () => {
    expect(tryAddress("h:0", "tls")).toBeUndefined();
    for (const text of ["tls://h:1", "tcp://[::1]:9100", "tls://203.0.113.7:65535"]) {
      const address = tryAddress(text, "tls");
      expect(address === undefined ? undefined : formatEndpoint(address)).toBe(text);
    }
  });

  it.each([
    undefined,
    null,
    "tls://h:1",
    {},
    { scheme: "udp", host: "h", port: 1 },
    { scheme: "tls", host: "", port: 1 },
    { scheme: "tls", host: "h h", port: 1 },
    { scheme: "tls", host: ["h"], port: 1 },
    { scheme: "tls", host: "h", port: 0 },
    { scheme: "tls", host: "h", port: 1.5 },
    { scheme: "tls", host: "h", port: "1" },
    { scheme: "tls", host: "h", port: 65_536 },
  ])("are not %j", (value) => {
    expect(isAddress(value)).toBe(false);
  });
});
