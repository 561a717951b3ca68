import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { byRunningNode, withPeer } from "../one-shot.ts";
import { reportResult } from "../report.ts";
import { printable } from "../terminal.ts";

/** `ping NODE`: connects and measures one round trip. */
export async function ping(world: CommandWorld, flags: CommonFlags, target: string): Promise<void> {
  const told = await byRunningNode(world, flags, "ping", { node: target });
  if (told !== undefined) {
    report(world, told);
    return;
  }
  const { peer, rttMs } = await withPeer(world, flags, target, ({ node, peer: connected, remainingMs }) =>
    node.ping(connected.name, { timeoutMs: remainingMs() }),
  );
  const rounded = Math.round(rttMs * 1000) / 1000;
  const { name, protocol, assurance, fingerprint } = peer;
  report(world, { peer: name, protocol, assurance, fingerprint, rttMs: rounded });
}

function report(world: CommandWorld, result: Readonly<Record<string, unknown>>): void {
  const { peer, rttMs, protocol, assurance } = result;
  const human = `pong from ${peer} in ${rttMs} ms (protocol ${protocol}, assurance ${assurance})`;
  reportResult(world.terminal, result, printable(human));
}
