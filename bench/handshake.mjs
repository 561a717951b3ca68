// The handshake measure: what the native handshake between pinned peers costs beyond TLS. Apart from the other rounds,
// because both of its subjects need self-signed certificates and run in the same two processes.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makePinnedKeys } from "./native-pair.mjs";
import { short } from "./report.mjs";
import { Worker } from "./worker.mjs";

/** A burst makes some hundred handshakes, and V8 compiles for longer than that. */
const WARM_UP_BURSTS = 12;

const SUBJECTS = ["sallyport", "raw"];

/**
 * Interleaved rounds of connects, Sallyport and TLS alone. Returns `[samples, cpu]` for `summarize`; the figure is the
 * median time of one connect in microseconds.
 */
export async function measureHandshakes(bench, wanted, rounds, ms, stopPair) {
  const subjects = SUBJECTS.filter((subject) => wanted.has(subject));
  const samples = Object.fromEntries(subjects.map((subject) => [subject, []]));
  const cpu = Object.fromEntries(subjects.map((subject) => [subject, []]));
  if (subjects.length === 0) return [samples, cpu];
  const pair = await startNative(bench);
  // Not counted: compiling, and the notes of the first sight of a peer, which are written to disk once an hour.
  for (const subject of subjects) await pair.client.ask("handshakes", subject, WARM_UP_BURSTS * ms);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round) % subjects.length];
      const before = [pair.server.cpuMs(), pair.client.cpuMs()];
      const { p50, samples: count } = await pair.client.ask("handshakes", subject, ms);
      samples[subject].push(p50);
      if (before[0] === undefined) continue;
      const each = (worker, since) => ((worker.cpuMs() - since) * 1000) / count;
      cpu[subject].push({ receiver: each(pair.server, before[0]), sender: each(pair.client, before[1]) });
    }
    const figures = subjects.map((subject) => `${subject} ${short(samples[subject].at(-1))}`);
    console.log(`handshake p50 (us), round ${round + 1} of ${rounds}: ${figures.join(", ")}`);
  }
  await stopPair(pair);
  return [samples, Object.fromEntries(Object.entries(cpu).filter(([, figures]) => figures.length > 0))];
}

async function startNative(bench) {
  const directory = join(bench.directory, "native");
  await makePinnedKeys(directory);
  const command = (name) => [
    process.execPath,
    ...bench.nodeFlags,
    fileURLToPath(new URL(name, import.meta.url)),
    directory,
  ];
  const server = await Worker.start("native server", bench.serverCore, command("native-server.mjs"));
  const ports = await server.ask("ports");
  const client = await Worker.start("native client", bench.clientCore, [
    ...command("native-client.mjs"),
    String(ports.node),
    String(ports.tls),
  ]);
  return { server, client };
}
