import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SECRET_MODE } from "../../base/files.ts";
import type { PolicyDocument } from "../../policy/document.ts";
import { Child } from "./child.ts";
import type { HostileCommand } from "./hostile-commands.ts";
import { type Answer, childEnvironment, type Setting, type Told } from "./machine.ts";
import type { MachineCommand, MachineStart } from "./machine-commands.ts";

/** How long a machine may take to come up, and to answer, in milliseconds. */
const START_MS = 8_000;
const ANSWER_MS = 6_000;

/** Compiled programs beside this file. */
const PROGRAMS = { honest: "machine-program.js", hostile: "hostile-program.js" } as const;

/** Everything a machine needs on disk, and where it was put. */
export async function layOut(
  { world, directory, authority, cookie, epmdPort }: Setting,
  name: string,
  policy: PolicyDocument,
  parts: Pick<MachineStart, "keyDirectory" | "resolve">,
): Promise<MachineStart> {
  const certificate = await authority.issue(name);
  const file = join(directory, `${name}.policy.json`);
  world.files.writeAtomic(file, JSON.stringify(policy), SECRET_MODE);
  const cookieFile = join(directory, "cookie");
  world.files.writeAtomic(cookieFile, cookie, SECRET_MODE);
  return {
    name,
    policy: file,
    certFile: certificate.certFile,
    keyFile: certificate.keyFile,
    caFile: authority.caFile,
    cookieFile,
    epmdPort: epmdPort ?? null,
    listen: "tls://127.0.0.1:0",
    ...parts,
  };
}

/** A Sallyport machine of the demo in a process of its own; hostile ones speak the protocol and ask no policy. */
export class SallyportMachine {
  readonly #child: Child;
  #endpoint = "";

  private constructor(child: Child) {
    this.#child = child;
  }

  static start(setting: Setting, start: MachineStart, kind: "honest" | "hostile"): SallyportMachine {
    const { world, directory } = setting;
    const file = join(directory, `${start.name}.${kind}.json`);
    world.files.writeAtomic(file, JSON.stringify(start), SECRET_MODE);
    const program = fileURLToPath(new URL(`./${PROGRAMS[kind]}`, import.meta.url));
    const environment = childEnvironment(world, directory);
    const label = `the process of ${start.name}`;
    return new SallyportMachine(new Child(process.execPath, [program, file], { directory, environment, label }));
  }

  /** Resolves with what it is, once it listens. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  async ready(): Promise<string> {
    const said = await this.#child.saysWithin(/listening tls:\/\/\S+/, START_MS);
    this.#endpoint = /tls:\/\/\S+/.exec(said)?.[0] ?? "";
    return `Sallyport, process ${this.#child.pid}`;
  }

  /** Of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Where it listens. */
  get endpoint(): string {
    return this.#endpoint;
  }

  /** Lets it do something. @throws {SallyportError} ERR_REMOTE DEMO_PEER_SILENT */
  async attempt(command: MachineCommand | HostileCommand): Promise<Answer> {
    return JSON.parse(await this.#child.ask(JSON.stringify(command), ANSWER_MS)) as Answer;
  }

  /** What it refused since the last look. */
  async refusals(): Promise<readonly Told[]> {
    return JSON.parse((await this.attempt({ do: "refusals" })).text) as Told[];
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }
}
