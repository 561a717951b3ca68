import { join } from "node:path";
import process from "node:process";
import { SECRET_MODE } from "../../base/files.ts";
import type { Node } from "../../node/api.ts";
import { atom, printTerm, tuple } from "../../term/public.ts";
import type { CertificatePaths } from "../../testkit/certificates.ts";
import { printable } from "../terminal.ts";
import { Child } from "./child.ts";
import { type DemoPeer, OWN_NAME, type PeerSetting, timeCalls } from "./peer.ts";
import { type RoundTrips, summarize } from "./round-trips.ts";
import type { Story } from "./story.ts";

const NAME = "worker@127.0.0.1";

/** How long the second process may take, in milliseconds. */
const START_MS = 8_000;
const CALL_MS = 8_000;

/** A second Sallyport process, this program's own `start`, where there is no Erlang. */
export class SallyportPeer implements DemoPeer {
  readonly kind = "sallyport";
  readonly name: string = NAME;
  readonly sleeper: DemoPeer["sleeper"] = { fn: "sleep", args: [600_000], shown: "sleep(600000)" };
  readonly #setting: PeerSetting;
  readonly #certificate: CertificatePaths;
  readonly #resolve: Record<string, string> = {};
  readonly #children: Child[] = [];

  private constructor(setting: PeerSetting, certificate: CertificatePaths) {
    this.#setting = setting;
    this.#certificate = certificate;
  }

  /** Makes the certificate; nothing runs yet. */
  static async prepare(setting: PeerSetting): Promise<SallyportPeer> {
    return new SallyportPeer(setting, await setting.authority.issue(NAME));
  }

  /** Starts the process; its address is known when this resolves. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  async launch(): Promise<void> {
    const { world, directory, cookie } = this.#setting;
    world.files.writeAtomic(join(directory, "cookie"), cookie, SECRET_MODE);
    const args = ["start", "--demo-services", "--listen", "tls://127.0.0.1:0", "--json", ...this.#options()];
    const child = this.#run(args, "the second Sallyport process");
    const output = await child.saysWithin(/"endpoints":\["tls:\/\/[^"]+"\]/, START_MS);
    this.#resolve[NAME] = /tls:\/\/[^"]+/.exec(output)?.[0] ?? "";
  }

  get route(): DemoPeer["route"] {
    return { epmd: "off", resolve: this.#resolve };
  }

  async start(): Promise<void> {
    // It runs since `launch`: our own node needs its address.
  }

  async describe(): Promise<string> {
    return "a second Sallyport process";
  }

  async callIn(node: Node, story: Story): Promise<void> {
    const sum = await node.call({ name: "calc", node: NAME }, tuple(atom("add"), 1, 2));
    story.outcome('node.call({ name: "calc", node: worker }, tuple(atom("add"), 1, 2))', printTerm(sum));
    const value = await node.rpc(NAME, "demo", "add", [20, 22]);
    story.outcome('node.rpc(worker, "demo", "add", [20, 22])', printTerm(value));
  }

  async callOut(node: Node, story: Story): Promise<void> {
    const endpoint = node.endpoints[0] ?? "";
    const common = ["--resolve", `${OWN_NAME}=${endpoint}`, "--json", ...this.#options(), "--name", "cli@127.0.0.1"];
    const certificate = await this.#setting.authority.issue("cli@127.0.0.1");
    const own = ["--tls-cert", certificate.certFile, "--tls-key", certificate.keyFile];
    const called = await this.#finish(["call", OWN_NAME, "calc", "{add, 1, 2}", ...common, ...own]);
    story.outcome(`sallyport call ${OWN_NAME} calc '{add, 1, 2}'`, called);
    const refused = await this.#finish(["rpc", OWN_NAME, "os", "cmd", '["id"]', ...common, ...own]);
    story.outcome(`sallyport rpc ${OWN_NAME} os cmd '["id"]'`, refused);
    story.say("Others may call what was registered for them, and run nothing else here.");
  }

  async measure(node: Node, calls: number): Promise<readonly RoundTrips[]> {
    const times = await timeCalls(this.#setting.world, calls, () => node.call({ name: "echo", node: NAME }, 1));
    return [summarize("Sallyport calls Sallyport", times)];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  #options(): string[] {
    const { certFile, keyFile } = this.#certificate;
    const tls = ["--tls-cert", certFile, "--tls-key", keyFile, "--tls-ca", this.#setting.authority.caFile];
    return ["--no-config", "--epmd", "off", "--cookie-file", join(this.#setting.directory, "cookie"), ...tls];
  }

  #run(args: readonly string[], label: string): Child {
    const { world, directory } = this.#setting;
    const environment = { PATH: world.environment("PATH") ?? "", HOME: directory };
    const child = new Child(process.execPath, [world.program, ...args], { directory, environment, label });
    this.#children.push(child);
    return child;
  }

  /** Runs a command to its end and answers what it printed: the term, or the sentence of its failure. */
  async #finish(args: readonly string[]): Promise<string> {
    const child = this.#run(args, `sallyport ${args[0]}`);
    const output = await child.saysWithin(/\n/, CALL_MS);
    await child.endsWithin(CALL_MS);
    const document: unknown = JSON.parse(output);
    const text = field(field(document, "result"), "term") ?? field(field(document, "error"), "message");
    return printable(String(text));
  }
}

function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null
    ? Object.entries(value).find(([name]) => name === key)?.[1]
    : undefined;
}
