import type { NodeName } from "../base/node-name.ts";
import type { Control } from "../wire/control-types.ts";
import { tooEarly } from "./pair-failures.ts";

/** Messages of the inside node that are kept until an outside one has answered our CONFIRM. It is not read meanwhile. */
export const MAX_EARLY_MESSAGES = 16_384;

interface EarlyMessage {
  readonly control: Control;
  readonly payload: Buffer;
}

/** What one leg has sent before the other one stands: the rest of the chunk that brought its last word. */
export class EarlyMessages {
  #kept: EarlyMessage[] = [];

  /** Copies the payload: its memory is used again. @throws {SallyportError} ERR_LIMIT EARLY_MESSAGES */
  keep(from: NodeName, control: Control, buffer: Buffer, start: number, end: number): void {
    if (this.#kept.length >= MAX_EARLY_MESSAGES) throw tooEarly(from, MAX_EARLY_MESSAGES);
    this.#kept.push({ control, payload: Buffer.from(buffer.subarray(start, end)) });
  }

  /** All that was kept, in order. None is left. */
  take(): readonly EarlyMessage[] {
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }
}
