// The node under attack, in a process of its own. Configuration: one JSON argument of createNode options. Control: one JSON
// request a line on stdin, `{id, op, ...}`, one JSON answer a line on stdout, `{id, ok}` or `{id, error}`; events of the
// node go out as `{event, ...}`. A second argument is how wrong the wall clock is, in milliseconds. Runs the built package, as a user would.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createNode, printTerm } from "../../lib/index.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
process.on("uncaughtException", (error) => say({ event: "uncaught", text: String(error?.stack ?? error) }));
process.on("unhandledRejection", (error) =>
  say({ event: "uncaught", text: `rejection ${String(error?.stack ?? error)}` }),
);

const wallSkewMs = Number(process.argv[3] ?? 0);
const rightTime = Date.now;
Date.now = () => rightTime() + wallSkewMs;

const node = await createNode({
  guardLimits: { maxToldPerKind: 100_000, maxDenialsPerSecond: 100_000_000 },
  ...JSON.parse(process.argv[2]),
});
/** What arrived at each service: kind and text. */
const arrived = [];
const note = (where, term) => {
  if (arrived.length < 10_000) arrived.push(`${where} ${printTerm(term).slice(0, 200)}`);
};
const held = [];

node.register(
  "echo",
  {
    call: (request) => request,
    cast: (message) => note("echo.cast", message),
    info: (message) => note("echo.info", message),
  },
  { allow: "cookie" },
);
node.register(
  "calls",
  { call: () => 1, cast: (message) => note("calls.cast", message), info: (message) => note("calls.info", message) },
  { allow: { atLeast: "cookie", verbs: ["call"] } },
);
const hidden = {
  call: (request) => note("private.call", request),
  cast: (m) => note("private.cast", m),
  info: (m) => note("private.info", m),
};
const secret = node.register("private", hidden);
node.register("onlyGood", hidden, { allow: ["good@localhost"] });
// Holds every message until it is released.
node.register(
  "slow",
  {
    call: () => new Promise((resolve) => held.push(resolve)),
    cast: () => new Promise((resolve) => held.push(resolve)),
  },
  { allow: "cookie" },
);
node.registerFunction("worker", (args) => args.length, { allow: "cookie" });
node.registerFunction("stay", () => new Promise((resolve) => held.push(resolve)), { allow: "cookie" });
node.registerFunction({ module: "math", function: "add", arity: 2 }, ([a, b]) => a + b, { allow: "cookie" });
node.registerFunction({ module: "big", function: "blob", arity: 0 }, () => Buffer.alloc(256 * 1024), {
  allow: "cookie",
});
const open = node.spawn((message) => note("open", message), {
  allow: { atLeast: "cookie", verbs: ["send", "monitor", "link"] },
});
const closed = node.spawn((message) => note("closed", message));

const reasons = (error) => ({
  code: error?.code,
  reason: error?.reason,
  message: error?.message,
  advice: error?.advice,
  stage: error?.stage,
});
node.on("nodeup", (peer) => say({ event: "nodeup", peer: peer.name, assurance: peer.assurance }));
node.on("nodedown", (peer, reason) => say({ event: "nodedown", peer: peer.name, reason }));
let deniedCount = 0;
node.on("denied", (denied) => {
  if (++deniedCount <= 20_000) say({ event: "denied", ...denied });
});
node.on("refused", ({ address, role, error }) => say({ event: "refused", address, role, ...reasons(error) }));
node.on("warning", ({ reason, message }) => say({ event: "warning", reason, message }));
node.on("handlerError", ({ where, error }) => say({ event: "handlerError", where, text: String(error) }));

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
const calls = new Map();
const pidOf = ({ pid }) => ({ id: pid.id, serial: pid.serial });

const operations = {
  info: () => ({
    name: node.name,
    creation: node.creation,
    endpoints: node.endpoints,
    pid: process.pid,
    open: pidOf(open),
    closed: pidOf(closed),
    secret: pidOf(secret),
  }),
  health: () => ({ ...node.vitals(), held: held.length }),
  memory: () => {
    collect();
    collect();
    const { rss, heapUsed, arrayBuffers, external } = process.memoryUsage();
    return { rss, used: heapUsed + arrayBuffers, external };
  },
  /** Longest time the event loop was busy since the last question, in milliseconds. */
  loop: () => {
    const max = delay.max / 1e6;
    delay.reset();
    return { maxMs: max };
  },
  /** What a polluted prototype would show. */
  polluted: () => ({ own: Object.keys(Object.prototype), seen: {}.polluted ?? null }),
  ping: ({ node: to }) => node.ping(to).then(({ rttMs }) => ({ rttMs })),
  arrived: () => arrived.splice(0),
  alive: () => ({
    open: open.alive,
    closed: closed.alive,
    secret: secret.alive,
    services: ["echo", "calls", "private"].length,
  }),
  connect: ({ node: name }) => node.connect(name, { timeoutMs: 8_000 }).then((peer) => ({ assurance: peer.assurance })),
  disconnect: ({ node: name }) => node.disconnect(name),
  /** Starts a call; its end is asked for with `outcome`. */
  call: ({ key, name, node: to, timeoutMs }) => {
    const entry = { state: "open" };
    calls.set(key, entry);
    node.call({ name, node: to }, ["question"], { timeoutMs }).then(
      (value) => Object.assign(entry, { state: "answered", value: printTerm(value) }),
      (error) => Object.assign(entry, { state: "failed", reason: error?.reason }),
    );
  },
  rpc: ({ key, node: to, timeoutMs }) => {
    const entry = { state: "open" };
    calls.set(key, entry);
    node.rpc(to, "lists", "reverse", [[1]], { timeoutMs }).then(
      (value) => Object.assign(entry, { state: "answered", value: printTerm(value) }),
      (error) => Object.assign(entry, { state: "failed", reason: error?.reason }),
    );
  },
  monitor: ({ key, name, node: to }) => {
    const entry = { state: "open" };
    calls.set(key, entry);
    node.monitor({ name, node: to }, (down) => Object.assign(entry, { state: "down", reason: printTerm(down.reason) }));
  },
  spawn: ({ key, fn, node: to }) => {
    const entry = { state: "open", down: undefined };
    calls.set(key, entry);
    node
      .spawnRemote(to, fn, [], {
        timeoutMs: 60_000,
        onDown: (down) => Object.assign(entry, { down: printTerm(down.reason) }),
      })
      .then(
        () => Object.assign(entry, { state: "answered" }),
        (error) => Object.assign(entry, { state: "failed", reason: error?.reason }),
      );
  },
  outcome: ({ key }) => calls.get(key),
  send: ({ name, node: to, bytes, count }) => {
    let accepted = 0;
    for (let i = 0; i < count; i++) if (node.send({ name, node: to }, Buffer.alloc(bytes))) accepted++;
    return { accepted };
  },
  release: () => held.splice(0).map((resolve) => resolve(1)).length,
  close: async () => {
    await node.close({ timeoutMs: 200 });
    setImmediate(() => process.exit(0));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => operations[op](rest))
    .then(
      (ok) => say({ id, ok: ok ?? null }),
      (error) => say({ id, error: reasons(error), text: String(error) }),
    );
}
process.exit(0);
