// The measured pairs of processes. Each subject knows how to start its pair, how to get a fresh connection for a round,
// and how to run one burst of a measure; a burst answers with `{seconds, messages|bytes|calls|connects}` or `{p50, p99}`.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "./worker.mjs";

const OTP_SERVER = "otp_server@localhost";
const SALLYPORT_SERVER = "sallyport_server@localhost";

/** Nodes that need an option file of Erlang. */
export const OTP_NAMES = [OTP_SERVER, "otp_client@localhost"];
/** All nodes that need a certificate. */
export const NAMES = [
  ...OTP_NAMES,
  SALLYPORT_SERVER,
  "sallyport_client@localhost",
  "stream_server@localhost",
  "stream_client@localhost",
];

const COOKIE = "benchmark";

function script(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

function nodeCommand(name, bench) {
  return [process.execPath, "--expose-gc", ...bench.nodeFlags, script(name), bench.certificates];
}

/** Plain TLS between two Node processes; plays both references `raw` and `loop`. */
export async function startStreams(bench) {
  const server = await Worker.start("stream server", bench.serverCore, nodeCommand("stream-server.mjs", bench));
  const { port } = await server.ask("port");
  const client = await Worker.start("stream client", bench.clientCore, [
    ...nodeCommand("stream-client.mjs", bench),
    String(port),
  ]);
  return {
    server,
    client,
    freshConnection: () => undefined, // every burst has one of its own
    oneway: (kind, size, ms) => client.ask(kind, size, ms),
    latency: (ms) => client.ask("latency", ms),
    inflight: (depth, ms) => client.ask("inflight", depth, ms),
    connects: (ms) => client.ask("connects", ms),
    hold: (count) => client.ask("hold", count),
  };
}

/** Two OTP nodes under inet_tls on a fixed port, without EPMD. */
export async function startOtp(bench) {
  const { server, port } = await startOtpServer(bench);
  const client = await startOtpNode("otp_client", bench, port, bench.clientCore, ["-dist_listen", "false"], "client");
  return {
    server,
    client,
    async freshConnection() {
      await client.ask("disconnect", OTP_SERVER);
      await client.ask("connect", OTP_SERVER);
    },
    oneway: (_kind, size, ms) => client.ask("oneway", OTP_SERVER, size, ms),
    latency: (ms) => client.ask("latency", OTP_SERVER, ms),
    inflight: (depth, ms) => client.ask("inflight", OTP_SERVER, depth, ms),
    connects: (ms) => client.ask("connects", OTP_SERVER, ms),
  };
}

async function startOtpServer(bench) {
  const port = await freePort();
  const server = await startOtpNode("otp_server", bench, port, bench.serverCore, [], "server");
  return { server, port };
}

/** An OTP server held by many Sallyport nodes: one real OTP node per connection would measure those. */
export async function startOtpHeld(bench) {
  const { server, port } = await startOtpServer(bench);
  const client = await startSallyportClient(bench, `${OTP_SERVER}=127.0.0.1:${port}`);
  return { server, client, hold: (count) => client.ask("hold", count, OTP_SERVER) };
}

export async function startSallyport(bench) {
  const server = await Worker.start("sallyport server", bench.serverCore, nodeCommand("sallyport-server.mjs", bench));
  const { port } = await server.ask("port");
  const client = await startSallyportClient(bench, `${SALLYPORT_SERVER}=127.0.0.1:${port}`);
  return {
    server,
    client,
    async freshConnection() {
      await client.ask("disconnect");
      await client.ask("connect");
    },
    oneway: (_kind, size, ms) => client.ask("oneway", size, ms),
    latency: (ms) => client.ask("latency", ms),
    inflight: (depth, ms) => client.ask("inflight", depth, ms),
    connects: (ms) => client.ask("connects", ms),
    hold: (count) => client.ask("hold", count, SALLYPORT_SERVER),
  };
}

function startSallyportClient(bench, address) {
  return Worker.start("sallyport client", bench.clientCore, [...nodeCommand("sallyport-client.mjs", bench), address]);
}

/** Compiles the OTP side once per run; returns its directory. */
export function compileOtp(directory) {
  const out = join(directory, "otp");
  mkdirSync(out, { recursive: true });
  execFileSync("erlc", ["-o", out, script("otp_bench.erl"), script("otp_bench_epmd.erl")], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return out;
}

function startOtpNode(name, bench, port, core, extra, role) {
  return Worker.start(
    name,
    core,
    // biome-ignore format: one option per line reads better than one value per line
    [
      "erl", "-noshell", "-hidden", "-sname", `${name}@localhost`, "-setcookie", COOKIE,
      "-proto_dist", "inet_tls", "-ssl_dist_optfile", join(bench.certificates, `${name}@localhost.crt.conf`),
      "-start_epmd", "false", "-erl_epmd_port", String(port), ...extra,
      "-pa", bench.otpDirectory, "-s", "otp_bench", role,
    ],
    // Without a home directory of its own a node would read, or write, the user's cookie file.
    { cwd: bench.directory, env: { HOME: bench.directory } },
  );
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
