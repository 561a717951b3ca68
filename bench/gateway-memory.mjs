// Memory of the gateway: what an idle session and an unanswered call take, beside the caps.

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
/** Of the threat model, 4.5. */
const MOST_PER_CALL = 635;

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
    `  an unanswered call      ${perCall.toFixed(0)} B in use, at most ${MOST_PER_CALL} B: ${perCall <= MOST_PER_CALL ? "met" : "MISSED"};` +
      ` maxCalls ${maxCalls} of them: ${((perCall * maxCalls) / MIB).toFixed(1)} MiB; ${kib(left)} left when all have ended`,
  );
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
