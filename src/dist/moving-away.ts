import { encodeLinkFrame } from "../wire/link-frames.ts";
import type { Sender } from "./send.ts";

/** Our side of a session's way to another connection (docs/lifecycle.md): MOVED leaves behind all that waits, and is the last. */
export class MovingAway {
  #state: "no" | "waiting" | "said" = "no";
  #isOver = false;

  /** `isOver`: the peer's MOVED has come. False: it was begun before. */
  begin(isOver: boolean): boolean {
    if (this.#state !== "no") return false;
    this.#state = "waiting";
    this.#isOver = isOver;
    return true;
  }

  /** Says MOVED once large messages have left; true when nothing is left for this connection to do. */
  step(sender: Pick<Sender, "hasLargeMessages" | "link">): boolean {
    if (this.#state !== "waiting" || sender.hasLargeMessages) return false;
    this.#state = "said";
    sender.link(encodeLinkFrame({ kind: "moved" }));
    return this.#isOver;
  }
}
