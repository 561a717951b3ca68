import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { failureOf } from "../testkit/failure.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { openPolicy, POLICY_LOOK_MS, PolicyWatch, policyStamp } from "./policy-source.ts";

const FILE = "/etc/policy.jsonc";

const ELSEWHERE: PolicyDocument["rules"] = [{ id: "r", from: "p", allow: "send", to: "elsewhere" }];

function documentOf(over: Partial<PolicyDocument> = {}): PolicyDocument {
  return {
    version: 1,
    node: "n@h",
    peers: { p: { names: ["p@h"], assurance: "cookie" } },
    rules: [{ id: "r", from: "p", allow: "send", to: "s" }],
    tests: [{ from: "p", verb: "send", to: "s", expect: "allow", rule: "r" }],
    ...over,
  };
}

function makeWorld(text?: string) {
  const files = new FaultyFiles();
  if (text !== undefined) files.put(FILE, text);
  return { files, clock: new VirtualClock(), crypto: new RealIdentityCrypto(), name: parseNodeName("n@h") };
}

const textOf = (over: Partial<PolicyDocument> = {}) => JSON.stringify(documentOf(over), null, 2);

describe("openPolicy", () => {
  it("takes a file, which can be read again, or a document, which cannot", () => {
    const fromFile = openPolicy({ file: FILE }, makeWorld(textOf()));
    expect([fromFile.first.generation, fromFile.load?.(7).generation]).toEqual([1, 7]);
    const fromCode = openPolicy(documentOf(), makeWorld());
    expect([fromCode.first.generation, fromCode.load]).toEqual([1, undefined]);
    expect(fromCode.compile(documentOf(), 3).generation).toBe(3);
  });

  it("puts variables in, and refuses one that is not set", () => {
    const world = makeWorld(textOf({ node: ["$", "{NODE}"].join("") }));
    const environment = (variable: string) => (variable === "NODE" ? "n@h" : undefined);
    expect(openPolicy({ file: FILE, environment }, world).first.node).toBe("n@h");
    expect(failureOf(() => openPolicy({ file: FILE }, world))).toMatch(/^ERR_CONFIG /);
  });

  it.each<[string, string, () => unknown]>([
    ["a file that is not there", "POLICY_UNREADABLE", () => openPolicy({ file: FILE }, makeWorld())],
    ["an empty file", "POLICY_INVALID", () => openPolicy({ file: FILE }, makeWorld(""))],
    [
      "a file of another node",
      "POLICY_OTHER_NODE",
      () => openPolicy({ file: FILE }, makeWorld(textOf({ node: "m@h" }))),
    ],
    ["a document of another node", "POLICY_OTHER_NODE", () => openPolicy(documentOf({ node: "m@h" }), makeWorld())],
    [
      "a document with an error",
      "POLICY_INVALID",
      () => openPolicy(documentOf({ rules: [{ id: "r", from: "nobody", allow: "send", to: "s" }] }), makeWorld()),
    ],
    [
      "a file whose test fails",
      "POLICY_TEST_FAILED",
      () => openPolicy({ file: FILE }, makeWorld(textOf({ rules: ELSEWHERE }))),
    ],
    [
      "a document whose test fails",
      "POLICY_TEST_FAILED",
      () => openPolicy(documentOf({ rules: ELSEWHERE }), makeWorld()),
    ],
  ])("refuses %s", (_, reason, open) => {
    expect(failureOf(open)).toBe(`ERR_CONFIG ${reason}`);
  });

  it("refuses a file cut anywhere, also when it is read again", () => {
    const whole = textOf();
    const world = makeWorld(whole);
    const { load } = openPolicy({ file: FILE }, world);
    for (let end = 0; end < whole.length; end++) {
      world.files.put(FILE, whole.slice(0, end));
      expect(failureOf(() => load?.(2))).toMatch(/^ERR_CONFIG POLICY_/);
    }
    world.files.put(FILE, whole);
    expect(load?.(2).generation).toBe(2);
  });

  it.each(["directory", "other"] as const)("does not read a %s in the place of the file", (kind) => {
    const world = makeWorld(textOf());
    const { load } = openPolicy({ file: FILE }, world);
    world.files.pretend(FILE, { kind });
    let reads = 0;
    world.files.readText = () => {
      reads++;
      return textOf();
    };
    expect(failureOf(() => load?.(2))).toBe("ERR_CONFIG POLICY_UNREADABLE");
    expect(failureOf(() => openPolicy({ file: FILE }, world))).toBe("ERR_CONFIG POLICY_UNREADABLE");
    expect(reads).toBe(0);
  });

  it("runs tests at the time of the load", () => {
    const world = makeWorld(
      textOf({
        rules: [{ id: "r", from: "p", allow: "send", to: "s", until: "2026-01-02" }],
      }),
    );
    const { load } = openPolicy({ file: FILE }, world);
    world.clock.advance(24 * 3_600_000);
    expect(failureOf(() => load?.(2))).toBe("ERR_CONFIG POLICY_TEST_FAILED");
  });
});

describe("the watch of a policy file", () => {
  function watched(text: string | undefined = textOf()) {
    const world = makeWorld(text);
    let changes = 0;
    const watch = new PolicyWatch(FILE, world, () => void changes++);
    const look = () => {
      world.clock.advance(POLICY_LOOK_MS);
      return changes;
    };
    return { ...world, watch, look };
  }

  it("tells of a change once, within half a second", () => {
    const { files, look } = watched();
    expect([look(), look()]).toEqual([0, 0]);
    files.put(FILE, textOf({ rules: [] }));
    expect([look(), look(), look()]).toEqual([0, 1, 1]);
    expect(2 * POLICY_LOOK_MS).toBeLessThanOrEqual(500);
  });

  it("waits for a file that is being written until it stays as it is", () => {
    const { files, look } = watched();
    files.put(FILE, "");
    expect(look()).toBe(0);
    files.put(FILE, textOf({ rules: [] }));
    expect([look(), look(), look()]).toEqual([0, 1, 1]);
  });

  it("tells when the file goes, comes back, and cannot be looked at", () => {
    const { files, look } = watched();
    const settled = () => Math.max(look(), look());
    files.take(FILE);
    expect(settled()).toBe(1);
    files.put(FILE, textOf());
    expect(settled()).toBe(2);
    files.facts = () => {
      throw Object.assign(new Error("no"), { code: "EACCES" });
    };
    expect([settled(), settled()]).toEqual([3, 3]);
  });

  it("tells of a change between the first reading and the watch", () => {
    const world = makeWorld(textOf());
    const stamp = policyStamp(FILE, world);
    openPolicy({ file: FILE }, world);
    world.files.put(FILE, textOf({ rules: [], tests: [] }));
    let changes = 0;
    new PolicyWatch(FILE, world, () => void changes++, stamp);
    world.clock.advance(2 * POLICY_LOOK_MS);
    expect(changes).toBe(1);
    world.clock.advance(2 * POLICY_LOOK_MS);
    expect(changes).toBe(1);
  });

  it("is quiet about a file that was never there, until it is", () => {
    const { files, look } = watched("");
    files.take(FILE);
    look();
    const before = look();
    expect(look()).toBe(before);
    files.put(FILE, textOf());
    expect(Math.max(look(), look())).toBe(before + 1);
  });

  it("ends when it is stopped", () => {
    const { files, watch, look } = watched();
    files.put(FILE, textOf({ rules: [] }));
    watch.stop();
    expect([look(), look()]).toEqual([0, 0]);
  });
});
