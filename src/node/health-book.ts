import type { SallyportError } from "../base/errors.ts";
import { ExpiryWatch } from "../health/expiry-watch.ts";
import {
  type PemFiles,
  peerCertificate,
  type WatchedCertificate,
  watchedCertificates,
} from "../health/watched-certificates.ts";
import type { LastRefusal } from "./health-api.ts";
import { LostPeers } from "./lost-peers.ts";
import type { NodeCore } from "./node-core.ts";
import type { Session } from "./session.ts";

/** What is kept of connections and certificates for the health of a node. */
export class HealthBook {
  readonly expiry: ExpiryWatch;
  readonly lost: LostPeers;
  readonly #core: NodeCore;
  readonly #vouched = new Set<Session>();
  #lastRefusal: LastRefusal | null = null;

  constructor(core: NodeCore) {
    this.#core = core;
    const { clock, events } = core;
    // In a later turn: who hears of a peer's certificate has heard of the peer.
    this.expiry = new ExpiryWatch({ clock, tell: (expiry) => clock.later(() => events.emit("expiry", expiry)) });
    this.lost = new LostPeers(clock);
  }

  get lastRefusal(): LastRefusal | null {
    return this.#lastRefusal;
  }

  /** The node's own certificates are these from now on, both sides of TLS. */
  ownCertificates(files: readonly PemFiles[]): void {
    const found = new Map<string, WatchedCertificate>();
    for (const one of files.flatMap((each) => watchedCertificates(each, this.#core.name))) {
      const key = `${one.role} ${one.fingerprint}`;
      if (found.get(key)?.isNeeded !== true) found.set(key, one);
    }
    this.expiry.set("own", [...found.values()]);
  }

  /** A certificate that nobody vouches for says nothing, and its end means nothing. */
  sessionUp(session: Session, certDer: Buffer | undefined, isVouchedFor: boolean): void {
    this.lost.forget(session.peer.name);
    if (certDer === undefined || !isVouchedFor) return;
    this.#vouched.add(session);
    this.expiry.set(session, peerCertificate(certDer, session.peer.name));
  }

  sessionDown(session: Session, cause: SallyportError | undefined): void {
    this.lost.down(session.peer.name, session.connection.role, cause);
    if (this.#vouched.delete(session)) this.expiry.set(session, []);
  }

  /** A connection came to nothing. Kept is the last at which somebody said no. */
  failed(role: "initiator" | "acceptor", address: string, error: SallyportError): void {
    if (error.code !== "ERR_DENIED" && error.code !== "ERR_PEER_INCOMPATIBLE") return;
    this.#lastRefusal = {
      at: new Date(this.#core.clock.wallMs()).toISOString(),
      role,
      address,
      peer: error.peer ?? null,
      code: error.code,
      reason: error.reason,
    };
  }

  stop(): void {
    this.expiry.stop();
    this.#vouched.clear();
  }
}
