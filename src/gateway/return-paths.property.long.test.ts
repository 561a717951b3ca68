import fc from "fast-check";
import { expect, it } from "vitest";
import { cPid, cRef, wPid, wRef } from "../testkit/gateway-traffic.ts";
import { refKey } from "./identifier-keys.ts";
import { DEFAULT_GATEWAY_LIMITS } from "./limits.ts";
import { ReturnPaths } from "./return-paths.ts";

const LIMITS = {
  ...DEFAULT_GATEWAY_LIMITS,
  maxCalls: 2,
  maxExpectedAnswers: 3,
  answerMs: 40,
  maxMonitors: 3,
  maxLinks: 2,
  maxSpawns: 2,
  maxChildren: 2,
  maxWorkerMonitors: 2,
};
const STEPS = 200;
const RUNS = 3_000;

interface Tie {
  kind: "monitor" | "link";
  /** Of a monitor: its reference. Of a link: its two processes. */
  key: string;
  child: number | undefined;
  unlinking?: bigint | undefined;
}

interface Expected {
  tag: string;
  refs: string[];
  hard: boolean;
  until: number;
}

/** The tables as plain lists, searched from end to end. */
class Model {
  ties: Tie[] = [];
  spawns: { ref: number; flags: number }[] = [];
  rights: Expected[] = [];
  watched: string[] = [];
  now = 0;

  count(kind: Tie["kind"]): number {
    const flag = kind === "monitor" ? 2 : 1;
    return (
      this.ties.filter((tie) => tie.kind === kind).length +
      this.spawns.filter(({ flags }) => (flags & flag) !== 0).length
    );
  }

  children(): number[] {
    return [...new Set(this.ties.flatMap(({ child }) => (child === undefined ? [] : [child])))];
  }

  tie(kind: Tie["kind"], key: string): Tie | undefined {
    return this.ties.find((tie) => tie.kind === kind && tie.key === key);
  }

  untie(kind: Tie["kind"], key: string): void {
    this.ties = this.ties.filter((tie) => tie.kind !== kind || tie.key !== key);
    if (kind === "monitor") this.rights = this.rights.filter(({ refs }) => !refs.includes(key));
  }

  expire(): void {
    this.rights = this.rights.filter(({ hard, until }) => hard || this.now < until);
  }

  expect(tag: string, refs: string[], isCall: boolean): boolean {
    const hard = isCall && refs.some((ref) => this.tie("monitor", ref) !== undefined);
    const known = this.rights.find((right) => right.tag === tag);
    if (known?.hard === true && !hard) return true;
    if (hard && known?.hard !== true && this.rights.filter((right) => right.hard).length >= LIMITS.maxCalls)
      return false;
    this.rights = this.rights.filter((right) => right !== known);
    const soft = this.rights.filter((right) => !right.hard);
    if (!hard && soft.length >= LIMITS.maxExpectedAnswers)
      this.rights.splice(this.rights.indexOf(soft[0] as Expected), 1);
    this.rights.push({ tag, refs, hard, until: this.now + LIMITS.answerMs });
    return true;
  }
}

/** One step of both, from one number; both must say the same. */
function step(paths: ReturnPaths, model: Model, number: number): void {
  const n = (number >>> 4) % 4;
  const m = (number >>> 6) % 3;
  const choice = (number >>> 8) % 4;
  const ref = cRef(n);
  const key = refKey(ref);
  const me = cPid(m);
  const far = wPid(n);
  const pair = `${m}-${n}`;
  switch (number % 12) {
    case 0: {
      const has = model.count("monitor") < LIMITS.maxMonitors || model.tie("monitor", key) !== undefined;
      expect(paths.addMonitor(me, "srv", ref)).toBe(has);
      if (!has) return;
      model.untie("monitor", key);
      model.ties.push({ kind: "monitor", key, child: undefined });
      return;
    }
    case 1:
      expect(paths.endMonitor(ref) !== undefined).toBe(model.tie("monitor", key) !== undefined);
      model.untie("monitor", key);
      return;
    case 2:
    case 3: {
      const refs = choice === 0 ? [key, refKey(cRef((n + 1) % 4))] : [key];
      const tag = `${n}.${choice}`;
      const isCall = number % 12 === 2;
      expect(paths.expect("tag", tag, ["pid"], refs, isCall, model.now)).toBe(model.expect(tag, refs, isCall));
      return;
    }
    case 4: {
      const tag = `${n}.${choice}`;
      const right = paths.right("tag", tag, model.now);
      expect(right !== undefined).toBe(model.rights.some((one) => one.tag === tag));
      if (right !== undefined) paths.consume(right);
      model.rights = model.rights.filter((one) => one.tag !== tag);
      return;
    }
    case 5:
    case 6: {
      const known = model.tie("link", pair);
      const has = known !== undefined || model.count("link") < LIMITS.maxLinks;
      const id = number % 12 === 6 ? BigInt(choice + 1) : undefined;
      expect(id === undefined ? paths.addLink(me, far) : paths.unlink(me, far, id)).toBe(has);
      if (known !== undefined) known.unlinking = id;
      else if (has) model.ties.push({ kind: "link", key: pair, child: undefined, unlinking: id });
      return;
    }
    case 7: {
      const link = paths.link(me, far);
      expect(link?.unlinking).toBe(model.tie("link", pair)?.unlinking);
      if (link !== undefined) paths.endLink(link);
      model.untie("link", pair);
      return;
    }
    case 8: {
      const pending = model.spawns.filter(({ flags }) => flags !== 0).length;
      const has =
        model.spawns.length < LIMITS.maxSpawns &&
        !model.spawns.some((spawn) => spawn.ref === n) &&
        ((choice & 2) === 0 || model.count("monitor") < LIMITS.maxMonitors) &&
        ((choice & 1) === 0 || model.count("link") < LIMITS.maxLinks) &&
        (choice === 0 || model.children().length + pending < LIMITS.maxChildren);
      // A reference in use as a monitor is never one of a spawn request.
      if (model.tie("monitor", key) !== undefined) return;
      expect(paths.addSpawn({ from: cPid(0), ref, flags: choice, resultTag: undefined })).toBe(has);
      if (has) model.spawns.push({ ref: n, flags: choice });
      return;
    }
    case 9: {
      const spawn = model.spawns.find((one) => one.ref === n);
      const kept = paths.spawns.get(key);
      expect(kept !== undefined).toBe(spawn !== undefined);
      if (kept === undefined || spawn === undefined) return;
      const child = 10 + n;
      const failed = m === 0 || model.children().includes(child) || model.tie("monitor", key) !== undefined;
      const flags = failed ? 0 : spawn.flags;
      model.spawns = model.spawns.filter((one) => one !== spawn);
      paths.endSpawn(kept, flags, failed ? undefined : wPid(child));
      if ((flags & 2) !== 0) model.ties.push({ kind: "monitor", key, child });
      const linked = `0-${child}`;
      if ((flags & 1) !== 0 && model.tie("link", linked) === undefined)
        model.ties.push({ kind: "link", key: linked, child });
      return;
    }
    case 10: {
      const child = 10 + n;
      const link = paths.link(cPid(0), wPid(child));
      if (link !== undefined) paths.endLink(link);
      model.untie("link", `0-${child}`);
      return;
    }
    default: {
      model.now += choice * 7;
      paths.expire(model.now);
      model.expire();
      const watch = `${n}`;
      const has = model.watched.length < LIMITS.maxWorkerMonitors && !model.watched.includes(watch);
      if (m === 0) {
        expect(paths.addWorkerMonitor(far, me, wRef(n))).toBe(has);
        if (has) model.watched.push(watch);
      } else {
        expect(paths.endWorkerMonitor(far, cPid(0), wRef(n))).toBe(model.watched.includes(watch));
        model.watched = model.watched.filter((one) => one !== watch);
      }
    }
  }
}

it("the tables hold what plain lists hold, step by step, and nothing when all has ended", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { minLength: STEPS, maxLength: STEPS }), (numbers) => {
      const paths = new ReturnPaths(LIMITS, () => undefined);
      const model = new Model();
      for (const number of numbers) {
        model.expire();
        paths.expire(model.now);
        step(paths, model, number);
        expect([
          paths.monitors.size,
          paths.links.size,
          paths.spawns.size,
          paths.children.size,
          paths.workerMonitors.size,
          paths.calls.size,
          paths.expected.size,
          paths.indexedRefs,
        ]).toEqual([
          model.ties.filter(({ kind }) => kind === "monitor").length,
          model.ties.filter(({ kind }) => kind === "link").length,
          model.spawns.length,
          model.children().length,
          model.watched.length,
          model.rights.filter(({ hard }) => hard).length,
          model.rights.filter(({ hard }) => !hard).length,
          new Set(model.rights.flatMap(({ refs }) => refs)).size,
        ]);
      }
      for (let n = 0; n < 4; n++) {
        const spawn = paths.spawns.get(refKey(cRef(n)));
        if (spawn !== undefined) paths.endSpawn(spawn, 0, undefined);
        paths.endMonitor(cRef(n));
        for (let m = 0; m < 3; m++) {
          for (const far of [n, 10 + n]) {
            const link = paths.link(cPid(m), wPid(far));
            if (link !== undefined) paths.endLink(link);
          }
        }
      }
      paths.expire(Number.POSITIVE_INFINITY);
      expect([paths.monitors.size, paths.links.size, paths.spawns.size, paths.children.size]).toEqual([0, 0, 0, 0]);
      expect([paths.calls.size, paths.expected.size, paths.indexedRefs]).toEqual([0, 0, 0]);
    }),
    { numRuns: RUNS },
  );
});
