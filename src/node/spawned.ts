import type { Behaviour } from "../process/ports.ts";
import type { Term } from "../term/types.ts";
import { ExitRequest, type ProcessHandler } from "./api.ts";
import type { MessageContext } from "./message-context.ts";

/** A process started with `node.spawn`: each message goes to the handler, whose `exit(reason)` ends the process. */
export class SpawnedBehaviour implements Behaviour<MessageContext> {
  readonly #handler: ProcessHandler;
  readonly #exit: (reason: Term) => void;

  constructor(handler: ProcessHandler, exit: (reason: Term) => void) {
    this.#handler = handler;
    this.#exit = exit;
  }

  message(term: Term, ctx: MessageContext): void | Promise<void> {
    const result = this.#handler(term, ctx);
    if (result instanceof Promise) return result.then((value) => this.#settle(value));
    this.#settle(result);
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: what a handler returns
  #settle(result: ExitRequest | void): void {
    if (result instanceof ExitRequest) this.#exit(result.reason);
  }
}
