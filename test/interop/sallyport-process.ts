import { execFile, fork } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeOptions } from "../../src/node/options.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const LIB = join(ROOT, ".tmp", "interop-lib");
const CHILD = join(HERE, "sallyport-child.mjs");

/** What a node in its own process reported. */
export interface ChildEvent {
  readonly event: "listening" | "nodeup" | "nodedown" | "failed";
  readonly peer?: string;
  readonly reason?: string;
}

/** A Sallyport node in a process of its own; see `sallyport-child.mjs` for its services. */
export interface SallyportProcess {
  readonly events: readonly ChildEvent[];
  connect(node: string): void;
  freeze(): void;
  thaw(): void;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
}

let built: Promise<void> | undefined;

/** Compiles the sources once per test file: the process runs what is being tested, not an older build. */
function build(): Promise<void> {
  built ??= compile(LIB);
  return built;
}

/** Compiles the sources into `directory`. */
export function compile(directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const args = [tsc, "-p", "tsconfig.build.json", "--outDir", directory];
    execFile(process.execPath, args, { cwd: ROOT }, (error, stdout) => {
      // Type errors are for `npm run check` to report; the compiler writes its output all the same.
      if (error !== null && typeof error.code !== "number") reject(new Error(`the compiler did not run: ${stdout}`));
      else resolve();
    });
  });
}

/** Starts it and waits until it listens. */
export async function startSallyport(options: NodeOptions): Promise<SallyportProcess> {
  await build();
  const child = fork(CHILD, [LIB], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  const events: ChildEvent[] = [];
  const listening = new Promise<void>((done) => {
    child.on("message", (event) => {
      events.push(event as ChildEvent);
      if ((event as ChildEvent).event === "listening") done();
    });
  });
  child.send(options);
  const tooEarly = ended.then(() => Promise.reject(new Error("the Sallyport process ended at once")));
  await Promise.race([listening, tooEarly]);
  tooEarly.catch(() => {});
  return {
    events,
    connect: (node) => void child.send({ connect: node }),
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
