import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { Atom, Tuple } from "../term/types.ts";
import type { ControlOp, Fields } from "./control-protocol.ts";
import type { ControlTarget } from "./control-target.ts";
import { perform } from "./perform.ts";

const FINGERPRINT = "SHA256:If4x36FUomFia/hUBG/SJxt77UtqvkWqWId+9H+XIbk";

/** A node that records what it was asked. */
function target(): { node: ControlTarget; asked: unknown[][] } {
  const asked: unknown[][] = [];
  const record =
    <T>(name: string, value: T) =>
    (...given: unknown[]): T => {
      asked.push([name, ...given]);
      return value;
    };
  const answer = new Tuple([new Atom("ok"), 3]);
  const node: ControlTarget = {
    status: record("status", { name: "a@h" } as unknown as ReturnType<ControlTarget["status"]>),
    peers: record("peers", []),
    health: record("health", { openCalls: 0 } as unknown as ReturnType<ControlTarget["health"]>),
    vitals: record("vitals", { openCalls: 0 } as unknown as ReturnType<ControlTarget["vitals"]>),
    pending: record("pending", []),
    reloadIdentity: record("reloadIdentity", Promise.resolve({ fingerprint: FINGERPRINT, ended: 2 })),
    why: record("why", null),
    policy: record("policy", {
      node: "a@h",
      generation: 3,
      document: null,
      rulesInCode: [],
      functions: [],
      endpoints: [],
    }),
    reloadPolicy: record("reloadPolicy", { generation: 4 }),
    grants: record("grants", []),
    revokeGrant: record("revokeGrant", undefined),
    ping: record(
      "ping",
      Promise.resolve({ peer: "b@h", protocol: "otp", assurance: "ca", fingerprint: null, rttMs: 1 }),
    ),
    examine: record("examine", Promise.resolve({ stages: [] })),
    call: record("call", Promise.resolve(answer)),
    cast: record("cast", Promise.resolve()),
    send: record("send", Promise.resolve()),
    rpc: record("rpc", Promise.resolve(answer)),
    spawn: record("spawn", Promise.resolve(answer)),
  };
  return { node, asked };
}

const signal = new AbortController().signal;

function run(node: ControlTarget, op: ControlOp, args: Fields = {}): Promise<Fields> {
  return perform(node, { id: 1, op, args }, signal);
}

async function failure(op: ControlOp, args: Fields): Promise<string> {
  const { node, asked } = target();
  try {
    await run(node, op, args);
  } catch (error) {
    expect(asked).toEqual([]);
    if (isSallyportError(error)) return `${error.code} ${error.reason}`;
    throw error;
  }
  return "no failure";
}

describe("perform", () => {
  it("answers what the node says of itself", async () => {
    const { node } = target();
    expect(await run(node, "status")).toEqual({ name: "a@h" });
    expect(await run(node, "peers")).toEqual({ peers: [] });
    expect(await run(node, "health")).toEqual({ openCalls: 0 });
    expect(await run(node, "pending")).toEqual({ pending: [] });
    expect(await run(node, "reloadIdentity")).toEqual({ fingerprint: FINGERPRINT, ended: 2 });
  });

  it("answers what the policy says, and does what changes it", async () => {
    const { node, asked } = target();
    expect(await run(node, "policy.why", { id: "V5HK7R82HXHW" })).toEqual({ decision: null });
    expect(await run(node, "policy.show")).toMatchObject({ node: "a@h", generation: 3, rulesInCode: [] });
    expect(await run(node, "policy.reload")).toEqual({ generation: 4 });
    expect(await run(node, "grants")).toEqual({ grants: [] });
    expect(await run(node, "grants.revoke", { id: "G" })).toEqual({});
    expect(asked).toEqual([["why", "V5HK7R82HXHW"], ["policy"], ["reloadPolicy"], ["grants"], ["revokeGrant", "G"]]);
  });

  it("reads terms from text and answers them as text", async () => {
    const { node, asked } = target();
    const message = { node: "b@h", name: "calc", term: "{add,1,2}", timeoutMs: 70 };
    const read = { node: "b@h", name: "calc", message: new Tuple([new Atom("add"), 1, 2]) };
    expect(await run(node, "call", message)).toEqual({ term: "{ok,3}" });
    expect(await run(node, "cast", message)).toEqual({});
    expect(await run(node, "send", message)).toEqual({});
    const args = { node: "b@h", module: "m", function: "f", args: "[1,a]", timeoutMs: 70 };
    expect(await run(node, "rpc", args)).toEqual({ term: "{ok,3}" });
    expect(await run(node, "spawn", args)).toEqual({ term: "{ok,3}" });
    const bounds = { timeoutMs: 70, signal };
    expect(asked).toEqual([
      ["call", read, bounds],
      ["cast", read, bounds],
      ["send", read, bounds],
      ["rpc", { node: "b@h", module: "m", function: "f", args: [1, new Atom("a")] }, bounds],
      ["spawn", { node: "b@h", function: "f", args: [1, new Atom("a")] }, bounds],
    ]);
  });

  it("gives an operation five seconds when nothing is said", async () => {
    const { node, asked } = target();
    await run(node, "ping", { node: "b@h" });
    expect(await run(node, "doctor.connect", { node: "b@h" })).toEqual({ stages: [] });
    const bounds = { timeoutMs: 5000, signal };
    expect(asked).toEqual([
      ["ping", "b@h", bounds],
      ["examine", "b@h", bounds],
    ]);
  });

  it.each([0, -1, 1.5, 3_600_001, "5", true, []])("takes no time of %j", async (timeoutMs) => {
    expect(await failure("ping", { node: "b@h", timeoutMs })).toBe("ERR_API_MISUSE CONTROL_REQUEST");
  });

  it.each([
    ["ping", {}],
    ["policy.why", {}],
    ["grants.revoke", { id: 7 }],
    ["ping", { node: 1 }],
    ["call", { node: "b@h", name: "x" }],
    ["rpc", { node: "b@h", module: "m", function: "f", args: "{}" }],
  ] as const)("asks the node nothing when %s comes with %j", async (op, args) => {
    expect(await failure(op, args)).toBe("ERR_API_MISUSE CONTROL_REQUEST");
  });
});
