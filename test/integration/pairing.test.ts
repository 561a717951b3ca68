import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ask, refused } from "./cli-process.ts";
import { OperatedNodes, verdict } from "./operated-nodes.ts";

const COOKIE = "a cookie of 27 random bytes";

const nodes = new OperatedNodes();

afterAll(() => nodes.end());

describe("two processes pair", () => {
  it("by an invite, between strict nodes", async () => {
    nodes.make("inviter", "strict");
    nodes.make("guest", "strict");
    const { endpoint, node } = await nodes.start("inviter");
    expect(await nodes.ping("guest", "inviter", endpoint)).toBe("3 KEY_UNTRUSTED");
    const file = join(nodes.root, "invite.txt");
    const { fingerprint } = await ask(nodes.home("inviter"), "keys", "invite", "guest@127.0.0.1", "--out", file);
    expect(await ask(nodes.home("guest"), "keys", "join", file)).toMatchObject({
      acceptor: "inviter@127.0.0.1",
      fingerprint,
    });
    const before = node.events.length;
    expect(await nodes.ping("guest", "inviter", endpoint)).toBe("pinned");
    expect(await verdict(node, "guest", before)).toBe("pinned");
    // The token is used up on both sides; the pins stay.
    expect(readdirSync(join(nodes.keyDir("guest"), "joining"))).toEqual([]);
    expect(await nodes.ping("guest", "inviter", endpoint)).toBe("pinned");
    expect(readFileSync(file, "utf8")).toMatch(/^sallyport-invite:/);
    nodes.make("second", "strict");
    expect(await refused(nodes.home("second"), "keys", "join", file)).toMatchObject({ reason: "INVITE_OTHER_NODE" });
  });

  it("by the cookie alone, where both list the other", async () => {
    const only = { cookie: COOKIE, identity: { cookieOnly: ["*@127.0.0.1"] } };
    nodes.make("cook", "strict", only);
    nodes.make("waiter", "strict", only);
    nodes.make("unlisted", "strict", { cookie: COOKIE });
    const { endpoint, node } = await nodes.start("cook");
    await node.says(/"event":"warning".*"reason":"COOKIE_ONLY"/);
    const before = node.events.length;
    expect(await nodes.ping("waiter", "cook", endpoint)).toBe("cookie");
    expect(await verdict(node, "waiter", before)).toBe("cookie");
    expect(await nodes.ping("unlisted", "cook", endpoint)).toBe("3 KEY_UNTRUSTED");
  });

  it("again after a rotation, by the signed succession alone", async () => {
    const base = nodes.make("base", "strict");
    const rover = nodes.make("rover", "strict");
    nodes.store("base", "trusted", "rover", rover.pub);
    nodes.store("rover", "trusted", "base", base.pub);
    const { endpoint, node } = await nodes.start("base");
    expect(await nodes.ping("rover", "base", endpoint)).toBe("pinned");
    const { oldFingerprint, fingerprint } = await ask(nodes.home("rover"), "keys", "rotate");
    let before = node.events.length;
    expect(await nodes.ping("rover", "base", endpoint)).toBe("pinned");
    expect(await verdict(node, "rover", before)).toBe("pinned");
    expect(node.events.at(-1)).not.toMatchObject({ event: "refused" });
    expect(oldFingerprint).not.toBe(fingerprint);
    // The same without the statement is a stranger.
    rmSync(join(nodes.keyDir("rover"), "succession"));
    await ask(nodes.home("rover"), "keys", "rotate");
    rmSync(join(nodes.keyDir("rover"), "succession"));
    before = node.events.length;
    expect(await nodes.ping("rover", "base", endpoint)).toBe("3 REFUSED_BY_PEER");
    expect(await verdict(node, "rover", before)).toBe("KEY_MISMATCH");
  });
});
