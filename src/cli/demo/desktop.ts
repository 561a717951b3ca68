import { SallyportError } from "../../base/errors.ts";
import { createNode } from "../../create-node.ts";
import type { LocalProcessHandle, Node } from "../../node/api.ts";
import type { NodeOptions } from "../../node/options.ts";
import type { Policy } from "../../policy/policy.ts";
import { judge } from "../../policy/review/judge.ts";
import type { Verb } from "../../policy/verbs.ts";
import type { Term } from "../../term/public.ts";
import type { Answer, Told } from "./machine.ts";
import type { Sighting } from "./rows.ts";

/** How long the traces of an attempt may take to show, and how often they are looked for, in milliseconds. */
const TRACE_MS = 2_000;
const LOOK_MS = 5;

/** Counters of what comes as an answer and meets no question. */
const DROPPED = ["unsolicited", "late_replies"] as const;

/** What an attacker would like to change, counted. */
export interface DesktopState {
  /** Times the vault was opened, or got a message. */
  readonly vault: number;
  readonly "vault killed": number;
  /** Progress reports taken. */
  readonly job_events: number;
  /** Runs of the functions that nobody is granted. */
  readonly "functions run": number;
  readonly processes: number;
  readonly output: number;
}

/** How an attempt is to be read. */
export interface Watching {
  /** Who tries, as a node name. */
  readonly from: string;
  /** A number that grows when the thing itself happens; undefined where only the answer shows it. */
  readonly effect?: (state: DesktopState) => number;
  /** What the policy would say of it, where it is meant to be let through. */
  readonly grant?: readonly [verb: Verb, target: string];
}

/** `my_desktop`: this process. It has no listener, and what it refuses is seen here. */
export class Desktop {
  readonly node: Node;
  /** A service that no rule names. */
  readonly vault: LocalProcessHandle;
  readonly events: Term[] = [];
  readonly #policy: Policy;
  readonly #now: () => number;
  readonly #told: Told[] = [];
  readonly #downs: string[] = [];
  #opened = 0;
  #ran = 0;
  #output = 0;

  private constructor(node: Node, policy: Policy, now: () => number) {
    this.node = node;
    this.#policy = policy;
    this.#now = now;
    const open = (): void => void this.#opened++;
    this.vault = node.register("vault", { call: open, cast: open, info: open });
    node.register("job_events", { info: (message) => void this.events.push(message) });
    // Registered so that a hole would show: no rule grants them.
    const run = (): number => ++this.#ran;
    node.registerFunction("worker", run);
    node.registerFunction({ module: "os", function: "cmd", arity: 1 }, run);
    node.on("denied", ({ decision, rule, outcome }) => this.#told.push({ decision, rule, outcome }));
    node.on("nodedown", (_peer, reason) => this.#downs.push(reason));
    node.on("output", () => void this.#output++);
  }

  /** Starts the node. @throws as `createNode` */
  static async start(options: NodeOptions, policy: Policy, now: () => number): Promise<Desktop> {
    return new Desktop(await createNode({ ...options, policy: policy.document }), policy, now);
  }

  state(): DesktopState {
    return {
      vault: this.#opened,
      "vault killed": this.vault.alive ? 0 : 1,
      job_events: this.events.length,
      "functions run": this.#ran,
      processes: this.node.vitals().processes,
      output: this.#output,
    };
  }

  counter(name: string): number {
    return this.node.vitals().counters[name] ?? 0;
  }

  /** Lets somebody try something here, and watches both ends. */
  async watch(attempt: () => Promise<Answer>, { from, effect, grant }: Watching): Promise<Sighting> {
    const told = this.#told.length;
    const downs = this.#downs.length;
    const before = DROPPED.map((name) => this.counter(name));
    const effectBefore = effect?.(this.state());
    const happened = (): boolean | undefined =>
      effectBefore === undefined ? undefined : (effect?.(this.state()) ?? 0) > effectBefore;
    const answer = await attempt();
    const dropped = (): string | undefined => DROPPED.find((name, i) => this.counter(name) > (before[i] ?? 0));
    // Whoever hears nothing cannot know when it was decided: the decision leaves a trace here, or the thing happens.
    await until(
      () =>
        this.#told.length > told ||
        this.#downs.length > downs ||
        dropped() !== undefined ||
        (happened() ?? answer.kind === "answered"),
    );
    const by = grant === undefined ? undefined : judge(this.#policy, from, grant[0], grant[1], this.#now());
    return {
      answer,
      told: this.#told.slice(told),
      dropped: dropped(),
      cutBy: this.#downs[downs],
      happened: happened(),
      grantedBy: by?.outcome === "allow" ? (by.rule ?? "-") : "-",
    };
  }
}

/** Resolves once `condition` holds, or after a while; who asked looks what became of it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < TRACE_MS && !(await condition()); waited += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Resolves with what `promise` does, or rejects after `ms`. @throws {SallyportError} ERR_DEADLINE DOWN_MISSING */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `${what} did not come within ${ms} ms`;
      reject(new SallyportError("ERR_DEADLINE", "DOWN_MISSING", message, { advice: "please report this" }));
    }, ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** For people. */
export function stateText(state: DesktopState): string {
  return Object.entries(state)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** Names of what is not as it was. */
export function changesOf(before: DesktopState, after: DesktopState): readonly string[] {
  return Object.entries(before).flatMap(([name, value]) =>
    Object.entries(after).some(([other, now]) => other === name && now === value) ? [] : [name],
  );
}
