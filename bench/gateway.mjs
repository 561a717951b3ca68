#!/usr/bin/env node
// `npm run bench:gateway`: two OTP nodes joined directly, through a relay that knows nothing of the bytes, and through the gateway
// with its default rules. See README.md for the method; never a gate.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeCertificates } from "./certificates.mjs";
import { MEASURES, TLS_MEASURES } from "./gateway-measures.mjs";
import { measureMemory } from "./gateway-memory.mjs";
import { gatewayTable } from "./gateway-report.mjs";
import { Run } from "./gateway-run.mjs";
import { CERTIFIED, startCommander, startGateway, startRelay, startWorker } from "./gateway-subjects.mjs";
import { compileOtp } from "./subjects.mjs";
import { allowedCores, hasProgram, Worker } from "./worker.mjs";

const QUIET_LOAD = 0.6;
const HELP = `Usage: npm run bench:gateway -- [options]

  --rounds N     rounds; default 7
  --ms N         length of one burst, milliseconds; default 1000
  --quick        3 rounds of 400 ms
  --only A,B     ${[...MEASURES, ...TLS_MEASURES].map(({ name }) => name).join(", ")}, memory
  --pin          relay and gateway on one core, both nodes on the other
  --wait N       longest wait in seconds for a load average below ${QUIET_LOAD}; default 120
  --json FILE    also write every round to FILE
  --cpu-prof DIR write CPU profiles of relay and gateway to DIR`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string" },
    ms: { type: "string" },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    pin: { type: "boolean", default: false },
    wait: { type: "string", default: "120" },
    json: { type: "string" },
    "cpu-prof": { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (!hasProgram("erl")) {
  console.error("erl was not found. On Debian: apt-get install erlang-nox");
  process.exit(2);
}
const rounds = Number(values.rounds ?? (values.quick ? 3 : 7));
const ms = Number(values.ms ?? (values.quick ? 400 : 1000));
const only = values.only?.split(",");
const directory = mkdtempSync(join(tmpdir(), "sallyport-bench-"));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
process.on("exit", () => {
  Worker.stopAll();
  rmSync(directory, { recursive: true, force: true });
});

const profiles = values["cpu-prof"];
if (profiles !== undefined) mkdirSync(profiles, { recursive: true });
const [first, second] = values.pin ? allowedCores() : [];
const bench = {
  directory,
  cores: { node: first, between: second },
  certificates: await makeCertificates(directory, CERTIFIED, CERTIFIED.slice(1)),
  otpDirectory: compileOtp(directory),
  nodeFlags: profiles === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", resolve(profiles)],
};
const isWanted = ({ name }) => only === undefined || only.includes(name);
console.log(`Node ${process.version}, ${cpus()[0]?.model}, ${allowedCores().length} cores`);
console.log(`load average ${(await quiet()).toFixed(2)} at the start`);

const summaries = [];
await transport("tcp", MEASURES.filter(isWanted));
await transport("tls", TLS_MEASURES.filter(isWanted));
if (summaries.length > 0) console.log(`\n${gatewayTable(summaries)}`);
if (isWanted({ name: "memory" })) console.log(`\n${await measureMemory(bench)}`);
console.log(`\nMedian of ${rounds} rounds of ${ms} ms, (least-most); shares within each round.`);
if (values.json !== undefined) {
  const facts = { node: process.version, rounds, ms, load: loadavg()[0], pinned: values.pin };
  writeFileSync(values.json, `${JSON.stringify({ facts, measures: summaries }, null, 2)}\n`);
}
process.exit(0);

/** All rounds with one way to the outside. */
async function transport(kind, measures) {
  if (measures.length === 0) return;
  const worker = await startWorker(bench);
  const { port } = await worker.ask("port");
  const commander = await startCommander(bench, kind);
  const relay = await startRelay(bench, kind, port);
  const gateway = await startGateway(bench, kind, port);
  // The worker speaks plain TCP: over TLS it cannot be reached directly.
  const paths = { ...(kind === "tcp" ? { direct: { port } } : {}), relay, gateway };
  const run = new Run(measures, commander, paths, ms);
  await run.burstOfEach("warming up");
  run.forget();
  for (let round = 0; round < rounds; round++) await run.burstOfEach(`round ${round + 1} of ${rounds}`, round);
  for (const { worker: between } of [relay, gateway]) await between.finish();
  for (const node of [commander, worker]) node.stop();
  summaries.push(...run.summaries());
}

/** Waits until the machine is quiet, within bounds; returns the load it starts at. */
async function quiet() {
  for (let left = Number(values.wait); left > 0 && loadavg()[0] >= QUIET_LOAD; left--)
    await new Promise((done) => setTimeout(done, 1000));
  return loadavg()[0];
}
