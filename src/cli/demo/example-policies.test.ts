import { describe, expect, it } from "vitest";
import type { PolicyDocument } from "../../policy/document.ts";
import { instantiate, loadRunPolicy, MACHINE_NAMES } from "./example-policies.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP } from "./machine.ts";

const KEY = `SHA256:${"A".repeat(43)}`;
const NOW = Date.UTC(2026, 10, 21);

describe("the shipped policies", () => {
  it.each(MACHINE_NAMES)("%s passes its own tests under the names and keys of a run", (machine) => {
    const made = loadRunPolicy(machine, { [BOB_COLO]: KEY }, NOW);
    expect(made.to).toBe(`${machine}@127.0.0.1`);
    expect(made.from).not.toBe(made.to);
    expect(made.tests).toBe(made.policy.document.tests?.length);
    expect(made.tests).toBeGreaterThan(10);
    const names = [...made.policy.peers.values()].flatMap((peer) => peer.names);
    expect(names.every((name) => [MY_DESKTOP, EC2_NODE, BOB_COLO].includes(name))).toBe(true);
  });

  it("name a machine by its key in this run, and by its certificate where it has none", () => {
    const { policy, keyed } = loadRunPolicy("my_desktop", { [BOB_COLO]: KEY }, NOW);
    expect(keyed).toEqual(["bob_colo"]);
    expect(policy.peers.get("bob_colo")).toMatchObject({ keys: [KEY], entry: { assurance: "pinned" } });
    expect(policy.peers.get("ec2_node")).toMatchObject({ keys: [], entry: { assurance: "ca" } });
  });
});

it("changes nothing but names and keys", () => {
  const document: PolicyDocument = {
    version: 1,
    node: "a@x",
    peers: { b: { names: ["b@x"], assurance: "ca", limits: { depth: 3 } }, c: { names: ["c@x"], assurance: "cookie" } },
    rules: [{ id: "r", from: "b", allow: "send", to: "s" }],
  };
  const { document: own, keyed } = instantiate(
    document,
    new Map([
      ["a@x", "a@y"],
      ["b@x", "b@y"],
    ]),
    { "b@y": KEY },
  );
  expect(keyed).toEqual(["b"]);
  expect(own).toEqual({
    ...document,
    node: "a@y",
    peers: {
      b: { names: ["b@y"], assurance: "pinned", limits: { depth: 3 }, keys: [KEY] },
      c: { names: ["c@x"], assurance: "cookie" },
    },
  });
});
