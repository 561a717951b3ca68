import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Raw, type TlsFrom, type Trap, trap } from "./client.ts";
import type { Refused } from "./native-bends.ts";
import { answersPing, type Bend, dial, type Run, type Self, selfOf } from "./native-client.ts";
import { ALPN, REFUSE, refusal, unsigned } from "./native-frames.ts";
import { Victim } from "./victim.ts";
import { VictimRig } from "./victim-rig.ts";

export const VICTIM = "victim@127.0.0.1";
export const EVIL = "evil@127.0.0.1";
export const GOOD = "good@127.0.0.1";

export interface KeyRigOptions {
  readonly trust: "strict" | "tofu";
  /** Names whose key is pinned in `trusted/` before the start; default EVIL and GOOD. */
  readonly pinned?: readonly string[];
  readonly wallSkewMs?: number;
  /** The victim has a certificate of the authority, and takes others of it. */
  readonly hasAuthority?: boolean;
  readonly node?: Readonly<Record<string, unknown>>;
}

/** The frames that came before the end. */
export async function restOf(raw: Raw): Promise<readonly Buffer[]> {
  const rest: Buffer[] = [];
  for (;;) {
    const frame = await raw.readFrame(4).catch(() => undefined);
    if (frame === undefined) return rest;
    rest.push(Buffer.from(frame));
  }
}

/** A victim with an identity of its own in a process of its own, and an attacker who can be honest. */
export class KeyRig extends VictimRig {
  readonly keyDir: string;
  readonly authority: TestAuthority;
  readonly trap: Trap;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly #selves: Map<string, Self>;
  /** Events before a connection was made are not about it: ports come back. */
  readonly #marks = new WeakMap<Raw, number>();

  private constructor(
    parts: Pick<KeyRig, "victim" | "directory" | "keyDir" | "authority" | "trap" | "certificate">,
    selves: Map<string, Self>,
  ) {
    super(parts.victim, parts.directory);
    this.keyDir = parts.keyDir;
    this.authority = parts.authority;
    this.trap = parts.trap;
    this.certificate = parts.certificate;
    this.#selves = selves;
  }

  static async start(options: KeyRigOptions): Promise<KeyRig> {
    const directory = mkdtempSync(join(tmpdir(), "sallyport-attack-"));
    const authority = await testAuthority(join(directory, "ca"));
    const { certPem: cert, keyPem: key } = await authority.selfSigned(EVIL);
    const listener = await trap({ cert, key, ALPNProtocols: [ALPN] });
    const keyDir = join(directory, "keys");
    const cookie = options.node?.["cookie"] as string | undefined;
    const selves = new Map([VICTIM, EVIL, GOOD].map((name) => [name, selfOf(name, undefined, cookie)] as const));
    mkdirSync(join(keyDir, "trusted"), { recursive: true, mode: 0o700 });
    writeFileSync(join(keyDir, "node.key"), selves.get(VICTIM)?.seed ?? "", { mode: 0o600 });
    for (const name of options.pinned ?? [EVIL, GOOD]) {
      const self = selves.get(name) ?? selfOf(name, undefined, cookie);
      selves.set(name, self);
      writeFileSync(join(keyDir, "trusted", `${name}.pub`), self.publicKey);
    }
    const own = options.hasAuthority === true ? await authority.issue(VICTIM) : undefined;
    const tls = own && { certFile: own.certFile, keyFile: own.keyFile, caFile: authority.caFile };
    const victim = await Victim.start(
      {
        name: VICTIM,
        epmd: "off",
        identity: { dir: keyDir, trust: options.trust },
        listen: ["tls://127.0.0.1:0"],
        resolve: { [EVIL]: `tls://127.0.0.1:${listener.port}` },
        ...(tls === undefined ? {} : { tls }),
        ...options.node,
      },
      options.wallSkewMs,
    );
    const rig = new KeyRig(
      { victim, directory, keyDir, authority, trap: listener, certificate: { cert, key } },
      selves,
    );
    await rig.startsHere();
    return rig;
  }

  self(name: string): Self {
    const self = this.#selves.get(name);
    if (self === undefined) throw new Error(`nobody is called ${name}`);
    return self;
  }

  get evil(): Self {
    return this.self(EVIL);
  }

  /** A connection of the attacker, TLS done. */
  async raw(options: TlsFrom = {}): Promise<Raw> {
    const mark = this.mark;
    const raw = await Raw.tls(this.victim.ports[0] ?? 0, { ...this.certificate, ALPNProtocols: [ALPN], ...options });
    this.#marks.set(raw, mark);
    return this.keep(raw);
  }

  /** Lets the victim dial the attacker: its connection, and how the dial ended for the victim. */
  async dialled(): Promise<{ readonly raw: Raw; readonly outcome: Promise<string> }> {
    const mark = this.mark;
    const outcome = this.victim.ask("connect", { node: EVIL }).then(
      () => "up",
      (error: { reason?: string }) => String(error.reason),
    );
    const raw = await this.trap.next();
    this.#marks.set(raw, mark);
    return { raw: this.keep(raw), outcome };
  }

  /** The refusal of a connection that the attacker made. */
  async refusalOf(raw: Raw): Promise<string> {
    const address = raw.localAddress;
    const told = await this.victim.event(
      (event) => event.event === "refused" && event["address"] === address,
      this.#marks.get(raw) ?? 0,
    );
    return String(told["reason"]);
  }

  /** Files of the key directory with their content; what a refused peer must not change. */
  files(): readonly string[] {
    return readdirSync(this.keyDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => {
        const path = join(parentPath, name);
        return `${path.slice(this.keyDir.length)} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
      })
      .sort();
  }

  /** The run was refused as it should be, and nothing else came of it. */
  async expectRefused(
    raw: Raw,
    run: Run,
    wanted: Refused,
    reason: Promise<string>,
    before: readonly string[],
  ): Promise<void> {
    const name = run.mine.name.toString();
    const up = this.victim.event(({ event, peer }) => event === "nodeup" && peer === name, this.#marks.get(raw));
    const end = Promise.race([raw.untilClosed().then(() => "closed"), up.then(() => "up")]);
    // The victim may be gone before it lets anybody in.
    up.catch(() => undefined);
    expect(await end).toBe("closed");
    // What came after the attacker had said its last word.
    if (run.end === "up") run.heard.push(...(await restOf(raw)));
    const last = run.heard.at(-1);
    const told = last?.[0] === REFUSE ? Buffer.concat([unsigned(last.length, 4), last]) : undefined;
    expect({ reason: await reason, told }).toEqual({
      reason: wanted.reason,
      told: wanted.told === undefined || (wanted.isCut && told === undefined) ? undefined : refusal(wanted.told),
    });
    expect(raw.rest).toEqual(Buffer.alloc(0));
    expect(await this.sessions()).not.toContain(name);
    expect(this.files()).toEqual(before);
  }

  /** The attacker dials and is refused as it should be; the same attacker without the bend gets in afterwards. */
  async expectAttackFails(bend: Bend | (() => Bend), wanted: Refused): Promise<void> {
    const before = this.files();
    const raw = await this.raw();
    const run = await dial(raw, this.evil, typeof bend === "function" ? bend() : bend);
    await this.expectRefused(raw, run, wanted, this.refusalOf(raw), before);
    await this.honestSession();
  }

  /** The honest attacker gets in, and its session answers. */
  async honestSession(name: string = EVIL, localAddress: string = "127.0.0.1"): Promise<Raw> {
    const raw = await this.raw({ localAddress });
    const run = await dial(raw, this.self(name));
    expect({ end: run.end, isVictimProven: run.isVictimProven }).toEqual({ end: "up", isVictimProven: true });
    expect(await answersPing(raw)).toBe(true);
    return raw;
  }

  async aliveAndWell(): Promise<void> {
    (await this.honestSession(GOOD)).destroy();
    this.nothingEscaped();
    expect(this.victim.stderr).toBe("");
  }

  override async stop(): Promise<void> {
    this.trap.close();
    await super.stop();
  }
}
