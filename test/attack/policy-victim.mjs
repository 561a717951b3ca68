// A node with a policy, in a process of its own: one JSON request a line on stdin, one JSON answer a line on stdout, `{id, ok}`
// or `{id, error}`; events of the node go out as `{event, ...}`. Runs the built package, as a user would.
//
// Whatever a handler or function received is kept and can be asked for with `arrived`: what is not there was not delivered.
// `_reach` of the options grants in code: `jobs` to everybody (`open`), or nothing (default).

import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as sallyport from "../../lib/index.js";

const { Atom, createNode, printTerm, Tuple } = sallyport;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
process.on("uncaughtException", (error) => say({ event: "uncaught", text: String(error?.stack ?? error) }));
process.on("unhandledRejection", (error) =>
  say({ event: "uncaught", text: `rejection ${String(error?.stack ?? error)}` }),
);

const { _reach: reach = "nobody", _wallSkewMs: wallSkewMs = 0, ...options } = JSON.parse(process.argv[2]);
const rightTime = Date.now;
Date.now = () => rightTime() + wallSkewMs;

const node = await createNode(options).catch((error) => {
  process.stderr.write(`${error?.code} ${error?.reason} ${error?.message}\n`);
  process.exit(2);
});
const arrived = [];
const note = (where, term) => {
  if (arrived.length < 20_000) arrived.push(`${where} ${printTerm(term).slice(0, 200)}`);
};
const held = [];
const hold = () => new Promise((resolve) => held.push(resolve));
const open = (rule) => (reach === "open" ? { allow: rule } : {});

/** A service that keeps what it gets. */
const service = (name, more) => ({
  call: (request) => {
    note(`${name}.call`, request);
    return new Tuple([new Atom("done"), request]);
  },
  cast: (message) => note(`${name}.cast`, message),
  info: (message) => note(`${name}.info`, message),
  ...more,
});
/** Processes whose life and pid tests ask for. */
const handles = new Map();
const register = (name, handlers, registration = {}) => handles.set(name, node.register(name, handlers, registration));

register("jobs", service("jobs"), open({ atLeast: "cookie", verbs: ["call", "cast", "send", "monitor"] }));
register("events", service("events"));
register("private", service("private"));
register("printer", service("printer"));
register("machine", service("machine"));
register("mortal", service("mortal"));
register("slow", service("slow", { call: hold }));
for (const name of ["loose", "handed", "guarded"])
  handles.set(
    name,
    node.spawn((message) => note(name, message)),
  );
// The actor that links to work on other machines: it does not trap exits.
handles.set(
  "actor",
  node.spawn((message) => note("actor", message)),
);

const ran = (label, args) => note(label, args);
node.registerFunction(
  "worker",
  (args) => {
    ran("worker", args);
    return args.length;
  },
  open("cookie"),
);
node.registerFunction("stay", (args) => {
  ran("stay", args);
  return hold();
});
node.registerFunction({ module: "jobs", function: "run", arity: 1 }, (args) => {
  ran("jobs:run/1", args);
  return args[0];
});
// Others of the same name, which nobody was granted.
for (const arity of [0, 2, 3]) {
  node.registerFunction({ module: "jobs", function: "run", arity }, (args) => ran(`jobs:run/${arity}`, args));
}
node.registerFunction({ module: "jobs", function: "stay", arity: 0 }, (args) => {
  ran("jobs:stay/0", args);
  return hold();
});
node.registerFunction({ module: "peers", function: "names", arity: 0 }, (args) => {
  ran("peers:names/0", args);
  return node.peers().map(({ name }) => Buffer.from(name));
});
node.registerFunction({ module: "metrics", function: "all", arity: 0 }, (args) => {
  ran("metrics:all/0", args);
  return node.vitals().processes;
});

if (options.quic !== undefined) {
  node.onStream("upload", async (stream) => {
    for await (const chunk of stream) note("upload", chunk);
    await stream.write(Buffer.from("taken"));
    stream.end();
  });
}

const reasons = (error) => ({
  code: error?.code,
  reason: error?.reason,
  message: error?.message,
  advice: error?.advice,
  stage: error?.stage,
});
node.on("nodeup", (peer) => say({ event: "nodeup", peer: peer.name, assurance: peer.assurance, atMs: rightTime() }));
node.on("nodedown", (peer, reason) => say({ event: "nodedown", peer: peer.name, reason, atMs: rightTime() }));
node.on("denied", (denied) => say({ event: "denied", ...denied }));
node.on("refused", ({ address, role, error }) => say({ event: "refused", address, role, ...reasons(error) }));
node.on("warning", ({ reason, message }) => say({ event: "warning", reason, message }));
node.on("handlerError", ({ where, error }) => say({ event: "handlerError", where, text: String(error) }));
try {
  node.on("reload", (reload) => say({ event: "reload", ...reload }));
} catch {
  // No such event in this build: tests that wait for it fail by that.
}

const pidOf = ({ pid }) => ({ id: pid.id, serial: pid.serial });
const aliasOf = (alias) => ({ node: alias.node, creation: alias.creation, words: [...alias.words] });
const ends = new Map();
const begin = (key) => {
  const entry = { state: "open" };
  ends.set(key, entry);
  return entry;
};
const follow = (key, promise) => {
  const entry = begin(key);
  promise.then(
    (value) => Object.assign(entry, { state: "answered", value: printTerm(value).slice(0, 200), atMs: rightTime() }),
    (error) => Object.assign(entry, { state: "failed", ...reasons(error), atMs: rightTime() }),
  );
};
const grants = new Map();
const grantText = (grant) =>
  grant === undefined
    ? undefined
    : JSON.parse(JSON.stringify(grant, (_, v) => (typeof v === "bigint" ? String(v) : v)));
const targetOf = ({ name, to }) => (to === undefined ? handles.get(name) : { name, node: to });

const operations = {
  info: () => ({
    name: node.name,
    creation: node.creation,
    endpoints: node.endpoints,
    pid: process.pid,
    open: pidOf(handles.get("loose")),
    closed: pidOf(handles.get("guarded")),
    secret: pidOf(handles.get("private")),
  }),
  pids: () => Object.fromEntries([...handles].map(([name, handle]) => [name, pidOf(handle)])),
  alive: () => Object.fromEntries([...handles].map(([name, handle]) => [name, handle.alive])),
  health: () => ({ ...node.vitals(), held: held.length }),
  memory: () => {
    collect();
    collect();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    return { rss, used: heapUsed + arrayBuffers };
  },
  /** What arrived since the last question, after everything that is queued was handled. */
  arrived: async () => {
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    return arrived.splice(0);
  },
  release: () => held.splice(0).map((resolve) => resolve(1)).length,
  polluted: () => ({ own: Object.keys(Object.prototype), seen: {}.polluted ?? null }),
  connect: ({ to }) => node.connect(to, { timeoutMs: 8_000 }).then(({ assurance }) => ({ assurance })),
  disconnect: ({ to }) => node.disconnect(to),
  peers: () => node.peers().map(({ name, assurance }) => ({ name, assurance })),
  outcome: ({ key }) => ends.get(key) ?? { state: "unknown" },
  call: ({ key, name, to, timeoutMs = 5_000 }) =>
    follow(key, node.call({ name, node: to }, new Atom("question"), { timeoutMs })),
  cast: ({ name, to }) => node.cast({ name, node: to }, new Atom("told")),
  sendTo: ({ name, to }) => node.send({ name, node: to }, new Atom("told")),
  rpc: ({ key, to, module = "lists", fn = "reverse", timeoutMs = 5_000 }) =>
    follow(key, node.rpc(to, module, fn, [new Atom("argument")], { timeoutMs })),
  /** Opens a stream, asks, and takes what is written back. */
  stream: ({ key, to, tag }) => {
    const ask = async () => {
      const stream = await node.openStream(to, tag);
      await stream.write(Buffer.from("question"));
      stream.end();
      const parts = [];
      for await (const chunk of stream) parts.push(chunk);
      return Buffer.concat(parts);
    };
    follow(key, ask());
  },
  spawn: ({ key, to, fn, link, timeoutMs = 5_000 }) => {
    const downs = [];
    follow(
      key,
      node
        .spawnRemote(to, fn, [], {
          timeoutMs,
          onDown: ({ reason }) => downs.push(printTerm(reason)),
          ...(link === undefined ? {} : { link: handles.get(link) }),
        })
        .then((pid) => {
          Object.assign(ends.get(key), { pid: { id: pid.id, serial: pid.serial } });
          return new Atom("started");
        }),
    );
    Object.assign(ends.get(key), { downs });
  },
  monitor: ({ key, ...target }) => {
    const entry = Object.assign(begin(key), { downs: [] });
    node.monitor(targetOf(target), ({ reason }) => {
      entry.downs.push(printTerm(reason));
      entry.state = "down";
    });
  },
  exit: ({ name, reason }) => node.exit(handles.get(name), new Atom(reason)),
  unregister: ({ name }) => node.unregister(name),
  again: ({ name }) => register(name, service(name)),
  grant: ({ key, name, to, ...terms }) => {
    const grant = node.grant(handles.get(name), { to, ...terms });
    grants.set(key, grant);
    return { id: grant.id, pid: pidOf({ pid: grant.pid }), alias: aliasOf(grant.alias) };
  },
  revoke: ({ key }) => grants.get(key)?.revoke(),
  grants: () => grantText(node.grants()),
  policy: () => (node.policy === null ? null : { generation: node.policy.generation }),
  reload: () => node.policy.reload(),
  replace: ({ document }) => node.policy.replace(document),
  why: ({ decision }) => node.why(decision) ?? null,
  reloadIdentity: () => node.identity.reload(),
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
      (error) => say({ id, error: reasons(error), text: String(error?.stack ?? error) }),
    );
}
process.exit(0);
