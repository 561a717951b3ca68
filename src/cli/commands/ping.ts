import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { withPeer } from "../one-shot.ts";
import { reportResult } from "../report.ts";

/** `ping NODE`: connects and measures one round trip. */
export async function ping(world: CommandWorld, flags: CommonFlags, target: string): Promise<void> {
  const { peer, rttMs } = await withPeer(world, flags, target, ({ node, peer: connected, remainingMs }) =>
    node.ping(connected.name, { timeoutMs: remainingMs() }),
  );
  const rounded = Math.round(rttMs * 1000) / 1000;
  const { name, protocol, assurance, fingerprint } = peer;
  reportResult(
    world.terminal,
    { peer: name, protocol, assurance, fingerprint, rttMs: rounded },
    `pong from ${name} in ${rounded} ms (protocol ${protocol}, assurance ${assurance})`,
  );
}
