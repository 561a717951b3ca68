import type { NodeEvents } from "./api.ts";

type Listener<E extends keyof NodeEvents> = (...args: NodeEvents[E]) => void;

/**
 * Typed events for users. An error of a listener is reported apart and never reaches the protocol. What happens because of
 * a listener is told when all have heard of the event before it: everybody hears everything in the same order.
 */
export class EventHub {
  readonly #listeners: { [E in keyof NodeEvents]?: Set<Listener<E>> } = {};
  readonly #onListenerError: (error: unknown) => void;
  readonly #waiting: (() => void)[] = [];
  #isTelling = false;

  constructor(onListenerError: (error: unknown) => void) {
    this.#onListenerError = onListenerError;
  }

  on<E extends keyof NodeEvents>(event: E, listener: Listener<E>): void {
    let listeners: Set<Listener<E>> | undefined = this.#listeners[event];
    if (listeners === undefined) {
      listeners = new Set();
      (this.#listeners as Record<E, Set<Listener<E>>>)[event] = listeners;
    }
    listeners.add(listener);
  }

  off<E extends keyof NodeEvents>(event: E, listener: Listener<E>): void {
    const listeners: Set<Listener<E>> | undefined = this.#listeners[event];
    listeners?.delete(listener);
  }

  /** True when somebody listens: callers may spare the making of the event. */
  has(event: keyof NodeEvents): boolean {
    return (this.#listeners[event]?.size ?? 0) > 0;
  }

  emit<E extends keyof NodeEvents>(event: E, ...args: NodeEvents[E]): void {
    if (this.#isTelling) {
      this.#waiting.push(() => this.#tell(event, args));
      return;
    }
    this.#isTelling = true;
    try {
      this.#tell(event, args);
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    } finally {
      this.#isTelling = false;
    }
  }

  #tell<E extends keyof NodeEvents>(event: E, args: NodeEvents[E]): void {
    const listeners: Set<Listener<E>> | undefined = this.#listeners[event];
    for (const listener of [...(listeners ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}
