import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { ConfigWarning } from "../config/erlang-text.ts";
import { type ControlOp, type Fields, MAX_OPERATION_MS } from "../control/control-protocol.ts";
import type { Node, Peer } from "../node/api.ts";
import type { CommandWorld } from "./command-world.ts";
import type { CommonFlags } from "./common-options.ts";
import { whileWaiting } from "./progress.ts";
import { clientFor } from "./running-node.ts";
import { settingsOfOneShot } from "./settings.ts";
import { oneShotNode, refusedThere, takenUnseen, throwawayOf, throwawayUnderName } from "./throwaway-key.ts";

/** One operation on a connected peer; `remainingMs` is what is left of `--timeout`. */
export interface Operation {
  readonly node: Node;
  readonly peer: Peer;
  remainingMs(): number;
}

/** Longest wait for queued bytes to leave when the operation is over, in milliseconds. */
const DRAIN_MS = 2_000;

/** What the client waits beyond `--timeout`: the node's own error says more, milliseconds. */
const GRACE_MS = 1_500;

/** Options about the node that would dial: a running node cannot take them over. */
const OWN_OPTIONS: Readonly<Partial<Record<keyof CommonFlags, string>>> = {
  name: "--name",
  cookieFile: "--cookie-file",
  tlsCert: "--tls-cert",
  tlsKey: "--tls-key",
  tlsCa: "--tls-ca",
  sslDistOptfile: "--ssl-dist-optfile",
  vmArgs: "--vm-args",
  listen: "--listen",
  policy: "--policy",
  resolve: "--resolve",
  discoveryDir: "--discovery-dir",
  epmd: "--epmd",
  epmdPort: "--epmd-port",
  visible: "--visible",
  tickTime: "--tick-time",
  dangerousPlaintext: "--dangerous-plaintext",
  peerKey: "--peer-key",
  trust: "--trust",
};

/**
 * Lets the running node that owns this key directory or configuration do an operation (rulings U12): a second process with
 * its identity would push its sessions aside. Undefined when no such node runs.
 * @param extraMs beyond `--timeout`, for work that goes on after it
 * @throws {SallyportError} ERR_CONFIG CONTROL_OPTIONS, what `connectControl` and `ControlClient.request` throw
 */
export async function byRunningNode(
  world: CommandWorld,
  flags: CommonFlags,
  op: ControlOp,
  args: Fields,
  extraMs: number = 0,
): Promise<Fields | undefined> {
  const client = await clientFor(world, flags);
  if (client === undefined) return undefined;
  try {
    refuseOwnOptions(flags);
    const timeoutMs = Math.min(flags.timeout + extraMs, MAX_OPERATION_MS);
    const answer = client.request(op, { ...args, timeoutMs }, timeoutMs + GRACE_MS);
    return await whileWaiting(world.terminal, "waiting for the running node", answer);
  } finally {
    client.close();
  }
}

/**
 * Runs one operation from a short-lived node: makes it, connects to `target`, runs, and closes it once everything
 * queued has left. One `--timeout` covers connecting and running.
 * @throws what createNode, connect and `run` throw
 */
export function withPeer<T>(
  world: CommandWorld,
  flags: CommonFlags,
  target: string,
  run: (operation: Operation) => Promise<T>,
): Promise<T> {
  const what = `waiting for ${quotePeerText(target)}`;
  return withConnection(world, flags, target, (operation) => whileWaiting(world.terminal, what, run(operation)));
}

/**
 * As `withPeer`, for what goes on beyond `--timeout`: says nothing of waiting once the connection stands. At the end it waits for
 * `drainMs`.
 */
export async function withConnection<T>(
  world: CommandWorld,
  flags: CommonFlags,
  target: string,
  run: (operation: Operation) => Promise<T>,
  drainMs: number = DRAIN_MS,
): Promise<T> {
  const { clock, terminal } = world;
  const deadline = clock.now() + flags.timeout;
  const remainingMs = (): number => Math.max(1, Math.ceil(deadline - clock.now()));
  const warn = ({ message }: { readonly message: string }): void => {
    if (!terminal.json) terminal.note(`${terminal.errorColours.yellow("warning:")} ${quotePeerText(message)}`);
  };
  const early: ConfigWarning[] = [];
  const settings = settingsOfOneShot(flags, world, early, target);
  const throwaway = throwawayOf(world, flags, settings, target);
  if (throwaway !== undefined && flags.name !== undefined) early.push(throwawayUnderName(settings.name));
  for (const warning of early) warn(warning);
  const node = await oneShotNode(settings, throwaway, flags);
  node.on("warning", warn);
  try {
    const shown = quotePeerText(target);
    const connecting = node.connect(target, { timeoutMs: flags.timeout });
    const peer = await whileWaiting(terminal, `connecting to ${shown} (at most ${flags.timeout} ms)`, connecting);
    if (throwaway !== undefined && peer.assurance === "tofu") warn(takenUnseen(peer));
    return await run({ node, peer, remainingMs });
  } catch (error) {
    throw throwaway === undefined ? error : refusedThere(error);
  } finally {
    await node.close({ timeoutMs: drainMs });
  }
}

function refuseOwnOptions(flags: CommonFlags): void {
  for (const [flag, option] of Object.entries(OWN_OPTIONS)) if (Object.hasOwn(flags, flag)) throw notTakenOver(option);
  if (flags.protocol !== "auto") throw notTakenOver("--protocol", " (it talks to NODE as its own configuration says)");
}

function notTakenOver(option: string, why = ""): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "CONTROL_OPTIONS",
    `the running node does this command, and cannot take ${option} over`,
    { advice: `leave ${option} out${why}, or add --no-control to do it from a node of this command's own` },
  );
}
