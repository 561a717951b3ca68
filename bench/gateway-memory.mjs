// Memory of the gateway: what an idle session and an unanswered call take, and tables that are filled to their caps.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import {
  holderName,
  startCommander,
  startGateway,
  startHolder,
  startRelay,
  startWorker,
  WORKER,
} from "./gateway-subjects.mjs";
import { fromLibrary } from "./library.mjs";

const SESSIONS = 100;
/** Opened before the count, so that first-time costs are not in it. */
const WARM_UP = 10;
const CALLS = 10_000;
const MIB = 1024 * 1024;
/** Estimates of the threat model, 4.5: for a session whose tables are all full, and for a call. */
const EXPECTED_PER_SESSION_MIB = 30;
const EXPECTED_PER_CALL = 635;

/** The figures as text. */
export async function measureMemory(bench) {
  const { DEFAULT_GATEWAY_LIMITS } = await fromLibrary("gateway/limits.js");
  const lines = ["memory"];
  const session = await ofSessions(bench, startGateway);
  const relayed = await ofSessions(bench, startRelay);
  lines.push(
    `  an idle session, TCP    ${kib(session.used)} in use, ${kib(session.resident)} resident (relay ${kib(relayed.resident)} resident)`,
  );
  const { perCall, left } = await ofCalls(bench);
  const { maxCalls } = DEFAULT_GATEWAY_LIMITS;
  lines.push(
    `  an unanswered call      ${perCall.toFixed(0)} B in use (estimate ${EXPECTED_PER_CALL} B); at most ${maxCalls} of them (maxCalls): ` +
      `${mib(perCall * maxCalls)}; ${kib(left)} left when all have ended`,
  );
  const { rows, total } = await fullTables(DEFAULT_GATEWAY_LIMITS);
  lines.push(`  all tables full         ${mib(total)} for a session (estimate ${EXPECTED_PER_SESSION_MIB} MiB)`);
  for (const [name, count, bytes] of rows) {
    lines.push(
      `    ${name.padEnd(22)}${String(count).padStart(6)} rows of ${(bytes / count).toFixed(0)} B: ${mib(bytes)}`,
    );
  }
  return lines.join("\n");
}

async function ofSessions(bench, start) {
  const worker = await startWorker(bench);
  const { port } = await worker.ask("port");
  const names = Array.from({ length: SESSIONS + WARM_UP }, (_, index) => holderName(index));
  const between = await start(bench, "tcp", port, names);
  const holder = await startHolder(bench, between.port);
  await holder.ask("hold", WARM_UP);
  const before = await memoryOf(between.worker);
  await holder.ask("hold", SESSIONS);
  const after = await memoryOf(between.worker);
  for (const process of [holder, between.worker, worker]) process.stop();
  return { used: (after.used - before.used) / SESSIONS, resident: (after.resident - before.resident) / SESSIONS };
}

async function ofCalls(bench) {
  const worker = await startWorker(bench);
  const { port } = await worker.ask("port");
  const gateway = await startGateway(bench, "tcp", port);
  const commander = await startCommander(bench, "tcp");
  await commander.ask("route", gateway.port);
  await commander.ask("connect", WORKER);
  // Once, so that the tables and the code have grown.
  await commander.ask("hang", WORKER, 100);
  await commander.ask("unhang");
  const before = await memoryOf(gateway.worker);
  await commander.ask("hang", WORKER, CALLS);
  const during = await memoryOf(gateway.worker);
  await commander.ask("unhang");
  const after = await memoryOf(gateway.worker);
  for (const process of [commander, gateway.worker, worker]) process.stop();
  return { perCall: (during.used - before.used) / CALLS, left: after.used - before.used };
}

async function memoryOf(worker) {
  await worker.ask("gc");
  const { bytes } = await worker.ask("used");
  return { used: bytes, resident: worker.residentBytes() };
}

function kib(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

function mib(bytes) {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

/** Fills the tables of one session, each to its cap, with what names of 20 characters and tags as of `gen_server` make. */
async function fullTables(limits) {
  const { ReturnPaths } = await fromLibrary("gateway/return-paths.js");
  const { Pid, Reference } = await fromLibrary("term/types.js");
  const { pidKey, refKey } = await fromLibrary("gateway/identifier-keys.js");
  const paths = new ReturnPaths(limits, () => undefined);
  const [here, there] = ["commander@127.0.0.1", "worker12345@10.0.0.1"];
  const pid = (node, n) => new Pid(node, n, 7, 1_600_000_000);
  const ref = (node, n) => new Reference(node, 1_600_000_000, [n, 70_001, 70_002, 1, 0]);
  /** As long as `[alias | Ref]`. */
  const tag = (n) => Buffer.from(String(n).padStart(62, "#")).toString("latin1");
  const caller = pid(here, 1);
  const fill = {
    // A call needs its monitor, so its row is counted without that.
    maxMonitors: (n) => paths.addMonitor(caller, pid(there, n), ref(here, n)),
    maxCalls: (n) => paths.expect("tag", tag(n), [pidKey(pid(here, n))], [refKey(ref(here, n))], true, 0),
    maxExpectedAnswers: (n) => paths.expect("tag", tag(-n), [pidKey(pid(here, n))], [refKey(ref(here, -n))], false, 0),
    // Each with its link, which fills that table too.
    maxChildren: (n) => {
      const spawn = { from: pid(here, n), ref: ref(here, n), flags: 1, resultTag: undefined };
      paths.addSpawn(spawn);
      paths.endSpawn(spawn, 1, pid(there, n));
    },
    maxSpawns: (n) => paths.addSpawn({ from: pid(here, n), ref: ref(here, n), flags: 0, resultTag: tag(n) }),
    maxRevealed: (n) => paths.reveal([pidKey(pid(here, n))], 0),
    maxWorkerMonitors: (n) => paths.addWorkerMonitor(pid(there, n), pid(here, n), ref(there, n)),
    maxLeaders: (n) => paths.addLeader(pid(here, n), 0),
  };
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const inUse = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const first = inUse();
  const rows = [];
  let before = first;
  for (const [name, add] of Object.entries(fill)) {
    for (let n = 1; n <= limits[name]; n++) add(n);
    const after = inUse();
    rows.push([name, limits[name], after - before]);
    before = after;
  }
  const { monitors, links, spawns, children, workerMonitors, calls, expected, leaders, revealed } = paths;
  for (const { size, limit } of [
    monitors,
    links,
    spawns,
    children,
    workerMonitors,
    calls,
    expected,
    leaders,
    revealed,
  ]) {
    if (size !== limit) throw new Error(`a table of ${limit} has ${size} rows`);
  }
  return { rows, total: before - first };
}
