import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import type { CertificateJudge, Dialers, Resolver } from "./ports.ts";

/** Dials that are watched at once at most; each is one run of `doctor connect`. */
export const MAX_WATCHED_DIALS = 64;

/** Hears of the TLS sessions of dials to one node. */
type Heard = (info: CarrierInfo) => void;

/** Lets diagnosis see what a dial sees. */
export class DialWatches {
  readonly #watches = new Set<{ readonly target: NodeName; readonly heard: Heard }>();

  /** Returns a function that ends it. @throws {SallyportError} ERR_LIMIT WATCHED_DIALS */
  watch(target: NodeName, heard: Heard): () => void {
    if (this.#watches.size >= MAX_WATCHED_DIALS) throw tooManyWatches();
    const watch = { target, heard };
    this.#watches.add(watch);
    return () => void this.#watches.delete(watch);
  }

  secured(target: NodeName, info: CarrierInfo): void {
    for (const watch of this.#watches) if (sameNode(watch.target, target)) watch.heard(info);
  }
}

/** What is known of a standing session, for diagnosis. */
export interface SessionEvidence {
  /** What both sides can. */
  readonly flags: bigint;
  readonly info: CarrierInfo;
}

/** The parts of a node that `doctor connect` looks at; nothing secret is among them. */
export interface NodeProbe {
  readonly clock: Clock;
  readonly resolver: Resolver;
  readonly dialers: Dialers;
  readonly judgeCertificate: CertificateJudge;
  readonly hasIdentity: boolean;
  /** Octets of the cookie for a peer; undefined where there is none. */
  cookieBytes(peer: NodeName): number | undefined;
  /** See `DialWatches.watch`. */
  watch(target: NodeName, heard: Heard): () => void;
  session(peer: NodeName): SessionEvidence | undefined;
}

interface ProbedHost {
  readonly watches: DialWatches;
  readonly sessions: {
    get(
      name: string,
    ):
      | { readonly connection: { readonly peer: { readonly flags: bigint; readonly info: CarrierInfo } | undefined } }
      | undefined;
  };
}

const PROBES = new WeakMap<object, NodeProbe>();

/** Makes a node open to diagnosis. Called by the node itself. */
export function keepProbe(node: object, parts: ConnectionParts, host: ProbedHost): void {
  const { clock, resolver, dialers, judgeCertificate, identity, handshake } = parts;
  PROBES.set(node, {
    ...{ clock, resolver, dialers, judgeCertificate },
    hasIdentity: identity !== undefined,
    cookieBytes: (peer) => handshake.cookieFor(peer)?.length,
    watch: (target, heard) => host.watches.watch(target, heard),
    session(peer) {
      const known = host.sessions.get(peer)?.connection.peer;
      return known === undefined ? undefined : { flags: known.flags, info: known.info };
    },
  });
}

/** @throws {SallyportError} ERR_API_MISUSE NODE_UNKNOWN for what `createNode` has not made */
export function probeOf(node: object): NodeProbe {
  const probe = PROBES.get(node);
  if (probe !== undefined) return probe;
  throw new SallyportError("ERR_API_MISUSE", "NODE_UNKNOWN", "this is no node that createNode has made", {
    advice: "hand over the node as createNode returned it, of the same copy of the package",
  });
}

function tooManyWatches(): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WATCHED_DIALS",
    `${MAX_WATCHED_DIALS} diagnoses run on this node, which is maxWatchedDials`,
    {
      stage: "session",
      detail: { limit: MAX_WATCHED_DIALS, option: "MAX_WATCHED_DIALS" },
      advice: "wait until some of them have ended",
    },
  );
}
