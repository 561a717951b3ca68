import { stretchCookie } from "../auth/native-cookie.ts";
import { type NativeIdentity, OpenNonces } from "../auth/native-types.ts";
import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { CookieBook } from "../identity/cookies.ts";
import { loadNodeKey } from "../identity/key-files.ts";
import { TrustStore } from "../identity/trust-store.ts";
import { IdentityKeeper } from "./identity-keeper.ts";
import type { IdentityOption } from "./options.ts";
import type { CertificateJudge } from "./ports.ts";

/** Stretched cookies kept ready; a cluster has one cookie, or one for each of a few peers. */
const MAX_STRETCHED = 256;

export interface IdentityWorld {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly cookies: CookieBook;
  readonly judgeCertificate: CertificateJudge;
  readonly profile: "standard" | "strict";
}

export interface LoadedIdentity {
  readonly keeper: IdentityKeeper;
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/** Who this node is in its native handshakes, besides its key. */
export interface OwnFacts {
  readonly name: NodeName;
  readonly creation: number;
  readonly flags: bigint;
}

/**
 * Loads the node's key pair (made at first start) and its trust store.
 * @throws {SallyportError} ERR_CONFIG and ERR_DENIED of `loadNodeKey` and `TrustStore`; ERR_CONFIG INCARNATION_UNREADABLE
 */
export function loadIdentity(option: IdentityOption, own: OwnFacts, world: IdentityWorld): LoadedIdentity {
  const { files, crypto, random, clock, cookies } = world;
  const directory = option.dir.replace(/\/+$/, "");
  const nowMs = clock.wallMs();
  const loaded = loadNodeKey({ files, crypto, random, directory, profile: world.profile, nowMs });
  const mode = option.trust ?? "strict";
  const store = new TrustStore({
    files,
    crypto,
    directory,
    mode,
    ownName: own.name,
    ownKey: loaded.key.publicKey,
    nowMs,
  });
  const identity: NativeIdentity = {
    ...own,
    incarnation: nextIncarnation(files, directory, nowMs),
    publicKey: loaded.key.publicKey,
    successions: loaded.chain,
    sign: (input) => loaded.key.signInput(input),
  };
  const stretched = new Map<Uint8Array, ReturnType<typeof stretchCookie>>();
  const keeper = new IdentityKeeper({
    key: loaded.key,
    store,
    crypto,
    clock,
    judgeCertificate: world.judgeCertificate,
    native: {
      identity: () => identity,
      inviteFor: () => undefined,
      tools: {
        crypto,
        random,
        openNonces: new OpenNonces(),
        cookieFor(peer) {
          const cookie = cookies.cookieFor(peer);
          if (cookie === undefined) return undefined;
          let key = stretched.get(cookie);
          if (key === undefined) {
            if (stretched.size >= MAX_STRETCHED) stretched.clear();
            key = stretchCookie(cookie, crypto);
            stretched.set(cookie, key);
          }
          return key;
        },
        cookieOnly: () => false,
        hasCookieOnly: false,
        allowShortCookie: false,
        inviteSecret: () => undefined,
      },
    },
  });
  // The first stretching takes tens of milliseconds: now, and not when the first peer is waiting.
  for (const cookie of cookies.all()) stretched.set(cookie, stretchCookie(cookie, crypto));
  return { keeper, warnings: [...loaded.warnings, ...store.warnings] };
}

/**
 * The number of this life: above all earlier ones, and near the wall clock, so that lives are ordered even when the clock
 * was set back (rulings S13). Written before it is used.
 */
function nextIncarnation(files: StoreFiles, directory: string, nowMs: number): bigint {
  const path = `${directory}/incarnation`;
  let last = 0n;
  if (files.exists(path)) {
    const text = files.readText(path).trim();
    if (!/^\d{1,19}$/.test(text)) {
      throw new SallyportError("ERR_CONFIG", "INCARNATION_UNREADABLE", `${path} does not hold a number`, {
        stage: "identity",
        advice: "remove the file; the next start begins with the time of day",
      });
    }
    last = BigInt(text);
  }
  const now = BigInt(Math.max(0, Math.trunc(nowMs)));
  const next = last >= now ? last + 1n : now;
  files.writeAtomic(path, `${next}\n`, 0o600);
  return next;
}
