import type { TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { chainOf } from "../testkit/tls-sessions.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { SessionEpoch, SessionOfAccept } from "./accepted-sessions.ts";
import { peerAsKept, peerAsRemembered } from "./tls-open.ts";
import { isWithin, MAX_RESUMPTION_MS, type VerifiedChain } from "./verified-chain.ts";

const START = 1_800_000_000_000;
const dates = { beginsMs: START - 1000, endsMs: START + 2 * MAX_RESUMPTION_MS };

/** A session that OpenSSL has resumed, with the verdict that it kept. */
const socketOf = (chain: VerifiedChain | undefined, authorized: boolean): TLSSocket =>
  ({
    authorized,
    authorizationError: authorized ? null : "CERT_HAS_EXPIRED",
    getPeerX509Certificate: () => (chain === undefined ? undefined : { raw: chain.leafDer }),
  }) as unknown as TLSSocket;

function bothEnds(chain: VerifiedChain, authorized: boolean): unknown[] {
  const clock = new VirtualClock(START);
  const epoch = new SessionEpoch(clock);
  const session = new SessionOfAccept(epoch);
  session.secured(chain);
  session.up();
  const offer = { session: Buffer.alloc(0), isTls13: true, chain, expiresAt: addMs(clock.now(), MAX_RESUMPTION_MS) };
  const socket = socketOf(chain, authorized);
  return [peerAsRemembered(socket, "h:1", epoch), peerAsKept(socket, "h:1", offer, clock)].map((peer) => {
    expect(peer).toMatchObject({ isResumed: true, der: chain.leafDer, chainAsSent: [chain.leafDer] });
    return peer.chainError;
  });
}

describe("the peer of a resumed session", () => {
  it("is trusted when both the verdict of the full handshake and that of the session say so", () => {
    expect(bothEnds(chainOf("a", dates), true)).toEqual([undefined, undefined]);
    expect(bothEnds(chainOf("a", dates), false)).toEqual(["CERT_HAS_EXPIRED", "CERT_HAS_EXPIRED"]);
    // OpenSSL does not know of the depth that is allowed here.
    const long = chainOf("a", { ...dates, chainError: "CERT_CHAIN_TOO_LONG" });
    expect(bothEnds(long, true)).toEqual(["CERT_CHAIN_TOO_LONG", "CERT_CHAIN_TOO_LONG"]);
  });

  it("is refused by a dialler that offered nothing, or whose offer ended on the way", () => {
    const clock = new VirtualClock(START);
    const chain = chainOf("a", dates);
    const offer = { session: Buffer.alloc(0), isTls13: true, chain, expiresAt: addMs(clock.now(), 1_000) };
    const refused = (why: string): unknown =>
      expect.objectContaining({ code: "ERR_DENIED", reason: "RESUMPTION_REFUSED", detail: { address: "h:1", why } });
    const judge = (given?: typeof offer) => (): unknown => peerAsKept(socketOf(chain, true), "h:1", given, clock);
    expect(judge()).toThrow(refused("not-verified"));
    expect(judge(offer)).not.toThrow();
    clock.setWallMs(dates.endsMs);
    expect(isWithin(chain, clock.wallMs())).toBe(false);
    expect(judge(offer)).toThrow(refused("ended"));
    clock.setWallMs(START);
    clock.advance(1_000);
    expect(judge(offer)).toThrow(refused("ended"));
  });

  it("is refused by an acceptor that resumes nothing", () => {
    const socket = socketOf(chainOf("a", dates), true);
    expect(() => peerAsRemembered(socket, "h:1", undefined)).toThrow(
      expect.objectContaining({ reason: "RESUMPTION_REFUSED" }),
    );
  });
});
