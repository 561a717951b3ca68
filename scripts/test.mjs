#!/usr/bin/env node
// `npm test`: everything a change has to pass in less than ten minutes. Arguments pick parts: unit integration interop fuzz, and
// those that run only where they are named: soak (traffic for minutes), long (models of handshake and arbiter in every order of events,
// floods, frozen nodes, the conformance peer of barrel_p2p against itself and against nodes).
// The last line is `N passed, N failed`, with `, N skipped` when something was skipped.
//
//   SALLYPORT_INSTALL=0      as root: do not install the programs that interop and the tests of three hosts need
//   SALLYPORT_INTEROP=0      skip interop on purpose (a failure when CI=true)
//   SALLYPORT_SOAK_SECONDS=N mixed traffic of the soak part, default 120 here; the part runs only where it is named
//   SALLYPORT_FUZZ_CASES=N   mutated inputs of the fuzz part, default 50000 here
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const REPORTS = join(ROOT, ".tmp", "test");
const CI = process.env.CI === "true";

/** Vitest projects and longest time of each part. Together they stay below ten minutes. */
const PARTS = {
  unit: { projects: ["unit", "structure"], maxSeconds: 420, workers: 2 },
  integration: { projects: ["integration"], maxSeconds: 600, workers: 2 },
  interop: { projects: ["interop"], maxSeconds: 420, workers: 2 },
  soak: { projects: ["soak"], maxSeconds: 420, workers: 2, onlyNamed: true },
  long: { projects: ["models", "long"], maxSeconds: 1500, workers: 2, onlyNamed: true },
  fuzz: { projects: ["fuzz"], maxSeconds: 120 },
};

/** Variables of parts, where they are not set. */
const DEFAULTS = { fuzz: { SALLYPORT_FUZZ_CASES: "50000" }, soak: { SALLYPORT_SOAK_SECONDS: "120" } };

/** Programs that parts need, and the Debian packages that bring them. */
const NEEDS = {
  interop: { programs: ["erl", "epmd", "elixir", "openssl"], packages: ["erlang-nox", "elixir", "openssl"] },
  soak: { programs: ["erl", "epmd", "elixir"], packages: ["erlang-nox", "elixir"] },
  long: { programs: ["erl", "epmd", "ip"], packages: ["erlang-nox", "iproute2"] },
  integration: { programs: ["ip"], packages: ["iproute2"] },
};
const INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"];

const started = Date.now();
const totals = { passed: 0, failed: 0, skipped: 0 };
/** Lines of the final summary. */
const steps = [];
const notes = [];
/** Process groups of the running steps, so that nothing outlives this script. */
const running = new Set();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const group of running) kill(group);
    console.log(`\nstopped by ${signal}`);
    process.exit(1);
  });
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(", ")}; known: ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
const parts = asked.length > 0 ? asked : Object.keys(PARTS).filter((name) => PARTS[name].onlyNamed !== true);

await preparePrograms();
await step("build", node("typescript/bin/tsc", "-p", "tsconfig.build.json"), 120);
if (asked.length === 0) {
  await step("lint and format", node("@biomejs/biome/bin/biome", "check", "."), 120);
  await step("types", node("typescript/bin/tsc", "-p", "tsconfig.json"), 120);
}
for (const part of parts) {
  await testPart(part);
}
finish();

/** Makes sure that every part can run as a whole, or says what is missing. */
async function preparePrograms() {
  const wanted = parts.filter((part) => part in NEEDS);
  for (const part of process.env.SALLYPORT_INTEROP === "0" ? ["interop", "soak"] : []) {
    if (!wanted.includes(part)) continue;
    skip(part, "SALLYPORT_INTEROP=0 is set");
    wanted.splice(wanted.indexOf(part), 1);
  }
  const missing = (part) => NEEDS[part].programs.filter((name) => !onPath(name));
  const lacking = () => wanted.filter((part) => missing(part).length > 0);
  if (lacking().length === 0) return;
  const root = process.getuid?.() === 0;
  if (root && onPath("apt-get") && process.env.SALLYPORT_INSTALL !== "0") {
    const packages = lacking().flatMap((part) => NEEDS[part].packages);
    const rule = "=".repeat(100);
    console.log(`\n${rule}`);
    for (const part of lacking()) console.log(`${part} needs ${missing(part).join(", ")}, missing here.`);
    console.log("INSTALLING Debian packages now, as root:");
    console.log(`  apt-get update && ${[...INSTALL, ...packages].join(" ")}`);
    console.log(`Set SALLYPORT_INSTALL=0 to run without them.\n${rule}`);
    await install(packages);
  }
  for (const part of lacking()) {
    const how = `${root ? "" : "sudo "}${[...INSTALL, ...NEEDS[part].packages].join(" ")}`;
    const what = part !== "integration" ? part : `${part}, the tests of three hosts:`;
    skip(what, `${missing(part).join(", ")} not found. Install on Debian with:\n      ${how}`);
  }
}

async function install(packages) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const lock = ["-o", "DPkg::Lock::Timeout=120"];
  for (let attempt = 1; attempt <= 3; attempt++) {
    const [tool, ...rest] = [...INSTALL, ...packages];
    const updated = await run(["apt-get", ...lock, "update"], 180, env);
    if (updated === 0 && (await run([tool, ...lock, ...rest], 600, env)) === 0) return;
    console.log(`installing failed, attempt ${attempt} of 3`);
    if (attempt < 3) await new Promise((done) => setTimeout(done, attempt * 3_000));
  }
}

function skip(what, why) {
  notes.push(`${what} SKIPPED: ${why}`);
  console.log(`\n${what} will be SKIPPED: ${why}`);
  if (!CI) return;
  totals.failed++;
  notes.push(`${what} must not be skipped when CI=true: counted as a failure`);
}

/** One step that is not a test: it passes silently, and counts as a failure when it fails. */
async function step(name, command, maxSeconds) {
  const result = await timed(name, command, maxSeconds);
  if (result.code !== 0) totals.failed++;
  steps.push(`${name.padEnd(16)} ${result.code === 0 ? "ok" : "FAILED"}`.padEnd(60) + result.seconds);
}

async function testPart(part) {
  const { projects, maxSeconds, workers } = PARTS[part];
  const report = join(REPORTS, `${part}.json`);
  mkdirSync(REPORTS, { recursive: true });
  rmSync(report, { force: true });
  const picks = projects.flatMap((project) => ["--project", project]);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const env = Object.fromEntries(
    Object.entries(DEFAULTS[part] ?? {}).filter(([name]) => process.env[name] === undefined),
  );
  const { code, seconds } = await timed(
    part,
    node("vitest/vitest.mjs", "run", ...picks, ...reporters, ...(workers ? [`--maxWorkers=${workers}`] : [])),
    maxSeconds,
    env,
  );
  const counts = readCounts(report);
  if (code !== 0 && counts.failed === 0) {
    counts.failed = 1;
    notes.push(`${part}: the test runner ended with ${code} although no single test failed; read its output above`);
  } else if (code === 0 && counts.passed + counts.skipped === 0) {
    counts.failed = 1;
    notes.push(`${part}: no test ran, which is counted as a failure`);
  }
  for (const key of Object.keys(totals)) totals[key] += counts[key];
  const line = `${part.padEnd(16)} ${counts.failed === 0 ? "ok" : "FAILED"}`;
  const figures = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  steps.push(`${line.padEnd(25)}${figures}`.padEnd(60) + seconds);
}

/** Counts of a vitest JSON report; a file that could not even be loaded is one failure. */
function readCounts(report) {
  try {
    const json = JSON.parse(readFileSync(report, "utf8"));
    const broken = json.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
    return {
      passed: json.numPassedTests,
      failed: json.numFailedTests + broken.length,
      skipped: json.numPendingTests + json.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

async function timed(name, command, maxSeconds, env = {}) {
  console.log(`\n--- ${name} (at ${elapsed(started)})`);
  const from = Date.now();
  const code = await run(command, maxSeconds, env);
  console.log(`--- ${name} ${code === 0 ? "done" : `FAILED (${code})`} in ${elapsed(from)}`);
  return { code, seconds: elapsed(from) };
}

/** Runs a command without a terminal in its own process group; gives its exit code, or what ended it. */
function run([program, ...args], maxSeconds, env = {}) {
  return new Promise((done) => {
    const stdio = ["ignore", "inherit", "inherit"];
    const child = spawn(program, args, { cwd: ROOT, stdio, detached: true, env: { ...process.env, ...env } });
    running.add(child.pid);
    const timer = setTimeout(() => {
      console.log(`${program} ${args[0]} ran longer than ${maxSeconds} s and was stopped`);
      kill(child.pid);
    }, maxSeconds * 1_000);
    const end = (result) => {
      clearTimeout(timer);
      kill(child.pid);
      running.delete(child.pid);
      done(result);
    };
    child.on("error", (error) => end(error.message));
    child.on("close", (code, signal) => end(code ?? signal));
  });
}

function kill(group) {
  // One that did not start has none.
  if (group === undefined) return;
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // The group has ended by itself.
  }
}

function finish() {
  console.log("\n=== Summary");
  for (const line of steps) console.log(`  ${line}`);
  for (const note of notes) console.log(`  ! ${note}`);
  console.log(`  total time ${elapsed(started)}\n`);
  const skipped = totals.skipped === 0 ? "" : `, ${totals.skipped} skipped`;
  process.exitCode = totals.failed === 0 ? 0 : 1;
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
}

function node(script, ...args) {
  return [process.execPath, join("node_modules", script), ...args];
}

function elapsed(from) {
  return `${((Date.now() - from) / 1_000).toFixed(1)} s`;
}

function onPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== "";
    } catch {
      return false;
    }
  });
}
