import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { CONNECTION_REFUSED, type HostPort, type NativeConnection } from "./binding.ts";
import { QuicTimer } from "./quic-timer.ts";
import { type PacketSocket, UdpSocket } from "./udp.ts";
import { KNOCK_AFTER_MS, type Knock } from "./udp-knock.ts";

/** A connection that has asked at one address and heard nothing yet, with the socket that it asks from. */
export interface Asking {
  readonly connection: NativeConnection;
  readonly socket: PacketSocket;
  readonly remote: HostPort;
}

const NO_REASON: Uint8Array = new Uint8Array(0);

/** Asks at one address, again and again as QUIC wants it, until it is let go of. */
export class DialCandidate {
  readonly asking: Asking;
  readonly #timer: QuicTimer;
  readonly #toKnock: Timer;
  #isOver = false;

  /** @param refused nobody will answer there, says the system; at most once */
  constructor(clock: Clock, asking: Asking, knock: Knock, refused: (system: string) => void) {
    this.asking = asking;
    this.#timer = new QuicTimer(clock, () => this.#expired());
    // Only before anything was heard: ICMP can be forged, and ends nothing that stands.
    this.#toKnock = clock.at(addMs(clock.now(), KNOCK_AFTER_MS), () =>
      knock(clock, asking.remote, () => !this.#isOver, refused),
    );
    this.#send();
  }

  /** Its connection goes on elsewhere. */
  letGo(): void {
    this.#isOver = true;
    this.#timer.cancel();
    this.#toKnock.cancel();
  }

  /** It is not wanted any more; a listener that was about to answer hears so. */
  close(): void {
    if (this.#isOver) return;
    const { connection, socket } = this.asking;
    try {
      connection.close(false, CONNECTION_REFUSED, NO_REASON);
    } catch {
      // Closed already.
    }
    this.#send();
    this.letGo();
    socket.close();
  }

  #expired(): void {
    this.asking.connection.onTimeout();
    this.#send();
  }

  #send(): void {
    const { connection, socket } = this.asking;
    for (;;) {
      const datagram = UdpSocket.take(undefined);
      let result: ReturnType<NativeConnection["send"]>;
      try {
        result = connection.send(datagram.bytes);
      } catch {
        result = null;
      }
      if (result === null) {
        UdpSocket.giveBack(datagram);
        break;
      }
      const [length, { to }] = result;
      socket.send(datagram, length, to.host, to.port);
    }
    this.#timer.arm(connection.timeout());
  }
}
