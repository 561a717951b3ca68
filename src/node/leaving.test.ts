import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { atomName, type Term } from "../term/types.ts";
import { NativeNodes } from "../testkit/native-nodes.ts";
import type { SallyportNode } from "./node.ts";

const A = "a@h";
const B = "b@h";

const reasonOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "it worked",
    (error) => (isSallyportError(error) ? error.reason : String(error)),
  );

/** Two nodes with a session; `b` has a service that answers when the test says so. */
async function pair(maxDelayMs = 0) {
  const world = new NativeNodes(1, [A, B, "c@h"], maxDelayMs);
  const [a, b] = [world.node(A), world.node(B)];
  const waiting: ((answer: Term) => void)[] = [];
  const logged: Term[] = [];
  b.register("work", { call: () => new Promise<Term>((resolve) => waiting.push(resolve)) }, { allow: "pinned" });
  b.register(
    "log",
    { call: (n) => logged.push(n) },
    { allow: { atLeast: "pinned", verbs: ["call", "monitor", "link"] } },
  );
  a.register("slow", { call: () => new Promise<Term>(() => {}) }, { allow: "pinned" });
  const downs: string[] = [];
  a.on("nodedown", (_, reason) => void downs.push(reason));
  const connected = a.connect(B);
  await world.pass(5 + 10 * maxDelayMs);
  await connected;
  const call = (name: string, n: Term, from: SallyportNode = a, timeoutMs = 60_000): Promise<Term> =>
    from.call({ name, node: from === a ? B : A }, n, { timeoutMs });
  const closing = (options: { timeoutMs?: number } = {}) => {
    let isDone = false;
    void b.close(options).then(() => {
      isDone = true;
    });
    return () => isDone;
  };
  return { world, a, b, waiting, logged, downs, call, closing };
}

describe("close()", () => {
  it("lets running calls answer, serves what comes meanwhile, and then says goodbye", async () => {
    const { world, waiting, logged, downs, call, closing } = await pair();
    const running = [call("work", 1), call("work", 2)];
    await world.pass(5);
    const isDone = closing();
    await world.pass(20);
    const late = call("log", 3);
    await world.pass(20);
    expect([await late, logged, downs, isDone()]).toEqual([1, [3], [], false]);
    waiting[0]?.(10);
    await world.pass(20);
    expect([downs, isDone()]).toEqual([[], false]);
    waiting[1]?.(20);
    await world.pass(20);
    expect(await Promise.all(running)).toEqual([10, 20]);
    expect([downs, isDone()]).toEqual([["PEER_LEFT"], true]);
  });

  it("waits for its time at most", async () => {
    const { world, downs, call, closing } = await pair();
    const answer = reasonOf(call("work", 1));
    await world.pass(5);
    const isDone = closing({ timeoutMs: 300 });
    await world.pass(290);
    expect([downs, isDone()]).toEqual([[], false]);
    await world.pass(20);
    expect([downs, isDone(), await answer]).toEqual([["PEER_LEFT"], true, "TARGET_DOWN"]);
  });

  it("waits for nothing with no time", async () => {
    const { world, downs, call, closing } = await pair();
    const answer = reasonOf(call("work", 1));
    await world.pass(5);
    const isDone = closing({ timeoutMs: 0 });
    await world.settle();
    expect(isDone()).toBe(true);
    await world.pass(2);
    expect([downs, await answer]).toEqual([["PEER_LEFT"], "TARGET_DOWN"]);
  });

  it("tells monitors and links at the peer once", async () => {
    const { world, a, b, downs, closing } = await pair();
    const told: string[] = [];
    const note = (what: string) => (reason: Term) => void told.push(`${what} ${atomName(reason)}`);
    a.monitor({ name: "log", node: B }, ({ reason }) => note("monitor")(reason));
    const target = b.spawn(() => {}, { allow: { atLeast: "pinned", verbs: ["link"] } });
    a.link(
      a.spawn((message) => void told.push(`exit ${String(message)}`), { trapExit: true }),
      target,
    );
    await world.pass(5);
    const isDone = closing();
    await world.pass(50);
    expect([isDone(), downs]).toEqual([true, ["PEER_LEFT"]]);
    // Its processes ended before the connection did; each of the two is told once, of whichever came first.
    expect(told).toHaveLength(2);
  });

  it("refuses own work from its first moment, and fails own calls that are open when it leaves", async () => {
    const { world, b, call, closing } = await pair();
    const open = reasonOf(call("slow", 1, b));
    const dialling = reasonOf(b.connect("c@h"));
    await world.settle();
    const isDone = closing();
    expect(await reasonOf(call("slow", 2, b))).toBe("NODE_CLOSED");
    expect(() => b.send({ name: "log", node: A }, 1)).toThrow("the node is closed");
    await world.pass(20);
    expect([await open, await dialling, isDone()]).toEqual(["NODE_CLOSED", "NODE_CLOSED", true]);
  });

  it("lets the answer of a running call wait for an own call elsewhere", async () => {
    const { world, a, b, call, closing } = await pair();
    const answers: ((answer: Term) => void)[] = [];
    a.register("later", { call: () => new Promise<Term>((resolve) => answers.push(resolve)) }, { allow: "pinned" });
    const asked = b.call({ name: "later", node: A }, 1, { timeoutMs: 60_000 });
    b.register("relay", { call: () => asked }, { allow: "pinned" });
    const answer = call("relay", 1);
    await world.pass(5);
    const isDone = closing();
    await world.pass(20);
    answers[0]?.(7);
    await world.pass(20);
    expect([await answer, isDone()]).toEqual([7, true]);
  });

  it("takes no connection that comes meanwhile", async () => {
    const { world, call, closing, waiting } = await pair();
    const running = call("work", 1);
    await world.pass(5);
    closing();
    const c = world.node("c@h");
    const connect = reasonOf(c.connect(B));
    await world.pass(20);
    expect(await connect).not.toBe("it worked");
    waiting[0]?.(1);
    await world.pass(20);
    expect(await running).toBe(1);
  });

  it("is told from a crash and from disconnect()", async () => {
    const { world, a, b, downs } = await pair();
    b.disconnect(A);
    await world.pass(5);
    const again = a.connect(B);
    await world.pass(5);
    await again;
    world.loseAll();
    await world.pass(27_000);
    expect(downs).toEqual(["PEER_LEFT", "HEARTBEAT_TIMEOUT"]);
  });
});

describe("a node whose address changed", () => {
  it("dials anew and takes the place of its own leftover: one nodedown, one nodeup, and the same rights", async () => {
    const { world, a, b, logged, call } = await pair();
    const told: string[] = [];
    b.on("nodeup", ({ fingerprint }) => void told.push(`up ${fingerprint}`));
    b.on("nodedown", ({ fingerprint }, reason) => void told.push(`${reason} ${fingerprint}`));
    const { fingerprint } = b.peers()[0] ?? {};
    // Nothing gets through any more, and only the one that moved notices.
    world.loseAll();
    a.disconnect(B);
    const answer = call("log", 5);
    await world.pass(20);
    expect([await answer, logged]).toEqual([1, [5]]);
    expect(told).toEqual([`SESSION_REPLACED ${fingerprint}`, `up ${fingerprint}`]);
  });
});
