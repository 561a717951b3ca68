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
import { NATIVE_TLS, type PairIdentity, type PairQuic } from "./pair-identity.ts";
import { pairInvalid } from "./pair-invalid.ts";

/** One side of one pair option, read; `withIdentity` makes of it what the legs use that stand for one node. */
export interface SideParts {
  readonly tools: OtpHandshakeTools;
  readonly cookies: CookieBook;
  readonly material: TlsMaterial | undefined;
  /** A certificate is there, or will be. */
  readonly hasTls: boolean;
  readonly tlsOptions: TlsCarrierOptions;
  readonly dialers: { readonly tls?: TlsDialer; readonly tcp?: CarrierDialer };
  /** Undefined where no identity is open that runs over it. */
  readonly quic: PairQuic | undefined;
  readonly plaintext: boolean | "any";
  /** What the operator should know of its files. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Reads the cookie and the certificate of one side.
 * @param hasKeys its legs have identities, which bring certificates of their own where the side has none
 * @throws {SallyportError} ERR_CONFIG
 */
export function readSide(
  { cookie, tls }: { readonly cookie?: CookieSetting | undefined; readonly tls?: GatewayTls | undefined },
  plaintext: boolean | "any",
  { system, openChallenges }: Pick<PairWorld, "system" | "openChallenges">,
  hasKeys: boolean,
): SideParts {
  const { crypto, random, clock, files } = system;
  const { book, warnings } = readCookies(cookie, files);
  const cookieFor = (peer: NodeName): Uint8Array | undefined => book.cookieFor(peer);
  const loaded = tls === undefined ? undefined : loadTlsMaterial(files, tls, clock.wallMs());
  const material = loaded?.material;
  const reuse = tls?.reuseSessions === undefined ? {} : { reuseSessions: tls.reuseSessions };
  const tlsOptions = { ...(hasKeys ? NATIVE_TLS : {}), ...reuse };
  return {
    cookies: book,
    warnings: [...warnings, ...(loaded?.warnings ?? [])],
    tools: { crypto, random, openChallenges, cookieFor },
    material,
    hasTls: material !== undefined || hasKeys,
    tlsOptions,
    dialers: {
      ...(material === undefined ? {} : { tls: createTlsDialer(system, material, tlsOptions) }),
      ...(plaintext === false ? {} : { tcp: guardedTcp(createTcpDialer(system), plaintext) }),
    },
    quic: undefined,
    plaintext,
  };
}

/** A side as the legs use it that stand for one node: with the certificate of their key directory, unless the side has one. */
export function withIdentity(
  side: SideParts,
  identity: PairIdentity | undefined,
  { system }: Pick<PairWorld, "system">,
): SideParts {
  if (identity === undefined) return side;
  const { quic, material } = identity;
  if (side.material !== undefined || material === undefined) return { ...side, quic };
  const tls = createTlsDialer(system, material, side.tlsOptions);
  return { ...side, quic, material, dialers: { ...side.dialers, tls } };
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
