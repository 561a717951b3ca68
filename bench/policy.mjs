#!/usr/bin/env node
// `npm run -s build && node bench/policy.mjs [--rounds N] [--ms N] [--wait N] [--only messages,calls,flood,memory]`: what a policy
// costs, and what a flood of refused operations does to others. Method as in run.mjs: interleaved rounds, fresh senders, medians.
// Never a gate.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { idleName, makeCertificates } from "./certificates.mjs";
import { fromLibrary } from "./library.mjs";
import { policyOf, VARIANTS, WORDS } from "./policy-variants.mjs";
import { median } from "./report.mjs";
import { allowedCores, Worker } from "./worker.mjs";

const SERVER = "sallyport_server@localhost";
const CLIENT = "sallyport_client@localhost";
const [DESKTOP, EC2, BOB] = ["my_desktop@localhost", "ec2_node@localhost", "bob_colo@localhost"];
const IDLE = 200;
/** Below the monitors that one peer may hold: every call brings one. */
const CALLS = 3_900;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    ms: { type: "string", default: "1000" },
    wait: { type: "string", default: "120" },
    only: { type: "string", default: "messages,calls,flood,memory" },
  },
});
const rounds = Number(values.rounds);
const ms = Number(values.ms);
const wanted = new Set(values.only.split(","));
const [firstCore, secondCore] = allowedCores();
const directory = mkdtempSync(join(tmpdir(), "sallyport-bench-"));

try {
  const names = [SERVER, CLIENT, DESKTOP, EC2, BOB, ...Array.from({ length: IDLE + 20 }, (_, i) => idleName(i))];
  const certificates = await makeCertificates(directory, names, []);
  console.log(`Node ${process.version}, ${cpus()[0]?.model}, load ${(await quiet()).toFixed(2)} at the start`);
  if (wanted.has("messages") || wanted.has("calls")) await costs(certificates);
  if (wanted.has("flood")) await floods(certificates);
  if (wanted.has("memory")) await memory(certificates);
  console.log(`load ${loadavg()[0].toFixed(2)} at the end`);
} finally {
  Worker.stopAll();
  rmSync(directory, { recursive: true, force: true });
}

async function quiet() {
  for (let left = Number(values.wait); left > 0 && loadavg()[0] > 0.6; left--)
    await new Promise((done) => setTimeout(done, 1000));
  return loadavg()[0];
}

function script(name, ...args) {
  return [process.execPath, "--expose-gc", fileURLToPath(new URL(name, import.meta.url)), ...args];
}

async function machine(core, certificates, name, policy, addresses = []) {
  const text = policy === undefined ? "none" : JSON.stringify(policy);
  const worker = await Worker.start(name, core, script("policy-server.mjs", certificates, name, text, ...addresses));
  return { worker, address: `${name}=127.0.0.1:${(await worker.ask("port")).port}` };
}

async function costs(certificates) {
  const servers = new Map();
  for (const variant of VARIANTS) {
    servers.set(variant, await machine(firstCore, certificates, SERVER, policyOf(variant, SERVER, CLIENT, "ca")));
  }
  const figures = new Map(VARIANTS.map((variant) => [variant, { rate: [], cpu: [], calls: [], callCpu: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < VARIANTS.length; i++) {
      const variant = VARIANTS[(i + round) % VARIANTS.length];
      const { worker, address } = servers.get(variant);
      const client = await Worker.start("client", secondCore, script("sallyport-client.mjs", certificates, address));
      await client.ask("connect");
      await client.ask("oneway", 100, 300);
      const into = figures.get(variant);
      const cpuOf = async (ask, count) => {
        const before = worker.cpuMs();
        const answer = await ask();
        return [answer, ((worker.cpuMs() - before) * 1000) / answer[count]];
      };
      const [sent, cpu] = await cpuOf(() => client.ask("oneway", 100, ms), "messages");
      into.rate.push(sent.messages / sent.seconds);
      into.cpu.push(cpu);
      const [called, callCpu] = await cpuOf(() => client.ask("inflight", 64, ms), "calls");
      into.calls.push(called.calls / called.seconds);
      into.callCpu.push(callCpu);
      await client.finish();
    }
  }
  for (const { worker } of servers.values()) await worker.finish();
  for (const [title, rate, cpu, word] of [
    ["messages", "rate", "cpu", "100-byte messages/s, one way"],
    ["calls", "calls", "callCpu", "calls/s, 64 in flight"],
  ]) {
    if (!wanted.has(title)) continue;
    console.log(
      `\n${word}: median (least-most) · processor time of the receiver for each · share of "${WORDS.all}" in the same round`,
    );
    const all = figures.get("all")[rate];
    for (const variant of VARIANTS) {
      const own = figures.get(variant)[rate];
      const share = median(own.map((value, round) => value / all[round]));
      const aim = variant === "real" ? `, aim 90 %: ${share >= 0.9 ? "met" : "missed"}` : "";
      const micros = `${median(figures.get(variant)[cpu]).toFixed(2)} us`;
      console.log(`  ${WORDS[variant].padEnd(36)} ${spread(own)} · ${micros} · ${(share * 100).toFixed(0)} %${aim}`);
    }
  }
}

async function floods(certificates) {
  const peers = {
    ec2: { names: [EC2], assurance: "ca" },
    bob: { names: [BOB], assurance: "ca" },
    desktop: { names: [DESKTOP], assurance: "ca" },
  };
  const others = (node) => Object.fromEntries(Object.entries(peers).filter(([, { names }]) => names[0] !== node));
  const closed = (node) => ({ version: 1, node, peers: others(node), rules: [] });
  const rules = [{ id: "desk", from: "desktop", allow: "call", to: "sink" }];
  const ec2 = await machine(secondCore, certificates, EC2, { ...closed(EC2), rules });
  const desktop = await machine(firstCore, certificates, DESKTOP, closed(DESKTOP), [ec2.address]);
  const bob = await machine(secondCore, certificates, BOB, undefined, [desktop.address]);
  await desktop.worker.ask("connect", EC2);
  await desktop.worker.ask("latency", EC2, 1_000);
  const kinds = ["alone", "sends", "calls", "monitors"];
  const figures = new Map(kinds.map((kind) => [kind, { p50: [], p99: [], asked: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < kinds.length; i++) {
      const kind = kinds[(i + round) % kinds.length];
      // Anew, so that nothing of the flood before waits on its way.
      await bob.worker.ask("reconnect", DESKTOP);
      const flooding = kind === "alone" ? undefined : bob.worker.ask("flood", DESKTOP, kind, ms + 400);
      await new Promise((done) => setTimeout(done, 200));
      const { p50, p99 } = await desktop.worker.ask("latency", EC2, ms);
      const into = figures.get(kind);
      into.p50.push(p50);
      into.p99.push(p99);
      into.asked.push(((await flooding)?.asked ?? 0) / ((ms + 400) / 1000));
    }
  }
  const { denied, denial_pauses: pauses } = await desktop.worker.ask("counters");
  console.log(
    "\nmy_desktop calls ec2_node while bob_colo asks my_desktop in vain: us, median (least-most); p99 beside that alone",
  );
  for (const kind of kinds) {
    const { p50, p99, asked } = figures.get(kind);
    const ratio = median(p99.map((value, round) => value / figures.get("alone").p99[round]));
    const judged =
      kind === "alone"
        ? ""
        : ` · ${ratio.toFixed(2)}x, aim 2x: ${ratio <= 2 ? "met" : "missed"} · ${asked.map(Math.round)[0]} asked/s`;
    console.log(`  ${kind.padEnd(9)} p50 ${spread(p50)} · p99 ${spread(p99)}${judged}`);
  }
  console.log(`  refused in all ${denied}, pauses ${pauses ?? 0}; bob_colo and ec2_node share a core`);
  for (const { worker } of [bob, desktop, ec2]) await worker.finish();
}

async function memory(certificates) {
  const { DEFAULT_GUARD_LIMITS } = await fromLibrary("guard/limits.js");
  const { DEFAULT_MAX_OPEN_CALLS } = await fromLibrary("node/call-table.js");
  const policy = policyOf("real", SERVER, CLIENT, "ca");
  for (let i = 0; i < IDLE + 20; i++) policy.peers[`idle${i}`] = { names: [idleName(i)], assurance: "ca" };
  const held = await machine(firstCore, certificates, SERVER, policy);
  const holder = await Worker.start("holder", secondCore, script("sallyport-client.mjs", certificates, held.address));
  await holder.ask("hold", 20, SERVER);
  const [before, residentBefore] = [(await held.worker.ask("used")).heap, held.worker.residentBytes()];
  await holder.ask("hold", IDLE, SERVER);
  const sessions = ((await held.worker.ask("used")).heap - before) / IDLE;
  const resident = (held.worker.residentBytes() - residentBefore) / IDLE;
  await holder.finish();
  await held.worker.finish();
  const slow = { ...policyOf("real", SERVER, CLIENT, "ca") };
  slow.rules = [...slow.rules, { id: "slow", from: "client", allow: "call", to: "slow" }];
  const server = await machine(firstCore, certificates, SERVER, slow);
  const caller = await machine(secondCore, certificates, CLIENT, undefined, [server.address]);
  await server.worker.ask("slow");
  await caller.worker.ask("connect", SERVER);
  await caller.worker.ask("hang", SERVER, 64);
  const [atServer, atCaller] = [(await server.worker.ask("used")).heap, (await caller.worker.ask("used")).heap];
  await caller.worker.ask("hang", SERVER, CALLS);
  const callee = ((await server.worker.ask("used")).heap - atServer) / CALLS;
  const calling = ((await caller.worker.ask("used")).heap - atCaller) / CALLS;
  for (const { worker } of [caller, server]) await worker.finish();
  const { maxInflightPerPeer } = DEFAULT_GUARD_LIMITS;
  const atMost = (bytes, cap) =>
    `${Math.round(bytes)} B; at most ${cap} of them: ${((bytes * cap) / 1024 ** 2).toFixed(1)} MiB`;
  console.log("\nmemory, heap and buffers in use, with the realistic policy");
  console.log(
    `  a session                  ${(sessions / 1024).toFixed(1)} KiB (resident ${(resident / 1024).toFixed(0)} KiB)`,
  );
  console.log(`  an open call at the callee ${atMost(callee, maxInflightPerPeer)} (maxInflightPerPeer)`);
  console.log(`  an open call at the caller ${atMost(calling, DEFAULT_MAX_OPEN_CALLS)} (maxOpenCalls)`);
}

function spread(numbers) {
  const show = (value) => (value >= 10_000 ? `${Math.round(value / 1000)}k` : value.toFixed(0));
  return `${show(median(numbers)).padStart(6)} (${show(Math.min(...numbers))}-${show(Math.max(...numbers))})`;
}
