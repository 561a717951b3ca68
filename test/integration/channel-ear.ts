import type { SallyportError } from "../../src/base/errors.ts";
import type { CarrierInfo } from "../../src/carrier/carrier.ts";
import type { ChannelledSink } from "../../src/carrier/channels.ts";

/** Hears one end, and keeps what it heard. */
export class ChannelEar implements ChannelledSink {
  info: CarrierInfo | undefined;
  readonly received = new Map<number, Buffer[]>();
  readonly octets = new Map<number, number>();
  readonly ended = new Set<number>();
  readonly resets = new Map<number, number>();
  readonly drainedChannels: number[] = [];
  isClosed = false;
  /** Times that the peer was said to live. */
  lives = 0;
  cause: SallyportError | undefined;
  keep = true;
  onBytes: (channel: number, chunk: Buffer) => void = () => undefined;
  onDrained: (channel: number) => void = () => undefined;
  #waiting: { test: (ear: ChannelEar) => boolean; done: () => void }[] = [];

  opened(info: CarrierInfo): void {
    this.info = info;
    this.#look();
  }
  bytes(channel: number, chunk: Buffer): void {
    if (this.info === undefined || this.isClosed) throw new Error("bytes before opened or after closed");
    if (this.keep) {
      const chunks = this.received.get(channel) ?? [];
      chunks.push(chunk);
      this.received.set(channel, chunks);
    }
    this.octets.set(channel, (this.octets.get(channel) ?? 0) + chunk.length);
    this.onBytes(channel, chunk);
    this.#look();
  }
  drained(channel: number): void {
    this.drainedChannels.push(channel);
    this.onDrained(channel);
    this.#look();
  }
  heard(): void {
    this.lives++;
    this.#look();
  }
  peerMoved(info: CarrierInfo): void {
    this.info = info;
  }
  channelEnded(channel: number): void {
    if (this.ended.has(channel)) throw new Error(`channel ${channel} ended twice`);
    this.ended.add(channel);
    this.#look();
  }
  channelReset(channel: number, code: number): void {
    if (this.resets.has(channel)) throw new Error(`channel ${channel} was reset twice`);
    this.resets.set(channel, code);
    this.#look();
  }
  closed(cause: SallyportError | undefined): void {
    if (this.isClosed) throw new Error("closed twice");
    this.isClosed = true;
    this.cause = cause;
    this.#look();
  }

  /** Forgets the bytes heard so far. */
  forget(): void {
    this.received.clear();
    this.octets.clear();
  }
  text(channel: number): string {
    return Buffer.concat(this.received.get(channel) ?? []).toString("latin1");
  }
  count(channel: number): number {
    return this.octets.get(channel) ?? 0;
  }
  until(test: (ear: ChannelEar) => boolean): Promise<void> {
    if (test(this)) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ test, done }));
  }
  #look(): void {
    const ready = this.#waiting.filter((each) => each.test(this));
    this.#waiting = this.#waiting.filter((each) => !ready.includes(each));
    for (const each of ready) each.done();
  }
}

export const isOpen = (ear: ChannelEar): boolean => ear.info !== undefined;
export const isClosed = (ear: ChannelEar): boolean => ear.isClosed;
