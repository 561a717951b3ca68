import type { SallyportError } from "../base/errors.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Session } from "./session.ts";

/** Hears of every session of a node. Neither function may run code of the user or throw, except `down`, which comes last. */
export interface SessionWatcher {
  /**
   * A session stands, or it turned out that its peer holds its name: for one session it may come twice.
   * @param address where this node dialled it; undefined when the peer dialled, and the second time
   */
  up(session: Session, address: DialAddress | undefined): void;
  /** It stands no more, and everybody else has been told. */
  down(session: Session, cause: SallyportError | undefined): void;
}
