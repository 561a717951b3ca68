import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { CookieBook } from "../identity/cookies.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import { loadIdentity } from "../node/load-identity.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { SeededRandom } from "./seeded-random.ts";

/** The identity in `/keys` of a disk, without certificates. */
export function testKeeper(
  name: NodeName,
  files: StoreFiles,
  clock: Clock,
  { trust, cookie }: { readonly trust: "strict" | "tofu"; readonly cookie: Buffer | undefined },
): IdentityKeeper {
  const own = { name, creation: 0, flags: DEFAULT_FLAGS };
  return loadIdentity({ dir: "/keys", trust }, own, {
    files,
    crypto: new RealIdentityCrypto(),
    random: new SeededRandom(9),
    clock,
    cookies: new CookieBook(cookie, new Map()),
    judgeCertificate: () => ({ matched: false, presented: [] }),
    profile: "standard",
    allowShortCookie: false,
  }).keeper;
}
