import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { createNode } from "../../create-node.ts";
import type { Node } from "../../node/api.ts";
import { atom, type Pid, printTerm, type Term } from "../../term/public.ts";
import { createTestAuthority } from "../../testkit/certificates.ts";
import type { DemoFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { registerDemoServices } from "../demo-services.ts";
import { asSallyportError, failureDocument } from "../report.ts";
import { Cleanup } from "./cleanup.ts";
import { ErlangPeer, hasErlang } from "./erlang-peer.ts";
import { type DemoPeer, OWN_NAME, type PeerSetting } from "./peer.ts";
import { type RoundTrips, tableOf } from "./round-trips.ts";
import { SallyportPeer } from "./sallyport-peer.ts";
import { Story } from "./story.ts";

/** Calls measured of each kind. */
const MEASURED_CALLS = 200;

/** Longest wait for a DOWN, in milliseconds. */
const DOWN_MS = 5_000;

/** `demo`: shows two nodes at work, and leaves nothing behind, whichever way it ends. */
export async function demo(world: CommandWorld, flags: DemoFlags): Promise<void> {
  const cleanup = new Cleanup();
  const story = new Story(world.terminal);
  let interrupt: (error: SallyportError) => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  const forget = world.onStopSignal((signal) => interrupt(interruptedBy(signal)));
  const telling = tell(world, flags, story, cleanup);
  try {
    const { peer, roundTrips } = await Promise.race([telling, interrupted]);
    story.step("Clean up");
    await cleanup.run();
    story.say("Both nodes ended; the directory with the keys is gone.");
    if (world.terminal.json) {
      world.terminal.document({ ok: true, result: { peer: peer.kind, steps: story.steps, roundTrips } });
    }
  } finally {
    await cleanup.run();
    // After an interruption it ends by itself, since what it works with is gone; how is of no interest.
    await telling.catch(() => undefined);
    forget();
  }
}

interface Told {
  readonly peer: DemoPeer;
  readonly roundTrips: readonly RoundTrips[];
}

async function tell(world: CommandWorld, flags: DemoFlags, story: Story, cleanup: Cleanup): Promise<Told> {
  story.title("Sallyport demo: two nodes on this machine, over TLS with certificates on both sides");
  story.step("Certificates for this run");
  const directory = mkdtempSync(join(tmpdir(), "sallyport-demo-"));
  await cleanup.add(async () => rmSync(directory, { recursive: true, force: true }));
  const authority = await createTestAuthority(world, join(directory, "tls"), { commonName: "Sallyport demo" });
  const own = await authority.issue(OWN_NAME);
  story.say("An authority and a certificate for each node, in a private directory.");
  const cookie = world.random.bytes(24).toString("hex");
  const setting: PeerSetting = { world, directory, authority, cookie };

  story.step("Two nodes");
  const peer = await preparePeer(setting, flags, story, cleanup);
  const node = await createNode({
    name: OWN_NAME,
    cookie,
    tls: { certFile: own.certFile, keyFile: own.keyFile, caFile: authority.caFile },
    listen: ["tls://127.0.0.1:0"],
    ...peer.route,
  });
  await cleanup.add(() => node.close({ timeoutMs: 1_000 }));
  registerDemoServices(node);
  story.say(`${OWN_NAME}: this process, TypeScript, on ${node.endpoints.join(", ")}`);
  await peer.start();
  const connected = await node.connect(peer.name);
  const description = await peer.describe(node);
  story.say(`${peer.name}: ${quotePeerText(description)}`);
  story.say(`connected: protocol ${connected.protocol}, assurance ${connected.assurance} (its certificate names it)`);

  const other = peer.kind === "erlang" ? "Erlang" : "the second process";
  story.step(`TypeScript calls ${other}`);
  await peer.callIn(node, story);
  story.step(peer.kind === "erlang" ? "Erlang calls TypeScript" : "The other way round");
  await peer.callOut(node, story);
  story.step("Watch a process, and end it");
  await watchAndKill(node, peer, story);
  story.step(`Round trips, ${MEASURED_CALLS} calls one after the other`);
  const roundTrips = await peer.measure(node, MEASURED_CALLS);
  for (const line of tableOf(roundTrips)) story.say(line);
  return { peer, roundTrips };
}

async function preparePeer(setting: PeerSetting, flags: DemoFlags, story: Story, cleanup: Cleanup): Promise<DemoPeer> {
  const wantsErlang = flags.peer === "erlang" || (flags.peer === "auto" && hasErlang(setting.world));
  if (wantsErlang) {
    try {
      const peer = await ErlangPeer.prepare(setting);
      await cleanup.add(() => peer.stop());
      return peer;
    } catch (error) {
      if (flags.peer === "erlang") throw error;
      story.say(`Erlang is installed but did not start: ${failureDocument(asSallyportError(error)).message}`);
    }
  }
  const why = flags.peer === "sallyport" ? "As asked" : "There is no Erlang (erl) that works on this machine";
  story.say(`${why}: a second Sallyport process plays the other node.`);
  const peer = await SallyportPeer.prepare(setting);
  await cleanup.add(() => peer.stop());
  await peer.launch();
  return peer;
}

async function watchAndKill(node: Node, peer: DemoPeer, story: Story): Promise<void> {
  const args: Term[] = peer.sleeper.args.map((arg) => (typeof arg === "string" ? atom(arg) : arg));
  const pid = await node.spawnRemote(peer.name, peer.sleeper.fn, args);
  story.outcome(`node.spawnRemote(..., "${peer.sleeper.shown}")`, printTerm(pid));
  const reason = await downAfterKill(node, pid);
  story.outcome("node.monitor(pid, ...) and node.exit(pid, kill)", `DOWN with reason ${printTerm(reason)}`);
}

function downAfterKill(node: Node, pid: Pid): Promise<Term> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const message = `no DOWN came within ${DOWN_MS} ms of killing the process`;
      reject(new SallyportError("ERR_DEADLINE", "DOWN_MISSING", message, { advice: "please report this" }));
    }, DOWN_MS);
    node.monitor(pid, (down) => {
      clearTimeout(timer);
      resolve(down.reason);
    });
    node.exit(pid, atom("kill"));
  });
}

function interruptedBy(signal: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "INTERRUPTED", `the demo was stopped by ${signal}`, {
    advice: "nothing is left behind; run it again to see the rest",
  });
}
