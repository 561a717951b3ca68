import type { Clock } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";

/** Peers that are pinged at once. */
export const MAX_HEALTH_PINGS = 32;

/** Longest time for all pings together, milliseconds: what is left of the eight seconds is for the rest. */
export const HEALTH_PINGS_MS = 7_500;

/** Shortest time one peer is given where many wait for their turn, milliseconds. */
const MIN_PING_MS = 1_000;

/** No answer in time. */
export const DEADLINE = "DEADLINE";

/** What became of one ping; `rttMs` is null for a peer that was not asked. */
export type Probed = { readonly rttMs: number | null } | { readonly reason: string };

/** Asks one peer whether it lives; rejects when it does not, or says no. Does not dial. */
export type PingPeer<P> = (peer: P, timeoutMs: number) => Promise<unknown>;

/**
 * Pings peers, `MAX_HEALTH_PINGS` at a time, and says of each how it went, in their order. Resolves within `HEALTH_PINGS_MS` and
 * never rejects. Of more than fit at once none may take all the time: each has its part of it, a second at least; those
 * whose turn does not come have not answered.
 */
export async function probePeers<P>(peers: readonly P[], ping: PingPeer<P>, clock: Clock): Promise<readonly Probed[]> {
  const endAt = clock.now() + HEALTH_PINGS_MS;
  const rounds = Math.ceil(peers.length / MAX_HEALTH_PINGS);
  const eachMs = Math.max(MIN_PING_MS, Math.floor(HEALTH_PINGS_MS / Math.max(1, rounds)));
  const probed: Probed[] = peers.map(() => ({ reason: DEADLINE }));
  const waiting = peers.entries();
  const work = async (): Promise<void> => {
    for (const [index, peer] of waiting) {
      const startedAt = clock.now();
      const leftMs = Math.floor(endAt - startedAt);
      if (leftMs <= 0) return;
      try {
        await ping(peer, Math.min(eachMs, leftMs));
        probed[index] = { rttMs: clock.now() - startedAt };
      } catch (error) {
        const reason = reasonOf(error);
        probed[index] = reason === undefined ? { rttMs: clock.now() - startedAt } : { reason };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_HEALTH_PINGS, peers.length) }, work));
  return probed;
}

/** Why there was no answer; undefined when the error is one. */
function reasonOf(error: unknown): string | undefined {
  if (!isSallyportError(error)) return "PING_FAILED";
  if (error.code === "ERR_DEADLINE") return DEADLINE;
  if (error.reason === "TARGET_DOWN" && error.detail["remoteReason"] === "noconnection") return "CONNECTION_LOST";
  // It was asked, and it said no: it lives.
  return error.code === "ERR_REMOTE" || error.code === "ERR_DENIED" ? undefined : error.reason;
}
