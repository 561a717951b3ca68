import { describe, expect, it } from "vitest";
import { parseDialTarget, parseNodeName } from "../base/node-name.ts";
import { failureOf } from "../testkit/failure.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { SeedSource } from "./ports.ts";
import { SEED_SOURCE_DEADLINE_MS, SEED_SOURCE_MS, SeedSources } from "./seed-sources.ts";
import { MAX_SEED_SOURCES, MAX_SEEDS, readSeeds } from "./seeds.ts";

const own = parseNodeName("own@Host");
const source = (label: string): SeedSource => ({ label, list: async () => [] });
const dns = (local: string, service: string): SeedSource => source(`${local} of ${service}`);

describe("readSeeds", () => {
  it("leaves out the own name and names that come twice, so that one list fits all nodes", () => {
    const { targets } = readSeeds(["a@h:7", "own@hOST:9", "b@h", "a@H"], own, dns);
    expect(targets).toEqual([
      { name: "a@h", port: 7 },
      { name: "b@h", port: undefined },
    ]);
  });

  it("makes one source of each dns entry", () => {
    const { targets, sources } = readSeeds(["dns:worker@w.example", "dns:worker@w.example"], own, dns);
    expect([targets, sources.map(({ label }) => label)]).toEqual([[], ["worker of w.example"]]);
  });

  it.each([
    ["dns:worker", "ERR_CONFIG SEED_INVALID"],
    ["dns:@w.example", "ERR_CONFIG SEED_INVALID"],
    ["dns:a@w.example:9", "ERR_CONFIG SEED_INVALID"],
    ["worker", "ERR_CONFIG NAME_INVALID"],
    ["", "ERR_CONFIG NAME_INVALID"],
  ])("refuses %j", (text, error) => {
    expect(failureOf(() => readSeeds([text], own, dns))).toBe(error);
  });

  it("refuses more than it keeps", () => {
    const many = (count: number, prefix: string) => Array.from({ length: count }, (_, n) => `${prefix}${n}@h`);
    expect(readSeeds(many(MAX_SEEDS, "a"), own, dns).targets).toHaveLength(MAX_SEEDS);
    expect(failureOf(() => readSeeds(many(MAX_SEEDS + 1, "a"), own, dns))).toBe("ERR_CONFIG TOO_MANY_SEEDS");
    expect(failureOf(() => readSeeds(many(MAX_SEED_SOURCES + 1, "dns:a"), own, dns))).toBe("ERR_CONFIG TOO_MANY_SEEDS");
  });
});

describe("a source of seeds", () => {
  function make(list: SeedSource["list"]) {
    const clock = new VirtualClock();
    const listed: string[] = [];
    const warnings: string[] = [];
    const sources = new SeedSources({
      sources: [{ label: "dns:x", list }],
      clock,
      random: new SeededRandom(1),
      listed: (label, targets) => listed.push(`${label}: ${targets.map(({ name }) => name).join(" ")}`),
      warn: (reason) => warnings.push(reason),
    });
    const pass = async (ms: number) => {
      for (let left = ms; left >= 0; left -= 500) {
        clock.advance(Math.min(left, 500));
        for (let i = 0; i < 10; i++) await Promise.resolve();
      }
    };
    sources.start();
    return { clock, listed, warnings, sources, pass };
  }
  const longest = SEED_SOURCE_MS * 1.25;

  it("is asked at start and again every half minute or so", async () => {
    const answers = [["a@h"], ["a@h", "b@h"], []].map((names) => names.map(parseDialTarget));
    const { listed, pass } = make(async () => answers.shift() ?? []);
    await pass(0);
    expect(listed).toEqual(["dns:x: a@h"]);
    await pass(SEED_SOURCE_MS * 0.75 - 1);
    expect(listed).toHaveLength(1);
    await pass(longest);
    await pass(longest);
    expect(listed.slice(0, 3)).toEqual(["dns:x: a@h", "dns:x: a@h b@h", "dns:x: "]);
  });

  it("keeps its last answer when it fails or is silent, and is warned of once", async () => {
    let mode: "fail" | "hang" | "answer" = "fail";
    const signals: AbortSignal[] = [];
    const { listed, warnings, pass } = make((signal) => {
      signals.push(signal);
      if (mode === "fail") return Promise.reject(new Error("no such domain"));
      return mode === "hang" ? new Promise(() => {}) : Promise.resolve([{ name: own, port: undefined }]);
    });
    await pass(0);
    mode = "hang";
    await pass(longest);
    await pass(SEED_SOURCE_DEADLINE_MS);
    expect(signals.at(-1)?.aborted).toBe(true);
    expect([listed, warnings]).toEqual([[], ["SEED_SOURCE_FAILED"]]);
    mode = "answer";
    await pass(longest);
    expect(listed).toEqual(["dns:x: own@Host"]);
    mode = "fail";
    await pass(longest);
    expect(warnings).toHaveLength(2);
  });

  it("is asked no more, and not listened to, after the stop", async () => {
    const signals: AbortSignal[] = [];
    let answer: (names: []) => void = () => {};
    const { clock, listed, warnings, sources, pass } = make((signal) => {
      signals.push(signal);
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    sources.stop();
    expect(signals[0]?.aborted).toBe(true);
    answer([]);
    await pass(0);
    expect([listed, warnings, clock.pendingTimers]).toEqual([[], [], 0]);
  });
});
