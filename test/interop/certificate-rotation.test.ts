import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import { changeFolder } from "../../src/certs/change-folder.ts";
import type { RotationStep } from "../../src/certs/layout.ts";
import { planAuthority, planIssue } from "../../src/certs/make.ts";
import { planRenewal } from "../../src/certs/renew.ts";
import { planRotation } from "../../src/certs/rotate-ca.ts";
import type { Node } from "../../src/node/api.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { Atom, Tuple } from "../../src/term/types.ts";
import type { BeamNode } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, failure, issueParts, type Rig, useRig } from "./rig.ts";

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";
const BEAM = "beam@127.0.0.1";
/** Dials anew after each step, so that each is seen to work for new connections, too. */
const PROBE = "probe@127.0.0.1";
/** Keeps the files that it had before the rotation. */
const LATECOMER = "late@127.0.0.1";

describe("the certificates of a cluster", () => {
  describeWithErlang("of two Sallyport nodes and an Erlang one", () => {
    const t = useRig("tls", async (rig) => {
      const folder = new Folder(join(rig.home, "certs"));
      await folder.make([A, B, BEAM, PROBE, LATECOMER]);
      const nodes = [await serving(rig, folder, A), await serving(rig, folder, B)] as const;
      const beam = await rig.erlang(BEAM, { sslOptions: folder.erlangOptions(BEAM) });
      return { folder, nodes, beam };
    });

    it("are renewed and their CA is rotated under traffic: no call is lost", { timeout: 60_000 }, async () => {
      const { rig, folder, nodes, beam } = t;
      const [a, b] = nodes;
      const traffic = new Traffic(a, b, beam);
      await traffic.start();
      const stolen = folder.files(LATECOMER, join(rig.home, "late"));

      const step = async (change: () => Promise<unknown>, generation: number): Promise<void> => {
        await change();
        await eventually(() =>
          expect(nodes.map((node) => node.certificate?.generation)).toEqual([generation, generation]),
        );
        // What an Erlang node does by itself within two minutes of a change.
        await beam.erl("gen_server:call(ssl_pem_cache:name(dist), {unconditionally_clear_pem_cache, self()}), ok");
        await meets(rig, folder, [a, b, beam]);
        // The standing connections are made anew between two calls, in both directions.
        await traffic.hold();
        a.disconnect(B);
        a.disconnect(BEAM);
        b.disconnect(BEAM);
        await eventually(() => expect([...a.peers(), ...b.peers()]).toEqual([]));
        traffic.resume();
        await eventually(() => {
          expect(a.peers().map(serialOf).sort()).toEqual([folder.serial(B), folder.serial(BEAM)].sort());
        });
        const before = traffic.done;
        await eventually(() => expect(traffic.done).toBeGreaterThan(before + 20));
      };

      await step(() => folder.renew(), 2);
      await step(() => folder.rotate("trust"), 3);
      await step(() => folder.rotate("issue"), 4);
      await step(() => folder.rotate("drop"), 5);

      expect(traffic.failures).toEqual([]);
      expect(await traffic.stop()).toEqual([]);
      expect(traffic.done).toBeGreaterThan(200);
      for (const node of nodes) expect(node.vitals()).toMatchObject({ state: "green" });
      // Who was left out is out: certificates of the old CA open nothing any more, on either kind of node.
      const late = await rig.sallyport(LATECOMER, { tls: stolen, epmd: "lookup", listen: [] });
      for (const name of [A, BEAM]) {
        expect((await failure(late.ping(name))).reason, name).toMatch(/CERT|TLS/);
      }
    });
  });
});

/** The folder of certificates of the cluster, as `sallyport certs` keeps it. */
class Folder {
  readonly directory: string;
  readonly #world = { ...issueParts(), crypto: new RealIdentityCrypto() };

  constructor(directory: string) {
    this.directory = directory;
  }

  async make(names: readonly string[]): Promise<void> {
    const world = this.#world;
    await changeFolder(world, this.directory, "ca", (texts) => planAuthority(world, texts, {}));
    for (const name of names) {
      await changeFolder(world, this.directory, "issue", (texts) =>
        planIssue(world, texts, { name: parseNodeName(name), days: 30 }),
      );
    }
  }

  renew(): Promise<unknown> {
    const world = this.#world;
    return changeFolder(world, this.directory, "renew", (texts) =>
      planRenewal(world, texts, { only: [], force: true, newKey: false }),
    );
  }

  rotate(step: RotationStep): Promise<unknown> {
    const world = this.#world;
    return changeFolder(world, this.directory, step, (texts) => planRotation(world, texts, step, { overlapMs: 0 }));
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  /** The files of a node; in `copies` as they are now. */
  files(name: string, copies?: string): { certFile: string; keyFile: string; caFile: string } {
    const files = {
      certFile: this.path(`${name}.crt`),
      keyFile: this.path(`${name}.key`),
      caFile: this.path("ca.crt"),
    };
    if (copies === undefined) return files;
    mkdirSync(copies);
    const copy = (path: string): string => {
      const to = join(copies, path.slice(this.directory.length + 1));
      writeFileSync(to, readFileSync(path), { mode: 0o600 });
      return to;
    };
    return { certFile: copy(files.certFile), keyFile: copy(files.keyFile), caFile: copy(files.caFile) };
  }

  serial(name: string): string {
    return new X509Certificate(readFileSync(this.path(`${name}.crt`))).serialNumber;
  }

  erlangOptions(name: string): string {
    const { certFile, keyFile, caFile } = this.files(name);
    const common = `{certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {cacertfile, "${caFile}"}, {verify, verify_peer}`;
    const path = this.path(`${name}.conf`);
    writeFileSync(path, `[{server, [${common}, {fail_if_no_peer_cert, true}]}, {client, [${common}]}].\n`);
    return path;
  }
}

async function serving(rig: Rig, folder: Folder, name: string): Promise<Node> {
  const node = await rig.sallyport(name, { tls: folder.files(name) });
  node.register("srv", { call: (request) => request }, { allow: "ca" });
  return node;
}

/** A newcomer meets all three, each with the certificate that lies in the folder now, and is met by the Erlang node. */
async function meets(rig: Rig, folder: Folder, [a, b, beam]: readonly [Node, Node, BeamNode]): Promise<void> {
  const probe = await rig.sallyport(PROBE, { tls: folder.files(PROBE) });
  for (const name of [a.name, b.name]) {
    expect(serialOf((await probe.ping(name)).peer), name).toBe(folder.serial(name));
    expect(serialOf(a.name === name ? only(a, PROBE) : only(b, PROBE))).toBe(folder.serial(PROBE));
  }
  expect(await beam.erl(`net_adm:ping('${PROBE}')`)).toBe("pong");
  expect(serialOf(only(probe, BEAM))).toBe(folder.serial(BEAM));
  probe.disconnect(BEAM);
  await eventually(() => expect(probe.peers().map(({ name }) => name)).not.toContain(BEAM));
  expect(serialOf((await probe.ping(BEAM)).peer)).toBe(folder.serial(BEAM));
  await probe.close();
}

function only(node: Node, name: string): ReturnType<Node["peers"]>[number] {
  return node.peers().find((peer) => peer.name === name) ?? expect.unreachable(`${name} is not there`);
}

function serialOf({ certificate }: { readonly certificate: Buffer | null }): string {
  return certificate === null ? "none" : new X509Certificate(certificate).serialNumber;
}

/** Calls from everybody to everybody, one after the other on each way, that may be held between two calls. */
class Traffic {
  readonly failures: unknown[] = [];
  done = 0;
  readonly #beam: BeamNode;
  readonly #ways: readonly (() => Promise<unknown>)[];
  readonly #running: Promise<void>[] = [];
  #isOver = false;
  #held: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #idle = 0;

  constructor(a: Node, b: Node, beam: BeamNode) {
    this.#beam = beam;
    const to = (from: Node, node: string): (() => Promise<unknown>) => {
      return () => from.call({ name: "srv", node }, new Tuple([new Atom("add"), 1, 2]));
    };
    this.#ways = [to(a, B), to(b, A), to(a, BEAM), to(b, BEAM)];
  }

  async start(): Promise<void> {
    await this.#beam.erl("{ok, _} = interop:server(srv), ok");
    await this.#beam.erl(ERLANG_TRAFFIC);
    for (const way of this.#ways) this.#running.push(this.#loop(way));
  }

  async hold(): Promise<void> {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#held = { opened, open };
    await eventually(() => expect(this.#idle).toBe(this.#ways.length));
    await this.#beam.erl("traffic ! {pause, self()}, receive paused -> ok end");
  }

  resume(): void {
    this.#held?.open();
    this.#held = undefined;
    void this.#beam.erl("traffic ! resume");
  }

  /** Ends it. @returns what failed at the Erlang node */
  async stop(): Promise<readonly string[]> {
    this.#isOver = true;
    await Promise.all(this.#running);
    // As a text: a list of one small number is printed as one, too.
    const [calls, ...failed] = JSON.parse(
      await this.#beam.erl(
        "traffic ! {stop, self()}, receive {stopped, N, Failed} -> " +
          '[integer_to_list(N) | [lists:flatten(io_lib:format("~0p", [F])) || F <- Failed]] end',
      ),
    ) as [string, ...string[]];
    expect(Number(calls)).toBeGreaterThan(30);
    return failed;
  }

  async #loop(way: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      if (this.#held !== undefined) {
        this.#idle++;
        await this.#held.opened;
        this.#idle--;
      }
      try {
        await way();
        this.done++;
      } catch (error) {
        this.failures.push(error);
      }
      // Other helpers of the machine want to run, too.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** A process that calls both Sallyport nodes in turn, and may be held between two calls. */
const ERLANG_TRAFFIC = `
  register(traffic, spawn(fun() ->
    Loop = fun Loop(N, Failed) ->
      receive
        {pause, From} -> From ! paused, receive resume -> Loop(N, Failed) end;
        {stop, From} -> From ! {stopped, N, Failed}
      after 2 ->
        Node = lists:nth(N rem 2 + 1, ['${A}', '${B}']),
        case catch gen_server:call({srv, Node}, {add, 1, 2}) of
          {add, 1, 2} -> Loop(N + 1, Failed);
          Other -> Loop(N + 1, [Other | Failed])
        end
      end
    end,
    Loop(0, [])
  end)), ok`;
