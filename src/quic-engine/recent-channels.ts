/** More channels than a node of the plan reads messages on: control, the exchange of keys and 16 lanes. */
const MAX_RECENT = 18;

/** Channels that were readable lately, the latest first. */
export class RecentChannels {
  readonly #channels: number[] = [];

  get length(): number {
    return this.#channels.length;
  }

  at(index: number): number {
    return this.#channels[index] as number;
  }

  /** Moves one to the front. */
  use(index: number): void {
    const channel = this.at(index);
    for (let i = index; i > 0; i--) this.#channels[i] = this.at(i - 1);
    this.#channels[0] = channel;
  }

  /** Takes in another one; the oldest goes where there are too many. */
  add(channel: number): void {
    const known = this.#channels.indexOf(channel);
    if (known >= 0) {
      this.use(known);
      return;
    }
    if (this.#channels.length < MAX_RECENT) this.#channels.push(channel);
    else this.#channels[MAX_RECENT - 1] = channel;
    this.use(this.#channels.length - 1);
  }
}
