import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { GatewayReload, GatewayStatus } from "../../src/gateway/api.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";

const CHILD = fileURLToPath(new URL("gateway-child.mjs", import.meta.url));

/** Bytes in use after a collection, and resident. */
export interface Memory {
  readonly used: number;
  readonly rss: number;
}

/** A gateway in a process of its own. */
export class SoakGateway {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #next: ((answer: Record<string, unknown>) => void) | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((done) => child.once("exit", () => done()));
    child.on("message", (answer) => this.#next?.(answer as Record<string, unknown>));
  }

  /** @param library where the sources were compiled to */
  static async start(library: string, options: GatewayOptions): Promise<SoakGateway> {
    const execArgv = ["--expose-gc"];
    const child = fork(CHILD, [library], { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv });
    const gateway = new SoakGateway(child);
    await gateway.#asked(options);
    return gateway;
  }

  async status(): Promise<GatewayStatus> {
    return (await this.#asked({ ask: "status" }))["status"] as GatewayStatus;
  }

  async memory(): Promise<Memory> {
    return (await this.#asked({ ask: "memory" }))["memory"] as Memory;
  }

  async reload(options: GatewayOptions): Promise<GatewayReload> {
    const { reload, error } = await this.#asked({ ask: "reload", options });
    if (reload === undefined) throw new Error(String(error));
    return reload as GatewayReload;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** One question after another. */
  #asked(message: object): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      void this.#ended.then(() => reject(new Error("the gateway has ended")));
      this.#next = resolve;
      this.#child.send(message);
    });
  }
}
