#!/usr/bin/env node
// `npm run bench:quic`: two Sallyport nodes over TLS, by key, and over QUIC as nodes of barrel_p2p, in turn; and small calls beside a
// large stream of the same QUIC connection. See README.md for the method; never a gate. With QUIC each side has a second process, its engine.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "./worker.mjs";

const MIB = 1024 * 1024;
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    ms: { type: "string", default: "1000" },
    stream: { type: "string", default: "1024" },
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
const start = (name, ...args) =>
  Worker.start(name, undefined, [process.execPath, "--expose-gc", join(here, `${name}.mjs`), ...args]);

const WAYS = ["tls", "quic"];
const rate = ({ bytes, seconds }) => bytes / MIB / seconds;
const MEASURES = [
  ["64 KiB one way, MiB/s", (worker, way) => worker.ask("oneway", way, 65_536, ms).then(rate)],
  ["1 MiB one way, MiB/s", (worker, way) => worker.ask("oneway", way, MIB, ms).then(rate)],
  ["call p50, us", (worker, way) => worker.ask("latency", way, ms).then(({ p50 }) => p50)],
  ["call p99, us", (worker, way) => worker.ask("latency", way, ms).then(({ p99 }) => p99)],
  ["connect p50, ms", (worker, way) => worker.ask("handshakes", way, ms).then(({ p50 }) => p50 / 1000)],
];

console.log(`Node ${process.version}, ${cpus()[0]?.model}, load average ${loadavg()[0].toFixed(2)} at the start`);
const server = await start("quic-server", directory);
const endpoints = await server.ask("endpoints");
const client = await start("quic-client", directory, endpoints.tls, endpoints.quic);
const samples = MEASURES.map(() => ({ tls: [], quic: [] }));
for (let round = 0; round <= rounds; round++) {
  for (const [at, [title, measure]] of MEASURES.entries()) {
    for (const way of round % 2 === 0 ? WAYS : [...WAYS].reverse()) {
      const value = await measure(client, way);
      // The first round warms up.
      if (round > 0) samples[at][way].push(value);
    }
    if (round > 0)
      console.log(
        `round ${round}: ${title}: tls ${short(samples[at].tls.at(-1))}, quic ${short(samples[at].quic.at(-1))}`,
      );
  }
}
const stream = await client.ask("beside", streamMib * MIB);

console.log(`\n${"".padEnd(24)}${"TLS, by key".padEnd(22)}${"QUIC".padEnd(22)}QUIC of TLS`);
for (const [at, [title]] of MEASURES.entries()) {
  const { tls, quic } = samples[at];
  const ratios = quic.map((value, n) => value / tls[n]);
  console.log(`${title.padEnd(24)}${spread(tls).padEnd(22)}${spread(quic).padEnd(22)}${spread(ratios)}`);
}
console.log(
  `\n${streamMib} MiB over a tagged stream in ${stream.seconds.toFixed(1)} s (${short(rate(stream))} MiB/s); small calls beside it: ` +
    `p50 ${short(stream.p50 / 1000)} ms, p99 ${short(stream.p99 / 1000)} ms, ${stream.samples} of them`,
);
console.log(`Medians of ${rounds} interleaved rounds of ${ms} ms, (least-most).`);
Worker.stopAll();
process.exit(0);

function spread(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return `${short(sorted[sorted.length >> 1])} (${short(sorted[0])}-${short(sorted.at(-1))})`;
}

function short(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
