import type { LocalProcessHandle, ProcessGrant } from "../../src/node/api.ts";
import { genCall, genCast } from "../../src/node/gen.ts";
import type { PolicyDocument } from "../../src/policy/document.ts";
import { Atom, atomName, ImproperList, Pid, Reference, type Term, Tuple, tuple } from "../../src/term/types.ts";
import {
  type Answer,
  NODE_CREATION,
  NODE_NAME,
  PEER_CREATION,
  ScriptedNode,
  type ScriptedPeer,
} from "../../src/testkit/scripted-peer.ts";
import { POLICIES, ReturnPathModel } from "./return-path-model.ts";

/** One step: what happens, and three numbers that choose what it happens to. */
export interface Step {
  readonly what: (typeof STEPS)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** What can happen: messages of the peer, then what the node does itself. */
export const STEPS = [
  "send",
  "send",
  "send",
  "send-to-main",
  "alias-send",
  "alias-send",
  "other-peer-answers",
  "down",
  "exit",
  "exit2",
  "link",
  "unlink",
  "spawn-reply",
  "true-answer",
  "true-answer",
  "true-down",
  "true-down",
  "true-spawn-reply",
  "spawn-request",
  "monitor",
  "demonitor",
  "forged-sender",
  "our-call",
  "our-monitor",
  "our-link",
  "our-spawn",
  "our-demonitor",
  "our-unlink",
  "time-passes",
  "new-policy",
  "new-policy",
  "our-grant",
  "our-grant",
  "our-revoke",
  "slow-answers",
  "slow-answers",
] as const;

const a = (name: string): Atom => new Atom(name);
const textOf = (id: Pid | Reference): string =>
  id instanceof Pid
    ? `<${id.node} ${id.id}.${id.serial} ${id.creation}>`
    : `#${id.node} ${id.words.join(".")} ${id.creation}`;
const VERBS = ["send", "call", "cast", "monitor", "link", "exit"] as const;

const NO_REF = new Reference(NODE_NAME, NODE_CREATION, [1, 2, 3, 4, 5]);

type Asked = Extract<Answer, { readonly kind: "monitor" | "spawn-request" }>;

/** A node, a hostile peer and the model beside them. `violations` says what came through that the model does not know of. */
export class ReturnPathDriver {
  readonly violations: string[] = [];
  /** Deliveries that the model allowed and that came, by kind. */
  readonly seen = new Map<string, number>();
  readonly #world: ScriptedNode = new ScriptedNode({ policy: policyOf(0) });
  readonly #model = new ReturnPathModel();
  #peer!: ScriptedPeer;
  #other!: ScriptedPeer;
  #serial = 0;
  #delivered: string[] = [];
  readonly #everDelivered = new Set<string>();
  readonly #mayWait = new Set<string>();
  readonly #slowAnswers = new Set<number>();
  /** What to tell the model of the request that goes out in this step. */
  #opening: ((ref: string, watcher: string) => void) | undefined;
  readonly #services = new Map<string, LocalProcessHandle>();
  #own!: LocalProcessHandle;
  #main!: Pid;
  readonly #slow: { readonly n: number; readonly done: () => void }[] = [];
  /** References of ours that the peer has seen. */
  readonly #refs: Reference[] = [];
  /** What this node asked for, as it went out; the peer may answer it more than once, and late. */
  readonly #asked: Asked[] = [];
  readonly #children = new Map<string, Pid>();
  /** Pids of ours, living and dead. */
  readonly #pids: Pid[] = [];
  /** Links that the peer made, as the model names them, with what they are linked to. */
  readonly #linksIn = new Map<string, { readonly own: string; readonly name: string | undefined }>();
  readonly #ourMonitors: Reference[] = [];
  readonly #ourGrants: ProcessGrant[] = [];

  async start(): Promise<void> {
    this.#world.node.registerFunction("worker", ([n]) => void this.#deliver(`ran:${String(n)}`));
    this.#revive();
    this.#other = await this.#world.connect({ name: "q@h" });
    await this.#connect();
  }

  /** Does one step and compares. */
  async run(step: Step): Promise<void> {
    if (!this.#isConnected) await this.#connect();
    const allowed = this.#do(step);
    for (const delivery of allowed) if (/^(heard|exit):/.test(delivery)) this.#mayWait.add(delivery);
    await this.#world.settle();
    await this.#listen();
    for (const delivery of this.#delivered.splice(0)) {
      // Messages and signals may wait in a mailbox; all else is told at once.
      const isAllowed = allowed.includes(delivery) || this.#mayWait.has(delivery);
      if (!isAllowed) this.violations.push(`${step.what}: ${delivery} is not allowed`);
      if (this.#everDelivered.has(delivery)) this.violations.push(`${step.what}: ${delivery} came twice`);
      this.#everDelivered.add(delivery);
      const kind = delivery.slice(0, delivery.indexOf(":"));
      this.seen.set(kind, (this.seen.get(kind) ?? 0) + 1);
    }
    for (const error of this.#world.handlerErrors)
      this.violations.push(`${step.what}: a handler failed: ${String(error)}`);
    if (!this.#isConnected) {
      this.#model.lost();
      this.#linksIn.clear();
    }
    this.#revive();
  }

  get #isConnected(): boolean {
    return this.#world.node.peers().some(({ name }) => name === this.#peer.name);
  }

  async #connect(): Promise<void> {
    this.#peer = await this.#world.connect();
    const ref = this.#world.node.monitor(this.#peer.pid(999), () => {});
    for (const { from } of (await this.#peer.answers()) as readonly { readonly from?: Pid }[])
      if (from) this.#main = from;
    this.#world.node.demonitor(ref);
    await this.#peer.answers();
  }

  #deliver(what: string): void {
    this.#delivered.push(what);
  }

  /** Makes anew what has ended. */
  #revive(): void {
    const { node } = this.#world;
    const hear = (term: Term): void => {
      const { kind, n } = readNumber(term);
      // The end of the session, which no message of the peer says.
      if (Number.isNaN(n)) return;
      this.#deliver(`${kind}:${n}`);
      for (const call of this.#model.slow) if (call.n === n) call.isRunning = true;
    };
    for (const name of ["s", "slow"]) {
      if (this.#services.get(name)?.alive === true) continue;
      this.#gone(this.#services.get(name)?.pid);
      const call = (request: Term): Term | Promise<Term> => {
        hear(request);
        if (name === "s") return request;
        return new Promise((resolve) => this.#slow.push({ n: Number(request), done: () => resolve(request) }));
      };
      this.#adopt(name, node.register(name, { call, cast: hear, info: hear }));
    }
    if (this.#own?.alive !== true) {
      this.#gone(this.#own?.pid);
      this.#own = node.spawn(hear);
      this.#adopt(undefined, this.#own);
    }
  }

  #adopt(name: string | undefined, handle: LocalProcessHandle): void {
    if (name !== undefined) this.#services.set(name, handle);
    this.#pids.push(handle.pid);
    void handle.exited.then((reason) => {
      if (typeof reason === "number") this.#deliver(`exit:${reason}`);
    });
  }

  #gone(pid: Pid | undefined): void {
    if (pid === undefined) return;
    this.#model.died(textOf(pid));
    for (const [link, { own }] of this.#linksIn) if (own === textOf(pid)) this.#linksIn.delete(link);
    if (this.#nameOf(textOf(pid)) === "slow") {
      this.#model.slow = [];
      this.#slow.length = 0;
    }
  }

  #nameOf(pid: string): string | undefined {
    for (const [name, handle] of this.#services) if (textOf(handle.pid) === pid) return name;
    return undefined;
  }

  #isAlive(pid: Pid): boolean {
    return [this.#own, ...this.#services.values()].some((handle) => handle.alive && textOf(handle.pid) === textOf(pid));
  }

  /** Answers of the slow service that reached the peer. */
  async #listen(): Promise<void> {
    for (const answer of await this.#peer.answers()) {
      if (answer.kind === "spawn-request" || answer.kind === "monitor") {
        this.#refs.push(answer.ref);
        this.#asked.push(answer);
        this.#opening?.(textOf(answer.ref), textOf(answer.from));
      }
      if ((answer.kind !== "alias-send" && answer.kind !== "send") || !(answer.payload instanceof Tuple)) continue;
      const value = answer.payload.elements[1];
      if (typeof value === "number" && this.#slowAnswers.has(value)) this.#deliver(`left:${value}`);
    }
    this.#opening = undefined;
  }

  /** A reference for the peer to use: of ours, open or not; forged; its own; of a third node. */
  #ref(choice: number): Reference {
    // The latest mostly: those are open, or were until a moment ago.
    const back = choice % 3 === 0 ? choice : (choice >> 2) % 4;
    const known = this.#refs.at(-1 - (back % Math.max(1, this.#refs.length))) ?? NO_REF;
    switch (choice % 11) {
      case 0:
        return new Reference(known.node, known.creation, [known.words[0] ?? 0, ...known.words.slice(1, -1), 7]);
      case 1:
        return new Reference(known.node, known.creation + 1, known.words);
      case 2:
        return new Reference("q@h", 1, known.words);
      case 3:
        return this.#peer.ref();
      case 4:
        return (this.#ourGrants.at(-1) ?? { alias: known }).alias;
      default:
        return known;
    }
  }

  /** A pid for the peer to use as a target. */
  #pid(choice: number): Pid {
    switch (choice % 9) {
      case 0:
        return new Pid(NODE_NAME, 5_000 + choice, 0, NODE_CREATION);
      case 1:
        return new Pid(NODE_NAME, this.#own.pid.id, 0, NODE_CREATION + 1);
      case 2:
        return new Pid("q@h", 1, 0, 1);
      case 3:
        return this.#pids[choice % this.#pids.length] ?? this.#own.pid;
      case 4:
        return this.#services.get("s")?.pid ?? this.#own.pid;
      case 5:
        return this.#services.get("slow")?.pid ?? this.#own.pid;
      default:
        return this.#own.pid;
    }
  }

  #remote(choice: number): Pid {
    return this.#peer.pid(100 + (choice % 3));
  }

  /** A message in one of its forms, and what it is. */
  #form(
    choice: number,
    n: number,
    ref: Reference,
  ): { readonly verb: string; readonly term: Term; readonly isForeign: boolean; readonly tag?: string } {
    const { from } = this.#peer;
    const isForeign = (ref.node !== NODE_NAME || ref.creation !== NODE_CREATION) && ref.node !== from.node;
    const tagged = { tag: textOf(ref), isForeign };
    switch (choice % 9) {
      case 0:
        return { verb: "call", term: genCall(from, this.#peer.ref(), true, n), isForeign: false };
      case 1:
        return { verb: "cast", term: genCast(n), isForeign: false };
      case 2:
        return {
          verb: "call",
          term: tuple(a("$gen_call"), tuple(from, tuple(this.#peer.ref(), a("n"))), n),
          isForeign,
        };
      case 3:
        return { verb: "system", term: tuple(a("EXIT"), from, n), isForeign: false };
      case 4:
        return { verb: "system", term: tuple(a("system"), tuple(from, this.#peer.ref()), n), isForeign: false };
      case 5:
      case 6:
        return { verb: "send", term: tuple(new ImproperList([a("alias")], ref), n), ...tagged };
      default:
        return { verb: "send", term: n, isForeign: false };
    }
  }

  #do(step: Step): string[] {
    const { node, clock } = this.#world;
    const model = this.#model;
    const peer = this.#peer;
    const { from } = peer;
    const n = ++this.#serial;
    const { a: x, b: y, c: z } = step;
    switch (step.what) {
      case "send": {
        const { verb, term, isForeign } = this.#form(y, n, this.#ref(z));
        const name = (["s", "slow", "slow", "missing", "own", "pid"] as const)[x % 6];
        if (name === "pid" || name === "own") {
          const to = this.#pid(z);
          peer.write({ kind: "send", from, to }, term);
          const met = this.#nameOf(textOf(to));
          return this.#isAlive(to) ? model.message(verb, textOf(to), met, "pid", n, isForeign) : [];
        }
        peer.write({ kind: "reg-send", from, name: name ?? "s" }, term);
        const service = name === undefined ? undefined : this.#services.get(name);
        return service === undefined ? [] : model.message(verb, textOf(service.pid), name, "name", n, isForeign);
      }
      case "send-to-main": {
        const { term, tag } = this.#form(y % 2 === 0 ? 5 : y, n, this.#ref(z));
        peer.write({ kind: "send", from, to: this.#main }, term);
        return model.toMain(n, tag);
      }
      case "alias-send": {
        const grant = this.#ourGrants.at(-1 - (y % 2));
        const alias = x % 2 === 0 && grant !== undefined ? grant.alias : this.#ref(x);
        const { verb, term, tag, isForeign } = this.#form(y, n, z % 3 === 0 ? this.#ref(z) : alias);
        peer.write({ kind: "alias-send", from, alias }, term);
        return model.alias(verb, textOf(alias), (pid) => this.#nameOf(pid), n, isForeign, tag);
      }
      case "down": {
        const ref = this.#ref(x);
        const target =
          (["slowly", "srv", this.#remote(y), this.#remote(y), this.#remote(y + 1)] as const)[z % 5] ?? "srv";
        const to = y % 5 === 0 ? this.#own.pid : this.#main;
        peer.write({ kind: "monitor-exit", target, to, ref, reason: "payload" }, n);
        return model.down(typeof target === "string" ? target : textOf(target), textOf(to), textOf(ref), n);
      }
      case "exit": {
        const [remote, own] = [this.#remote(x), this.#pid(y)];
        peer.write({ kind: "exit", from: remote, to: own, reason: "payload" }, n);
        this.#linksIn.delete(`${textOf(own)} ${textOf(remote)}`);
        return model.exit(textOf(remote), textOf(own), n);
      }
      case "exit2": {
        const own = this.#pid(y);
        peer.write({ kind: "exit2", from, to: own, reason: "payload" }, n);
        return this.#isAlive(own) ? model.exit2(textOf(own), this.#nameOf(textOf(own)), n) : [];
      }
      case "link": {
        const [remote, own] = [this.#remote(x), this.#pid(y)];
        peer.write({ kind: "link", from: remote, to: own });
        const name = this.#nameOf(textOf(own));
        if (!this.#isAlive(own) || !model.linked(textOf(own), name)) return [];
        const link = `${textOf(own)} ${textOf(remote)}`;
        if (!model.links.has(link)) this.#linksIn.set(link, { own: textOf(own), name });
        model.links.add(link);
        return [];
      }
      case "unlink": {
        const [remote, own] = [this.#remote(x), this.#pid(y)];
        peer.write({ kind: "unlink-id", id: BigInt(n), from: remote, to: own });
        this.#linksIn.delete(`${textOf(own)} ${textOf(remote)}`);
        model.links.delete(`${textOf(own)} ${textOf(remote)}`);
        return [];
      }
      case "spawn-reply": {
        const ref = this.#ref(x);
        const to = y % 3 === 0 ? this.#own.pid : this.#main;
        const child = this.#remote(z);
        const flags = z % 4;
        peer.write({ kind: "spawn-reply", ref, to, flags, result: child });
        return model.spawnReplied(textOf(ref), textOf(to), textOf(child), flags);
      }
      case "true-answer":
      case "true-down":
      case "true-spawn-reply": {
        const asked = this.#asked.at(-1 - (x % Math.max(1, Math.min(this.#asked.length, 4))));
        return asked === undefined ? [] : this.#truly({ what: step.what, z }, asked, n);
      }
      case "other-peer-answers":
        return this.#otherPeer(step, n);
      case "spawn-request":
        peer.spawn("sallyport_fn", "worker", [n]);
        return model.spawnRequested(n);
      case "monitor":
        peer.write({
          kind: "monitor",
          from,
          target: y % 2 === 0 ? "s" : this.#pid(y),
          ref: this.#ref(x).node === peer.name ? peer.ref() : peer.ref(),
        });
        return [];
      case "demonitor":
        peer.write({ kind: "demonitor", from, target: "slow", ref: peer.ref() });
        return [];
      case "forged-sender":
        if (x % 4 === 0) peer.write({ kind: "reg-send", from: new Pid("q@h", 1, 0, PEER_CREATION), name: "s" }, n);
        return [];
      case "our-call":
        return this.#ourCall(n, x, y);
      case "our-monitor": {
        const target = this.#remote(x);
        const ref = node.monitor(target, ({ reason }) => {
          if (typeof reason === "number") this.#deliver(`down:${n}:${reason}`);
        });
        this.#refs.push(ref);
        this.#ourMonitors.push(ref);
        model.monitors.push({
          id: n,
          ref: textOf(ref),
          target: textOf(target),
          watcher: textOf(this.#main),
          endsAt: Infinity,
        });
        return [];
      }
      case "our-link":
        node.link(this.#own, this.#remote(x));
        model.links.add(`${textOf(this.#own.pid)} ${textOf(this.#remote(x))}`);
        this.#linksIn.delete(`${textOf(this.#own.pid)} ${textOf(this.#remote(x))}`);
        return [];
      case "our-spawn":
        return this.#ourSpawn(n, x);
      case "our-demonitor": {
        const ref = this.#ourMonitors[x % Math.max(1, this.#ourMonitors.length)];
        if (ref === undefined) return [];
        node.demonitor(ref);
        model.monitors = model.monitors.filter((monitor) => monitor.ref !== textOf(ref));
        return [];
      }
      case "our-unlink":
        node.unlink(this.#own, this.#remote(x));
        this.#linksIn.delete(`${textOf(this.#own.pid)} ${textOf(this.#remote(x))}`);
        model.links.delete(`${textOf(this.#own.pid)} ${textOf(this.#remote(x))}`);
        return [];
      case "time-passes":
        clock.advance(50);
        model.advance(50);
        return [];
      case "new-policy":
        node.policy?.replace(policyOf(x % POLICIES.length));
        model.replaced(POLICIES[x % POLICIES.length] ?? []);
        for (const [link, { own, name }] of this.#linksIn) {
          if (model.linked(own, name)) continue;
          this.#linksIn.delete(link);
          model.links.delete(link);
        }
        return [];
      case "our-grant": {
        const verbs = VERBS.filter((_, i) => ((y + 1) >> i) % 2 === 1);
        const uses = z % 2 === 0 ? 1 + (z % 3) : Number.POSITIVE_INFINITY;
        const ttlMs = x % 2 === 0 ? 100 : undefined;
        const target = x % 3 === 0 ? (this.#services.get("s") ?? this.#own) : this.#own;
        const grant = node.grant(target, {
          to: peer.name,
          verbs: verbs.length === 0 ? ["send"] : verbs,
          uses,
          ...(ttlMs === undefined ? {} : { ttlMs }),
        });
        this.#ourGrants.push(grant);
        const endsAt = ttlMs === undefined ? Infinity : model.now + ttlMs;
        const { id, verbs: given } = grant;
        const [alias, pid] = [textOf(grant.alias), textOf(grant.pid)];
        model.grants.push({ id, alias, pid, verbs: given, usesLeft: uses, endsAt });
        return [];
      }
      case "our-revoke": {
        const grant = this.#ourGrants[x % Math.max(1, this.#ourGrants.length)];
        grant?.revoke();
        model.grants = model.grants.filter(({ id }) => id !== grant?.id);
        return [];
      }
      case "slow-answers": {
        const next = this.#slow.shift();
        if (next === undefined) return [];
        const allowed = model.answering(next.n);
        this.#slowAnswers.add(next.n);
        next.done();
        return allowed;
      }
    }
  }

  /** Another peer, that has learned of what was asked, answers it: nothing of that counts. */
  #otherPeer(step: Step, n: number): string[] {
    const { from } = this.#other;
    const asked = this.#asked.at(-1 - (step.a % Math.max(1, Math.min(this.#asked.length, 4))));
    if (asked === undefined) return [];
    const { ref, from: to } = asked;
    const term = tuple(new ImproperList([a("alias")], ref), n);
    if (step.b % 4 === 0) this.#other.write({ kind: "alias-send", from, alias: ref }, term);
    else if (step.b % 4 === 1) this.#other.write({ kind: "send", from, to: this.#main }, term);
    else if (step.b % 4 === 2) this.#other.write({ kind: "spawn-reply", ref, to, flags: 0, result: from });
    else {
      const target = asked.kind === "monitor" && typeof asked.target === "string" ? asked.target : from;
      this.#other.write({ kind: "monitor-exit", target, to, ref, reason: "payload" }, n);
    }
    return [];
  }

  /** Answers something of ours as it was asked; whether it still waits, the model knows. */
  #truly({ what, z }: { readonly what: Step["what"]; readonly z: number }, asked: Asked, n: number): string[] {
    const peer = this.#peer;
    const { ref, from: to } = asked;
    const at = textOf(ref);
    if (what === "true-answer") {
      const term = tuple(new ImproperList([a("alias")], ref), n);
      if (z % 2 === 0) {
        peer.write({ kind: "alias-send", from: peer.from, alias: ref }, term);
        return this.#model.alias("send", at, (pid) => this.#nameOf(pid), n, false, at);
      }
      peer.write({ kind: "send", from: peer.from, to: this.#main }, term);
      return this.#model.toMain(n, at);
    }
    if (what === "true-down") {
      const target = asked.kind === "monitor" ? asked.target : this.#children.get(at);
      if (target === undefined) return [];
      peer.write({ kind: "monitor-exit", target, to, ref, reason: "payload" }, n);
      return this.#model.down(typeof target === "string" ? target : textOf(target), textOf(to), at, n);
    }
    if (asked.kind !== "spawn-request") return [];
    const child = this.#remote(z);
    this.#children.set(at, child);
    const words = (Array.isArray(asked.options) ? asked.options : []).map((word) => atomName(word));
    const flags = (words.includes("link") ? 1 : 0) | (words.includes("monitor") ? 2 : 0);
    peer.write({ kind: "spawn-reply", ref, to, flags, result: child });
    return this.#model.spawnReplied(at, textOf(to), textOf(child), flags);
  }

  #ourCall(n: number, x: number, y: number): string[] {
    const target = y % 2 === 0 ? "srv" : this.#remote(x);
    const to = typeof target === "string" ? { name: target, node: this.#peer.name } : target;
    const timeoutMs = 25 + (x % 3) * 50;
    const aborting = new AbortController();
    this.#world.node.call(to, n, { timeoutMs, signal: aborting.signal }).then(
      (value) => this.#deliver(`answer:${n}:${String(value)}`),
      (error: { readonly reason?: string; readonly detail?: { readonly remoteReason?: string } }) => {
        const reason = error?.detail?.remoteReason;
        if (error?.reason === "TARGET_DOWN" && reason !== "noconnection") this.#deliver(`failed:${n}:${reason}`);
      },
    );
    this.#opening = (ref, watcher) => {
      const endsAt = this.#model.now + timeoutMs;
      this.#model.calls.push({
        id: n,
        ref,
        target: typeof target === "string" ? target : textOf(target),
        watcher,
        endsAt,
      });
    };
    return [];
  }

  #ourSpawn(n: number, x: number): string[] {
    const timeoutMs = 125;
    const asked = x % 4;
    this.#world.node
      .spawnRemote(this.#peer.name, "worker", [n], {
        timeoutMs,
        ...((asked & 1) === 0 ? {} : { link: this.#own }),
        ...((asked & 2) === 0
          ? {}
          : { onDown: ({ reason }) => typeof reason === "number" && this.#deliver(`child:${n}:${reason}`) }),
      })
      .then(
        (child) => this.#deliver(`spawned:${n}:${child instanceof Pid ? textOf(child) : String(child)}`),
        () => {},
      );
    this.#opening = (ref, watcher) => {
      const endsAt = this.#model.now + timeoutMs;
      this.#model.spawns.push({ id: n, ref, target: "", watcher, endsAt, asked });
    };
    return [];
  }
}

function policyOf(index: number): PolicyDocument {
  return {
    version: 1,
    node: NODE_NAME,
    peers: { p: { names: ["p@h"], assurance: "cookie" }, q: { names: ["q@h"], assurance: "cookie" } },
    rules: POLICIES[index] ?? [],
  };
}

/** What a handler heard: the number in it, and whether it was the end of somebody. */
function readNumber(term: Term): { readonly kind: "heard" | "exit"; readonly n: number } {
  if (!(term instanceof Tuple)) return { kind: "heard", n: Number(term) };
  const [head] = term.elements;
  return { kind: head instanceof Atom && head.name === "EXIT" ? "exit" : "heard", n: Number(term.elements.at(-1)) };
}
