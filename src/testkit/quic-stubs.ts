/** Where the peer of a stub is. */
export const QUIC_REMOTE = { host: "10.0.0.1", port: 7 } as const;

/** A connection of QUIC that stands, as far as it is asked about itself. */
export class StandingQuic {
  isEstablished = (): boolean => true;
  isResumed = (): boolean => false;
  isDraining = (): boolean => false;
  isClosed = (): boolean => false;
  applicationProto = (): Uint8Array => Buffer.from("erlang-dist");
  peerCertChain = (): null => null;
  maxSendUdpPayloadSize = (): number => 1452;
  stats = (): { lost: number; recv: number } => ({ lost: 0, recv: 0 });
  timeout(): number | null {
    return null;
  }
}

/** QUIC as far as a session sees it: streams take what there is capacity for, and every datagram asks for an ACK. */
export class TakingQuic extends StandingQuic {
  capacity = 1_000_000_000;
  /** `stream:octets` as they were given to it, and the urgencies. */
  readonly took: string[] = [];
  readonly urgencies: [number, number][] = [];
  readonly readable_: Map<number, number> = new Map<number, number>();
  lists = 0;
  packets = 0;
  /** Times that something was sent only to be answered. */
  elicited = 0;
  readonly closes: [isApp: boolean, code: number][] = [];
  #toSend = 0;
  #acks = 0;

  recv(): number {
    this.#acks++;
    return 1;
  }

  send(): [number, { to: typeof QUIC_REMOTE }] | null {
    if (this.#toSend === 0 && this.#acks === 0) return null;
    this.packets++;
    this.#toSend = Math.max(0, this.#toSend - 1452);
    this.#acks = 0;
    return [1452, { to: QUIC_REMOTE }];
  }

  streamSend(stream: number, data: Uint8Array, fin: boolean): number | null {
    if (data.length === 0) {
      this.#toSend++;
      this.took.push(`${stream}:end alone`);
      return 0;
    }
    const taken = Math.min(this.capacity, data.length);
    if (taken === 0) return null;
    this.capacity -= taken;
    this.#toSend += taken;
    this.took.push(`${stream}:${taken}${fin && taken === data.length ? " and end" : ""}`);
    return taken;
  }

  streamRecv(stream: number, into: Uint8Array): [number, boolean] | null {
    const left = this.readable_.get(stream);
    if (left === undefined) return null;
    if (left === 0) {
      this.readable_.delete(stream);
      return [0, true];
    }
    const taken = Math.min(left, into.length);
    if (taken === left) this.readable_.delete(stream);
    else this.readable_.set(stream, left - taken);
    return [taken, false];
  }

  readable(): number[] {
    this.lists++;
    return [...this.readable_.keys()];
  }

  sendAckEliciting(): void {
    this.elicited++;
    this.#toSend++;
  }

  close = (isApp: boolean, code: number): unknown => this.closes.push([isApp, code]);
  isReadable = (): boolean => this.readable_.size > 0;
  streamReadable = (stream: number): boolean => this.readable_.has(stream);
  streamPriority = (stream: number, urgency: number): unknown => this.urgencies.push([stream, urgency]);
  streamCapacity = (): number => this.capacity;
}
