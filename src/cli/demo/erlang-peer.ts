import { delimiter, join } from "node:path";
import { SallyportError } from "../../base/errors.ts";
import type { Node } from "../../node/api.ts";
import { atom, printTerm, type Term, Tuple, tuple } from "../../term/public.ts";
import type { CommandWorld } from "../command-world.ts";
import { Child } from "./child.ts";
import { type DemoPeer, OWN_NAME, type PeerSetting, timeCalls } from "./peer.ts";
import { type RoundTrips, summarize } from "./round-trips.ts";
import type { Story } from "./story.ts";

const NAME = "erlang@127.0.0.1";

/** How long `erl` may take to come up, in milliseconds. */
const START_MS = 8_000;

/** Ports tried for our own EPMD before giving up, and how long each is watched for failing, in milliseconds. */
const EPMD_TRIES = 5;
const EPMD_WATCH_MS = 150;

/** Ports above those that services use and below those that the system hands out. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** What the Erlang node runs: says that it is up, and ends with us. */
const PROGRAM =
  'io:format("ready~n"), F = fun(G) -> case io:get_line("") of eof -> halt(0); {error, _} -> halt(0); _ -> G(G) end end, ' +
  "spawn(fun() -> F(F) end).";

/** Runs EPMD until its standard input ends, so that it never outlives the demo. */
const EPMD_KEEPER = 'epmd -port "$1" & trap "kill $!" TERM; read line; kill $!';

/** Are the programs of an Erlang node on this machine? */
export function hasErlang(world: CommandWorld): boolean {
  const folders = (world.environment("PATH") ?? "").split(delimiter).filter((folder) => folder !== "");
  return ["erl", "epmd"].every((program) => folders.some((folder) => world.files.exists(join(folder, program))));
}

/** A real Erlang node under `-proto_dist inet_tls`, with an EPMD of its own. */
export class ErlangPeer implements DemoPeer {
  readonly kind = "erlang";
  readonly name: string = NAME;
  readonly sleeper: DemoPeer["sleeper"] = { fn: "timer:sleep", args: ["infinity"], shown: "timer:sleep(infinity)" };
  readonly #setting: PeerSetting;
  readonly #epmd: Child;
  readonly #epmdPort: number;
  #erlang: Child | undefined;

  private constructor(setting: PeerSetting, epmd: Child, epmdPort: number) {
    this.#setting = setting;
    this.#epmd = epmd;
    this.#epmdPort = epmdPort;
  }

  /** Starts the EPMD, on a port nobody uses. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  static async prepare(setting: PeerSetting): Promise<ErlangPeer> {
    const { world, directory } = setting;
    for (let i = 0; i < EPMD_TRIES; i++) {
      const port = FIRST_PORT + (world.random.uint32() % PORTS);
      const environment = { ...baseEnvironment(world, directory), ERL_EPMD_ADDRESS: "127.0.0.1" };
      const epmd = new Child("sh", ["-c", EPMD_KEEPER, "sh", String(port)], { directory, environment, label: "epmd" });
      // EPMD ends at once, with a message, when its port is taken, and is silent when all is well.
      await epmd.endsWithin(EPMD_WATCH_MS);
      if (epmd.output === "") return new ErlangPeer(setting, epmd, port);
      await epmd.kill();
    }
    throw new SallyportError("ERR_REMOTE", "PEER_NOT_STARTED", "epmd did not start on any port tried", {
      advice: "try: sallyport demo --peer sallyport",
    });
  }

  get route(): DemoPeer["route"] {
    return { epmd: "register", epmdPort: this.#epmdPort };
  }

  async start(): Promise<void> {
    const { world, directory, authority, cookie } = this.#setting;
    const certificate = await authority.issue(NAME);
    world.files.writeAtomic(join(directory, ".erlang.cookie"), cookie, 0o400);
    const args = ["-noshell", "-name", NAME, "-start_epmd", "false", "-proto_dist", "inet_tls"];
    args.push("-ssl_dist_optfile", authority.writeErlangOptions(certificate));
    args.push("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-eval", PROGRAM);
    this.#erlang = new Child("erl", args, {
      directory,
      environment: {
        ...baseEnvironment(world, directory),
        ERL_EPMD_PORT: String(this.#epmdPort),
        ERL_EPMD_ADDRESS: "127.0.0.1",
        ERL_CRASH_DUMP_BYTES: "0",
      },
      label: "erl",
    });
    await this.#erlang.saysWithin(/ready/, START_MS);
  }

  async describe(node: Node): Promise<string> {
    const release = await node.rpc(NAME, "erlang", "system_info", [atom("otp_release")]);
    return `Erlang/OTP ${printTerm(release).replaceAll('"', "")}`;
  }

  async callIn(node: Node, story: Story): Promise<void> {
    const reversed = await node.rpc(NAME, "lists", "reverse", [[1, 2, 3]]);
    story.outcome('node.rpc(erlang, "lists", "reverse", [[1, 2, 3]])', printTerm(reversed));
    const counted = await node.call({ name: "kernel_sup", node: NAME }, atom("count_children"));
    story.outcome('node.call({ name: "kernel_sup", node: erlang }, atom("count_children"))', printTerm(counted));
  }

  async callOut(node: Node, story: Story): Promise<void> {
    const request = tuple(atom("add"), 1, 2);
    const reply = await node.rpc(NAME, "gen_server", "call", [target("calc"), request]);
    story.outcome(`gen_server:call({calc, '${OWN_NAME}'}, {add, 1, 2})`, printTerm(reply));
    const refused = await node.rpc(NAME, "rpc", "call", [atom(OWN_NAME), atom("os"), atom("cmd"), ["id"]]);
    story.outcome(`rpc:call('${OWN_NAME}', os, cmd, ["id"])`, printTerm(refused));
    story.say("Erlang may call what was registered for it, and run nothing else here.");
  }

  async measure(node: Node, calls: number): Promise<readonly RoundTrips[]> {
    const { world } = this.#setting;
    const outward = await timeCalls(world, calls, () =>
      node.call({ name: "kernel_sup", node: NAME }, atom("count_children")),
    );
    const call = [target("calc"), tuple(atom("add"), 1, 2)];
    const inward: number[] = [];
    for (let i = 0; i < calls; i++) {
      const timed = await node.rpc(NAME, "timer", "tc", [atom("gen_server"), atom("call"), call]);
      if (timed instanceof Tuple && typeof timed.elements[0] === "number") inward.push(timed.elements[0]);
    }
    return [summarize("TypeScript calls Erlang", outward), summarize("Erlang calls TypeScript", inward)];
  }

  async stop(): Promise<void> {
    await this.#erlang?.kill();
    await this.#epmd.stop();
  }
}

function target(name: string): Term {
  return tuple(atom(name), atom(OWN_NAME));
}

/** Neither the user's Erlang settings nor the user's cookie reach the node of the demo. */
function baseEnvironment(world: CommandWorld, directory: string): Record<string, string> {
  return { PATH: world.environment("PATH") ?? "", HOME: directory, LANG: "C.UTF-8" };
}
