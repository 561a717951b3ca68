import type { Node } from "../../node/api.ts";
import type { TestAuthority } from "../../testkit/certificates.ts";
import type { CommandWorld } from "../command-world.ts";
import type { RoundTrips } from "./round-trips.ts";
import type { Story } from "./story.ts";

/** Node names of the demo. An Erlang node with a long name takes an address as its host. */
export const OWN_NAME = "desktop@127.0.0.1";

/** What both kinds of peer are started with. */
export interface PeerSetting {
  readonly world: CommandWorld;
  /** Private directory of this run. */
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly cookie: string;
}

/** The other node of the demo: started, talked to, ended. */
export interface DemoPeer {
  readonly kind: "erlang" | "sallyport";
  readonly name: string;
  /** Options of our own node that let the two find each other. */
  readonly route: {
    readonly epmd: "register" | "off";
    readonly epmdPort?: number;
    readonly resolve?: Readonly<Record<string, string>>;
  };
  /** Starts the node itself. Rejects when it does not come up. */
  start(): Promise<void>;
  /** How to name it to the reader, once it runs. */
  describe(node: Node): Promise<string>;
  callIn(node: Node, story: Story): Promise<void>;
  callOut(node: Node, story: Story): Promise<void>;
  /** Function to spawn for a process that lives until it is killed, as `spawnRemote` takes it. */
  readonly sleeper: { readonly fn: string; readonly args: readonly (string | number)[]; readonly shown: string };
  measure(node: Node, calls: number): Promise<readonly RoundTrips[]>;
  /** Ends the node and all that was started for it. */
  stop(): Promise<void>;
}

/** Times `calls` runs, one after the other, in microseconds. */
export async function timeCalls(world: CommandWorld, calls: number, run: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < calls; i++) {
    const before = world.clock.now();
    await run();
    times.push((world.clock.now() - before) * 1000);
  }
  return times;
}
