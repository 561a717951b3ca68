// The processes of the gateway bench: one worker, a commander that finds it directly, through a relay or through the gateway, and
// the two in between.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "./worker.mjs";

export const WORKER = "worker@localhost";
const COMMANDER = { tcp: "commander@localhost", tls: "tls_commander@localhost" };
const COOKIE = "benchmark-of-the-gateway";

/** Names that need a certificate; the second is of an Erlang node. */
export const CERTIFIED = [WORKER, COMMANDER.tls];

/** An outside node that holds an idle session. */
export function holderName(index) {
  return `holder${index}@localhost`;
}

export function startWorker(bench) {
  return startNode(WORKER, bench, bench.cores.node, [], "server");
}

/** @param transport of the side that dials; the worker takes plain TCP on loopback */
export function startCommander(bench, transport) {
  const name = COMMANDER[transport];
  const options = join(bench.certificates, `${name}.crt.conf`);
  const tls = transport === "tls" ? ["-proto_dist", "inet_tls", "-ssl_dist_optfile", options] : [];
  return startNode(name, bench, bench.cores.node, [...tls, "-dist_listen", "false"], "client");
}

export async function startRelay(bench, transport, workerPort) {
  const command = nodeCommand(bench, "gateway-relay.mjs", workerPort, transport, bench.certificates, WORKER);
  return between(await Worker.start(`${transport} relay`, bench.cores.between, command));
}

export async function startGateway(bench, transport, workerPort, outside = [COMMANDER[transport]]) {
  const args = [workerPort, WORKER, transport, bench.certificates, ...outside];
  const command = nodeCommand(bench, "gateway-process.mjs", ...args);
  return between(await Worker.start(`${transport} gateway`, bench.cores.between, command, { showErrors: true }));
}

export function startHolder(bench, port) {
  const command = nodeCommand(bench, "gateway-holder.mjs", WORKER, port);
  return Worker.start("holder", bench.cores.node, command);
}

async function between(worker) {
  return { worker, port: (await worker.ask("port")).port };
}

function nodeCommand(bench, name, ...args) {
  const script = fileURLToPath(new URL(name, import.meta.url));
  return [process.execPath, "--expose-gc", ...bench.nodeFlags, script, ...args.map(String)];
}

function startNode(name, bench, core, extra, role) {
  return Worker.start(
    name,
    core,
    // biome-ignore format: one option per line reads better than one value per line
    [
      "erl", "-noshell", "-hidden", "-sname", name, "-setcookie", COOKIE, ...extra,
      "-start_epmd", "false", "-epmd_module", "otp_bench_epmd",
      "-pa", bench.otpDirectory, "-s", "otp_bench", role,
    ],
    { cwd: bench.directory, env: { HOME: bench.directory } },
  );
}
