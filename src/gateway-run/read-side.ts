import type { OtpHandshakeTools } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierDialer, DialAddress } from "../carrier/carrier.ts";
import { createTcpDialer } from "../carrier/tcp.ts";
import { createTlsDialer, type TlsCarrierOptions, type TlsDialer } from "../carrier/tls.ts";
import { loadTlsMaterial, type TlsMaterial } from "../carrier/tls-material.ts";
import { parseAddress } from "../discovery/address.ts";
import type { GatewayTls } from "../gateway/options.ts";
import { type CookieBook, type CookieSetting, readCookies } from "../identity/cookies.ts";
import { checkPlaintext, guardedTcp } from "../node/listen-option.ts";
import type { PairWorld } from "./gateway-world.ts";
import { NATIVE_TLS, type OutsideIdentity } from "./outside-identity.ts";
import { pairInvalid } from "./pair-invalid.ts";

/** One side of one pair option, read. */
export interface SideParts {
  readonly tools: OtpHandshakeTools;
  readonly cookies: CookieBook;
  readonly material: TlsMaterial | undefined;
  /** A certificate is there, or will be. */
  readonly hasTls: boolean;
  readonly tlsOptions: TlsCarrierOptions;
  readonly dialers: { readonly tls?: TlsDialer; readonly tcp?: CarrierDialer };
  readonly plaintext: boolean | "any";
  /** What the operator should know of its files. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Reads the cookie and the certificate of one side.
 * @param identity that of the outside, where it has one; `unopened` when nothing is to be locked
 * @throws {SallyportError} ERR_CONFIG
 */
export function readSide(
  { cookie, tls }: { readonly cookie?: CookieSetting | undefined; readonly tls?: GatewayTls | undefined },
  plaintext: boolean | "any",
  { system, openChallenges }: Pick<PairWorld, "system" | "openChallenges">,
  identity?: OutsideIdentity | "unopened",
): SideParts {
  const { crypto, random, clock, files } = system;
  const { book, warnings } = readCookies(cookie, files);
  const cookieFor = (peer: NodeName): Uint8Array | undefined => book.cookieFor(peer);
  const loaded = tls === undefined ? undefined : loadTlsMaterial(files, tls, clock.wallMs());
  const ofKey = identity === "unopened" ? undefined : identity?.material;
  const material = loaded?.material ?? ofKey;
  const reuse = tls?.reuseSessions === undefined ? {} : { reuseSessions: tls.reuseSessions };
  const tlsOptions = { ...(identity === undefined ? {} : NATIVE_TLS), ...reuse };
  const hasTls = material !== undefined || identity === "unopened";
  return {
    cookies: book,
    warnings: [...warnings, ...(loaded?.warnings ?? [])],
    tools: { crypto, random, openChallenges, cookieFor },
    material,
    hasTls,
    tlsOptions,
    dialers: {
      ...(material === undefined ? {} : { tls: createTlsDialer(system, material, tlsOptions) }),
      ...(plaintext === false ? {} : { tcp: guardedTcp(createTcpDialer(system), plaintext) }),
    },
    plaintext,
  };
}

/** @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID, SCHEME_NOT_ALLOWED, GATEWAY_PAIR_INVALID */
export function checkedAddress(text: string, scheme: DialAddress["scheme"], side: SideParts): DialAddress {
  const address = parseAddress(text, scheme);
  if (address.scheme === "tcp") checkPlaintext(address.host, side.plaintext);
  if (address.scheme === "tcp" || !side.hasTls) dialerOf(side, address);
  return address;
}

/** The dialer of an address of that side; those of QUIC are dialled elsewhere. @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID */
export function dialerOf(side: SideParts, { scheme }: DialAddress): CarrierDialer {
  const dialer = scheme === "quic" ? undefined : side.dialers[scheme];
  if (dialer !== undefined) return dialer;
  if (scheme === "tls")
    throw pairInvalid("no certificate is set for dialling over tls", "set tls on that side of the pair");
  throw pairInvalid(
    `that side of the pair does not dial over ${scheme}`,
    scheme === "tcp" ? "write tls://, or set dangerous.plaintext" : "write tcp:// on loopback, or tls://",
  );
}
