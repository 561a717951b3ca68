import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { GatewayStatus } from "../../src/gateway/api.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { answerOf, ask, Cli, type Document, type Fields } from "../integration/cli-process.ts";
import { type BeamNode, freePort, startErlang } from "./erlang-node.ts";
import { COOKIE, eventually, type Rig } from "./rig.ts";

export const INSIDE = "inside@127.0.0.1";
export const OUTSIDE = "outside@127.0.0.1";
export const OTHER = "other@127.0.0.1";
const INSIDE_COOKIE = "cookie-of-the-inside-alone";

/** The gateway as a command of its own, with a configuration in a folder of the test's. */
export class GatewayCommand {
  readonly home: string;
  readonly file: string;
  /** The process that was started last. */
  cli!: Cli;
  readonly #rig: Rig;

  constructor(rig: Rig, config: object) {
    this.#rig = rig;
    this.home = rig.home;
    this.file = join(rig.home, "gateway.jsonc");
    this.write(config);
  }

  /** Starts a process; resolves when it listens. */
  async start(): Promise<Cli> {
    const cli = new Cli(this.home, ["gateway", "--json"]);
    this.#rig.closes(() => cli.kill("SIGKILL"));
    this.cli = cli;
    await cli.says(/"event":"listening".*\n/);
    return cli;
  }

  write(config: object | string): void {
    writeFileSync(this.file, typeof config === "string" ? config : JSON.stringify(config, null, 2));
  }

  /** Writes the configuration with its one pair changed. */
  change(edit: (filter: Record<string, unknown>) => void): void {
    const config = JSON.parse(readFileSync(this.file, "utf8")) as { pairs: { filter: Record<string, unknown> }[] };
    edit(config.pairs[0]?.filter ?? {});
    this.write(config);
  }

  ask(...args: readonly string[]): Promise<Fields> {
    return ask(this.home, "gateway", ...args);
  }

  answer(...args: readonly string[]): Promise<Document & { exit: number | null }> {
    return answerOf(this.home, "gateway", ...args);
  }

  async status(): Promise<GatewayStatus> {
    return (await this.ask("status")) as unknown as GatewayStatus;
  }

  /** Waits for an event of the process that fits. */
  event(fits: (event: Fields) => boolean, cli: Cli = this.cli): Promise<Fields> {
    return eventually(() => {
      const found = cli.events.findLast(fits);
      if (found === undefined) throw new Error(`no such event in ${JSON.stringify(cli.events)}`);
      return found;
    });
  }
}

/** An inside node behind a gateway command, and outside nodes that find it. */
export interface CommandWorld {
  readonly outside: BeamNode;
  readonly other: BeamNode;
  readonly inside: BeamNode;
  readonly gateway: GatewayCommand;
  /** Where the outside nodes dial. */
  readonly port: number;
}

export async function gatewayCommand(rig: Rig, filter: object): Promise<CommandWorld> {
  const [outside, other] = [
    await rig.erlang("outside", { cookie: COOKIE }),
    await rig.erlang("other", { cookie: COOKIE }),
  ];
  const [port, insidePort] = [await freePort(), await freePort()];
  const args = ["-erl_epmd_port", String(insidePort)];
  const inside = await startErlang({ name: INSIDE, cookie: INSIDE_COOKIE, epmdPort: 1, home: rig.home, args });
  rig.closes(() => inside.kill());
  const gateway = new GatewayCommand(rig, {
    version: 1,
    pairs: [
      {
        name: "desk",
        inside: { node: INSIDE, address: `tcp://127.0.0.1:${insidePort}`, cookie: INSIDE_COOKIE },
        outside: { nodes: [OUTSIDE, OTHER], listen: `tcp://127.0.0.1:${port}`, cookie: COOKIE },
        filter,
      },
    ],
    audit: { dir: "audit", commands: true },
    control: { path: "run/gate.sock" },
    dangerous: { plaintext: true },
  });
  await gateway.start();
  const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
  const registration = await registerAtEpmd(parts, "127.0.0.1", epmdEntry("inside", port, true));
  rig.closes(() => registration.close());
  return { outside, other, inside, gateway, port };
}
