import type { LaneRouter } from "./lane-routing.ts";
import { NEEDS_MORE } from "./lane-routing.ts";

const PREFIX_BYTES = 4;

/** Where frames leave. */
export interface LaneOut {
  /** An empty frame. */
  tick(): void;
  /** Bytes of one or several frames of one lane, in their order. They must not change until they have left. */
  lane(lane: number, bytes: Uint8Array): void;
}

/** Takes one ordered stream of `length:32 payload` apart and gives each frame to its lane, uncopied; a frame may come in pieces. */
export class LaneWriter {
  readonly #router: LaneRouter;
  readonly #out: LaneOut;
  /** Of the frame under way: what is still to come, and its lane. */
  #left = 0;
  #lane = 0;
  /** The beginning of a frame that does not show its lane yet; the sender writes heads whole, so there is hardly ever one. */
  #head: Buffer | undefined;

  constructor(router: LaneRouter, out: LaneOut) {
    this.#router = router;
    this.#out = out;
  }

  write(given: Uint8Array): void {
    const bytes = this.#withHead(given);
    const end = bytes.length;
    let at = 0;
    let from = 0;
    let lane = this.#lane;
    const put = (to: number): void => {
      if (to > from) this.#out.lane(lane, bytes.subarray(from, to));
      from = to;
    };
    while (at < end) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, end - at);
        at += take;
        this.#left -= take;
        continue;
      }
      const next = this.#laneAt(bytes, at);
      if (next === undefined) {
        put(at);
        this.#head = Buffer.from(bytes.subarray(at));
        return;
      }
      const length = bytes.readUInt32BE(at);
      if (length === 0) {
        put(at);
        this.#out.tick();
        at += PREFIX_BYTES;
        from = at;
        continue;
      }
      if (next !== lane) {
        put(at);
        lane = next;
        this.#lane = next;
      }
      this.#left = PREFIX_BYTES + length;
    }
    put(end);
  }

  #laneAt(bytes: Buffer, at: number): number | undefined {
    if (bytes.length - at < PREFIX_BYTES) return undefined;
    const length = bytes.readUInt32BE(at);
    if (length === 0) return 0;
    const start = at + PREFIX_BYTES;
    const end = Math.min(bytes.length, start + length);
    const lane = this.#router.laneOf(bytes, start, end, end === start + length);
    return lane === NEEDS_MORE ? undefined : lane;
  }

  #withHead(given: Uint8Array): Buffer {
    const bytes = Buffer.from(given.buffer, given.byteOffset, given.length);
    if (this.#head === undefined) return bytes;
    const whole = Buffer.concat([this.#head, bytes]);
    this.#head = undefined;
    return whole;
  }
}
