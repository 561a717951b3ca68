import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import type { Timer } from "../../src/base/clock.ts";
import type { Detail } from "../../src/base/errors.ts";
import { AcceptGate } from "../../src/carrier/accept-gate.ts";
import { QuicEngine } from "../../src/carrier/quic/quic-engine.ts";
import { createNode } from "../../src/create-node.ts";
import type { Node, NodeEvents } from "../../src/node/api.ts";
import type { IdentityOption, NodeOptions } from "../../src/node/options.ts";
import type { Resolver } from "../../src/node/ports.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { type Match, makeRoom, type PeerEvent, PeerProcess } from "../barrel-peer/harness.ts";
import { loadKeys } from "../barrel-peer/identity.mjs";

export const VICTIM = "victim@127.0.0.1";
export const EVIL = "evil@127.0.0.1";
export const GOOD = "good@127.0.0.1";
export const COOKIE = "cookie-of-the-barrel-tests";

/** Nothing of a test is to be decided by a slow machine. */
const PATIENT = { maxTlsHandshakeMs: 60_000, maxHandshakeMs: 60_000 };

/** How a connection ended for the node under attack, and what the attacker saw of it. */
export interface Outcome {
  /** `refused` before the session stood, or `down` afterwards. */
  readonly at: "refused" | "down";
  readonly reason: string;
  readonly detail: Detail;
  readonly address: string;
  /** The name of the failure on the attacker's end, where it played by the rules long enough to have one. */
  readonly theirs: string | undefined;
  /** Messages and ends on the auth stream, in order. */
  readonly saw: readonly string[];
  readonly closed: PeerEvent;
}

/** What a node holds of its connections at one moment. */
export interface Holdings {
  readonly files: readonly string[];
  readonly peers: readonly string[];
  readonly waiting: number;
  readonly halfOpen: number;
  readonly engineSessions: number;
  readonly timers: number;
}

/** Looks into all nodes of this process, from its first use on: counts their timers, finds their gates and engines. */
class Inside {
  static #only: Inside | undefined;

  static look(): Inside {
    Inside.#only ??= new Inside();
    return Inside.#only;
  }

  readonly #timers = new Set<Timer>();
  readonly #gates = new Set<AcceptGate>();
  readonly #engines = new Set<QuicEngine>();

  private constructor() {
    const [timers, gates, engines] = [this.#timers, this.#gates, this.#engines];
    const { at } = RealClock.prototype;
    vi.spyOn(RealClock.prototype, "at").mockImplementation(function (this: RealClock, when, run, background) {
      const inner = at.call(
        this,
        when,
        () => {
          timers.delete(timer);
          run();
        },
        background,
      );
      const timer: Timer = {
        cancel() {
          timers.delete(timer);
          inner.cancel();
        },
      };
      // The deadlines of calls share one timer, which is left to run out when nothing waits for it. The watch over the ends of
      // certificates is the node's own, and begins a moment after the node has started.
      if (!/\/(deadlines|expiry-watch)\.ts/.test(new Error().stack ?? "")) timers.add(timer);
      return timer;
    });
    const { admit } = AcceptGate.prototype;
    vi.spyOn(AcceptGate.prototype, "admit").mockImplementation(function (this: AcceptGate, ...args) {
      gates.add(this);
      return admit.apply(this, args);
    });
    for (const method of ["listen", "dial"] as const) {
      const original = QuicEngine.prototype[method] as (this: QuicEngine, ...args: unknown[]) => unknown;
      vi.spyOn(QuicEngine.prototype, method).mockImplementation(function (this: QuicEngine, ...args: unknown[]) {
        engines.add(this);
        return original.apply(this, args) as never;
      } as never);
    }
  }

  get timers(): number {
    return this.#timers.size;
  }

  get halfOpen(): number {
    return sum(this.#gates, (gate) => gate.size);
  }

  get engineSessions(): number {
    return sum(this.#engines, (engine) => engine.sessions);
  }
}

export interface BarrelRigOptions {
  readonly trust?: "strict" | "tofu";
  readonly node?: Partial<NodeOptions>;
  /** Further options that need the fingerprint of the honest peer. */
  readonly nodeFor?: (good: string) => Partial<NodeOptions>;
  /** Names that the node trusts with the keys of these bytes. */
  readonly pins?: Readonly<Record<string, Buffer>>;
}

/** A node of this process that speaks QUIC, a hostile peer and an honest one as processes of their own. */
export class BarrelRig {
  readonly room = makeRoom(COOKIE);
  readonly evil: PeerProcess;
  readonly good: PeerProcess;
  readonly #inside = Inside.look();
  readonly #others: PeerProcess[] = [];
  readonly #refused: NodeEvents["refused"][0][] = [];
  readonly #downs: { name: string; reason: string }[] = [];
  readonly #wakers = new Set<() => void>();
  /** Where the node finds a name. */
  readonly addresses = new Map<string, string>();
  readonly #seconds: Node[] = [];
  readonly #resolver: Resolver = {
    label: "the test",
    resolve: async (name) => {
      const [host = "", port = ""] = (this.addresses.get(name) ?? "").split(":");
      return host === "" ? [] : [{ scheme: "quic", host, port: Number(port) }];
    },
  };
  #node: Node | undefined;

  constructor() {
    this.evil = new PeerProcess(this.room, EVIL, ["--auth-timeout", "60000"]);
    this.good = new PeerProcess(this.room, GOOD, ["--auth-timeout", "60000"]);
  }

  static async start({ trust = "tofu", node = {}, nodeFor, pins = {} }: BarrelRigOptions = {}): Promise<BarrelRig> {
    const rig = new BarrelRig();
    const trusted = join(rig.keyDir, "trusted");
    mkdirSync(trusted, { recursive: true, mode: 0o700 });
    loadKeys(rig.keyDir);
    for (const [name, key] of Object.entries(pins)) writeFileSync(join(trusted, `${name}.pub`), key);
    // Their keys are there once they answer.
    await Promise.all([rig.good.command("identity"), rig.evil.command("identity")]);
    const goodKey = readFileSync(join(rig.good.keyDir, "node.pub"));
    if (trust === "strict") writeFileSync(join(trusted, `${GOOD}.pub`), goodKey);
    const fingerprint = `SHA256:${createHash("sha256").update(goodKey).digest("base64").replace(/=+$/, "")}`;
    await rig.#makeNode(trust, { ...node, ...nodeFor?.(fingerprint) });
    return rig;
  }

  get node(): Node {
    if (this.#node === undefined) throw new Error("the node is not there yet");
    return this.#node;
  }

  get keyDir(): string {
    return join(this.room.dir, VICTIM);
  }

  /** `host:port` of its listener. */
  get address(): string {
    return new URL(this.node.endpoints[0] ?? "").host;
  }

  /** A further peer, which ends with the rig. */
  peer(name: string, args: readonly string[] = []): PeerProcess {
    const made = new PeerProcess(this.room, name, args);
    this.#others.push(made);
    return made;
  }

  /** A second node of this process, beside the one under attack, with the same addresses. */
  async second(name: string, identity: Partial<IdentityOption> = {}): Promise<Node> {
    const node = await createNode({
      name,
      epmd: "off",
      cookie: { file: this.room.cookieFile },
      identity: { dir: join(this.room.dir, name), trust: "tofu", ...identity },
      quic: {},
      tickTimeMs: 600_000,
      listen: ["quic://127.0.0.1:0"],
      resolve: [this.#resolver],
      limits: PATIENT,
    });
    this.#seconds.push(node);
    node.register("echo", { call: (request) => request }, { allow: "cookie" });
    return node;
  }

  /** Certificate and key of the node's listener, as a thief has them. */
  get certificate(): { readonly certFile: string; readonly keyFile: string } {
    return { certFile: join(this.keyDir, "tls/node.crt"), keyFile: join(this.keyDir, "tls/node.key") };
  }

  holdings(): Holdings {
    const { timers, halfOpen, engineSessions } = this.#inside;
    return {
      files: filesIn(this.keyDir),
      peers: this.node.peers().map(({ name }) => name),
      waiting: this.node.identity?.waiting().length ?? 0,
      halfOpen,
      engineSessions,
      timers,
    };
  }

  /** Waits until the node holds no more than before. The engine's own watch comes and goes, hence "no more". */
  async expectNothingStays(before: Holdings): Promise<void> {
    const isFree = (): boolean => this.#inside.timers <= before.timers;
    await expect
      .poll(() => ({ ...this.holdings(), timers: isFree() ? before.timers : this.#inside.timers }), { timeout: 30_000 })
      .toEqual(before);
  }

  /** The honest peer comes, is answered, and goes. `from`: the local address that it dials from. */
  async servesGood(from = "127.0.0.1"): Promise<void> {
    const { good, node } = this;
    const mark = good.mark;
    const connection = await good.dial(VICTIM, this.address, { from });
    await good.wait({ event: "up", connection }, mark);
    expect(await good.command("call", { connection, name: "echo", term: "still there?" })).toMatchObject({
      value: "still there?",
    });
    await good.command("close", { connection });
    await this.#until(() => !node.peers().some(({ name }) => name === GOOD));
  }

  /** The attacker dials; until both sides are through with the connection. */
  async dialled(attack: string, fields: Match = {}): Promise<Outcome> {
    const { evil } = this;
    const [mark, ends] = [evil.mark, this.#ends];
    const connection = await evil.dial(VICTIM, this.address, { attack, ...fields });
    const end = await this.#end(ends);
    const closed = await evil.wait({ event: "closed", connection }, mark);
    return { ...end, closed, saw: sawBy(evil, connection, mark), theirs: errorOf(evil, connection, mark) };
  }

  /** The node dials the attacker's own listener, under the name `to`. */
  async lured(attack: string, fields: Match = {}, to: string = EVIL): Promise<Outcome> {
    const { evil } = this;
    const trap = await evil.listen({ attack, ...fields });
    const [mark, ends] = [evil.mark, this.#ends];
    this.addresses.set(to, trap);
    const dial = this.node.connect(to, { timeoutMs: 30_000 }).then(
      () => undefined,
      (error: { reason: string; detail: Detail }) => error,
    );
    const end = await this.#end(ends);
    const told = await dial;
    // The caller of the dial is told what the operator is told.
    if (told !== undefined) expect(told.reason).toBe(end.reason);
    const closed = await evil.wait({ event: "closed" }, mark);
    const { connection } = closed;
    return { ...end, closed, saw: sawBy(evil, connection, mark), theirs: errorOf(evil, connection, mark) };
  }

  /** The next refusal after `mark` refusals. */
  async refusal(mark: number): Promise<NodeEvents["refused"][0]> {
    await this.#until(() => this.#refused.length > mark);
    return this.#refused[mark] as NodeEvents["refused"][0];
  }

  get refusals(): readonly NodeEvents["refused"][0][] {
    return this.#refused;
  }

  /** Waits for something that refusals and ends of sessions change. */
  readonly until = (isSo: () => boolean): Promise<void> => this.#until(isSo);

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#seconds, ...(this.#node === undefined ? [] : [this.#node])].map((n) => n.close({ timeoutMs: 0 })),
    );
    await Promise.all([this.evil, this.good, ...this.#others].map((peer) => peer.stop()));
    this.room.remove();
  }

  async #makeNode(trust: "strict" | "tofu", extra: Partial<NodeOptions>): Promise<void> {
    const node = await createNode({
      name: VICTIM,
      epmd: "off",
      cookie: { file: this.room.cookieFile },
      identity: { ...extra.identity, dir: this.keyDir, trust },
      quic: {},
      tickTimeMs: 600_000,
      listen: ["quic://127.0.0.1:0"],
      resolve: [this.#resolver],
      limits: PATIENT,
      ...without(extra, "identity"),
    });
    this.#node = node;
    node.register("echo", { call: (request) => request }, { allow: "cookie" });
    node.on("refused", (refused) => {
      this.#refused.push(refused);
      this.#wake();
    });
    node.on("nodedown", ({ name }, reason) => {
      this.#downs.push({ name, reason });
      this.#wake();
    });
  }

  get #ends(): { readonly refused: number; readonly downs: number } {
    return { refused: this.#refused.length, downs: this.#downs.length };
  }

  async #end(mark: { refused: number; downs: number }): Promise<Pick<Outcome, "at" | "reason" | "detail" | "address">> {
    await this.#until(() => this.#refused.length > mark.refused || this.#downs.length > mark.downs);
    const refused = this.#refused[mark.refused];
    if (refused !== undefined) {
      const { error, address } = refused;
      return { at: "refused", reason: error.reason, detail: error.detail ?? {}, address };
    }
    return { at: "down", reason: this.#downs[mark.downs]?.reason ?? "", detail: {}, address: "" };
  }

  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!isSo()) return;
        clearTimeout(patience);
        this.#wakers.delete(look);
        resolve();
      };
      const patience = setTimeout(() => {
        this.#wakers.delete(look);
        const heard = this.#refused.map(({ error }) => `${error.reason}: ${error.message}`);
        reject(new Error(`nothing came: ${JSON.stringify({ heard, downs: this.#downs })}`));
      }, 45_000);
      this.#wakers.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#wakers]) look();
  }
}

/** Files of a key directory with their content; what a refused peer must not change. */
export function filesIn(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return `${path.slice(dir.length)} ${readFileSync(path).toString("hex").slice(0, 64)}`;
    })
    .sort();
}

export function sawBy(peer: PeerProcess, connection: unknown, mark: number): string[] {
  return peer
    .since(mark, { event: "saw", connection })
    .filter(({ what }) => what !== "stream0" && what !== "early" && what !== "bytes")
    .map(({ what, reason }) => (reason === undefined ? String(what) : `${what} ${reason}`));
}

/** In the words of the protocol's own description. */
function errorOf(peer: PeerProcess, connection: unknown, mark: number): string | undefined {
  const failed = [
    ...peer.since(mark, { event: "auth", outcome: "fail", connection }),
    ...peer.since(mark, { event: "handshake", outcome: "fail", connection }),
  ][0];
  return failed === undefined ? undefined : String(failed["error"]);
}

function sum<T>(of: Iterable<T>, count: (each: T) => number): number {
  let total = 0;
  for (const each of of) total += count(each);
  return total;
}

function without<T extends object, K extends keyof T>(of: T, key: K): Omit<T, K> {
  const { [key]: _, ...rest } = of;
  return rest;
}
