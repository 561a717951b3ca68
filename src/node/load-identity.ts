import { MIN_COOKIE_ONLY_BYTES, stretchCookie } from "../auth/native-cookie.ts";
import type { NativeTools } from "../auth/native-types.ts";
import type { Clock } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { SECRET_MODE } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { CookieBook } from "../identity/cookies.ts";
import { DirectoryGuard } from "../identity/directory-guard.ts";
import { HeldInvites } from "../identity/held-invites.ts";
import { InviteStore } from "../identity/invite.ts";
import { type LoadedKey, loadNodeKey } from "../identity/key-files.ts";
import { type IdentityWarning, INCARNATION_FILE, quotePath } from "../identity/key-layout.ts";
import { NamePatterns } from "../identity/name-patterns.ts";
import { TrustStore } from "../identity/trust-store.ts";
import { IdentityKeeper, type OwnFacts } from "./identity-keeper.ts";
import type { IdentityOption } from "./options.ts";
import type { CertificateJudge } from "./ports.ts";

export interface IdentityWorld {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly cookies: CookieBook;
  readonly judgeCertificate: CertificateJudge;
  readonly profile: "standard" | "strict";
  /** An option named `dangerous`: cookies below 16 bytes in cookie-only mode. */
  readonly allowShortCookie: boolean;
}

export interface LoadedIdentity {
  readonly keeper: IdentityKeeper;
  readonly warnings: readonly IdentityWarning[];
}

/**
 * Loads the node's key pair (made at first start) and its trust store.
 * @throws {SallyportError} ERR_CONFIG and ERR_DENIED of `loadNodeKey` and `TrustStore`; ERR_CONFIG INCARNATION_UNREADABLE,
 * NAME_PATTERN, COOKIE_MISSING, COOKIE_TOO_SHORT
 */
export function loadIdentity(
  option: IdentityOption,
  own: Omit<OwnFacts, "incarnation">,
  world: IdentityWorld,
): LoadedIdentity {
  const { files, crypto, random, clock, cookies, judgeCertificate, allowShortCookie } = world;
  const directory = option.dir.replace(/\/+$/, "");
  const cookieOnly = new NamePatterns(option.cookieOnly ?? []);
  const warnings: IdentityWarning[] = [];
  if (!cookieOnly.isEmpty) {
    checkCookies(cookies, allowShortCookie);
    warnings.push(cookieOnlyWarning(option.cookieOnly ?? []));
  }
  const nowMs = clock.wallMs();
  const loadKey = (lost?: "never-create"): LoadedKey => {
    const options = { files, crypto, random, directory, profile: world.profile, nowMs: clock.wallMs() };
    return loadNodeKey(lost === undefined ? options : { ...options, lost });
  };
  const loaded = loadKey();
  const ownKey = loaded.key.publicKey;
  const mode = option.trust ?? "strict";
  const { allowReusedKeys = false, limits = {} } = option;
  const store = new TrustStore({
    files,
    crypto,
    directory,
    mode,
    ownName: own.name,
    ownKey,
    allowReusedKeys,
    nowMs,
    limits,
  });
  const guard = new DirectoryGuard(files, directory);
  for (const message of guard.exposures()) {
    if (world.profile === "strict") throw exposed(message);
    warnings.push({ reason: "KEY_PERMISSIONS", message });
  }
  const life = nextIncarnation(files, directory, nowMs);
  if (life.warning !== undefined) warnings.push(life.warning);
  const keeper = new IdentityKeeper(
    {
      own: { ...own, incarnation: life.incarnation },
      // A running node has an identity: it never makes itself another one.
      reloadKey: () => loadKey("never-create"),
      directory: guard,
      store,
      invites: new InviteStore({ files, crypto, random, directory }),
      heldInvites: new HeldInvites({ files, crypto, directory }),
      cookieOnly,
      allowShortCookie,
      cookieFor: stretchedCookies(cookies, crypto),
      crypto,
      random,
      clock,
      judgeCertificate,
    },
    loaded,
  );
  return { keeper, warnings: [...warnings, ...keeper.warnings] };
}

function exposed(message: string): SallyportError {
  return new SallyportError("ERR_DENIED", "KEY_PERMISSIONS", message, {
    stage: "identity",
    advice: "chown the directories to this process's user and chmod 700 them, or use profile standard",
  });
}

/** The stretched cookie of a peer. Stretching takes tens of milliseconds each: now, and not when a peer is waiting. */
function stretchedCookies(cookies: CookieBook, crypto: IdentityCrypto): NativeTools["cookieFor"] {
  const stretched = new Map(cookies.all().map((cookie) => [cookie, stretchCookie(cookie, crypto)]));
  return (peer) => {
    const cookie = cookies.cookieFor(peer);
    return cookie === undefined ? undefined : stretched.get(cookie);
  };
}

/** Where the cookie is all there is, it must be there, and hard to guess (rulings U5). */
function checkCookies(cookies: CookieBook, allowShort: boolean): void {
  const all = cookies.all();
  if (all.length === 0) {
    throw new SallyportError("ERR_CONFIG", "COOKIE_MISSING", "cookieOnly is set, but there is no cookie", {
      stage: "cookie",
      advice: "set a cookie of at least 16 random bytes, or take cookieOnly out",
    });
  }
  const short = all.find((cookie) => cookie.length < MIN_COOKIE_ONLY_BYTES);
  if (short === undefined || allowShort) return;
  throw new SallyportError(
    "ERR_CONFIG",
    "COOKIE_TOO_SHORT",
    `cookieOnly is set, and a cookie has ${short.length} bytes, less than ${MIN_COOKIE_ONLY_BYTES}`,
    {
      stage: "cookie",
      detail: { bytes: short.length, least: MIN_COOKIE_ONLY_BYTES },
      advice: `use at least ${MIN_COOKIE_ONLY_BYTES} random bytes; dangerous.shortCookie allows less`,
    },
  );
}

function cookieOnlyWarning(patterns: readonly string[]): IdentityWarning {
  const message =
    `${quotePeerText(patterns.join(", "))}: known by the cookie alone, without a key; ` +
    "whoever has the cookie can be any of them";
  return { reason: "COOKIE_ONLY", message };
}

/**
 * The number of this life: above all earlier ones, and near the wall clock, so that lives are ordered even when the clock
 * was set back (rulings S13). Written before it is used; where nothing can be written, as on a secret mount, the clock alone
 * orders the lives.
 */
function nextIncarnation(
  files: StoreFiles,
  directory: string,
  nowMs: number,
): { readonly incarnation: bigint; readonly warning?: IdentityWarning } {
  const path = `${directory}/${INCARNATION_FILE}`;
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
  const incarnation = last >= now ? last + 1n : now;
  try {
    files.writeAtomic(path, `${incarnation}\n`, SECRET_MODE);
    return { incarnation };
  } catch (cause) {
    const message =
      `${quotePath(path)} cannot be written (${systemCode(cause)}): while the clock is set back, peers that still hold a ` +
      "session with this node refuse it";
    return { incarnation, warning: { reason: "INCARNATION_NOT_SAVED", message } };
  }
}
