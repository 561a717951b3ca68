import { parseTermText, printTerm } from "../../term/public.ts";
import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { byRunningNode, withPeer } from "../one-shot.ts";
import { reportTerm } from "../report.ts";
import { atomArgument } from "../term-arguments.ts";

/** `call NODE NAME TERM`: like gen_server:call; prints the reply. */
export async function call(world: CommandWorld, flags: CommonFlags, args: MessageArguments): Promise<void> {
  const { name, term } = read(args);
  const told = await byRunningNode(world, flags, "call", { node: args.node, name, term: args.term });
  if (told !== undefined) {
    reportTerm(world.terminal, String(told["term"]));
    return;
  }
  const reply = await withPeer(world, flags, args.node, ({ node, peer, remainingMs }) =>
    node.call({ name, node: peer.name }, term, { timeoutMs: remainingMs() }),
  );
  reportTerm(world.terminal, printTerm(reply));
}

/** `cast NODE NAME TERM`: like gen_server:cast; done when it has left. */
export async function cast(world: CommandWorld, flags: CommonFlags, args: MessageArguments): Promise<void> {
  const { name, term } = read(args);
  const told = await byRunningNode(world, flags, "cast", { node: args.node, name, term: args.term });
  if (told === undefined)
    await withPeer(world, flags, args.node, async ({ node, peer }) => node.cast({ name, node: peer.name }, term));
  reportTerm(world.terminal, "ok");
}

/** `send NODE NAME TERM`: like `!`; done when it has left. */
export async function send(world: CommandWorld, flags: CommonFlags, args: MessageArguments): Promise<void> {
  const { name, term } = read(args);
  const told = await byRunningNode(world, flags, "send", { node: args.node, name, term: args.term });
  if (told === undefined)
    await withPeer(world, flags, args.node, async ({ node, peer }) => node.send({ name, node: peer.name }, term));
  reportTerm(world.terminal, "ok");
}

/** NODE NAME TERM as given. */
export interface MessageArguments {
  readonly node: string;
  readonly name: string;
  readonly term: string;
}

function read(args: MessageArguments): { name: string; term: ReturnType<typeof parseTermText> } {
  return { name: atomArgument(args.name, "NAME"), term: parseTermText(args.term) };
}
