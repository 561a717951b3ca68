import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ask, type Cli, type Fields, refused, runCli } from "./cli-process.ts";
import { OperatedNodes } from "./operated-nodes.ts";

const COOKIE = "a cookie of 27 random bytes";
const nodes = new OperatedNodes();

afterAll(() => nodes.end());

/** Starts a node that listens over QUIC; `address`: where. */
async function startOverQuic(name: string, trust: "strict" | "tofu"): Promise<{ node: Cli; address: string }> {
  nodes.make(name, trust, { cookie: COOKIE, listen: ["quic://127.0.0.1:0"] });
  const { node } = await nodes.start(name);
  const endpoints = node.events.flatMap(({ event, endpoints: list }) => (event === "listening" ? list : []));
  return { node, address: String(endpoints[0]) };
}

/** What `trust list` of a node says: name and level of each key. */
async function levels(name: string): Promise<readonly string[]> {
  const { keys } = await ask(nodes.home(name), "trust", "list");
  return (keys as readonly Fields[]).map((key) => `${key["name"]} ${key["level"]}`);
}

describe("who dialled in and waits", () => {
  it("is promoted, and revoked by name or by key, and waits no more", async () => {
    const { address } = await startOverQuic("host", "tofu");
    const host = nodes.home("host");
    const come = (name: string): Promise<string> => {
      rmSync(nodes.keyDir(name), { recursive: true, force: true });
      nodes.make(name, "tofu", { cookie: COOKIE });
      return nodes.ping(name, "host", address);
    };
    for (const name of ["one", "two", "three"]) expect(await come(name)).toBe("tofu");
    expect(await come("three")).toBe("tofu");
    expect(await levels("host")).toEqual([
      "one@127.0.0.1 pending",
      "two@127.0.0.1 pending",
      "three@127.0.0.1 pending",
      "three@127.0.0.1 pending",
    ]);
    expect(await refused(host, "trust", "promote", "one@127.0.0.1")).toMatchObject({
      reason: "FINGERPRINT_NEEDED",
      message: expect.stringContaining("a key waits under one@127.0.0.1"),
    });
    expect(await refused(host, "trust", "revoke", "three@127.0.0.1")).toMatchObject({
      reason: "FINGERPRINT_NEEDED",
      message: expect.stringContaining("2 keys wait under three@127.0.0.1"),
    });
    expect(await refused(host, "trust", "revoke", "four@127.0.0.1")).toMatchObject({ reason: "PIN_NOT_FOUND" });
    const { fingerprint } = await ask(nodes.home("one"), "keys", "show");
    await ask(host, "trust", "promote", "one@127.0.0.1", String(fingerprint));
    const two = await ask(nodes.home("two"), "keys", "show");
    expect(await ask(host, "trust", "revoke", "two@127.0.0.1")).toMatchObject({
      name: "two@127.0.0.1",
      fingerprint: two["fingerprint"],
      changed: true,
    });
    const { keys } = await ask(host, "trust", "list");
    expect(keys).toMatchObject([
      { name: "one@127.0.0.1", level: "pinned", origin: "promoted", lastSeenMs: expect.any(Number) },
      { name: "three@127.0.0.1", level: "pending" },
      { name: "three@127.0.0.1", level: "pending" },
      { level: "revoked", fingerprint: two["fingerprint"] },
    ]);
  });
});

describe("invites over QUIC", () => {
  it("are warned of on both sides, and open nothing", async () => {
    const { address } = await startOverQuic("inviter", "strict");
    const resolve = { "inviter@127.0.0.1": address };
    nodes.make("guest", "tofu", { cookie: COOKIE, resolve });
    const file = join(nodes.root, "invite.txt");
    const made = await runCli(nodes.home("inviter"), ["keys", "invite", "guest@127.0.0.1", "--out", file]);
    expect(made).toMatchObject({
      code: 0,
      err: expect.stringContaining("warning: this node listens on QUIC alone, and"),
    });
    const joined = await ask(nodes.home("guest"), "keys", "join", file);
    expect(joined["warnings"]).toMatchObject([{ reason: "INVITE_NOT_OVER_QUIC" }]);
    expect(await refused(nodes.home("guest"), "ping", "inviter@127.0.0.1")).toMatchObject({
      reason: "REFUSED_BY_PEER",
      message: expect.stringContaining("untrusted_key"),
    });
  });

  it("are not where TLS is listened on too, or dialled", async () => {
    nodes.make("both", "strict", { listen: ["quic://127.0.0.1:0", "tls://127.0.0.1:0"] });
    nodes.make("visitor", "strict", { resolve: { "both@127.0.0.1": "tls://127.0.0.1:1" } });
    const file = join(nodes.root, "both.txt");
    expect(await ask(nodes.home("both"), "keys", "invite", "visitor@127.0.0.1", "--out", file)).toMatchObject({
      warnings: [],
    });
    expect(await ask(nodes.home("visitor"), "keys", "join", file)).toMatchObject({ warnings: [] });
  });
});
