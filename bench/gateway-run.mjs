// Bursts and samples of the gateway bench.
import { loadavg } from "node:os";
import { WORKER } from "./gateway-subjects.mjs";
import { short, summarize } from "./report.mjs";

/** One pair of nodes, and the ways in which they are joined in turn. */
export class Run {
  #measures;
  #commander;
  #paths;
  #ms;
  #samples = new Map();

  /** @param paths by name: the port that is dialled and, where there is one, the process in between */
  constructor(measures, commander, paths, ms) {
    this.#ms = ms;
    this.#measures = measures;
    this.#commander = commander;
    this.#paths = paths;
    this.forget();
  }

  forget() {
    for (const measure of this.#measures) this.#samples.set(measure, { figures: {}, cpu: {} });
  }

  /** Each measure over each path, on a connection of its own; who is first moves on. */
  async burstOfEach(title, round = 0) {
    const lines = [];
    const names = Object.keys(this.#paths);
    const shared = new Map();
    for (const measure of this.#measures) {
      const parts = [];
      for (let i = 0; i < names.length; i++) {
        const name = names[(i + round) % names.length];
        const key = `${measure.shares} ${name}`;
        const result = shared.get(key) ?? (await this.#burst(measure, this.#paths[name]));
        if (measure.shares !== undefined) shared.set(key, result);
        const { figures, cpu } = this.#samples.get(measure);
        figures[name] = [...(figures[name] ?? []), measure.value(result)];
        if (result.cpu !== undefined) cpu[name] = [...(cpu[name] ?? []), result.cpu];
      }
      for (const name of names) parts.push(`${name} ${short(this.#samples.get(measure).figures[name].at(-1))}`);
      lines.push(`  ${measure.title} (${measure.unit}): ${parts.join(", ")}`);
    }
    console.log(`${title}, load ${loadavg()[0].toFixed(2)}\n${lines.join("\n")}`);
  }

  async #burst(measure, { port, worker }) {
    const commander = this.#commander;
    await commander.ask("disconnect", WORKER);
    await commander.ask("route", port);
    await commander.ask("connect", WORKER);
    const before = worker?.cpuMs();
    const result = await measure.burst(commander, WORKER, this.#ms);
    if (before === undefined) return result;
    return { ...result, cpu: ((worker.cpuMs() - before) * 1000) / measure.operations(result) };
  }

  summaries() {
    return this.#measures.map((measure) => {
      const { figures, cpu } = this.#samples.get(measure);
      return { ...summarize(measure, figures, {}, "gateway"), cpu };
    });
  }
}
