import { printTerm } from "../../term/public.ts";
import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { byRunningNode, withPeer } from "../one-shot.ts";
import { reportTerm } from "../report.ts";
import { argumentList, atomArgument, moduleArgument, spawnArgument } from "../term-arguments.ts";

/** NODE MODULE FUNCTION ARGS as given. */
export interface RpcArguments {
  readonly node: string;
  readonly module: string;
  readonly function: string;
  readonly args: string;
}

/** `rpc NODE MODULE FUNCTION ARGS`: runs a function on the node; prints its value. */
export async function rpc(world: CommandWorld, flags: CommonFlags, given: RpcArguments): Promise<void> {
  const module = moduleArgument(given.module);
  const name = atomArgument(given.function, "FUNCTION");
  const args = argumentList(given.args);
  const told = await byRunningNode(world, flags, "rpc", { node: given.node, module, function: name, args: given.args });
  if (told !== undefined) {
    reportTerm(world.terminal, String(told["term"]));
    return;
  }
  const value = await withPeer(world, flags, given.node, ({ node, peer, remainingMs }) =>
    node.rpc(peer.name, module, name, args, { timeoutMs: remainingMs() }),
  );
  reportTerm(world.terminal, printTerm(value));
}

/** NODE FUNCTION ARGS as given. */
export interface SpawnArguments {
  readonly node: string;
  readonly function: string;
  readonly args: string;
}

/** `spawn NODE FUNCTION ARGS`: starts a process on the node; prints its pid. */
export async function spawn(world: CommandWorld, flags: CommonFlags, given: SpawnArguments): Promise<void> {
  const name = spawnArgument(given.function);
  const args = argumentList(given.args);
  const told = await byRunningNode(world, flags, "spawn", { node: given.node, function: name, args: given.args });
  if (told !== undefined) {
    reportTerm(world.terminal, String(told["term"]));
    return;
  }
  const pid = await withPeer(world, flags, given.node, ({ node, peer, remainingMs }) =>
    node.spawnRemote(peer.name, name, args, { timeoutMs: remainingMs() }),
  );
  reportTerm(world.terminal, printTerm(pid));
}
