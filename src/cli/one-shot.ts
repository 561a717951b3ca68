import { quotePeerText } from "../base/escape.ts";
import { createNode } from "../create-node.ts";
import type { Node, Peer } from "../node/api.ts";
import type { CommandWorld } from "./command-world.ts";
import type { CommonFlags } from "./common-options.ts";
import { whileWaiting } from "./progress.ts";
import { settingsOfOneShot } from "./settings.ts";

/** One operation on a connected peer; `remainingMs` is what is left of `--timeout`. */
export interface Operation {
  readonly node: Node;
  readonly peer: Peer;
  remainingMs(): number;
}

/** Longest wait for queued bytes to leave when the operation is over, in milliseconds. */
const DRAIN_MS = 2_000;

/**
 * Runs one operation from a short-lived node: makes it, connects to `target`, runs, and closes it once everything
 * queued has left. One `--timeout` covers connecting and running.
 * @throws what createNode, connect and `run` throw
 */
export async function withPeer<T>(
  world: CommandWorld,
  flags: CommonFlags,
  target: string,
  run: (operation: Operation) => Promise<T>,
): Promise<T> {
  const { clock, terminal } = world;
  const deadline = clock.now() + flags.timeout;
  const remainingMs = (): number => Math.max(1, Math.ceil(deadline - clock.now()));
  const node = await createNode(settingsOfOneShot(flags, world));
  node.on("warning", ({ message }) => {
    if (!terminal.json) terminal.note(`${terminal.errorColours.yellow("warning:")} ${quotePeerText(message)}`);
  });
  try {
    const shown = quotePeerText(target);
    const connecting = node.connect(target, { timeoutMs: flags.timeout });
    const peer = await whileWaiting(terminal, `connecting to ${shown} (at most ${flags.timeout} ms)`, connecting);
    return await whileWaiting(terminal, `waiting for ${shown}`, run({ node, peer, remainingMs }));
  } finally {
    await node.close({ timeoutMs: DRAIN_MS });
  }
}
