import type { NodeEvents } from "./api.ts";

type Listener<E extends keyof NodeEvents> = (...args: NodeEvents[E]) => void;

/** Typed events for users. An error of a listener is reported apart and never reaches the protocol. */
export class EventHub {
  readonly #listeners = new Map<keyof NodeEvents, Set<(...args: never[]) => void>>();
  readonly #onListenerError: (error: unknown) => void;

  constructor(onListenerError: (error: unknown) => void) {
    this.#onListenerError = onListenerError;
  }

  on<E extends keyof NodeEvents>(event: E, listener: Listener<E>): void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(event, listeners);
    }
    listeners.add(listener as (...args: never[]) => void);
  }

  off<E extends keyof NodeEvents>(event: E, listener: Listener<E>): void {
    this.#listeners.get(event)?.delete(listener as (...args: never[]) => void);
  }

  /** True when somebody listens: callers may spare the making of the event. */
  has(event: keyof NodeEvents): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  emit<E extends keyof NodeEvents>(event: E, ...args: NodeEvents[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as Listener<E>)(...args);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}
