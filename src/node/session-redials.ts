import { addMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type DialTarget, hostPart, type NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { CertificateEnds } from "./certificate-ends.ts";
import { probeTls } from "./certificate-probe.ts";
import { isInUse } from "./idle-reaper.ts";
import type { NodeCore } from "./node-core.ts";
import type { Dialers, Resolver } from "./ports.ts";
import type { Session } from "./session.ts";

/** Longest time in which new messages of this node wait for the calls under way, milliseconds. */
export const MAX_REDIAL_WAIT_MS = 5_000;

/** Time between two looks whether a session is quiet, milliseconds. */
const QUIET_LOOK_MS = 10;

/** This long before the end, links and monitors do not keep the session any more: they would end with it. Milliseconds. */
export const LAST_REDIAL_MS = 60_000;

export interface SessionRedialsParts {
  readonly core: Pick<NodeCore, "clock" | "counters">;
  readonly certificates: Pick<CertificateEnds, "isLater">;
  readonly dialers: Dialers;
  readonly resolver: Resolver;
  /** As of `SessionMovesParts`. */
  readonly isShut: () => boolean;
  /** The dial under way to a node; while its session `isAsking`, one that waits for its end. @throws {SallyportError} */
  dial(target: DialTarget): void;
  /** The session goes on: what waited for a dial goes out over it. */
  kept(session: Session): void;
}

/**
 * Renews sessions with nodes that speak Erlang's own handshake. That knows one connection between two nodes, so the old one
 * ends before the new one begins: when the peer shows a newer certificate, what this node sends waits as behind a dial, calls
 * under way are finished, and the dial follows at once (docs/certificates.md). Links and monitors keep a session to the last.
 */
export class SessionRedials {
  readonly #parts: SessionRedialsParts;
  readonly #running = new Set<Session>();

  constructor(parts: SessionRedialsParts) {
    this.#parts = parts;
  }

  /** The certificate of the peer ends in `leftMs` milliseconds. */
  begin(session: Session, leftMs: number): void {
    if (this.#running.has(session) || !isFree(session)) return;
    this.#running.add(session);
    void this.#renew(session, leftMs).finally(() => this.#running.delete(session));
  }

  async #renew(session: Session, leftMs: number): Promise<void> {
    const { certificates, core, isShut } = this.#parts;
    const address = session.dialledAt ?? (await this.#addressOf(session.peer.name));
    const dialer = address === undefined ? undefined : this.#parts.dialers[address.scheme];
    if (address === undefined || dialer === undefined) return;
    const info = await probeTls(dialer, address, hostPart(session.peer.name), core.clock);
    if (info === undefined || !info.chainTrusted || !certificates.isLater(session, info)) return;
    if (!isFree(session) || isShut()) return;
    session.isAsking = true;
    // Before anybody else dials: it has the port.
    this.#parts.dial({ name: session.peer.name, port: session.dialledAt?.port });
    await this.#untilQuiet(session, leftMs <= LAST_REDIAL_MS);
    if (session.isOver) return;
    if (isShut() || !isQuiet(session, leftMs <= LAST_REDIAL_MS)) {
      session.isAsking = false;
      this.#parts.kept(session);
      return;
    }
    core.counters.add("sessions_redialled");
    session.connection.end("disconnect", certificateRenewed(session.peer.name));
  }

  async #addressOf(name: NodeName): Promise<DialAddress | undefined> {
    try {
      const addresses = await this.#parts.resolver.resolve(name, new AbortController().signal);
      return addresses.find(({ scheme }) => scheme === "tls");
    } catch {
      return undefined;
    }
  }

  #untilQuiet(session: Session, isLast: boolean): Promise<void> {
    const { clock } = this.#parts.core;
    const until = addMs(clock.now(), MAX_REDIAL_WAIT_MS);
    return new Promise((resolve) => {
      const look = (): void => {
        if (session.isOver || isQuiet(session, isLast) || clock.now() >= until) resolve();
        else clock.at(addMs(clock.now(), QUIET_LOOK_MS), look, true);
      };
      look();
    });
  }
}

function isFree(session: Session): boolean {
  return !session.isOver && !session.isAsking && session.holdsName && session.move === undefined;
}

/** Whether nothing would be lost with the session; at the last, nothing that could still be finished before it. */
function isQuiet(session: Session, isLast: boolean): boolean {
  if (!isLast) return !isInUse(session);
  const { openCalls, work, inflight, waitingBytes } = session;
  return openCalls === 0 && work.size === 0 && inflight.isEmpty && waitingBytes === 0;
}

/** The end of a session that is dialled anew for a newer certificate. */
function certificateRenewed(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CERTIFICATE_RENEWED",
    `the connection with ${peer} ended to be dialled anew with a newer certificate`,
    { peer, stage: "session", advice: "nothing: the new connection follows at once" },
  );
}
