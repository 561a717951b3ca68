import type { RuleEntry } from "../../src/policy/document.ts";

/** Rules that the node under test is given in turn; the model reads them by itself. */
export const POLICIES: readonly (readonly RuleEntry[])[] = [
  [],
  [
    { id: "use", from: "p", allow: ["send", "call"], to: ["s", "slow"] },
    { id: "link", from: "p", allow: "link", to: "any-pid" },
  ],
  [
    { id: "cast", from: "p", allow: ["cast", "monitor"], to: ["s", "any-pid"] },
    { id: "end", from: "p", allow: ["exit", "link"], to: "any-pid" },
    { id: "run", from: "p", allow: "spawn", to: "worker" },
    { id: "given", from: "p", allow: "send", to: "granted-pids" },
  ],
  [
    { id: "all", from: "p", allow: ["send", "call", "cast", "monitor", "link", "exit"], to: "*" },
    { id: "never", from: "p", deny: ["send", "exit"], to: ["s", "any-pid"] },
  ],
];

/** A process of the node as rules tell processes apart, and how it is met. */
export interface Met {
  readonly name: string | undefined;
  readonly via: "name" | "pid";
  readonly granted: boolean;
}

/** What a list of rules says, read as docs/policy.md says it. */
export function ruled(rules: readonly RuleEntry[], verb: string, met: Met): "deny" | "allow" | "none" {
  const concerns = (rule: RuleEntry, verbs: RuleEntry["allow"]): boolean =>
    [verbs ?? []]
      .flat()
      .some((given) => given === verb || (given === "call" && verb === "monitor" && rule.allow !== undefined)) &&
    [rule.to ?? []].flat().some((to) => isMet(to, met));
  if (rules.some((rule) => rule.deny !== undefined && concerns(rule, rule.deny))) return "deny";
  return rules.some((rule) => rule.allow !== undefined && concerns(rule, rule.allow)) ? "allow" : "none";
}

function isMet(to: string, { name, via, granted }: Met): boolean {
  if (to === "*" || (name !== undefined && to === name)) return true;
  return via === "pid" && (to === "any-pid" || (to === "granted-pids" && granted));
}

/** A process handed to the peer. */
export interface ModelGrant {
  readonly id: string;
  readonly alias: string;
  readonly pid: string;
  readonly verbs: readonly string[];
  usesLeft: number;
  readonly endsAt: number;
}

interface OpenPath {
  readonly id: number;
  readonly ref: string;
  /** Whom its DOWN must name: a pid or a registered name. */
  readonly target: string;
  readonly watcher: string;
  readonly endsAt: number;
}

/**
 * What may be delivered, kept in the plainest way: lists of what is open, and the rules. Identifiers are texts. Each method
 * that stands for a message of the peer returns the deliveries that it may cause.
 */
export class ReturnPathModel {
  rules: readonly RuleEntry[] = [];
  now = 0;
  calls: OpenPath[] = [];
  monitors: OpenPath[] = [];
  /** `child` is set by the reply; `asked`: 1 a link, 2 a monitor. */
  spawns: (OpenPath & { readonly asked: number; child?: string })[] = [];
  grants: ModelGrant[] = [];
  /** `own remote`. */
  readonly links = new Set<string>();
  /** Calls of the peer to the slow service that may still be answered; `isRunning` once the service has heard them. */
  slow: { readonly n: number; readonly met: Met; isRunning: boolean }[] = [];

  /** The session is gone. */
  lost(): void {
    this.calls = [];
    this.monitors = [];
    this.spawns = [];
    this.slow = [];
    this.links.clear();
  }

  advance(ms: number): void {
    this.now += ms;
    const isOpen = ({ endsAt }: { readonly endsAt: number }): boolean => endsAt > this.now;
    this.calls = this.calls.filter(isOpen);
    this.spawns = this.spawns.filter((spawn) => spawn.child !== undefined || isOpen(spawn));
    this.grants = this.grants.filter(isOpen);
  }

  replaced(rules: readonly RuleEntry[]): void {
    this.rules = rules;
    this.slow = this.slow.filter(({ met, isRunning }) => !isRunning || ruled(rules, "call", met) === "allow");
    // Links that the peer made are looked at by the driver, which knows whose they are.
  }

  /** A process of the node ended. */
  died(pid: string): void {
    this.grants = this.grants.filter((grant) => grant.pid !== pid);
    for (const link of this.links) if (link.startsWith(`${pid} `)) this.links.delete(link);
  }

  /** A message of this verb to a process. `isForeign`: it holds an identifier for which the node may refuse it, unused. */
  message(
    verb: string,
    pid: string,
    name: string | undefined,
    via: "name" | "pid",
    n: number,
    isForeign: boolean,
  ): string[] {
    const granted = via === "pid" && this.grants.some((grant) => grant.pid === pid);
    const grant = via === "pid" ? this.#grantFor(pid, verb) : undefined;
    const says = ruled(this.rules, verb, { name, via, granted });
    if (says === "deny" || (says === "none" && grant === undefined)) return [];
    if (!isForeign) this.#use(grant);
    if (name === "slow" && verb === "call") this.slow.push({ n, met: { name, via, granted }, isRunning: false });
    return [`heard:${n}`];
  }

  /** A message to an alias: of a grant, or of an open call. `tag`: the reference that stands as its tag, if it has one. */
  alias(
    verb: string,
    alias: string,
    nameOf: (pid: string) => string | undefined,
    n: number,
    isForeign: boolean,
    tag?: string,
  ): string[] {
    const call = this.calls.find(({ ref }) => ref === alias);
    if (call !== undefined) return tag === alias ? this.#answered(call, n) : [];
    const grant = this.grants.find((one) => one.alias === alias);
    if (grant === undefined) return [];
    const says = ruled(this.rules, verb, { name: nameOf(grant.pid), via: "pid", granted: true });
    const isGiven = grant.verbs.includes(verb);
    if (says === "deny" || (says === "none" && !isGiven)) return [];
    if (isGiven && !isForeign) this.#use(grant);
    return [`heard:${n}`];
  }

  /** A message to the process that asks for this node. */
  toMain(n: number, tag: string | undefined): string[] {
    const call = this.calls.find(({ ref }) => ref === tag);
    return call === undefined ? [] : this.#answered(call, n);
  }

  down(target: string, watcher: string, ref: string, n: number): string[] {
    const fits = (path: OpenPath): boolean => path.ref === ref && path.target === target && path.watcher === watcher;
    const call = this.calls.find(fits);
    if (call !== undefined) {
      this.calls = this.calls.filter((one) => one !== call);
      return [`failed:${call.id}:${n}`];
    }
    const monitor = this.monitors.find(fits);
    if (monitor !== undefined) {
      this.monitors = this.monitors.filter((one) => one !== monitor);
      return [`down:${monitor.id}:${n}`];
    }
    const spawn = this.spawns.find((one) => one.ref === ref && one.child === target && one.watcher === watcher);
    if (spawn === undefined || (spawn.asked & 2) === 0) return [];
    this.spawns = this.spawns.filter((one) => one !== spawn);
    return [`child:${spawn.id}:${n}`];
  }

  exit(remote: string, own: string, n: number): string[] {
    return this.links.delete(`${own} ${remote}`) ? [`exit:${n}`] : [];
  }

  exit2(own: string, name: string | undefined, n: number): string[] {
    const grant = this.#grantFor(own, "exit");
    const granted = this.grants.some(({ pid }) => pid === own);
    const says = ruled(this.rules, "exit", { name, via: "pid", granted });
    if (says === "deny" || (says === "none" && grant === undefined)) return [];
    this.#use(grant);
    return [`exit:${n}`];
  }

  /** LINK: true when it may stand. */
  linked(own: string, name: string | undefined): boolean {
    const granted = this.grants.some(({ pid }) => pid === own);
    const says = ruled(this.rules, "link", { name, via: "pid", granted });
    return says === "allow" || (says === "none" && this.#grantFor(own, "link") !== undefined);
  }

  spawnReplied(ref: string, watcher: string, child: string, flags: number): string[] {
    const spawn = this.spawns.find((one) => one.ref === ref && one.watcher === watcher && one.child === undefined);
    if (spawn === undefined || (flags & ~spawn.asked) !== 0) return [];
    spawn.child = child;
    if ((spawn.asked & 1) !== 0) this.links.add(`${watcher} ${child}`);
    return [`spawned:${spawn.id}:${child}`];
  }

  spawnRequested(n: number): string[] {
    return ruled(this.rules, "spawn", { name: "worker", via: "name", granted: false }) === "allow" ? [`ran:${n}`] : [];
  }

  /** The slow service answers the call `n`. */
  answering(n: number): string[] {
    const call = this.slow.find((one) => one.n === n);
    this.slow = this.slow.filter((one) => one !== call);
    return call === undefined || ruled(this.rules, "call", call.met) !== "allow" ? [] : [`left:${n}`];
  }

  #answered(call: OpenPath, n: number): string[] {
    this.calls = this.calls.filter((one) => one !== call);
    return [`answer:${call.id}:${n}`];
  }

  #grantFor(pid: string, verb: string): ModelGrant | undefined {
    return this.grants.find((grant) => grant.pid === pid && grant.verbs.includes(verb));
  }

  #use(grant: ModelGrant | undefined): void {
    if (grant !== undefined && --grant.usesLeft <= 0) this.grants = this.grants.filter((one) => one !== grant);
  }
}
