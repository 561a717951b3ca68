import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Raw, type Trap, trap } from "./client.ts";
import { ref } from "./etf.ts";
import { answersPing, type Self, selfOf } from "./native-client.ts";
import { ALPN } from "./native-frames.ts";
import { Attacker, type Certificate, tryNative } from "./policy-client.ts";
import { Victim } from "./victim.ts";

export const DESKTOP = "my_desktop@home";
export const EC2 = "ec2_node@ec2";
export const BOB = "bob_colo@colo";
export const COOKIE = "correct horse battery staple";

/** A policy as JSON; what it may be is for the node to say. */
export type Document = Readonly<Record<string, unknown>>;

export interface MachineOptions {
  readonly name: string;
  /** The policy: given as an object, or written to `policy.jsonc` with `isFile`. */
  readonly policy?: Document;
  readonly isFile?: boolean;
  /** Whose keys are pinned there. */
  readonly pinned?: readonly string[];
  /** Names it can dial, with the ports where they are. */
  readonly reach?: Readonly<Record<string, number>>;
  readonly listen?: readonly string[];
  /** It has a certificate of the authority, and takes others of it. */
  readonly hasAuthority?: boolean;
  readonly audit?: boolean;
  readonly node?: Readonly<Record<string, unknown>>;
}

/** What the machines of one test have in common: keys, an authority, a directory, and their end. */
export class World {
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly certificate: Certificate;
  readonly #selves = new Map<string, Self>();
  readonly #machines: Machine[] = [];
  readonly #traps: Trap[] = [];
  #cookie: string | undefined;

  private constructor(directory: string, authority: TestAuthority, certificate: Certificate) {
    this.directory = directory;
    this.authority = authority;
    this.certificate = certificate;
  }

  /** With a cookie, all keys of this world are used together with it. */
  static async create(cookie?: string): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), "sallyport-policy-"));
    const authority = await testAuthority(join(directory, "ca"));
    const { certPem: cert, keyPem: key } = await authority.selfSigned(BOB);
    const world = new World(directory, authority, { cert, key });
    world.#cookie = cookie;
    return world;
  }

  /** The key that goes by this name here; it need not be a node's name. */
  self(name: string): Self {
    const known = this.#selves.get(name);
    if (known !== undefined) return known;
    const made = selfOf(name, undefined, this.#cookie);
    this.#selves.set(name, made);
    return made;
  }

  /** As a policy writes it. */
  fingerprint(name: string): string {
    return `SHA256:${createHash("sha256").update(this.self(name).publicKey).digest("base64").replace(/=+$/, "")}`;
  }

  /** An entry of `peers` for the key and name of one node. */
  entry(name: string, more: Document = {}): Document {
    return { keys: [this.fingerprint(name)], names: [name], ...more };
  }

  /** A listener that plays one or several nodes for those who dial them. */
  async trap(): Promise<Trap> {
    const listener = await trap({ ...this.certificate, ALPNProtocols: [ALPN] });
    this.#traps.push(listener);
    return listener;
  }

  async start(options: MachineOptions): Promise<Machine> {
    const machine = await Machine.start(this, options);
    this.#machines.push(machine);
    return machine;
  }

  async stop(): Promise<void> {
    try {
      for (const { victim } of this.#machines) expect(victim.uncaught).toEqual([]);
    } finally {
      await this.stopAnyway();
    }
  }

  /** The end without a last look. */
  async stopAnyway(): Promise<void> {
    for (const { close } of this.#traps) close();
    await Promise.all(this.#machines.map((machine) => machine.dropAttackers()));
    await Promise.all(this.#machines.map(({ victim }) => victim.stop()));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

export interface Grant {
  readonly id: string;
  readonly pid: { readonly id: number; readonly serial: number };
  readonly alias: { readonly node: string; readonly creation: number; readonly words: readonly number[] };
}

/** A reference as a term, for whoever was told its bytes. */
export function aliasTerm({ alias }: Grant): Buffer {
  return ref(alias.node, alias.creation, ...alias.words);
}

/** How something that a machine began has ended so far. */
export interface Ending {
  readonly state: "open" | "answered" | "failed" | "down" | "unknown";
  readonly reason?: string;
  readonly code?: string;
  readonly value?: string;
  readonly downs?: readonly string[];
  readonly pid?: { readonly id: number; readonly serial: number };
  readonly atMs?: number;
}

export interface Health {
  readonly state: string;
  readonly problems: readonly string[];
  readonly connectedNodes: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  readonly processes: number;
  readonly openCalls: number;
  readonly held: number;
}

/** One node under a policy, in a process of its own, and the hostile sessions with it. */
export class Machine {
  readonly world: World;
  readonly name: string;
  readonly victim: Victim;
  readonly keyDir: string;
  readonly policyFile: string;
  readonly auditDir: string;
  pids: Readonly<Record<string, { readonly id: number; readonly serial: number }>> = {};
  readonly #attackers: (Attacker | Raw)[] = [];

  private constructor(world: World, options: MachineOptions, victim: Victim, home: string) {
    this.world = world;
    this.name = options.name;
    this.victim = victim;
    this.keyDir = join(home, "keys");
    this.policyFile = join(home, "policy.jsonc");
    this.auditDir = join(home, "audit");
  }

  static async start(world: World, options: MachineOptions): Promise<Machine> {
    const home = mkdtempSync(join(world.directory, "machine-"));
    const keyDir = join(home, "keys");
    mkdirSync(join(keyDir, "trusted"), { recursive: true, mode: 0o700 });
    writeFileSync(join(keyDir, "node.key"), world.self(options.name).seed, { mode: 0o600 });
    for (const name of options.pinned ?? []) {
      writeFileSync(join(keyDir, "trusted", `${name}.pub`), world.self(name).publicKey);
    }
    const own = options.hasAuthority === true ? await world.authority.issue(options.name) : undefined;
    const policyFile = join(home, "policy.jsonc");
    if (options.isFile === true) writeFileSync(policyFile, JSON.stringify(options.policy, null, 2));
    const policy = options.isFile === true ? policyFile : options.policy;
    const resolve = Object.entries(options.reach ?? {}).map(([name, port]) => [name, `tls://127.0.0.1:${port}`]);
    const victim = await Victim.start(
      {
        name: options.name,
        epmd: "off",
        identity: { dir: keyDir, trust: "strict" },
        listen: options.listen ?? ["tls://127.0.0.1:0"],
        resolve: Object.fromEntries(resolve),
        ...(policy === undefined ? {} : { policy }),
        ...(own && { tls: { certFile: own.certFile, keyFile: own.keyFile, caFile: world.authority.caFile } }),
        ...(options.audit === true ? { audit: { dir: join(home, "audit") } } : {}),
        ...options.node,
      },
      0,
      "policy-victim.mjs",
    );
    const machine = new Machine(world, options, victim, home);
    machine.pids = await victim.ask("pids");
    return machine;
  }

  get port(): number {
    return this.victim.ports[0] ?? 0;
  }

  ask<T>(op: string, rest: Record<string, unknown> = {}): Promise<T> {
    return this.victim.ask<T>(op, rest);
  }

  /** The owner of `name`'s key dials in, hostile from then on. */
  async attacker(name: string, self: Self = this.world.self(name)): Promise<Attacker> {
    const mark = this.victim.events.length;
    const attacker = await Attacker.native(this.port, this.name, self, this.world.certificate);
    this.#attackers.push(attacker);
    await this.isUp(self.name, mark);
    return attacker;
  }

  /** Dials with a key: does a session come of it? `end` is how the handshake ended for the one who dialled. */
  async tries(self: Self): Promise<{ readonly end: unknown; readonly isIn: boolean }> {
    const tried = await tryNative(this.port, self, this.world.certificate).catch(() => undefined);
    if (tried === undefined) return { end: "closed", isIn: false };
    this.#attackers.push(tried.raw);
    return { end: tried.run.end, isIn: tried.run.end === "up" && (await answersPing(tried.raw)) };
  }

  /** This machine dials `name`, and a hostile node answers. */
  async dials(name: string, listener: Trap): Promise<Attacker> {
    const mark = this.victim.events.length;
    const outcome = this.ask("connect", { to: name });
    const raw = await listener.next();
    const attacker = await Attacker.nativeAnswer(raw, this.name, this.world.self(name));
    this.#attackers.push(attacker);
    await outcome;
    await this.isUp(name, mark);
    return attacker;
  }

  /** A BEAM that knows the cookie, over the listener of that number. */
  async beam(name: string, listener: number, tls?: { readonly cert: Buffer; readonly key: Buffer }): Promise<Attacker> {
    const mark = this.victim.events.length;
    const port = this.victim.ports[listener] ?? 0;
    const raw = tls === undefined ? await Raw.tcp(port) : await Raw.tls(port, tls);
    this.#attackers.push(raw);
    const claim = { name, cookie: COOKIE };
    const attacker = await Attacker.otp(raw, tls === undefined ? 2 : 4, this.name, claim);
    this.#attackers.push(attacker);
    await this.isUp(name, mark);
    return attacker;
  }

  async isUp(name: string, mark: number): Promise<void> {
    await this.victim.event(({ event, peer }) => event === "nodeup" && peer === name, mark);
  }

  /** Takes back all hostile connections; the machine has seen it when this returns. */
  async dropAttackers(): Promise<void> {
    const names = this.#attackers.map((attacker) => (attacker instanceof Attacker ? attacker.name : ""));
    for (const attacker of this.#attackers.splice(0)) attacker.destroy();
    if (names.length === 0 || this.victim.exitCode !== undefined) return;
    await eventually(
      async () => (await this.health()).connectedNodes,
      (connected) => !connected.some((name) => names.includes(name)),
    );
  }

  health(): Promise<Health> {
    return this.ask<Health>("health");
  }

  async counter(name: string): Promise<number> {
    return (await this.health()).counters[name] ?? 0;
  }

  /** What came that nothing had asked for, or not any more. */
  async unsolicited(): Promise<number> {
    return unsolicitedOf(await this.health());
  }

  /** What handlers and functions received since the last question. */
  arrived(): Promise<readonly string[]> {
    return this.ask("arrived");
  }

  ending(key: string): Promise<Ending> {
    return this.ask<Ending>("outcome", { key });
  }

  /** The ending of something, once there is one. */
  async ended(key: string, isEnd: (ending: Ending) => boolean = ({ state }) => state !== "open"): Promise<Ending> {
    return eventually(() => this.ending(key), isEnd);
  }

  /** Hands a process to whoever has that node's key, with a session or not. */
  grant(key: string, name: string, to: string, terms: Document = {}): Promise<Grant> {
    return this.ask<Grant>("grant", { key, name, to: this.world.fingerprint(to), ...terms });
  }

  /** Writes the policy file as an editor does: beside it, then renamed. */
  writePolicy(content: Document | string): void {
    const text = typeof content === "string" ? content : JSON.stringify(content, null, 2);
    writeFileSync(`${this.policyFile}.new`, text);
    renameSync(`${this.policyFile}.new`, this.policyFile);
  }

  /** The key of `name` is revoked here, as `trust revoke` would write it. */
  revokeKey(name: string): void {
    const directory = join(this.keyDir, "revoked");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const digest = createHash("sha256").update(this.world.self(name).publicKey).digest("hex");
    writeFileSync(join(directory, digest), "");
  }

  /** Records of the audit log, in order. */
  auditRecords(): readonly Record<string, unknown>[] {
    const files = readdirSync(this.auditDir).sort();
    return files.flatMap((file) =>
      readFileSync(join(this.auditDir, file), "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    );
  }
}

/** Both counters of what nothing had asked for: too late an answer is one, too. */
export function unsolicitedOf({ counters }: Health): number {
  return (counters["unsolicited"] ?? 0) + (counters["late_replies"] ?? 0);
}

/** Asks until it holds, at most `limitMs`; then gives the last answer all the same, for the assertion to show. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  holds: (value: T) => boolean,
  limitMs = 5_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const value = await ask();
    if (holds(value) || Date.now() > deadline) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function closesWithin(raw: Raw, limitMs: number): Promise<boolean> {
  return eventually(
    () => raw.closed,
    (closed) => closed,
    limitMs,
  );
}
