// The controller side of the line protocol: one child process, pinned to a core where possible.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const ANSWER_MS = 60_000;

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const MS_PER_CLOCK_TICK = 10;

/** Cores this process may use, or an empty list where the system does not say. */
export function allowedCores() {
  let list;
  try {
    list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "";
  } catch {
    return [];
  }
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

export function hasProgram(name) {
  return spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
}

/** A benchmark process that answers commands. */
export class Worker {
  static #all = new Set();
  #child;
  #waiting;
  #errors = "";
  #name;

  /** Starts `command`; `core` is a number or undefined for no pinning. Resolves when the worker has said that it is ready. */
  static async start(name, core, command, options = {}) {
    const worker = new Worker();
    worker.#name = name;
    const [program, ...args] = core === undefined ? command : ["taskset", "-c", String(core), ...command];
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    worker.#child = child;
    Worker.#all.add(worker);
    const ready = worker.#nextAnswer("start");
    child.stderr.on("data", (text) => {
      worker.#errors = (worker.#errors + text).slice(-4000);
      if (options.showErrors) process.stderr.write(text);
    });
    child.stdin.on("error", () => {});
    child.on("error", (error) => worker.#settle(error));
    child.on("exit", (code, signal) => {
      Worker.#all.delete(worker);
      worker.#settle(new Error(`${name} ended (${signal ?? code})\n${worker.#errors}`));
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("= ")) worker.#answered(line.slice(2));
      else worker.#errors = `${worker.#errors}${line}\n`.slice(-4000);
    });
    await ready;
    return worker;
  }

  /** Ends every worker; called once at the end, whatever happened. */
  static stopAll() {
    for (const worker of Worker.#all) worker.stop();
  }

  /** Sends one command and resolves with its answer. */
  ask(command, ...args) {
    const answer = this.#nextAnswer(command);
    this.#child.stdin.write(`${[command, ...args].join(" ")}\n`);
    return answer;
  }

  /** Lets the worker end by itself, at most for a while. */
  async finish() {
    const ended = new Promise((done) => this.#child.once("exit", done));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.stop(), 10_000);
    await ended;
    clearTimeout(timer);
  }

  stop() {
    this.#child.kill("SIGKILL");
  }

  /** Resident memory in bytes, or undefined where `/proc` does not tell. */
  residentBytes() {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, "latin1");
      return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)[1]) * 1024;
    } catch {
      return undefined;
    }
  }

  /** Processor time used so far by all threads, in milliseconds (in steps of 10), or undefined where unknown. */
  cpuMs() {
    return Worker.#cpuMsOf(this.#child.pid);
  }

  /** The same with the processes that it has started and that still run. */
  familyCpuMs() {
    const { pid } = this.#child;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean);
      return [pid, ...children].reduce((sum, each) => sum + Worker.#cpuMsOf(each), 0);
    } catch {
      return undefined;
    }
  }

  static #cpuMsOf(pid) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const [user, system] = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(11, 13);
      return (Number(user) + Number(system)) * MS_PER_CLOCK_TICK;
    } catch {
      return undefined;
    }
  }

  #nextAnswer(command) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(new Error(`${this.#name} did not answer ${command}\n${this.#errors}`)),
        ANSWER_MS,
      );
      this.#waiting = { resolve, reject, timer };
    });
  }

  #answered(json) {
    let value;
    try {
      value = JSON.parse(json);
    } catch {
      value = { error: json };
    }
    this.#settle(
      value.error === undefined ? undefined : new Error(`${this.#name}: ${value.error}\n${this.#errors}`),
      value,
    );
  }

  #settle(error, value) {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(error);
  }
}
