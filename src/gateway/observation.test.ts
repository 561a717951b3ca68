import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import type { Target } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";
import { Observation } from "./observation.ts";
import type { CommanderDecision, CommanderRequest, Denial } from "./profile.ts";

const at = (ms: number): MonotonicMs => ms as MonotonicMs;
const NO: Denial = { allowed: false, id: "ID", rule: "r" };

function request(verb: Verb, target: Target): CommanderRequest {
  return { verb, target, hasFun: false, isOwnChild: false, payload: undefined };
}

const named = (verb: Verb, name: string): CommanderRequest => request(verb, { kind: "name", name });
const process = (verb: Verb): CommanderRequest => request(verb, { kind: "pid", name: undefined, granted: false });

describe("an observation", () => {
  it("is on until its time, and never again", () => {
    const observation = new Observation(at(100), at(0));
    observation.reach(at(99));
    expect(observation.isOn).toBe(true);
    observation.reach(at(100));
    expect(observation.isOn).toBe(false);
    observation.reach(at(0));
    expect(observation.isOn).toBe(false);
    expect(new Observation(at(100), at(100)).isOn).toBe(false);
  });

  it("lets pass what is refused, with what it was refused for", () => {
    const decide = new Observation(at(100), at(0)).observe(() => NO);
    for (const one of [
      named("call", "srv"),
      process("exit"),
      process("link"),
      request("rpc", { kind: "function", label: "m:f/0" }),
    ]) {
      expect(decide(one)).toEqual({ allowed: true, observed: NO });
    }
  });

  it("leaves alone what is allowed anyway", () => {
    const allowed: CommanderDecision = { allowed: true };
    expect(new Observation(at(100), at(0)).observe(() => allowed)(named("call", "srv"))).toBe(allowed);
  });

  it.each([
    ...["init", "auth", "net_kernel"].flatMap((name) => [
      named("send", name),
      named("call", name),
      named("cast", name),
    ]),
    process("system"),
    named("system", "srv"),
  ])("does not let pass what takes a node over: $verb $target.name", (one) => {
    expect(new Observation(at(100), at(0)).observe(() => NO)(one)).toBe(NO);
  });

  it("lets these names be watched, as a ping does", () => {
    expect(new Observation(at(100), at(0)).observe(() => NO)(named("monitor", "net_kernel")).allowed).toBe(true);
  });

  it("lets nothing pass when it is over", () => {
    const observation = new Observation(at(100), at(0));
    const decide = observation.observe(() => NO);
    observation.reach(at(100));
    expect(decide(named("call", "srv"))).toBe(NO);
  });
});
