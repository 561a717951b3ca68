import { describe, expect, it } from "vitest";
import type { SessionGuard } from "../guard/session-guard.ts";
import { plainGrant } from "../policy/authority.ts";
import { compileLimits } from "../policy/compile-limits.ts";
import type { Grant } from "../policy/decision.ts";
import { Inflight } from "./inflight.ts";
import type { NodeProcess } from "./node-process.ts";

const LIMITED: Grant = { ...plainGrant("r"), limits: compileLimits({ inflight: 2 }) };

/** Places as a guard gives them: `max` in all. What is out at any time is `taken`. */
function make(max: number) {
  const taken: string[] = [];
  const guard = {
    enter: (kind: string, grant: Grant | undefined) => {
      if (taken.length >= max) return false;
      taken.push(`${kind} ${grant?.rule}`);
      return true;
    },
    leave: (kind: string, grant: Grant | undefined) => {
      const at = taken.indexOf(`${kind} ${grant?.rule}`);
      if (at < 0) throw new Error("a place is given back that nobody has");
      taken.splice(at, 1);
    },
  } as unknown as SessionGuard;
  const observers = new Set<unknown>();
  const process = () =>
    ({
      observe: (one: unknown) => observers.add(one),
      unobserve: (one: unknown) => observers.delete(one),
    }) as unknown as NodeProcess;
  return { inflight: new Inflight(guard), taken, observers, process };
}

describe("calls that are not answered", () => {
  it("take a place each, by the grant that let them in, and give back the same", () => {
    const { inflight, taken, process } = make(3);
    const s = process();
    expect([inflight.begin(s, LIMITED), inflight.begin(s, undefined), inflight.begin(s, LIMITED)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(inflight.begin(s, undefined)).toBe(false);
    inflight.done(s, LIMITED);
    expect(taken).toEqual(["call undefined", "call r"]);
    inflight.done(s, undefined);
    inflight.done(s, undefined);
    inflight.done(s, LIMITED);
    expect(taken).toEqual([]);
  });

  it("hold a service that has answered no longer than their session, and the others until they answer", () => {
    const { inflight, taken, observers, process } = make(3);
    const [s, t] = [process(), process()];
    inflight.begin(s, undefined);
    inflight.done(s, undefined);
    expect(observers.size).toBe(1);
    inflight.sessionEnded();
    expect(observers.size).toBe(0);
    inflight.begin(t, LIMITED);
    inflight.begin(t, undefined);
    inflight.done(t, LIMITED);
    expect(observers.size).toBe(1);
    inflight.done(t, undefined);
    expect([observers.size, taken]).toEqual([0, []]);
  });

  it("give their places back when their service ends, once, and those of other services stay", () => {
    const { inflight, taken, process } = make(5);
    const [s, t] = [process(), process()];
    for (const grant of [LIMITED, undefined, LIMITED]) inflight.begin(s, grant);
    inflight.begin(t, LIMITED);
    inflight.processDied(s);
    inflight.processDied(s);
    inflight.done(s, LIMITED);
    expect(taken).toEqual(["call r"]);
    inflight.done(t, LIMITED);
    expect(taken).toEqual([]);
  });
});
