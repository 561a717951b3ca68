import { describe, expect, it } from "vitest";
import { Atom, atomName, type Term, tuple } from "../term/types.ts";
import { NativeNodes } from "../testkit/native-nodes.ts";

const A = "a@h";
const B = "b@h";

function world(limits: { maxWaitingBytes?: number } = {}) {
  const nodes = new NativeNodes(1, [A, B]);
  const [a, b] = [nodes.node(A, { limits }), nodes.node(B)];
  const log: Term[] = [];
  const allow = "pinned";
  b.register(
    "log",
    { call: (request) => request, cast: (m) => void log.push(m), info: (m) => void log.push(m) },
    { allow },
  );
  return { nodes, a, log, target: { name: "log", node: B } };
}

describe("what is sent before there is a connection", () => {
  it("arrives as it was when it was sent", async () => {
    const { nodes, a, log, target } = world();
    const list: Term[] = [1];
    const bytes = Buffer.from("abc");
    const map = new Map<Term, Term>([["k", list]]);
    a.send(target, map);
    a.cast(target, list);
    const answer = a.call(target, tuple(bytes, list), { timeoutMs: 10_000 });
    list.push(2);
    map.set("later", 1);
    bytes.fill(0);
    await nodes.pass(10);
    const text = (value: unknown) => Buffer.from(value as Uint8Array).toString();
    const [first, second] = log as [Map<Term, Term>, Term];
    expect([[...first].map(([key, value]) => [text(key), value]), second]).toEqual([[["k", [1]]], [1]]);
    const [echoed, listed] = [...((await answer) as ReturnType<typeof tuple>)];
    expect([text(echoed), listed]).toEqual(["abc", [1]]);
  });

  it("is refused at once when it cannot be encoded", () => {
    const { a, target } = world();
    const endless: Term[] = [];
    endless.push(endless);
    expect(() => a.send(target, endless)).toThrow(expect.objectContaining({ reason: "TERM_DEPTH" }));
  });

  it("is bounded in bytes, messages and calls together, and a refused one leaves the others alone", async () => {
    const { nodes, a, log, target } = world({ maxWaitingBytes: 1_000 });
    const limited = { code: "ERR_LIMIT", reason: "WAITING_BYTES" };
    a.send(target, Buffer.alloc(500));
    const answer = a.call(target, Buffer.alloc(400), { timeoutMs: 10_000 });
    expect(() => a.send(target, Buffer.alloc(100))).toThrow(expect.objectContaining(limited));
    await expect(a.call(target, Buffer.alloc(100))).rejects.toMatchObject(limited);
    a.send(target, new Atom("small"));
    await nodes.pass(10);
    expect([log.length, atomName(log[1]), ((await answer) as Buffer).length]).toEqual([2, "small", 400]);
  });
});
