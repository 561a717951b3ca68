import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalName,
  hostPart,
  isIpAddress,
  localPart,
  MAX_NODE_NAME_BYTES,
  parseDialTarget,
  parseNodeName,
  sameNode,
  tryNodeName,
} from "./node-name.ts";

const INVALID = expect.objectContaining({ code: "ERR_CONFIG", reason: "NAME_INVALID" });

describe("parseNodeName", () => {
  it.each([
    "a@h",
    "A-b_9@Host.Example",
    "q@MyHost.Example",
    "q@::1",
    "q@fe80::1",
    "q@::ffff:10.0.0.1",
    "js@127.0.0.1",
    "a@h_x",
    "a@1:2:3:4:5:6:7:8",
    "a@1:2:3:4:5:6:192.0.2.7",
    "a@1::",
    "a@::",
    `a@${"h".repeat(253)}`,
  ])("takes %s, byte for byte", (text) => {
    expect(parseNodeName(text)).toBe(text);
    expect(tryNodeName(text)).toBe(text);
  });

  it.each([
    "",
    "a",
    "@h",
    "a@",
    "a@b@c",
    "a.b@h",
    "a b@h",
    "a@h i",
    "a@h:1",
    "a@[::1]",
    "a@h\n",
    "a\n@h",
    "é@h",
    "a@hé",
    "a@h/x",
    "a@'h'",
    "$a@h",
    "a@::g",
    "a@db1:9100", // every character could stand in an IPv6 address
    "a@:1",
    "a@1:",
    "a@:::",
    "a@::1::",
    "a@12345::",
    "a@1:2:3:4:5:6:7",
    "a@1:2:3:4:5:6:7:8:9",
    "a@1:2:3:4:5:6:7::8",
    "a@::192.0.2.7:1",
    "a@fe80::1%eth0",
    `a@${"h".repeat(254)}`,
    `a@${":".repeat(46)}`,
  ])("refuses %j", (text) => {
    expect(tryNodeName(text)).toBeUndefined();
    expect(() => parseNodeName(text)).toThrow(INVALID);
  });

  it("counts the length in all: 255 go, 256 do not", () => {
    expect(tryNodeName(`${"a".repeat(MAX_NODE_NAME_BYTES - 2)}@h`)).toBeDefined();
    expect(tryNodeName(`${"a".repeat(MAX_NODE_NAME_BYTES - 1)}@h`)).toBeUndefined();
  });

  it("takes nothing but one @ between allowed characters, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("a", "@", ".", ":", "-", "\n", "[", "1") })),
        (text) => {
          const name = tryNodeName(text);
          const expected = /^[A-Za-z0-9_-]+@([A-Za-z0-9._-]+|[0-9A-Fa-f:.]*)$/.test(text) && !/[\r\n]/.test(text);
          if (name !== undefined) expect(expected).toBe(true);
        },
      ),
    );
  });

  it("says where a port belongs when it looks like one", () => {
    const advice = (text: string): unknown => {
      try {
        return parseNodeName(text);
      } catch (error) {
        return (error as { advice?: string }).advice;
      }
    };
    for (const text of ["a@h:9100", "a@db1:9100", "a@[::1]", "a@h:"]) expect(advice(text), text).toContain("listen");
    for (const text of ["a", "a:1", "a@", "\u00e9@h"]) expect(advice(text), text).toContain("local@host");
    for (const text of ["a", "a:1", "a@"]) expect(advice(text), text).not.toContain("listen");
  });
});

describe("parts and comparison of names", () => {
  it("takes a name apart at the @", () => {
    const name = parseNodeName("q@::1");
    expect([localPart(name), hostPart(name)]).toEqual(["q", "::1"]);
  });

  it.each([
    ["192.0.2.7", true],
    ["::1", true],
    ["db1.example", false],
    ["db1", false],
    ["1.2.3", false],
    ["1.2.3.4.example", false],
  ])("tells whether %s is an address", (host, expected) => {
    expect(isIpAddress(host)).toBe(expected);
  });

  it("folds the case of the host and never that of the local part", () => {
    const name = parseNodeName("Q@MyHost.Example");
    expect(canonicalName(name)).toBe("Q@myhost.example");
    expect(sameNode(name, parseNodeName("Q@MYHOST.example"))).toBe(true);
    expect(sameNode(name, parseNodeName("q@MyHost.Example"))).toBe(false);
    expect(sameNode(parseNodeName("a@FE80::A"), parseNodeName("a@fe80::a"))).toBe(true);
    expect(sameNode(parseNodeName("a@h"), parseNodeName("a@i"))).toBe(false);
  });
});

describe("parseDialTarget", () => {
  it.each([
    ["a@h", "a@h", undefined],
    ["a@h:9100", "a@h", 9100],
    ["a@h:1", "a@h", 1],
    ["a@h:65535", "a@h", 65_535],
    ["a@db1:9100", "a@db1", 9100],
    ["A@HOST.Example:9100", "A@HOST.Example", 9100],
    ["a@[::1]:9001", "a@::1", 9001],
    ["q@::1", "q@::1", undefined],
    ["q@::1:9100", "q@::1:9100", undefined], // without brackets the port is a part of the address
    ["q@[::1]", "q@::1", undefined],
    ["q@[::1]:9100", "q@::1", 9100],
  ])("reads %s", (text, name, port) => {
    expect(parseDialTarget(text)).toEqual({ name, port });
  });

  it.each([
    "a@h:0",
    "a@h:65536",
    "a@h:99999",
    "a@h:",
    "a@h:x",
    "a@h:123456",
    "q@[::1]:0",
    "q@[::1",
    "q@[h]:1",
    "a@@h:1",
    "@h:1",
    "a@:1",
    "a@[]:1",
    "a@[::1]x",
    "a@[1:2]:1",
    "a@b@h:1",
    "\u00e9@h:1",
    "a:1",
    "a@h:-1",
    "a@h:1 ",
  ])("refuses %s", (text) => {
    expect(() => parseDialTarget(text)).toThrow(INVALID);
  });
});
