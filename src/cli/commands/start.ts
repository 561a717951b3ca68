import { createNode } from "../../create-node.ts";
import type { Node } from "../../node/api.ts";
import type { StartFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { registerDemoServices } from "../demo-services.ts";
import { loadServices } from "../load-services.ts";
import { settingsOfNode } from "../settings.ts";
import {
  eventJson,
  eventLine,
  handlerErrorEvent,
  nodeupEvent,
  refusedEvent,
  type StartEvent,
} from "../start-events.ts";
import type { Terminal } from "../terminal.ts";

/** Longest wait for queued bytes to leave after SIGTERM or SIGINT, in milliseconds. */
const DRAIN_MS = 5_000;

/** A timer at the platform's limit: all it does is keep the process alive while a node only dials. */
const KEEP_ALIVE_MS = 0x7fff_ffff;

/** `start`: runs a node until a signal stops it, and prints its events. */
export async function start(world: CommandWorld, flags: StartFlags): Promise<void> {
  const settings = settingsOfNode(flags, world);
  const services = flags.services === undefined ? [] : [await loadServices(world.directory, flags.services)];
  const node = await createNode(settings);
  const events = new EventPrinter(world.terminal, () => world.clock.wallMs());
  listen(node, events);
  try {
    if (flags.demoServices === true) registerDemoServices(node);
    await Promise.all(services.map((register) => register(node)));
  } catch (error) {
    await node.close({ timeoutMs: 0 });
    throw error;
  }
  events.begin({ event: "listening", name: node.name, endpoints: node.endpoints, fingerprint: null });
  const reason = await stopSignal(world);
  await node.close({ timeoutMs: DRAIN_MS });
  events.print({ event: "stopped", reason });
}

function listen(node: Node, events: EventPrinter): void {
  node.on("nodeup", (peer) => events.print(nodeupEvent(peer)));
  node.on("nodedown", (peer, reason) => events.print({ event: "nodedown", peer: peer.name, reason }));
  node.on("denied", (denied) => events.print({ event: "denied", ...denied }));
  node.on("warning", ({ reason, message }) => events.print({ event: "warning", reason, message }));
  node.on("refused", ({ address, role, error }) => events.print(refusedEvent(address, role, error)));
  node.on("handlerError", ({ id, where, error }) => events.print(handlerErrorEvent(id, where, error)));
}

/** Resolves at the first signal; the second ends the process at once. */
function stopSignal(world: CommandWorld): Promise<string> {
  return new Promise((resolve) => {
    const keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
    let stopping = false;
    world.onStopSignal((signal) => {
      if (stopping) world.exitNow(1);
      stopping = true;
      clearInterval(keepAlive);
      resolve(signal);
    });
  });
}

/** Prints events in their order; what happens before `begin` waits, so that `listening` is the first line. */
class EventPrinter {
  readonly #terminal: Terminal;
  readonly #wallMs: () => number;
  #early: { readonly event: StartEvent; readonly atMs: number }[] | undefined = [];

  constructor(terminal: Terminal, wallMs: () => number) {
    this.#terminal = terminal;
    this.#wallMs = wallMs;
  }

  begin(first: StartEvent): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    this.print(first);
    for (const { event, atMs } of early) this.#print(event, atMs);
  }

  print(event: StartEvent): void {
    const atMs = this.#wallMs();
    if (this.#early === undefined) this.#print(event, atMs);
    else this.#early.push({ event, atMs });
  }

  #print(event: StartEvent, atMs: number): void {
    if (this.#terminal.json) this.#terminal.document(eventJson(event, atMs));
    else this.#terminal.line(eventLine(event, atMs, this.#terminal.colours));
  }
}
