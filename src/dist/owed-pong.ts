import type { Sender } from "./send.ts";

/** Bytes that wait for a peer above which the answer to its PINGs waits too. */
export const MAX_WAITING_FOR_PONG = 65_536;

/** The answer to the latest PING while too much else waits for the peer: a flood of PINGs makes no queue. */
export class OwedPong {
  #frame: Uint8Array | undefined;

  /** A PING is to be answered with this frame, now or when the peer has taken what waits. */
  owe(frame: Uint8Array, sender: Sender): void {
    this.#frame = frame;
    this.pay(sender);
  }

  /** To be called when bytes have left. */
  pay(sender: Sender): void {
    const frame = this.#frame;
    if (frame === undefined || sender.waitingBytes > MAX_WAITING_FOR_PONG) return;
    this.#frame = undefined;
    sender.link(frame);
    // Who asks has heard nothing for a while: the buffers of the last burst are not needed.
    sender.trim();
  }
}
