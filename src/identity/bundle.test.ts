import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { type BundleNode, importBundle, MAX_BUNDLE_NODES, makeBundle, parseBundle } from "./bundle.ts";
import { NodeKey } from "./node-key.ts";
import type { TrustMode } from "./trust-decision.ts";
import { TrustStore } from "./trust-store.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;
const name = parseNodeName;
const keys = Array.from({ length: 8 }, (_, i) => new NodeKey(Buffer.alloc(32, i + 1), crypto));
const node = (text: string, i: number): BundleNode => ({ name: name(text), key: keys[i]!.publicKey });
const NODES = [node("c@h", 3), node("a@H", 1), node("b@h", 2)];
const fails = (reason: string, code: string) => expect.objectContaining({ code, reason });
const parse = (text: string, nowMs = NOW) => parseBundle(text, nowMs, crypto);

function storeOf(own: number, files: FaultyFiles = new FaultyFiles(), mode: TrustMode = "strict") {
  const ownName = name(["z@h", "a@h", "b@h", "c@h"][own]!);
  const ownKey = keys[own]!.publicKey;
  return {
    files,
    store: new TrustStore({ files, crypto, directory: "/keys", mode, ownName, ownKey, nowMs: NOW }),
  };
}

describe("a bundle", () => {
  const text = makeBundle(NODES, keys[0]!, NOW);

  it("parses back, sorted, with canonical names", () => {
    const bundle = parse(text);
    expect(bundle.nodes).toEqual([node("a@h", 1), node("b@h", 2), node("c@h", 3)]);
    expect(bundle.signer.equals(keys[0]!.publicKey)).toBe(true);
    expect(bundle.notAfterMs).toBe(NOW + 30 * DAY);
  });

  it("is refused when any byte that means something was changed", () => {
    const changes = [
      text.replace("a@h", "a@i"),
      text.replace(/"createdMs": \d/, '"createdMs": 9'),
      text.replace(/"notAfterMs": \d/, '"notAfterMs": 9'),
      makeBundle(NODES.slice(1), keys[0]!, NOW).replace(/"signature": ".*"/, /"signature": ".*"/.exec(text)![0]),
      text.replace(/"signer": ".*"/, /"signer": ".*"/.exec(makeBundle([], keys[4]!, NOW))![0]),
    ];
    for (const changed of changes) {
      expect(changed).not.toBe(text);
      expect(() => parse(changed)).toThrow(fails("BUNDLE_SIGNATURE", "ERR_DENIED"));
    }
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        if (changed === text) return;
        try {
          expect(parse(changed)).toEqual(parse(text));
        } catch (cause) {
          expect(cause).toMatchObject({ reason: expect.stringMatching(/^BUNDLE_(INVALID|SIGNATURE)$/) });
        }
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ["no JSON", "nonsense"],
    ["an array", "[]"],
    ["another kind", '{"sallyport":"invite"}'],
    ["another version", makeBundle([], keys[0]!, NOW).replace('"version": 1', '"version": 2')],
    ["no nodes", makeBundle([], keys[0]!, NOW).replace('"nodes": []', '"nodes": {}')],
    ["a path for a name", text.replace("a@h", "../../a@h")],
    ["an upper-case host", text.replace("a@h", "a@H")],
    ["a name twice", text.replace('"a@h"', '"b@h"')],
    ["an unsorted list", text.replace('"a@h"', '"bb@h"')],
    [
      "a small-order key",
      text.replace(
        /ed25519:[^"]*("\n\s*\},)/,
        `ed25519:${Buffer.from(`01${"00".repeat(31)}`, "hex").toString("base64")}$1`,
      ),
    ],
    ["a short key", text.replace(/(ed25519:)..../, "$1")],
  ])("is refused when it is or has %s", (_, bad) => {
    expect(bad).not.toBe(text);
    expect(() => parse(bad)).toThrow(fails("BUNDLE_INVALID", "ERR_CONFIG"));
  });

  it("is refused before and after its time, with a day for differing clocks", () => {
    parse(text, NOW - DAY);
    parse(text, NOW + 31 * DAY);
    for (const at of [NOW - DAY - 1, NOW + 31 * DAY + 1]) {
      expect(() => parse(text, at)).toThrow(fails("BUNDLE_EXPIRED", "ERR_DENIED"));
    }
  });

  it("has bounds", () => {
    const many = Array.from({ length: MAX_BUNDLE_NODES + 1 }, (_, i) => node(`n${i}@h`, 1));
    expect(() => makeBundle(many, keys[0]!, NOW)).toThrow(fails("BUNDLE_SIZE", "ERR_LIMIT"));
    expect(() => parse(" ".repeat(3_000_000))).toThrow(fails("BUNDLE_SIZE", "ERR_LIMIT"));
    expect(() => makeBundle([node("a@h", 1), node("a@H", 2)], keys[0]!, NOW)).toThrow(
      fails("BUNDLE_INVALID", "ERR_CONFIG"),
    );
  });
});

describe("importing a bundle", () => {
  const bundle = parse(makeBundle(NODES, keys[0]!, NOW));
  const signer = keys[0]!.fingerprint;
  const options = { nowMs: NOW, signer };
  const take = (store: TrustStore, change: object = {}) =>
    importBundle(store, bundle, crypto, { ...options, ...change });

  it("pins the whole cluster on each of its nodes, but never the node itself", () => {
    for (const own of [1, 2, 3]) {
      const { files, store } = storeOf(own);
      expect(take(store).added).toHaveLength(2);
      expect(files.paths.filter((path) => path.startsWith("/keys/trusted/"))).toHaveLength(2);
      expect(store.lookup(bundle.nodes[own - 1]!.name)).toBeUndefined();
      for (const pin of store.list()) expect(pin).toMatchObject({ place: "trusted", meta: { origin: "bundle" } });
      expect(take(store)).toMatchObject({ added: [], unchanged: [{}, {}].map(() => expect.any(String)), changes: [] });
    }
  });

  it("needs a signer who is named or trusted, and not revoked", () => {
    const { store, files } = storeOf(1, new FaultyFiles(), "tofu");
    const unnamed = { nowMs: NOW };
    const wrong = { nowMs: NOW, signer: keys[5]!.fingerprint };
    for (const one of [unnamed, wrong]) {
      expect(() => importBundle(store, bundle, crypto, one)).toThrow(fails("BUNDLE_SIGNER", "ERR_DENIED"));
    }
    store.commit(name("z@h"), keys[0]!.publicKey, { kind: "first-use" }, { address: "x", nowMs: NOW });
    expect(() => importBundle(store, bundle, crypto, unnamed)).toThrow(fails("BUNDLE_SIGNER", "ERR_DENIED"));
    store.promote(name("z@h"), signer, NOW);
    expect(importBundle(store, bundle, crypto, unnamed).added).toHaveLength(2);
    store.revoke(signer, NOW);
    for (const one of [unnamed, options]) {
      expect(() => importBundle(store, bundle, crypto, one)).toThrow(fails("BUNDLE_SIGNER", "ERR_DENIED"));
    }
    expect(files.paths.filter((path) => path.includes("/trusted/"))).toHaveLength(3);
  });

  it("pins nothing when one node cannot be pinned", () => {
    const spoil: readonly (readonly [string, string, (store: TrustStore) => void])[] = [
      ["PIN_EXISTS", "ERR_CONFIG", (store) => store.add(name("c@h"), keys[6]!.publicKey, { nowMs: NOW })],
      ["KEY_REVOKED", "ERR_DENIED", (store) => store.revoke(keys[3]!.fingerprint, NOW)],
      ["KEY_REUSED", "ERR_DENIED", (store) => store.add(name("y@h"), keys[3]!.publicKey, { nowMs: NOW })],
    ];
    for (const [reason, code, prepare] of spoil) {
      const { files, store } = storeOf(1);
      prepare(store);
      const before = files.paths;
      expect(() => take(store)).toThrow(fails(reason, code));
      expect(files.paths).toEqual(before);
    }
    const { files, store } = storeOf(1);
    const twins = parse(makeBundle([node("b@h", 2), node("c@h", 2)], keys[0]!, NOW));
    expect(() => importBundle(store, twins, crypto, options)).toThrow(fails("BUNDLE_INVALID", "ERR_CONFIG"));
    for (const wrong of [node("a@h", 5), node("b@h", 1)]) {
      const bad = parse(makeBundle([node("0@h", 4), wrong], keys[0]!, NOW));
      expect(() => importBundle(store, bad, crypto, options)).toThrow(fails("BUNDLE_OWN_NAME", "ERR_DENIED"));
    }
    expect(files.paths).toEqual([]);
  });

  it("replaces pins only when asked to", () => {
    const { store } = storeOf(1);
    store.add(name("c@h"), keys[6]!.publicKey, { nowMs: NOW });
    expect(take(store, { replace: true }).added).toEqual(["b@h", "c@h"]);
    expect(store.lookup(name("c@h"))?.fingerprint).toBe(keys[3]!.fingerprint);
  });

  it("that was cut short by a full disk is completed by the next one", () => {
    const { files, store } = storeOf(1);
    files.failAt(25, "ENOSPC");
    try {
      take(store);
    } catch (cause) {
      expect(cause).toMatchObject({ reason: "PIN_NOT_DURABLE" });
    }
    take(store);
    expect(store.list()).toHaveLength(2);
  });
});
