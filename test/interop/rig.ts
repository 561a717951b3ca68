import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, vi } from "vitest";
import { isSallyportError, type SallyportError } from "../../src/base/errors.ts";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { type BeamNode, type BeamOptions, type Epmd, startElixir, startEpmd, startErlang } from "./erlang-node.ts";

export type Transport = "tls" | "tcp";
export const TRANSPORTS: readonly Transport[] = ["tls", "tcp"];

export const COOKIE = "interop-cookie-of-the-tests";

/** What differs from node to node; the rest the rig fills in. `plain`: TCP whatever the transport of the rig. */
export type BeamChoice = Partial<Omit<BeamOptions, "name" | "home">> & { readonly plain?: boolean };

/** One epmd, one CA and all nodes of a test file; everything ends with the file. */
export class Rig {
  readonly transport: Transport;
  readonly home: string;
  readonly epmd: Epmd;
  readonly authority: TestAuthority;
  readonly #nodes: Node[] = [];
  readonly #beams: BeamNode[] = [];
  readonly #closers: (() => unknown)[] = [];

  private constructor(transport: Transport, home: string, epmd: Epmd, authority: TestAuthority) {
    this.transport = transport;
    this.home = home;
    this.epmd = epmd;
    this.authority = authority;
  }

  static async start(transport: Transport): Promise<Rig> {
    const home = mkdtempSync(join(tmpdir(), "sallyport-interop-"));
    const authority = await createTestAuthority(issueParts(), join(home, "tls"));
    return new Rig(transport, home, await startEpmd(), authority);
  }

  /** Starts an Erlang node `name` (`local` or `local@host`). */
  async erlang(name: string, choice: BeamChoice = {}): Promise<BeamNode> {
    return this.#kept(await startErlang(await this.#beamOptions(name, choice)));
  }

  /** An Erlang node on plain TCP, whatever the transport of the rig. */
  async plainErlang(name: string): Promise<BeamNode> {
    const options = { cookie: COOKIE, epmdPort: this.epmd.port, home: this.home, name: withHost(name) };
    return this.#kept(await startErlang(options));
  }

  async elixir(name: string, choice: BeamChoice = {}): Promise<BeamNode> {
    return this.#kept(await startElixir(await this.#beamOptions(name, choice)));
  }

  /** Starts a Sallyport node that listens and is registered with the rig's epmd. */
  async sallyport(name: string, choice: Partial<NodeOptions> = {}): Promise<Node> {
    const node = await createNode(await this.options(name, choice));
    this.#nodes.push(node);
    return node;
  }

  /** The options of such a node. */
  async options(name: string, choice: Partial<NodeOptions> = {}): Promise<NodeOptions> {
    const full = withHost(name);
    const common = { name: full, cookie: COOKIE, epmd: "register", epmdPort: this.epmd.port } as const;
    if (this.transport === "tcp") {
      return { ...common, listen: ["tcp://127.0.0.1:0"], dangerous: { plaintext: true }, ...choice };
    }
    const { certFile, keyFile } = await this.authority.issue(full);
    const tls = { certFile, keyFile, caFile: this.authority.caFile };
    return { ...common, listen: ["tls://127.0.0.1:0"], tls, ...choice };
  }

  /** Something to close when the file ends. */
  closes(close: () => unknown): void {
    this.#closers.push(close);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#closers.map(async (close) => close()));
    await Promise.all(this.#nodes.map((node) => node.close({ timeoutMs: 0 })));
    await Promise.all(this.#beams.map((beam) => beam.kill()));
    await this.epmd.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  async #beamOptions(name: string, choice: BeamChoice): Promise<BeamOptions> {
    const full = withHost(name);
    const { plain = false, ...given } = choice;
    const common = { cookie: COOKIE, epmdPort: this.epmd.port, home: this.home, ...given, name: full };
    if (this.transport === "tcp" || plain || choice.sslOptions !== undefined) return common;
    return { ...common, sslOptions: this.authority.writeErlangOptions(await this.authority.issue(full)) };
  }

  #kept(beam: BeamNode): BeamNode {
    this.#beams.push(beam);
    return beam;
  }
}

/** Calls `make` before the tests of a describe block and ends the rig after them. */
export function useRig<T>(transport: Transport, make: (rig: Rig) => Promise<T>): { readonly rig: Rig } & T {
  const holder = {} as { rig: Rig } & T;
  beforeAll(async () => {
    holder.rig = await Rig.start(transport);
    Object.assign(holder, await make(holder.rig));
  });
  afterAll(() => holder.rig?.stop());
  return holder;
}

export function issueParts(): { clock: RealClock; random: RealRandom; files: RealFiles } {
  return { clock: new RealClock(), random: new RealRandom(), files: new RealFiles() };
}

/** The error a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<SallyportError> {
  try {
    await promise;
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("did not fail");
}

/** Waits until `check` stops throwing. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 20_000, interval: 10 });
}

function withHost(name: string): string {
  return name.includes("@") ? name : `${name}@127.0.0.1`;
}
