// A node in a process of its own, for tests of how connections come and go. The first message brings its options; each
// further one is a question with an id, and is answered once. Events are told as they happen.
import { readdirSync } from "node:fs";

const { createNode } = await import(new URL("../../lib/index.js", import.meta.url).href);
const allow = { atLeast: "cookie", verbs: ["send", "call", "monitor"] };

process.once("disconnect", () => process.exit(0));
process.once("message", async ({ options, more = [], allowed = allow }) => {
  const node = await createNode(options);
  const nodes = [node, ...(await Promise.all(more.map(createNode)))];
  const allowing = allowed === null ? {} : { allow: allowed };
  const got = [];
  const downs = [];
  node.register("inbox", { info: (message) => void got.push(message), call: (request) => request }, allowing);
  node.register("hang", { call: () => new Promise(() => {}) }, allowing);
  node.on("nodeup", (peer) => process.send({ event: "nodeup", peer: peer.name }));
  node.on("nodedown", (peer, reason) => process.send({ event: "nodedown", peer: peer.name, reason }));
  node.on("refused", ({ error }) => process.send({ event: "refused", code: error.code, reason: error.reason }));

  /** Sends numbers to the inbox of a node. */
  const send = (to, numbers) => {
    for (const n of numbers) node.send({ name: "inbox", node: to }, n);
  };
  const answers = {
    /** Connects after so many milliseconds, with messages before it and behind it. */
    async connect({ to, afterMs = 0, before = [], behind = [], timeoutMs = 10_000 }) {
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
      // What connect fails with says why; messages that went before it fail for the same reason.
      const connected = node.connect(to, { timeoutMs });
      send(to, before);
      await connected;
      send(to, behind);
    },
    send: ({ to, numbers }) => send(to, numbers),
    /** The connection is in order: what was sent before has arrived when this comes back. */
    call: ({ to, name = "inbox", request = 1, timeoutMs = 10_000 }) =>
      node.call({ name, node: to }, request, { timeoutMs }),
    hang: ({ to }) => node.call({ name: "hang", node: to }, 0, { timeoutMs: 60_000 }),
    monitor: ({ to }) =>
      void node.monitor({ name: "inbox", node: to }, ({ reason }) => void downs.push(String(reason.name))),
    downs: () => downs.splice(0),
    inbox: () => got.splice(0),
    peers: () => node.peers().map((peer) => peer.name),
    addresses: () => Object.fromEntries(node.peers().map((peer) => [peer.name, peer.address])),
    disconnect: ({ to }) => node.disconnect(to),
    /** Every node of this process connects and disconnects, so many times. */
    cycles: ({ to, count }) =>
      Promise.all(
        nodes.map(async (each) => {
          for (let n = 0; n < count; n++) {
            await each.call({ name: "inbox", node: to }, n);
            const down = new Promise((resolve) => {
              const heard = () => {
                each.off("nodedown", heard);
                resolve();
              };
              each.on("nodedown", heard);
            });
            each.disconnect(to);
            await down;
          }
        }),
      ).then(() => null),
    async usage() {
      for (let n = 0; n < 3; n++) {
        globalThis.gc?.();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const { heapUsed, external, rss } = process.memoryUsage();
      const { processes, openCalls, connectedCount, counters } = node.vitals();
      const descriptors = readdirSync("/proc/self/fd").length;
      return { heapUsed, external, rss, descriptors, processes, openCalls, connectedCount, counters };
    },
  };
  process.on("message", async ({ id, ask, ...rest }) => {
    try {
      process.send({ id, value: (await answers[ask](rest)) ?? null });
    } catch (error) {
      process.send({
        id,
        failed: { name: error.name, code: error.code, reason: error.reason, message: error.message },
      });
    }
  });
  process.send({ event: "listening", endpoint: node.endpoints[0] ?? null });
});
