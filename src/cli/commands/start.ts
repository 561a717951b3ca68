import type { ConfigWarning } from "../../config/erlang-text.ts";
import { type ControlServer, openControlServer } from "../../control/control-server.ts";
import { NodeTarget } from "../../control/node-target.ts";
import { perform } from "../../control/perform.ts";
import { createNode } from "../../create-node.ts";
import type { Node } from "../../node/api.ts";
import type { NodeOptions } from "../../node/options.ts";
import { watchForRestart } from "../../node/restart-watch.ts";
import { auditedParts } from "../../policy/audit-mode.ts";
import { auditOf } from "../audit-directory.ts";
import type { StartFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { ownControlPathOf } from "../control-path.ts";
import { registerDemoServices } from "../demo-services.ts";
import { loadServices } from "../load-services.ts";
import { asSallyportError } from "../report.ts";
import { settingsOfNode, sourceFilesOf } from "../settings.ts";
import {
  auditModeEvent,
  deniedEvent,
  eventJson,
  eventLine,
  handlerErrorEvent,
  nodeupEvent,
  refusedEvent,
  type StartEvent,
} from "../start-events.ts";
import { StopSignal } from "../stop-signal.ts";
import type { Terminal } from "../terminal.ts";
import { examiner } from "./doctor-connect.ts";

/** Longest wait for queued bytes to leave after SIGTERM or SIGINT, in milliseconds. */
const DRAIN_MS = 5_000;

/** `start`: runs a node until a signal stops it, and prints its events. */
export async function start(world: CommandWorld, flags: StartFlags): Promise<void> {
  // Before all else, so that a signal never finds the process unprepared.
  const signal = new StopSignal(world);
  const events = new EventPrinter(world.terminal, () => world.clock.wallMs());
  let control: ControlServer | undefined;
  let forgetReload = (): void => undefined;
  let sources: { readonly stop: () => void } | undefined;
  try {
    // Before the node: a second one with this identity must fail before any peer hears of it.
    control = await openControl(world, flags);
    const node = await startNode(world, flags, events, control);
    events.begin({
      event: "listening",
      name: node.name,
      endpoints: node.endpoints,
      fingerprint: node.identity?.fingerprint ?? null,
      ...(node.healthEndpoint === null ? {} : { health: node.healthEndpoint }),
    });
    tellAuditMode(node, world, events);
    node.on("reload", ({ what, ok }) => {
      if (ok && what === "policy") tellAuditMode(node, world, events);
    });
    forgetReload = world.onReloadSignal(() => void reload(world, flags, node, events));
    sources = watchForRestart(sourceFilesOf(flags, world), world, (reason, message) =>
      events.print({ event: "warning", reason, message }),
    );
    const reason = await signal.came;
    control?.close();
    await node.close({ timeoutMs: DRAIN_MS });
    events.print({ event: "stopped", reason });
  } finally {
    control?.close();
    sources?.stop();
    forgetReload();
    signal.forget();
  }
}

/** Opens the control socket where the flags or the configuration ask for one. */
async function openControl(world: CommandWorld, flags: StartFlags): Promise<ControlServer | undefined> {
  const path = ownControlPathOf(flags, world);
  if (path === undefined) return undefined;
  return openControlServer({ clock: world.clock, files: world.files, path });
}

/** Makes the node and registers its services; closes it again when one of them fails. */
async function startNode(
  world: CommandWorld,
  flags: StartFlags,
  events: EventPrinter,
  control: ControlServer | undefined,
): Promise<Node> {
  const early: ConfigWarning[] = [];
  const settings = { ...settingsOfNode(flags, world, early), ...auditOf(flags, world) };
  for (const { reason, message } of early) events.print({ event: "warning", reason, message });
  const services = flags.services === undefined ? [] : [await loadServices(world.directory, flags.services)];
  const node = await createNode(settings);
  listen(node, events);
  try {
    const target = new NodeTarget(node, world.clock, policyFileIn(settings), examiner(world, settings));
    if (flags.demoServices === true) registerDemoServices(node);
    await Promise.all(services.map((register) => register(node)));
    control?.serve((request, signal) => perform(target, request, signal));
  } catch (error) {
    await node.close({ timeoutMs: 0 });
    throw error;
  }
  return node;
}

function listen(node: Node, events: EventPrinter): void {
  node.on("nodeup", (peer) => events.print(nodeupEvent(peer)));
  node.on("nodedown", (peer, reason) => events.print({ event: "nodedown", peer: peer.name, reason }));
  node.on("denied", (denied) => events.print(deniedEvent(denied)));
  node.on("reload", (reload) => events.print({ event: "reload", ...reload }));
  node.on("tls", (handshake) => events.print({ event: "tls", ...handshake }));
  node.on("output", ({ peer, text }) => events.print({ event: "output", peer: peer.name, text }));
  node.on("expiry", (expiry) => events.print({ event: "expiry", ...expiry }));
  node.on("warning", ({ reason, message }) => events.print({ event: "warning", reason, message }));
  node.on("refused", ({ address, role, error }) => {
    // Of two connections that crossed one goes on: nothing was refused.
    if (error.reason !== "OTHER_CONNECTION_WINS") events.print(refusedEvent(address, role, error));
  });
  node.on("handlerError", ({ id, where, error }) => events.print(handlerErrorEvent(id, where, error)));
}

function policyFileIn({ policy }: NodeOptions): string | undefined {
  if (typeof policy === "string") return policy;
  return policy !== undefined && "file" in policy ? policy.file : undefined;
}

/** Nobody should forget that rules are not enforced: said at the start, and again with each policy taken. */
function tellAuditMode(node: Node, world: CommandWorld, events: EventPrinter): void {
  if (node.policy === null) return;
  const event = auditModeEvent(auditedParts(node.policy.document, world.clock.wallMs()));
  if (event !== undefined) events.print(event);
}

/**
 * SIGHUP: the policy file, the certificate files, the lists of who may connect, then keys and own certificate, are read anew. What
 * cannot be taken leaves all as it was.
 */
async function reload(world: CommandWorld, flags: StartFlags, node: Node, events: EventPrinter): Promise<void> {
  const { policy, certificate, identity } = node;
  policy?.reload();
  certificate?.reload();
  await reloadAccept(world, flags, node, events);
  if (identity === null) return;
  const told = { event: "reload", what: "identity", generation: null } as const;
  try {
    events.print({ ...told, ok: true, ended: await identity.reload() });
  } catch (failure) {
    const { reason, message } = asSallyportError(failure);
    events.print({ ...told, ok: false, ended: 0, reason, message });
  }
}

/** What else the configuration says counts at the next start only. */
async function reloadAccept(
  world: CommandWorld,
  flags: StartFlags,
  { admission }: Node,
  events: EventPrinter,
): Promise<void> {
  const told = { event: "reload", what: "accept", generation: null } as const;
  try {
    const { accept = {} } = settingsOfNode(flags, world);
    if (JSON.stringify(accept) === JSON.stringify(admission.option)) return;
    await admission.replace(accept);
    events.print({ ...told, ok: true });
  } catch (failure) {
    const { reason, message } = asSallyportError(failure);
    events.print({ ...told, ok: false, reason, message });
  }
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
