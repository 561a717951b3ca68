import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { NodeKey } from "./node-key.ts";
import { type PinPlace, PinTable } from "./pin-table.ts";
import { type AcceptedSuccession, decideTrust, type TrustFacts, type TrustView } from "./trust-decision.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const name = parseNodeName("peer@h");
const [own, first, second] = [1, 2, 3].map((i) => new NodeKey(Buffer.alloc(32, i), crypto)) as [
  NodeKey,
  NodeKey,
  NodeKey,
];

interface Scene extends Partial<Omit<TrustFacts, "key">> {
  readonly mode?: "tofu" | "strict";
  readonly pins?: readonly (readonly [string, NodeKey, PinPlace])[];
  readonly revoked?: NodeKey;
  readonly broken?: boolean;
  readonly reuse?: boolean;
  readonly accepted?: AcceptedSuccession;
  readonly key?: NodeKey;
}

/** `pinned`, `tofu`, `ca` with what must be committed, or the reason of the refusal. */
function decide(scene: Scene): string {
  const table = new PinTable();
  for (const [pinned, key, place] of scene.pins ?? []) {
    table.set({ name: parseNodeName(pinned), key: key.publicKey, fingerprint: key.fingerprint, place });
  }
  if (scene.revoked !== undefined) table.revoked.add(scene.revoked.fingerprint);
  const view: TrustView = {
    mode: scene.mode ?? "tofu",
    ownName: parseNodeName("me@h"),
    ownKey: own.publicKey,
    allowReusedKeys: scene.reuse ?? false,
    table,
    brokenPin: () => (scene.broken === true ? "broken" : undefined),
    acceptedSuccession: () => scene.accepted ?? { kind: "none" },
  };
  const decision = decideTrust(
    view,
    {
      role: "acceptor",
      name,
      chain: [],
      caNamesPeer: false,
      inviteValid: false,
      cookieProven: false,
      nowMs: NOW,
      ...scene,
      key: (scene.key ?? first).publicKey,
    },
    crypto,
  );
  return decision.kind === "refuse" ? decision.reason : `${decision.assurance} ${decision.commit.kind}`;
}

const trusted = [["peer@h", first, "trusted"]] as const;
const firstUse = [["peer@h", first, "first-use"]] as const;
const otherKey = [["peer@h", second, "trusted"]] as const;
const otherName = [["twin@h", first, "trusted"]] as const;
const chain = [second.succeed({ serial: 5, notBefore: NOW, notAfter: NOW + 1000, newKey: first.publicKey, name })];
const EVERYTHING = { caNamesPeer: true, inviteValid: true, cookieProven: true, chain } as const;

/** The trust table of docs/identity.md: what is stored or shown, then tofu dialler, tofu acceptor, strict (both roles). */
const TABLE: readonly (readonly [string, Scene, string, string, string])[] = [
  ["revoked, whatever else", { ...EVERYTHING, pins: trusted, revoked: first }, ...same("KEY_REVOKED")],
  [
    "pin differs",
    { pins: otherKey, caNamesPeer: true, inviteValid: true, cookieProven: true },
    ...same("KEY_MISMATCH"),
  ],
  ["first-use pin differs", { pins: [["peer@h", second, "first-use"]] }, ...same("KEY_MISMATCH")],
  ["pin equal, trusted", { pins: trusted }, ...same("pinned none")],
  ["pin equal, first use", { pins: firstUse }, "tofu none", "tofu none", "KEY_UNTRUSTED"],
  ["pin equal, first use, CA", { pins: firstUse, caNamesPeer: true }, "tofu none", "tofu none", "KEY_UNTRUSTED"],
  ["pin equal, first use, invite", { pins: firstUse, inviteValid: true }, ...same("pinned invite")],
  ["succession from a trusted pin", { pins: otherKey, chain }, ...same("pinned succession")],
  [
    "succession from a first-use pin",
    { pins: [["peer@h", second, "first-use"]], chain },
    "tofu succession",
    "tofu succession",
    "KEY_UNTRUSTED",
  ],
  ["succession by a revoked key", { pins: otherKey, chain, revoked: second }, ...same("KEY_MISMATCH")],
  ["succession without a pin", { chain }, "tofu first-use", "tofu pending", "KEY_UNTRUSTED"],
  [
    "succession replayed",
    { pins: otherKey, chain, accepted: { kind: "known", serial: 6, key: second.fingerprint } },
    ...same("KEY_MISMATCH"),
  ],
  [
    "succession, its record broken",
    { pins: otherKey, chain, accepted: { kind: "unreadable" } },
    ...same("KEY_MISMATCH"),
  ],
  ["no pin, CA", { caNamesPeer: true }, ...same("ca none")],
  ["no pin, invite", { inviteValid: true }, ...same("pinned invite")],
  ["no pin, invite and CA", { inviteValid: true, caNamesPeer: true }, ...same("pinned invite")],
  ["no pin", {}, "tofu first-use", "tofu pending", "KEY_UNTRUSTED"],
  ["no pin, cookie proven", { cookieProven: true }, "tofu first-use", "tofu first-use", "KEY_UNTRUSTED"],
  ["key of another name", { ...EVERYTHING, pins: otherName }, ...same("KEY_REUSED")],
  ["key of another name, allowed", { pins: otherName, reuse: true }, "tofu first-use", "tofu pending", "KEY_UNTRUSTED"],
  ["key of another name by succession", { pins: [...otherKey, ...otherName], chain }, ...same("KEY_REUSED")],
  ["first-use pin of a reused key", { pins: [...firstUse, ...otherName] }, ...same("KEY_REUSED")],
  ["trusted under both names", { pins: [...trusted, ...otherName] }, ...same("pinned none")],
  ["broken pin file, whatever else", { ...EVERYTHING, broken: true }, ...same("PIN_BROKEN")],
  ["own key", { ...EVERYTHING, key: own }, ...same("OWN_KEY")],
  ["own name", { ...EVERYTHING, name: parseNodeName("me@H"), pins: [["me@h", first, "trusted"]] }, ...same("OWN_NAME")],
];

function same(outcome: string): [string, string, string] {
  return [outcome, outcome, outcome];
}

describe("the trust table", () => {
  it.each(TABLE)("%s", (_, scene, tofuDialler, tofuAcceptor, strict) => {
    expect(decide({ ...scene, mode: "tofu", role: "dialler" })).toBe(tofuDialler);
    expect(decide({ ...scene, mode: "tofu", role: "acceptor" })).toBe(tofuAcceptor);
    expect(decide({ ...scene, mode: "strict", role: "dialler" })).toBe(strict);
    expect(decide({ ...scene, mode: "strict", role: "acceptor" })).toBe(strict);
  });

  it("compares names with the host's case folded, and not the local part's", () => {
    expect(decide({ pins: trusted, name: parseNodeName("peer@H"), mode: "strict" })).toBe("pinned none");
    expect(decide({ pins: trusted, name: parseNodeName("Peer@h"), mode: "strict" })).toBe("KEY_REUSED");
  });
});
