import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { Resolver } from "../node/ports.ts";
import { chainResolvers, hostPartResolver, parseAddress, staticResolver } from "./static.ts";

const name = parseNodeName;
const never = new AbortController().signal;

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
    "[h]:1",
  ])("refuses %j", (text) => {
    expect(() => parseAddress(text, "tls")).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "ADDRESS_INVALID" }),
    );
  });
});

describe("staticResolver and hostPartResolver", () => {
  it("find by name, the case of the host folded, and know nothing else", async () => {
    const resolver = staticResolver({ "A@Host": "h:1", "b@h": "tcp://i:2" }, "tls");
    expect(await resolver.resolve(name("A@hOST"), never)).toEqual([{ scheme: "tls", host: "h", port: 1 }]);
    expect(await resolver.resolve(name("b@h"), never)).toEqual([{ scheme: "tcp", host: "i", port: 2 }]);
    expect(await resolver.resolve(name("a@Host"), never)).toEqual([]);
  });

  it("refuse a table with a bad name or address", () => {
    expect(() => staticResolver({ a: "h:1" }, "tls")).toThrow(expect.objectContaining({ reason: "NAME_INVALID" }));
    expect(() => staticResolver({ "a@h": "h" }, "tls")).toThrow(expect.objectContaining({ reason: "ADDRESS_INVALID" }));
  });

  it("answer the host part at the fixed port", async () => {
    expect(await hostPartResolver(9, "tcp").resolve(name("q@::1"), never)).toEqual([
      { scheme: "tcp", host: "::1", port: 9 },
    ]);
  });
});

describe("chainResolvers", () => {
  const asked: string[] = [];
  const part = (label: string, answer: "empty" | "found" | Error): Resolver => ({
    label,
    resolve() {
      asked.push(label);
      if (answer instanceof Error) return Promise.reject(answer);
      return Promise.resolve(answer === "empty" ? [] : [{ scheme: "tls", host: label, port: 1 }]);
    },
  });

  it("asks one after the other and stops at the first that knows", async () => {
    asked.length = 0;
    const chain = chainResolvers([part("a", "empty"), part("b", "found"), part("c", "found")]);
    expect(await chain.resolve(name("x@h"), never)).toEqual([{ scheme: "tls", host: "b", port: 1 }]);
    expect([asked, chain.label]).toEqual([["a", "b"], "a, then b, then c"]);
    expect(await chainResolvers([part("a", "empty")]).resolve(name("x@h"), never)).toEqual([]);
  });

  it("passes a failure on and does not go on after an abort", async () => {
    asked.length = 0;
    await expect(
      chainResolvers([part("a", new Error("x")), part("b", "found")]).resolve(name("x@h"), never),
    ).rejects.toThrow("x");
    await expect(
      chainResolvers([part("a", "empty"), part("b", "found")]).resolve(name("x@h"), AbortSignal.abort("gone")),
    ).rejects.toBe("gone");
    expect(asked).toEqual(["a", "a"]);
  });
});
