import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import { createTlsDialer, type TlsCarrierOptions } from "../carrier/tls.ts";
import type { TlsMaterial } from "../carrier/tls-material.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import { type CookieSetting, readCookies } from "../identity/cookies.ts";
import type { IdentityWarning } from "../identity/key-layout.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import type { CertificatePair } from "../node/certificate-pair.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import { lockIdentity } from "../node/identity-lock.ts";
import { loadIdentity } from "../node/load-identity.ts";
import type { IdentityOption, QuicOption } from "../node/options.ts";
import { materialOf, OwnCertificate } from "../node/own-certificate.ts";
import { visibleWarning } from "../node/quic-visible.ts";
import { QuicNode } from "../quic-node.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import type { PairWorld } from "./gateway-world.ts";

/** How TLS says that it speaks the native handshake. */
export const NATIVE_TLS: TlsCarrierOptions = { alpn: [NATIVE_ALPN] };

/** The identity that stands for one node on the legs of the other side. */
export interface PairIdentity {
  readonly keeper: IdentityKeeper;
  /** The certificate of the key directory; undefined where the side has one of its own. */
  readonly material: TlsMaterial | undefined;
  /** QUIC of these legs; undefined where nothing runs over it. It shows the certificate of the key directory. */
  readonly quic: PairQuic | undefined;
  readonly warnings: readonly IdentityWarning[];
  /** Calls `changed` when trust in somebody has changed, until the function that it returns is called. */
  watch(changed: (changes: readonly TrustChange[]) => void): () => void;
  /** Another process may run with the directory from now on; sessions that are up keep their key. Idempotent. */
  letGo(): void;
  /** Overwrites the key and lets the directory go. */
  close(): void;
}

/** The QUIC engine of one identity, and what its listeners show. A pair that is started anew goes on with it. */
export interface PairQuic {
  readonly node: QuicNode;
  readonly material: TlsMaterial;
}

/** What makes an identity. A reload that asks for another one under the same directory is refused. */
export interface IdentityRequest {
  /** The node that its legs stand for. */
  readonly standsFor: NodeName;
  /** The nodes that it is proven to are on the other side of these. */
  readonly inside: NodeName;
  /** `dir` is the key directory itself. */
  readonly option: IdentityOption;
  readonly cookie: CookieSetting | undefined;
  /** That side of the pair has a certificate of its own. */
  readonly hasTls: boolean;
  /** Undefined where nothing runs over QUIC. */
  readonly quic: QuicOption | undefined;
}

/** A directory without the slashes at its end. */
export function directoryOf({ dir }: IdentityOption): string {
  return dir.replace(/\/+$/, "");
}

/**
 * Locks and loads a key directory of a pair as a node does its own (docs/identity.md).
 * @throws {SallyportError} ERR_CONFIG ALREADY_RUNNING; those of `loadIdentity`
 */
export async function openPairIdentity(
  { standsFor: name, option, cookie, hasTls, quic: quicOption }: IdentityRequest,
  { system, legs, notice }: Pick<PairWorld, "system" | "legs" | "notice">,
): Promise<PairIdentity> {
  const directory = directoryOf(option);
  const { clock, random, files, identityCrypto: crypto } = system;
  const world = { clock, random, files, crypto, profile: "standard" } as const;
  // Before anything is written there: a node with the same identity would end the sessions of this one.
  const lock = await lockIdentity(directory, world);
  try {
    // Creation and capabilities are those of the node that it stands for, in each handshake its present ones.
    const facts = { name, creation: 0, flags: DEFAULT_FLAGS };
    const { keeper, warnings } = loadIdentity(option, facts, {
      ...world,
      cookies: readCookies(cookie, files).book,
      judgeCertificate: legs.judgeCertificate,
      allowShortCookie: false,
    });
    // It secures the channel and says nothing about who; the key does.
    const usable = (pair: CertificatePair): boolean => isUsable(pair, clock);
    const opened =
      !hasTls || quicOption !== undefined
        ? await OwnCertificate.open({ ...world, directory, name, usable })
        : undefined;
    const own = opened?.certificate.current;
    const warn = (reason: string, message: string): void =>
      notice({ kind: "warning", reason, message: `${name}: ${message}` });
    const quic =
      quicOption !== undefined && own !== undefined
        ? { node: new QuicNode({ clock, ticks: legs.ticks, option: quicOption, warn }), material: own }
        : undefined;
    const watchers = new Set<(changes: readonly TrustChange[]) => void>();
    keeper.watch({
      warned: ({ reason, message }) => notice({ kind: "warning", reason, message }),
      changed: (changes) => {
        for (const changed of watchers) changed(changes);
      },
    });
    return {
      keeper,
      material: hasTls ? undefined : own,
      quic,
      warnings: [
        ...(lock.warning === undefined ? [] : [lock.warning]),
        ...warnings,
        ...(opened?.warnings ?? []),
        ...visibleWarning(quicOption?.visible, name),
      ],
      watch(changed) {
        watchers.add(changed);
        return () => void watchers.delete(changed);
      },
      letGo: () => lock.release(),
      close() {
        quic?.node.close();
        keeper.stop();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function isUsable(pair: CertificatePair, clock: Clock): boolean {
  try {
    createTlsDialer({ clock }, materialOf(pair), NATIVE_TLS);
    return true;
  } catch {
    return false;
  }
}
