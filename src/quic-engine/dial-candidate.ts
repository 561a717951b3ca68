import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { CLOSE_IN_ORDER } from "../carrier/channel-errors.ts";
import { type HostPort, type NativeConnection, nextPacket } from "./binding.ts";
import { QuicTimer } from "./quic-timer.ts";
import { type PacketSocket, UdpSocket } from "./udp.ts";
import { KNOCK_AFTER_MS, type Knock } from "./udp-knock.ts";

/** A connection that asks at one address, and the socket that it asks from. */
export interface Asking {
  readonly connection: NativeConnection;
  readonly socket: PacketSocket;
  readonly remote: HostPort;
}

/** So long the answer to a dial that nobody waits for any more is still heard, to close it, milliseconds. */
export const LATE_ANSWER_MS = 3000;

const NO_REASON: Uint8Array = new Uint8Array(0);

/** Asks at one address, again and again as QUIC wants it, until the first answer. */
export class DialCandidate {
  readonly asking: Asking;
  readonly #clock: Clock;
  readonly #failed: (system: string) => void;
  readonly #timer: QuicTimer;
  readonly #toKnock: Timer;
  #late: Timer | undefined;
  #state: "asking" | "late" | "over" = "asking";

  /** @param failed nobody will answer there, says the system or QUIC; at most once */
  constructor(clock: Clock, asking: Asking, knock: Knock, failed: (system: string) => void) {
    this.asking = asking;
    this.#clock = clock;
    this.#failed = failed;
    this.#timer = new QuicTimer(clock, () => this.#expired());
    // Only before anything was heard: ICMP can be forged, and ends nothing that stands.
    this.#toKnock = clock.at(addMs(clock.now(), KNOCK_AFTER_MS), () =>
      knock(clock, asking.remote, () => this.#state === "asking", failed),
    );
    this.#send();
  }

  /**
   * A datagram came on its socket.
   * @returns whether it is the answer: QUIC took it, and nobody can make such a packet who has not seen what was asked
   */
  answers(bytes: Buffer, from: { readonly address: string; readonly port: number }): boolean {
    if (this.#state === "over") return false;
    const { connection, socket } = this.asking;
    const info = { from: { host: from.address, port: from.port }, to: { host: socket.host, port: socket.port } };
    try {
      connection.recv(bytes, info);
    } catch {
      // No QUIC, or none that is meant for this; or versions of which none is ours, and QUIC has closed.
    }
    if (this.#state === "late") {
      this.#closeLate();
      return false;
    }
    const isAnswer = connection.stats().recv > 0 || connection.isClosed();
    // It may have been a Retry, which is no answer yet.
    if (!isAnswer) this.#send();
    return isAnswer;
  }

  /** Its connection goes on elsewhere. */
  letGo(): void {
    this.#state = "over";
    this.#rest();
  }

  /** Nobody is there. */
  drop(): void {
    this.letGo();
    this.asking.socket.close();
  }

  /**
   * Nobody waits for it any more. QUIC tells a listener of that only when it has been heard, and a listener understands it when the handshake
   * is over; so late answers are still heard for a while.
   */
  leave(): void {
    if (this.#state !== "asking") return;
    this.#state = "late";
    this.#rest();
    this.#late = this.#clock.at(addMs(this.#clock.now(), LATE_ANSWER_MS), () => this.drop(), true);
  }

  #closeLate(): void {
    const { connection } = this.asking;
    this.#send();
    if (connection.isEstablished()) {
      try {
        connection.close(true, CLOSE_IN_ORDER, NO_REASON);
      } catch {
        // Closed already.
      }
      this.#send();
    } else if (!connection.isClosed()) return;
    this.drop();
  }

  #rest(): void {
    this.#timer.cancel();
    this.#toKnock.cancel();
    this.#late?.cancel();
  }

  #expired(): void {
    const { connection } = this.asking;
    connection.onTimeout();
    this.#send();
    if (connection.isClosed()) this.#failed("ETIMEDOUT");
  }

  #send(): void {
    const { connection, socket } = this.asking;
    for (;;) {
      const datagram = UdpSocket.take(undefined);
      const result = nextPacket(connection, datagram.bytes);
      if (result === null) {
        UdpSocket.giveBack(datagram);
        break;
      }
      const [length, { to }] = result;
      socket.send(datagram, length, to.host, to.port);
    }
    if (this.#state === "asking") this.#timer.arm(connection.timeout());
  }
}
