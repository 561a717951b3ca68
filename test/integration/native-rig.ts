import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node, NodeEvents } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";

export const A = "a@127.0.0.1";
export const B = "b@127.0.0.1";
export const C = "c@127.0.0.1";

/** Nodes with an identity on real sockets; each test has directories of its own. Nodes end with their test. */
export class NativeRig {
  readonly root: string = mkdtempSync(join(tmpdir(), "sallyport-native-"));
  readonly #keysIn: string;
  readonly #ends: (() => unknown)[] = [];
  #run = 0;

  /** @param keysIn where in the directory of a node its keys are, for nodes that have more there than keys */
  constructor(keysIn = "") {
    this.#keysIn = keysIn;
    afterEach(async () => {
      for (const end of this.#ends.splice(0).reverse()) await end();
      this.#run++;
    });
    afterAll(() => rmSync(this.root, { recursive: true, force: true }));
  }

  /** A path in the directory that a node has in this test. */
  readonly place = (who: string, what = ""): string => join(this.root, `run${this.#run}`, who, what);

  readonly keyDir = (who: string): string => this.place(who, this.#keysIn);

  /** Does this when the test is over; what was asked for last comes first. */
  readonly atEnd = (end: () => unknown): void => {
    this.#ends.push(end);
  };

  /** Ends `node` with the test. */
  readonly own = (node: Node): Node => {
    this.atEnd(() => node.close({ timeoutMs: 0 }));
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

  /** A copy of the key directory of a node that runs: the same identity in a second place, as after a restore or a theft. */
  readonly twinDir = (name: string): string => {
    const twin = this.place(`${name}-twin`);
    cpSync(this.keyDir(name), twin, { recursive: true, filter: (path) => !statSync(path).isSocket() });
    return twin;
  };

  /** Pins the key of `whose` at `owner` under the name `as`, as an operator who copies the file. */
  readonly pin = (owner: string, whose: string, as: string = whose): void => {
    mkdirSync(join(this.keyDir(owner), "trusted"), { recursive: true, mode: 0o700 });
    copyFileSync(join(this.keyDir(whose), "node.pub"), join(this.keyDir(owner), "trusted", `${as}.pub`));
  };

  /** Makes the keys of nodes that all pin each other. */
  readonly acquainted = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) await this.makeKey(name);
    for (const owner of names) for (const whose of names) if (whose !== owner) this.pin(owner, whose);
  };
}

/** Options of a node that dials `to` under the name `at`. */
export const dialling = (to: Node, at: string = to.name): Partial<NodeOptions> => ({
  resolve: { [at]: to.endpoints[0] ?? "" },
});

/** Port of the first listener of a node. */
export const portOf = (of: Node): number => Number(new URL(of.endpoints[0] ?? "").port);

export function nextRefusal(of: Node): Promise<NodeEvents["refused"][0]> {
  return new Promise((resolve) => of.on("refused", resolve));
}

/** What a promise was rejected with; of one that was not, the reason is "it worked". */
export const failure = (promise: Promise<unknown>): Promise<{ code: string; reason: string; message: string }> =>
  promise.then(
    () => ({ code: "none", reason: "it worked", message: "" }),
    (error) => error,
  );
