import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { hostPartResolver, staticResolver } from "./static.ts";

const name = parseNodeName;
const never = new AbortController().signal;

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

  it("say that nobody can dial a node whose entry is none", async () => {
    const resolver = staticResolver({ "laptop@home": "none" }, "tls");
    await expect(resolver.resolve(name("laptop@HOME"), never)).rejects.toMatchObject({
      code: "ERR_UNREACHABLE",
      reason: "PEER_OFFLINE",
      peer: "laptop@HOME",
    });
  });

  it("answer the host part at the fixed port", async () => {
    expect(await hostPartResolver(9, "tcp").resolve(name("q@::1"), never)).toEqual([
      { scheme: "tcp", host: "::1", port: 9 },
    ]);
  });
});
