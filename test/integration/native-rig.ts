import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node, NodeEvents } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";

export const A = "a@127.0.0.1";
export const B = "b@127.0.0.1";

/** Nodes with an identity on real sockets; each test has key directories of its own. Nodes end with their test. */
export class NativeRig {
  readonly root: string = mkdtempSync(join(tmpdir(), "sallyport-native-"));
  readonly #open: Node[] = [];
  #run = 0;

  constructor() {
    afterEach(async () => {
      for (const node of this.#open.splice(0)) await node.close({ timeoutMs: 0 });
      this.#run++;
    });
    afterAll(() => rmSync(this.root, { recursive: true, force: true }));
  }

  readonly keyDir = (who: string): string => join(this.root, `run${this.#run}`, who);

  /** Ends `node` with the test. */
  readonly own = (node: Node): Node => {
    this.#open.push(node);
    return node;
  };

  readonly node = async (
    name: string,
    trust: "strict" | "tofu",
    { identity, ...extra }: Partial<NodeOptions> = {},
  ): Promise<Node> =>
    this.own(
      await createNode({
        name,
        epmd: "off",
        identity: { dir: this.keyDir(name), trust, ...identity },
        listen: ["tls://127.0.0.1:0"],
        ...extra,
      }),
    );

  /** Makes the key pair of a node without running it for long. */
  readonly makeKey = async (name: string): Promise<void> => {
    const made = await this.node(name, "strict", { listen: [] });
    await made.close({ timeoutMs: 0 });
  };

  /** Pins the key of `whose` at `owner`, as an operator who copies the file. */
  readonly pin = (owner: string, whose: string): void => {
    mkdirSync(join(this.keyDir(owner), "trusted"), { recursive: true, mode: 0o700 });
    copyFileSync(join(this.keyDir(whose), "node.pub"), join(this.keyDir(owner), "trusted", `${whose}.pub`));
  };
}

/** Options of a node that dials `to` under the name `at`. */
export const dialling = (to: Node, at: string = to.name): Partial<NodeOptions> => ({
  resolve: { [at]: to.endpoints[0] ?? "" },
});

export function nextRefusal(of: Node): Promise<NodeEvents["refused"][0]> {
  return new Promise((resolve) => of.on("refused", resolve));
}
