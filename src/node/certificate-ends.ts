import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { certificateEnded } from "./policy-keeper.ts";
import type { CertificateReader } from "./ports.ts";
import type { Session } from "./session.ts";

/** Longest time between two looks at the wall clock, which may jump, milliseconds. */
const MAX_LOOK_MS = 60_000;

/** Ends sessions that rest on a certificate when that ends. */
export class CertificateEnds {
  readonly #clock: Clock;
  readonly #read: CertificateReader | undefined;
  readonly #timers = new Map<Session, Timer>();

  constructor(clock: Clock, read: CertificateReader | undefined) {
    this.#clock = clock;
    this.#read = read;
  }

  /** A session has come up; `certDer` is what its peer showed. */
  watch(session: Session, certDer: Buffer | undefined): void {
    const notAfterMs =
      session.facts.assurance === "ca" && certDer !== undefined ? this.#read?.(certDer)?.notAfterMs : undefined;
    if (notAfterMs === undefined) return;
    const look = (): void => {
      if (!session.connection.isUp) return;
      const left = notAfterMs - this.#clock.wallMs();
      if (left <= 0) {
        session.connection.destroy(certificateEnded(session.peer.name));
        return;
      }
      const at = addMs(this.#clock.now(), Math.min(left, MAX_LOOK_MS));
      this.#timers.set(session, this.#clock.at(at, look, true));
    };
    // In a later turn: who hears of a session must hear of its beginning first.
    this.#clock.later(look);
  }

  /** A session is over. */
  forget(session: Session): void {
    this.#timers.get(session)?.cancel();
    this.#timers.delete(session);
  }
}
