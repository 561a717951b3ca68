import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { NamePatterns } from "../identity/name-patterns.ts";
import { NodeKey } from "../identity/node-key.ts";
import { type Fingerprint, KEY_BYTES } from "../identity/public-key.ts";
import { ThrowawayTrust } from "../identity/throwaway-trust.ts";
import type { TrustMode, TrustRefusal } from "../identity/trust-decision.ts";
import { IdentityKeeper, type OwnFacts } from "./identity-keeper.ts";

/** An identity for one life: a key that is made in memory, and whom the node takes. */
export interface ThrowawayIdentity {
  /** `tofu` also takes, for this life, a key that nothing is known about. */
  readonly trust: TrustMode;
  /** Keys that nodes must show. */
  readonly expected: ReadonlyMap<NodeName, Fingerprint>;
  /** What to do about a key that is not taken; undefined: what any node would do. */
  advice(reason: TrustRefusal, shown: Fingerprint): string | undefined;
}

/** What the node of one command is told beside its options. */
export interface OneShot {
  /** It dials over QUIC with a key for this life, which lies on no disk. Over TLS it is a node without an identity. */
  readonly throwaway?: ThrowawayIdentity | undefined;
  /** It speaks by key over TLS and in no other way. Default false. */
  readonly isNativeOnly?: boolean;
}

export interface ThrowawayWorld {
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  readonly clock: Clock;
}

/** Makes the key. Nothing is read from a disk or written there, and no cookie is stretched: such a node speaks barrel only. */
export function makeThrowaway(
  { trust, expected, advice }: ThrowawayIdentity,
  own: Omit<OwnFacts, "incarnation">,
  { crypto, random, clock }: ThrowawayWorld,
): IdentityKeeper {
  const seed = random.bytes(KEY_BYTES);
  const key = new NodeKey(seed, crypto);
  seed.fill(0);
  return new IdentityKeeper(
    {
      own: { ...own, incarnation: BigInt(Math.max(0, Math.trunc(clock.wallMs()))) },
      reloadKey: () => {
        throw inMemory();
      },
      directory: { check: () => undefined },
      store: new ThrowawayTrust({ crypto, mode: trust, ownName: own.name, ownKey: key.publicKey, expected }),
      invites: { check: () => "unknown", burn: () => undefined },
      heldInvites: {
        find: () => undefined,
        drop: () => undefined,
        hold: () => {
          throw inMemory();
        },
      },
      cookieOnly: new NamePatterns([]),
      allowShortCookie: false,
      cookieFor: () => undefined,
      adviceOn: advice,
      crypto,
      random,
      clock,
      judgeCertificate: () => ({ matched: false, presented: [] }),
    },
    { key, created: true, chain: [], warnings: [] },
  );
}

function inMemory(): SallyportError {
  return new SallyportError("ERR_CONFIG", "KEY_MISSING", "the key of this node is in memory only, and goes with it", {
    stage: "identity",
    advice: "set identity with a key directory for what is to last",
  });
}
