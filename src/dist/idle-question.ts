/** Hears that a question is settled. */
export interface IdleHearer {
  /** See DistSink.idleKept. */
  idleKept(): void;
}

/**
 * Our side of the question whether an idle native session may end (docs/lifecycle.md): pure. One question at a time, so that
 * an answer is never taken for that of another one.
 */
export class IdleQuestion {
  /** `overtaken`: a message of the peer came first, so the answer still to come can only be KEEP. */
  #state: "none" | "open" | "overtaken" = "none";

  /** Asked, and neither answered nor overtaken: nothing may be sent. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** False: an earlier question has no answer yet. */
  ask(): boolean {
    if (this.#state !== "none") return false;
    this.#state = "open";
    return true;
  }

  /** A message of the peer came. */
  overtaken(hearer: IdleHearer): void {
    if (this.#state !== "open") return;
    this.#state = "overtaken";
    hearer.idleKept();
  }

  /** KEEP came; without an open question it means nothing. */
  kept(hearer: IdleHearer): void {
    const wasOpen = this.#state === "open";
    this.#state = "none";
    if (wasOpen) hearer.idleKept();
  }
}
