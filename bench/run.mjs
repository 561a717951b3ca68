#!/usr/bin/env node
// `npm run bench`: Sallyport beside OTP, a bare loop and raw TLS, in the same run. See options.mjs for the options.
//
// Method: every burst is followed by an acknowledgement of the receiver, so only what was really handled counts. The
// subjects take turns within each round, in an order that moves on from round to round; each round has fresh
// connections, because OTP's rate is fixed per connection and differs much between connections. The receiving and the
// sending process are pinned to a core each. A ratio is taken within each round.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { idleName, makeCertificates } from "./certificates.mjs";
import { measureHandshakes } from "./handshake.mjs";
import { HANDSHAKE, MEASURES, MEMORY } from "./measures.mjs";
import { HELP, readOptions } from "./options.mjs";
import { waitForQuiet } from "./quiet.mjs";
import { short, summarize, table } from "./report.mjs";
import { compileOtp, NAMES, OTP_NAMES, startOtp, startOtpHeld, startSallyport, startStreams } from "./subjects.mjs";
import { allowedCores, hasProgram, Worker } from "./worker.mjs";

/** Connections opened and held before the memory count starts, so that first-time costs are not in it. */
const MEMORY_WARM_UP = 20;
const MEMORY_REPEATS = 3;

let options;
try {
  options = readOptions(
    process.argv.slice(2),
    [...MEASURES, HANDSHAKE, MEMORY].map((measure) => measure.name),
  );
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}

const directory = mkdtempSync(join(tmpdir(), "sallyport-bench-"));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    cleanUp();
    process.exit(130);
  });
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  cleanUp();
}

function cleanUp() {
  Worker.stopAll();
  rmSync(directory, { recursive: true, force: true });
}

async function main() {
  const wanted = new Set(options.subjects);
  if (wanted.has("otp") && !hasProgram("erl")) {
    wanted.delete("otp");
    console.log("erl was not found: no OTP reference. On Debian: apt-get install erlang-nox");
  }
  const [serverCore, clientCore] = pinnedCores();
  if (options.cpuProfiles !== undefined) mkdirSync(options.cpuProfiles, { recursive: true });
  const bench = {
    directory,
    serverCore,
    clientCore,
    certificates: await makeCertificates(directory, [...NAMES, ...idleNames()], OTP_NAMES),
    otpDirectory: wanted.has("otp") ? compileOtp(directory) : undefined,
    nodeFlags: options.cpuProfiles === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", resolve(options.cpuProfiles)],
  };
  console.log(`Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}, ${allowedCores().length} cores`);
  const loadAtStart = await waitForQuiet(options.waitSeconds);

  const measures = MEASURES.filter((measure) => options.only.includes(measure.name));
  const samples = new Map(measures.map((measure) => [measure, {}]));
  const cpuFigures = new Map(measures.map((measure) => [measure, {}]));
  const pairs = measures.length === 0 ? {} : await startPairs(bench, wanted);
  const loads = [];
  if (measures.length > 0) await warmUp(measures, pairs);
  for (let round = 0; round < options.rounds && measures.length > 0; round++) {
    loads.push(loadavg()[0]);
    await oneRound(round, measures, pairs, samples, cpuFigures);
  }
  for (const pair of new Set(Object.values(pairs))) await stopPair(pair);

  const summaries = measures.map((measure) => summarize(measure, samples.get(measure), cpuFigures.get(measure)));
  if (options.only.includes("handshake")) {
    const figures = await measureHandshakes(bench, wanted, options.rounds, options.ms, stopPair);
    summaries.push(summarize(HANDSHAKE, ...figures));
  }
  if (options.only.includes("memory")) summaries.push(summarize(MEMORY, await memory(bench, wanted)));

  console.log(`\n${table(summaries)}`);
  console.log(
    `\nMedian of ${options.rounds} rounds of ${options.ms} ms, (least-most); ratios within each round.` +
      `\nLoad average at the start ${loadAtStart.toFixed(2)}, ${pinningText(serverCore, clientCore)}.`,
  );
  if (options.json !== undefined) {
    const { rounds, ms } = options;
    const facts = { node: process.version, rounds, ms, loadAtStart, loads, pinned: serverCore !== undefined };
    writeFileSync(options.json, `${JSON.stringify({ facts, measures: summaries }, null, 2)}\n`);
  }
}

/** Nodes of the memory measure. */
function idleNames() {
  const count = options.only.includes("memory") ? options.idle + MEMORY_WARM_UP : 0;
  return Array.from({ length: count }, (_, index) => idleName(index));
}

function pinnedCores() {
  const cores = allowedCores();
  // On the core of its own process the sampling thread would see idle moments only.
  const wanted = options.cpuProfiles === undefined;
  return wanted && cores.length >= 2 && hasProgram("taskset") ? cores : [undefined, undefined];
}

function pinningText(serverCore, clientCore) {
  return serverCore === undefined
    ? "processes NOT pinned (that needs taskset, two cores and no profiles)"
    : `receivers pinned to core ${serverCore}, senders to core ${clientCore}`;
}

/** Starts what `wanted` names; `loop` and `raw` are one pair. */
async function startPairs(bench, wanted) {
  const pairs = {};
  if (wanted.has("raw") || wanted.has("loop")) {
    const streams = await startStreams(bench);
    if (wanted.has("raw")) pairs.raw = streams;
    if (wanted.has("loop")) pairs.loop = streams;
  }
  if (wanted.has("otp")) pairs.otp = await startOtp(bench);
  if (wanted.has("sallyport")) pairs.sallyport = await startSallyport(bench);
  return pairs;
}

function subjectsOf(measure, pairs) {
  return ["sallyport", ...measure.references].filter((subject) => pairs[subject] !== undefined);
}

/** Every burst once, not counted, so that no round pays for compiling. */
async function warmUp(measures, pairs) {
  process.stdout.write("warming up");
  for (const pair of Object.values(pairs)) await pair.freshConnection();
  for (const measure of measures) {
    for (const subject of subjectsOf(measure, pairs)) await measure.burst(pairs[subject], subject, options.ms);
    process.stdout.write(".");
  }
  process.stdout.write("\n");
}

/** One burst, with the processor time that both sides spent on each operation, in microseconds. */
async function timedBurst(measure, pair, subject) {
  const before = [pair.server.cpuMs(), pair.client.cpuMs()];
  const result = await measure.burst(pair, subject, options.ms);
  if (before[0] === undefined) return result;
  const each = (worker, ms) => ((worker.cpuMs() - ms) * 1000) / measure.operations(result);
  return { ...result, cpu: { receiver: each(pair.server, before[0]), sender: each(pair.client, before[1]) } };
}

async function oneRound(round, measures, pairs, samples, cpuFigures) {
  const shared = new Map();
  const texts = [];
  // Connects end the round's connection, and every round begins with a fresh one.
  for (const pair of Object.values(pairs)) await pair.freshConnection();
  for (const measure of measures) {
    const figures = samples.get(measure);
    const subjects = subjectsOf(measure, pairs);
    const parts = [];
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round) % subjects.length];
      const key = measure.shares === undefined ? undefined : `${measure.shares} ${subject}`;
      const result = shared.get(key) ?? (await timedBurst(measure, pairs[subject], subject));
      if (key !== undefined) shared.set(key, result);
      figures[subject] ??= [];
      figures[subject].push(measure.value(result));
      if (result.cpu === undefined) continue;
      const cpu = cpuFigures.get(measure);
      cpu[subject] ??= [];
      cpu[subject].push(result.cpu);
    }
    for (const subject of subjects) parts.push(`${subject} ${short(figures[subject].at(-1))}`);
    texts.push(`  ${measure.title} (${measure.unit}): ${parts.join(", ")}`);
  }
  console.log(`round ${round + 1} of ${options.rounds}, load ${loadavg()[0].toFixed(2)}\n${texts.join("\n")}`);
}

/** Growth of the receiving process per idle connection, each time in fresh processes. */
async function memory(bench, wanted) {
  const starters = { sallyport: startSallyport, otp: startOtpHeld, raw: startStreams };
  const samples = {};
  for (let repeat = 0; repeat < (options.quick ? 1 : MEMORY_REPEATS); repeat++) {
    for (const [subject, start] of Object.entries(starters)) {
      if (!wanted.has(subject) || (subject === "otp" && !wanted.has("sallyport"))) continue;
      const pair = await start(bench);
      await pair.hold(MEMORY_WARM_UP);
      const before = await settledBytes(pair.server);
      await pair.hold(options.idle);
      const after = await settledBytes(pair.server);
      await stopPair(pair);
      if (before === undefined || after === undefined) continue;
      samples[subject] ??= [];
      samples[subject].push((after - before) / options.idle / 1024);
      console.log(`memory of ${options.idle} idle connections, ${subject}: ${short(samples[subject].at(-1))} KiB each`);
    }
  }
  return samples;
}

async function settledBytes(server) {
  await server.ask("gc");
  return server.residentBytes();
}

/** With profiles the processes have to end by themselves, or nothing is written. */
async function stopPair(pair) {
  if (options.cpuProfiles === undefined) {
    pair.client.stop();
    pair.server.stop();
    return;
  }
  await pair.client.finish();
  await pair.server.finish();
}
