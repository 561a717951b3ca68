import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { expect } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { type Claim, Peer, Raw } from "./client.ts";
import { Victim } from "./victim.ts";
import { VictimRig } from "./victim-rig.ts";

export const COOKIE = "correct horse battery staple";
export const VICTIM = "victim@localhost";
export const GOOD = "good@localhost";
export const EVIL = "evil@localhost";

export type Transport = "tcp" | "tls";

/** A victim, a good peer of it, and what attackers need to reach it. */
export class Rig extends VictimRig {
  readonly #authority: TestAuthority;
  readonly #goods: Node[] = [];
  readonly #certificates = new Map<string, ConnectionOptions>();

  private constructor(victim: Victim, directory: string, authority: TestAuthority) {
    super(victim, directory);
    this.#authority = authority;
  }

  /** Starts a victim that listens on TCP and TLS, and a good peer with a session. */
  static async start(options: Readonly<Record<string, unknown>> = {}): Promise<Rig> {
    const directory = mkdtempSync(join(tmpdir(), "sallyport-hostile-"));
    const parts = { clock: new RealClock(), random: new RealRandom(), files: new RealFiles() };
    const authority = await createTestAuthority(parts, directory);
    const own = await authority.issue(VICTIM);
    const victim = await Victim.start({
      name: VICTIM,
      cookie: COOKIE,
      listen: ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"],
      tls: { certFile: own.certFile, keyFile: own.keyFile, caFile: authority.caFile },
      dangerous: { plaintext: true },
      epmd: "off",
      ...options,
    });
    const rig = new Rig(victim, directory, authority);
    const good = await rig.goodPeer(GOOD, "tls", options["tickTimeMs"] as number | undefined);
    await good.connect(VICTIM);
    await rig.aliveAndWell();
    await rig.startsHere();
    return rig;
  }

  port(transport: Transport): number {
    return this.victim.ports[transport === "tcp" ? 0 : 1] ?? 0;
  }

  /** An honest Sallyport node that can reach the victim. */
  async goodPeer(name: string, transport: Transport, tickTimeMs?: number): Promise<Node> {
    const own = await this.#authority.issue(name);
    const node = await createNode({
      name,
      cookie: COOKIE,
      tls: { certFile: own.certFile, keyFile: own.keyFile, caFile: this.#authority.caFile },
      dangerous: { plaintext: true },
      epmd: "off",
      resolve: { [VICTIM]: `${transport}://127.0.0.1:${this.port(transport)}` },
      ...(tickTimeMs === undefined ? {} : { tickTimeMs }),
    });
    this.#goods.push(node);
    return node;
  }

  get good(): Node {
    const [good] = this.#goods;
    if (good === undefined) throw new Error("not started");
    return good;
  }

  /** Options of a TLS client with a certificate for `name`. */
  async certificate(name: string): Promise<ConnectionOptions> {
    const known = this.#certificates.get(name);
    if (known !== undefined) return known;
    const issued = await this.#authority.issue(name);
    const options = { cert: readFileSync(issued.certFile), key: readFileSync(issued.keyFile) };
    this.#certificates.set(name, options);
    return options;
  }

  /** A connection of the attacker, TLS done where there is TLS. */
  async raw(transport: Transport, name: string = EVIL): Promise<Raw> {
    return this.keep(
      transport === "tcp"
        ? await Raw.tcp(this.port("tcp"))
        : await Raw.tls(this.port("tls"), await this.certificate(name)),
    );
  }

  /** An attacker that got in: it knows the cookie and has a certificate. */
  async peer(transport: Transport = "tcp", claim: Partial<Claim> = {}): Promise<Peer> {
    const name = claim.name ?? EVIL;
    const raw = await this.raw(transport, name);
    const peer = await Peer.dial(raw, transport === "tcp" ? 2 : 4, { name, cookie: COOKIE, ...claim });
    await this.victim.event(({ event, peer: who }) => event === "nodeup" && who === name);
    return peer;
  }

  async aliveAndWell(): Promise<void> {
    const answer = await this.good.call({ name: "echo", node: VICTIM }, ["alive", 1], { timeoutMs: 5_000 });
    expect(answer).toEqual([Buffer.from("alive"), 1]);
    this.nothingEscaped();
  }

  protected override stays(name: string): boolean {
    return name.startsWith("good");
  }

  override async stop(): Promise<void> {
    for (const node of this.#goods) await node.close({ timeoutMs: 100 });
    await super.stop();
  }
}
