#!/usr/bin/env node
// `npm run bench:quic`: two Sallyport nodes over TLS, by key, and over QUIC as nodes of barrel_p2p, in turn, with the bare carriers
// beside them; and small calls beside a large stream of the same QUIC connection. See README.md for the method; never a gate. With QUIC each side has a second process, its engine.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { waitForQuiet } from "./quiet.mjs";
import { allowedCores, hasProgram, Worker } from "./worker.mjs";

const MIB = 1024 * 1024;
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    ms: { type: "string", default: "1000" },
    stream: { type: "string", default: "1024" },
    free: { type: "boolean", default: false },
    wait: { type: "string", default: "120" },
  },
});
const [rounds, ms, streamMib] = [values.rounds, values.ms, values.stream].map(Number);
const here = dirname(fileURLToPath(import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "sallyport-bench-quic-"));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
process.on("exit", () => {
  Worker.stopAll();
  rmSync(directory, { recursive: true, force: true });
});
const [serverCore, clientCore] = !values.free && hasProgram("taskset") ? allowedCores() : [];
const isPinned = clientCore !== undefined;
const start = (name, core, ...args) =>
  Worker.start(name, isPinned ? core : undefined, [
    process.execPath,
    "--expose-gc",
    join(here, `${name}.mjs`),
    ...args,
  ]);

const WAYS = ["tls", "quic"];
/** For each measure and way: after about 10,000 calls over QUIC all four processes run compiled code. */
const WARM_UP_MS = 3000;
const rate = ({ bytes, seconds }) => bytes / MIB / seconds;
const calls = ({ samples }) => samples / 1000;
/** Each with how it is asked, its figures, and what processor time is told for: a MiB, or a thousand operations. */
const MEASURES = [
  [
    (worker, way, time) => worker.ask("bareOneway", way, time),
    [["bare carrier, 64 KiB, MiB/s", rate]],
    ({ bytes }) => bytes / MIB,
  ],
  [
    (worker, way, time) => worker.ask("bareLatency", way, time),
    [["bare carrier, 64 B, p50, us", ({ p50 }) => p50]],
    calls,
  ],
  [
    (worker, way, time) => worker.ask("oneway", way, 65_536, time),
    [["64 KiB one way, MiB/s", rate]],
    ({ bytes }) => bytes / MIB,
  ],
  [
    (worker, way, time) => worker.ask("oneway", way, MIB, time),
    [["1 MiB one way, MiB/s", rate]],
    ({ bytes }) => bytes / MIB,
  ],
  [
    (worker, way, time) => worker.ask("latency", way, time),
    [
      ["call p50, us", ({ p50 }) => p50],
      ["call p99, us", ({ p99 }) => p99],
    ],
    calls,
  ],
  [(worker, way, time) => worker.ask("handshakes", way, time), [["connect p50, ms", ({ p50 }) => p50 / 1000]], calls],
];
const CPU = [
  "bare carrier, CPU ms per MiB",
  "bare carrier, 64 B, CPU us",
  "64 KiB one way, CPU ms per MiB",
  "1 MiB one way, CPU ms per MiB",
  "call, CPU us",
  "connect, CPU us",
];

const load = await waitForQuiet(Number(values.wait));
console.log(`Node ${process.version}, ${cpus()[0]?.model}, load average ${load.toFixed(2)} at the start`);
console.log(
  isPinned ? "each side with its engine on a core of its own" : "all processes wherever the system puts them",
);
const server = await start("quic-server", serverCore, directory);
const endpoints = await server.ask("endpoints");
const { bare } = endpoints;
const client = await start("quic-client", clientCore, directory, endpoints.tls, endpoints.quic, bare.tls, bare.quic);
const rows = new Map();
for (let round = 0; round <= rounds; round++) {
  for (const [at, [measure, figures, units]] of MEASURES.entries()) {
    for (const way of round % 2 === 0 ? WAYS : [...WAYS].reverse()) {
      const before = cpuMs();
      const result = await measure(client, way, round === 0 ? Math.max(ms, WARM_UP_MS) : ms);
      const spent = cpuMs() - before;
      // The first round warms up.
      if (round === 0) continue;
      for (const [title, figure] of figures) note(title, way, figure(result));
      note(CPU[at], way, spent / units(result));
    }
  }
  if (round > 0) console.log(`round ${round} of ${rounds}`);
}
const beforeStream = cpuMs();
const stream = await client.ask("beside", streamMib * MIB);
const streamCpu = (cpuMs() - beforeStream) / streamMib;

console.log(`\n${"".padEnd(32)}${"TLS, by key".padEnd(22)}${"QUIC".padEnd(22)}QUIC of TLS`);
for (const [title, { tls, quic }] of rows) {
  const ratios = quic.map((value, n) => value / tls[n]);
  console.log(`${title.padEnd(32)}${spread(tls).padEnd(22)}${spread(quic).padEnd(22)}${spread(ratios)}`);
}
console.log(
  `\n${streamMib} MiB over a tagged stream in ${stream.seconds.toFixed(1)} s (${short(rate(stream))} MiB/s); small calls beside it: ` +
    `p50 ${short(stream.p50 / 1000)} ms, p99 ${short(stream.p99 / 1000)} ms, ${stream.samples} of them; CPU ${short(streamCpu)} ms per MiB`,
);
console.log(`Medians of ${rounds} interleaved rounds of ${ms} ms, (least-most).`);
Worker.stopAll();
process.exit(0);

/** Of all four processes. */
function cpuMs() {
  return (server.familyCpuMs() ?? Number.NaN) + (client.familyCpuMs() ?? Number.NaN);
}

function note(title, way, value) {
  const row = rows.get(title) ?? { tls: [], quic: [] };
  rows.set(title, row);
  row[way].push(value);
}

function spread(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return `${short(sorted[sorted.length >> 1])} (${short(sorted[0])}-${short(sorted.at(-1))})`;
}

function short(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
