import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import type { NodeOptions } from "../node/options.ts";
import { crypto, F, keyPair } from "../testkit/trust-world.ts";
import type { CommonFlags } from "./common-options.ts";
import { refusedThere, throwawayOf } from "./throwaway-key.ts";

const FLAGS: CommonFlags = { timeout: 5000, protocol: "auto" };
const QUIC: NodeOptions = { name: "cli-1@h", quic: {} };
const KEYED: NodeOptions = { ...QUIC, identity: { dir: "/keys" } };
const TLS: NodeOptions = { name: "cli-1@h", tls: { certFile: "c", keyFile: "k", caFile: "a" } };
const of = (settings: NodeOptions, flags: Partial<CommonFlags> = {}) =>
  throwawayOf({ identityCrypto: crypto }, { ...FLAGS, ...flags }, settings, "a@h:4433");

describe("the key of a command that was given none", () => {
  it("is for QUIC alone, and for who has no directory", () => {
    expect([of(QUIC), of(KEYED), of(TLS)].map((made) => made?.trust)).toEqual(["strict", undefined, undefined]);
    expect(of(QUIC, { trust: "tofu" })?.trust).toBe("tofu");
  });

  it("goes with the key that the dialled node must show, whole or as its fingerprint", () => {
    const whole = `ed25519:${keyPair(1).publicKey.toString("base64")}`;
    for (const peerKey of [F(1), whole]) {
      expect([...(of(QUIC, { peerKey })?.expected ?? [])]).toEqual([["a@h", F(1)]]);
    }
    expect(of(QUIC)?.expected.size).toBe(0);
    expect(() => of(QUIC, { peerKey: "x" })).toThrow(expect.objectContaining({ reason: "KEY_TEXT_INVALID" }));
  });

  it("names what to add about a key that is unknown, and nothing to do away with one that differs", () => {
    expect(of(QUIC)?.advice("KEY_UNTRUSTED", F(1))).toContain(`--peer-key ${F(1)}`);
    expect(of(QUIC, { peerKey: F(2) })?.advice("KEY_MISMATCH", F(1))).not.toContain(F(1));
    expect(of(QUIC)?.advice("KEY_REVOKED", F(1))).toBeUndefined();
  });

  it.each([
    ["--peer-key with a directory", KEYED, { peerKey: F(1) }],
    ["--peer-key without QUIC", TLS, { peerKey: F(1) }],
    ["--trust where nobody is known by key", TLS, { trust: "tofu" }],
  ] as const)("refuses %s, which would say nothing", (_what, settings, flags) => {
    expect(() => of(settings, flags)).toThrow(expect.objectContaining({ code: "ERR_CONFIG", reason: "USAGE" }));
  });

  it("leaves --trust to the directory where there is one", () => {
    expect(of(KEYED, { trust: "tofu" })).toBeUndefined();
  });

  it("asks for a lasting key where the other node refused this one, and leaves other failures alone", () => {
    const failed = (told: string) =>
      new SallyportError("ERR_DENIED", "KEY_UNTRUSTED", "refused", { advice: "add it", detail: { told } });
    expect(refusedThere(failed("untrusted_key"))).toMatchObject({ advice: expect.stringContaining("--key-dir") });
    expect(refusedThere(failed("key_mismatch"))).toMatchObject({ advice: expect.stringContaining("leave --name out") });
    const other = failed("no_identity");
    expect(refusedThere(other)).toBe(other);
    const thrown = new Error("x");
    expect(refusedThere(thrown)).toBe(thrown);
  });
});
