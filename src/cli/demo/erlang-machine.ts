import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { SallyportError } from "../../base/errors.ts";
import type { CommandWorld } from "../command-world.ts";
import { Child } from "./child.ts";
import { EXAMPLE_DIRECTORY } from "./example-policies.ts";
import { type Answer, childEnvironment, EC2_NODE, readAnswer, type Setting } from "./machine.ts";

/** How long `erl` may take to come up and compile its three modules, and to answer, in milliseconds. */
const START_MS = 10_000;
const ANSWER_MS = 8_000;

/** Ports tried for our own EPMD before giving up, and how long each is watched for failing, in milliseconds. */
const EPMD_TRIES = 5;
const EPMD_WATCH_MS = 150;

/** Ports above those that services use and below those that the system hands out. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** Compiles the modules named behind `-extra`, and lets the demo type. */
const PROGRAM =
  "lists:foreach(fun(F) -> {ok, M, B} = compile:file(F, [binary]), {module, M} = code:load_binary(M, F, B) end, " +
  "init:get_plain_arguments()), ok = jobs:start(), demo_console:start().";

/** Runs EPMD until its standard input ends, so that it never outlives the demo. */
const EPMD_KEEPER = 'epmd -port "$1" & trap "kill $!" TERM; read line; kill $!';

/** Are the programs of an Erlang node on this machine? */
export function hasErlang(world: CommandWorld): boolean {
  const folders = (world.environment("PATH") ?? "").split(delimiter).filter((folder) => folder !== "");
  return ["erl", "epmd"].every((program) => folders.some((folder) => world.files.exists(join(folder, program))));
}

/** An EPMD of our own, on a port nobody uses. */
export interface OwnEpmd {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts one. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
export async function startEpmd(world: CommandWorld, directory: string): Promise<OwnEpmd> {
  for (let i = 0; i < EPMD_TRIES; i++) {
    const port = FIRST_PORT + (world.random.uint32() % PORTS);
    const environment = { ...childEnvironment(world, directory), ERL_EPMD_ADDRESS: "127.0.0.1" };
    const epmd = new Child("sh", ["-c", EPMD_KEEPER, "sh", String(port)], { directory, environment, label: "epmd" });
    // EPMD ends at once, with a message, when its port is taken, and is silent when all is well.
    await epmd.endsWithin(EPMD_WATCH_MS);
    if (epmd.output === "") return { port, stop: () => epmd.stop() };
    await epmd.kill();
  }
  throw new SallyportError("ERR_REMOTE", "PEER_NOT_STARTED", "epmd did not start on any port tried", {
    advice: "try: sallyport demo --peer sallyport",
  });
}

/** `ec2_node` as a real Erlang node under `-proto_dist inet_tls`: nothing of Sallyport runs in it. */
export class ErlangMachine {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Starts the node. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  static async start({ world, directory, authority, cookie, epmdPort }: Setting): Promise<ErlangMachine> {
    const certificate = await authority.issue(EC2_NODE);
    world.files.writeAtomic(join(directory, ".erlang.cookie"), cookie, 0o400);
    const args = ["-noshell", "-name", EC2_NODE, "-start_epmd", "false", "-proto_dist", "inet_tls"];
    args.push("-ssl_dist_optfile", authority.writeErlangOptions(certificate));
    args.push("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "logger_level", "emergency", "-eval", PROGRAM);
    const sources = join(EXAMPLE_DIRECTORY, "ec2_node");
    args.push("-extra", ...readdirSync(sources).map((file) => join(sources, file)));
    const environment = {
      ...childEnvironment(world, directory),
      ERL_EPMD_PORT: String(epmdPort ?? 0),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      ERL_CRASH_DUMP_BYTES: "0",
    };
    return new ErlangMachine(new Child("erl", args, { directory, environment, label: "erl" }));
  }

  /** Resolves with what it is, once it runs. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  async ready(): Promise<string> {
    const said = await this.#child.saysWithin(/ready \d+/, START_MS);
    const release = /ready (\d+)/.exec(said)?.[1] ?? "?";
    return `Erlang/OTP ${release}, -proto_dist inet_tls, process ${this.#child.pid}`;
  }

  /** Types expressions, and answers what their last one is. @throws {SallyportError} ERR_REMOTE DEMO_PEER_SILENT */
  evaluate(expressions: string): Promise<string> {
    return this.#child.ask(`${expressions}.`, ANSWER_MS);
  }

  /** The same as an attempt. */
  async attempt(expressions: string): Promise<Answer> {
    return readAnswer(await this.evaluate(expressions));
  }

  async stop(): Promise<void> {
    await this.#child.kill();
  }
}
