#!/usr/bin/env node
// `npm run -s build && node --expose-gc --max-semi-space-size=512 bench/policy-allocation.mjs`: bytes of heap that one message
// takes on its way from the frame to the handler, by policy. The payload is a small integer, whose decoding allocates nothing:
// what remains is framing, the decision and the mailbox.
import { PerformanceObserver } from "node:perf_hooks";
import { fromLibrary } from "./library.mjs";
import { policyOf, VARIANTS, WORDS } from "./policy-variants.mjs";

const IN_CHUNK = 500;
const MESSAGES = 1_000_000;
/** Where a million needs collections: few enough to need none. */
const FEW = 50_000;

if (globalThis.gc === undefined) {
  console.error("run it with --expose-gc --max-semi-space-size=512");
  process.exit(2);
}
const { MemoryCarrier } = await fromLibrary("carrier/memory.js");
const { ScriptedNode } = await fromLibrary("testkit/scripted-peer.js");

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

for (const variant of VARIANTS) {
  let figure = await measure(variant, MESSAGES);
  if (figure.runs > 0) figure = await measure(variant, FEW);
  const { bytes, heard, count, runs } = figure;
  if (heard !== count) throw new Error(`${heard} of ${count} messages were heard`);
  console.log(
    `${WORDS[variant].padEnd(36)} ${bytes.toFixed(2).padStart(8)} B a message, of ${count}, ${runs} collections`,
  );
}

async function measure(variant, count) {
  const policy = policyOf(variant, "n@h", "p@h", "cookie");
  if (policy?.rules.some(({ shape }) => shape !== undefined)) policy.rules[0].shape = "integer";
  const world = new ScriptedNode({ policy });
  let heard = 0;
  const open = policy === undefined ? { allow: "cookie" } : {};
  world.node.register("sink", { info: () => void heard++ }, open);
  let sink;
  const { accept } = world.node;
  world.node.accept = (carrier, admission) => {
    sink = accept(carrier, admission);
    return sink;
  };
  const peer = await world.connect();
  for (let i = 0; i < 100; i++) peer.send("sink", 1);
  await world.settle();
  const chunk = await recorded(world, () => {
    for (let i = 0; i < IN_CHUNK; i++) peer.send("sink", 1);
  });
  const feed = (times) => {
    for (let i = 0; i < times; i++) {
      sink.bytes(0, chunk);
      world.clock.runTurn();
    }
  };
  feed(400);
  heard = 0;
  globalThis.gc();
  globalThis.gc();
  await new Promise((done) => setTimeout(done, 20));
  const before = collections;
  const start = process.memoryUsage().heapUsed;
  feed(count / IN_CHUNK);
  const bytes = (process.memoryUsage().heapUsed - start) / count;
  await new Promise((done) => setTimeout(done, 20));
  return { bytes, heard, count, runs: collections - before };
}

/** The bytes that the peer writes in `run`, which go nowhere. */
async function recorded(world, run) {
  const pieces = [];
  const { write } = MemoryCarrier.prototype;
  MemoryCarrier.prototype.write = (_channel, bytes) => {
    pieces.push(Buffer.from(bytes));
    return true;
  };
  run();
  await world.settle();
  MemoryCarrier.prototype.write = write;
  return Buffer.concat(pieces);
}
