import type { Sender } from "./send.ts";

/** Bytes that wait for a peer above which the answers to its PINGs and IDLEs wait too. */
export const MAX_WAITING_FOR_PONG = 65_536;

/**
 * Answers to link frames while too much else waits for the peer: of each kind only the latest, so that a flood of questions
 * makes no queue.
 */
export class OwedAnswers {
  readonly #frames: { pong: Uint8Array | undefined; keep: Uint8Array | undefined } = {
    pong: undefined,
    keep: undefined,
  };

  /** A question is to be answered with this frame, now or when the peer has taken what waits. */
  owe(kind: "pong" | "keep", frame: Uint8Array, sender: Sender): void {
    this.#frames[kind] = frame;
    this.pay(sender);
  }

  /** To be called when bytes have left. */
  pay(sender: Sender): void {
    this.#pay("pong", sender);
    this.#pay("keep", sender);
  }

  #pay(kind: "pong" | "keep", sender: Sender): void {
    const frame = this.#frames[kind];
    if (frame === undefined || sender.waitingBytes > MAX_WAITING_FOR_PONG) return;
    this.#frames[kind] = undefined;
    sender.link(frame);
    // Who asks has heard nothing for a while: the buffers of the last burst are not needed.
    sender.trim();
  }
}
