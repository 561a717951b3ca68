import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { calm, load, snapshot, unchanged, within } from "./commander-snapshot.ts";
import { type BeamNode, startErlang } from "./erlang-node.ts";
import { gatewayBetween, INSIDE, OUTSIDE } from "./gateway-rig.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, Rig } from "./rig.ts";

// What a real worker can do to its commander (threat model, sections 2 and 3), once without the gateway, where each attack must
// succeed or the row proves nothing, and once through it.

const THIRD = "third@127.0.0.1";

interface Attack {
  /** Of the threat model. */
  readonly id: string;
  readonly name: string;
  /** What the commander has printed when the attack took effect. */
  readonly printed?: (text: string) => boolean;
}

const attack = (id: string, name: string, printed?: Attack["printed"]): Attack =>
  printed === undefined ? { id, name } : { id, name, printed };
const hasText = (part: string) => (text: string) => text.includes(part);
const isLong = (text: string) => text.length > 2_000_000;

const ATTACKS: readonly Attack[] = [
  attack("CM-01", "rpc:call"),
  attack("CM-01", "rpc:cast"),
  attack("WK-01", "rpc:block_call"),
  attack("CM-01", "rpc:multicall"),
  attack("WK-02", "erpc:call"),
  attack("WK-02", "erpc:cast"),
  attack("WK-02", "erpc:send_request with a fun"),
  attack("CM-01", "spawn"),
  attack("CM-01", "spawn of a fun"),
  attack("CM-01", "spawn_link"),
  attack("CM-01", "spawn_monitor"),
  attack("CM-03", "spawn_request with a foreign group leader"),
  attack("WK-01", "$gen_cast to rex"),
  attack("WK-01", "$gen_call to rex, without a monitor"),
  attack("WK-01", "the old call of rex"),
  attack("WK-01", "a relay through rex"),
  attack("WK-03", "spawn by net_kernel"),
  attack("WK-11", "a child started with a supervisor"),
  attack("WK-12", "replace_state of a server"),
  attack("WK-12", "replace_state of a kernel process"),
  attack("WK-12", "get_state of a server"),
  attack("WK-12", "suspend of a server"),
  attack("WK-14", "a log event with a fun"),
  attack("CM-01", "code loaded by rpc"),
  attack("WK-13", "put_chars M:F to a group leader"),
  attack("WK-13", "put_chars M:F in requests"),
  attack("WK-13", "put_chars M:F in requests in requests"),
  attack("WK-13", "put_chars M:F without an encoding"),
  attack("WK-13", "get_until M:F to a group leader", hasText("PROMPT-OF-WORKER")),
  attack("WK-13", "put_chars M:F to user"),
  attack("WK-13", "options of a group leader"),
  attack("WK-13", "a line to user", hasText("LINE-OF-WORKER")),
  attack("S10", "an escape sequence to a group leader", hasText("\u001b")),
  attack("WK-13", "a width from the arguments", isLong),
  attack("WK-13", "indentation of pretty printing", isLong),
  attack("WK-13", "depth of pretty printing", isLong),
  attack("WK-04", "a third node connected with net_kernel"),
  attack("WK-04", "a third node dropped with net_kernel"),
  attack("TR-01", "an answer address at a third node"),
  attack("TR-03", "a third node's pid in an answer, which is written to"),
  attack("WK-07", "the cookie from auth"),
  attack("WK-07", "a cookie set with auth"),
  attack("WK-08", "an environment set with application_controller"),
  attack("WK-16", "a file made with file_server_2"),
  attack("WK-16", "a file read with file_server_2"),
  attack("WK-17", "a path added with code_server"),
  attack("WK-18", "purge with erts_code_purger"),
  attack("WK-11", "children listed with kernel_sup"),
  attack("WK-19", "a name registered with global"),
  attack("WK-22", "a group joined with pg"),
  attack("CM-21", "names told apart by monitors"),
  attack("CM-21", "the reason of a process that was monitored"),
  attack("CM-16", "kill of a process that was shown"),
  attack("CM-14", "a link, and its end"),
  attack("CM-19", "its group leader replaced"),
  attack("CM-06", "a message to a process that was shown"),
  attack("CM-06", "what a runtime acts upon, to a process that was shown"),
  attack("CM-10", "a message to a registered name"),
  attack("CM-12", "a message to an alias that was shown"),
  attack("CM-11", "2,000 names"),
  attack("RS-01", "2,000 atoms to a process that was shown"),
  attack("RS-01", "3,000 atoms in an answer"),
  attack("F3", "a call answered twice"),
  attack("F3", "an answer after the caller gave up"),
  attack("F3", "an answer with another tag"),
  attack("F3", "an answer to somebody else"),
  attack("F5", "a fun in an answer"),
  attack("F5", "a fun of a module in an answer"),
  attack("CM-30", "a term of depth 100,000 in an answer"),
  attack("RS-10", "an integer of 1 MiB in an answer"),
  // These leave their commander worse than they found it.
  attack("WK-15", "a level set with logger"),
  attack("CM-16", "kill of the group leader"),
];

const FATAL: readonly Attack[] = [
  attack("WK-09", "stop with init"),
  attack("WK-08", "junk to application_controller"),
  attack("WK-10", "SIGTERM with erl_signal_server"),
  attack("CM-01", "halt by rpc"),
  attack("CM-17", "kill of all pids that one can think of"),
];

function titled(attacks: readonly Attack[]): [string, Attack][] {
  return attacks.map((row) => [`${row.name} (${row.id})`, row]);
}

interface Attempt {
  /** What it gave to the worker. */
  readonly result: string;
  /** It made its file, learned what it should not, or had its text printed. */
  leftTraces(): boolean;
  /** That, or the commander is not as it should be. */
  tookEffect(): Promise<boolean>;
}

/** A commander and a worker that know each other, and a third node that only the commander should be able to reach. */
class Fight {
  readonly commander: BeamNode;
  readonly worker: BeamNode;
  readonly #home: string;
  #count = 0;

  constructor(commander: BeamNode, worker: BeamNode, home: string) {
    this.commander = commander;
    this.worker = worker;
    this.#home = home;
  }

  static async between(commander: BeamNode, worker: BeamNode, home: string): Promise<Fight> {
    await Promise.all([load(commander, "gateway_victim"), load(worker, "gateway_attacks")]);
    await commander.erl(`gateway_victim:start('${THIRD}')`);
    await worker.erl("whereis(attacker) =:= undefined andalso gateway_attacks:start()");
    return new Fight(commander, worker, home);
  }

  /** New victims, shown to the worker in ordinary use. */
  async prepare({ name }: Attack): Promise<void> {
    await this.commander.erl(`gateway_victim:fresh(${JSON.stringify(name)}, '${this.worker.name}')`);
  }

  /** Attacks, and gives what tells whether it took effect. */
  async attack({ name, printed }: Attack): Promise<Attempt> {
    const { commander, worker } = this;
    const marker = join(this.#home, `marker-${commander.name}-${this.#count++}`);
    const before = commander.output.length;
    const text = JSON.stringify(name);
    await commander.erl(`gateway_victim:ask(${text}, '${worker.name}')`);
    const result = await worker.erl(
      `gateway_attacks:run(${text}, '${commander.name}', ${JSON.stringify(marker)}, '${THIRD}')`,
    );
    const leftTraces = (): boolean =>
      existsSync(marker) || result === "owned" || printed?.(commander.output.slice(before)) === true;
    return { result, leftTraces, tookEffect: async () => leftTraces() || (await this.effect({ name })) === "true" };
  }

  effect({ name }: Pick<Attack, "name">): Promise<string> {
    return this.commander.erl(`gateway_victim:effect(${JSON.stringify(name)})`);
  }

  /** What the worker has sent was worked off. */
  async settle(): Promise<void> {
    await this.commander.erl(`gateway_victim:settle('${this.worker.name}')`);
  }
}

describeWithErlang("a hostile Erlang worker without the gateway", () => {
  let rig: Rig;
  let fight: Fight;
  let worker: BeamNode;
  beforeAll(async () => {
    rig = await Rig.start("tcp");
    // Hidden, as a worker is through the gateway: otherwise global has a say in who is connected.
    const hidden = { cookie: COOKIE, hidden: true };
    const [commander, attacker] = await Promise.all([
      rig.erlang("commander", hidden),
      rig.erlang("worker", hidden),
      rig.erlang("third", hidden),
    ]);
    worker = attacker;
    fight = await Fight.between(commander, worker, rig.home);
  });
  afterAll(() => rig?.stop());

  it.each(titled(ATTACKS))("does it: %s", async (_, row) => {
    await fight.prepare(row);
    const { result, tookEffect } = await fight.attack(row);
    await within(async () => expect(await tookEffect(), result).toBe(true));
  });

  it.each(titled(FATAL))("ends the node: %s", async (_, row) => {
    const name = `victim${FATAL.indexOf(row)}@127.0.0.1`;
    const beam = await startErlang({ name, cookie: COOKIE, epmdPort: rig.epmd.port, home: rig.home });
    rig.closes(() => beam.kill());
    const last = await Fight.between(beam, worker, rig.home);
    await last.prepare(row);
    await last.attack(row);
    // It is gone, or on its way. One that is ending may still take a connection, which Erlang gives up after seven seconds.
    await within(async () => {
      const answer = await worker.erl(`net_adm:ping('${name}')`);
      expect(answer === "pang" ? "true" : await last.effect(row).catch(() => "true")).toBe("true");
    }, 30_000);
  });
});

describeWithErlang("a hostile Erlang worker through the gateway", () => {
  let rig: Rig;
  let fight: Fight;
  const done: Attempt[] = [];
  beforeAll(async () => {
    rig = await Rig.start("tcp");
    const [{ outside, inside }] = await Promise.all([
      gatewayBetween(rig, { filter: { limits: { maxAtoms: 1_000 } } }),
      rig.erlang("third", { cookie: COOKIE, hidden: true }),
    ]);
    fight = await Fight.between(outside, inside, rig.home);
    // What the first use brings: modules, atoms, processes started on demand.
    for (let round = 0; round < 2; round++) {
      const row = attack("", "a third node dropped with net_kernel");
      await fight.prepare(row);
      await fight.prepare(attack("", "nothing"));
      await fight.commander.erl(`gateway_victim:effect("suspend of a server")`);
      await fight.settle();
      await snapshot(fight.commander);
    }
  });
  afterAll(() => rig?.stop());

  it.each(titled([...ATTACKS, ...FATAL]))("does nothing: %s", async (_, row) => {
    await fight.prepare(row);
    await fight.settle();
    const before = await calm(fight.commander);
    const attempt = await fight.attack(row);
    await fight.settle();
    expect(await attempt.tookEffect(), attempt.result).toBe(false);
    await unchanged(fight.commander, before);
    done.push(attempt);
  });

  it("and nothing came of any of them later", async () => {
    expect(done).toHaveLength(ATTACKS.length + FATAL.length);
    expect(done.filter((attempt) => attempt.leftTraces())).toEqual([]);
    expect(fight.commander.output).not.toMatch(/invalid|distribution/i);
    expect(await fight.commander.erl("nodes(hidden)")).toBe(`['${INSIDE}']`);
    expect(fight.commander.name).toBe(OUTSIDE);
  });
});
