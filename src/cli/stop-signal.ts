import type { CommandWorld } from "./command-world.ts";

/** A timer at the platform's limit: all it does is keep the process alive while nothing else does. */
const KEEP_ALIVE_MS = 0x7fff_ffff;

/** SIGTERM or SIGINT: the first is told, the second ends the process at once. Keeps the process alive until then. */
export class StopSignal {
  /** Resolves with the name of the first signal. */
  readonly came: Promise<string>;
  readonly #keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
  readonly #unsubscribe: () => void;

  constructor(world: Pick<CommandWorld, "onStopSignal" | "exitNow">) {
    let first: (signal: string) => void = () => undefined;
    this.came = new Promise((resolve) => {
      first = resolve;
    });
    let stopping = false;
    this.#unsubscribe = world.onStopSignal((signal) => {
      if (stopping) world.exitNow(1);
      stopping = true;
      first(signal);
    });
  }

  forget(): void {
    clearInterval(this.#keepAlive);
    this.#unsubscribe();
  }
}
