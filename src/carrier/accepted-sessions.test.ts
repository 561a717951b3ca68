import { describe, expect, it } from "vitest";
import { chainOf, sessionBytes } from "../testkit/tls-sessions.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import {
  AcceptedSessions,
  MAX_ACCEPTED_SESSIONS,
  MAX_VERIFIED_CHAINS,
  SessionEpoch,
  SessionOfAccept,
} from "./accepted-sessions.ts";
import { MAX_RESUMPTION_MS } from "./verified-chain.ts";

const START = 1_800_000_000_000;
const within = { beginsMs: START - 1000, endsMs: START + 10_000 };
const scene = (): { clock: VirtualClock; epoch: SessionEpoch } => {
  const clock = new VirtualClock(START);
  return { clock, epoch: new SessionEpoch(clock) };
};
const refused = (why: string): unknown => ({ kind: "refused", why });

describe("sessions that a listener may resume", () => {
  it("are those of certificates that were verified here, and are within their dates", () => {
    const { clock, epoch } = scene();
    const chain = chainOf("a", within);
    expect(epoch.judge(chain.leafDer)).toEqual(refused("not-verified"));
    epoch.note(chain);
    expect(epoch.judge(chain.leafDer)).toEqual({ kind: "verified", chain });
    expect(epoch.judge(chainOf("b").leafDer)).toEqual(refused("not-verified"));
    expect(epoch.judge(undefined)).toEqual(refused("no-certificate"));
    clock.setWallMs(within.endsMs);
    expect([epoch.judge(chain.leafDer), epoch.isOver]).toEqual([refused("ended"), true]);
    clock.setWallMs(within.beginsMs - 1);
    expect(epoch.judge(chain.leafDer)).toEqual(refused("ended"));
  });

  it("are not those of a chain that has ended, or not begun, when it is noted", () => {
    const { epoch } = scene();
    for (const dates of [{ endsMs: START }, { beginsMs: START + 1 }, { endsMs: Number.NEGATIVE_INFINITY }]) {
      const chain = chainOf("a", dates);
      epoch.note(chain);
      expect(epoch.judge(chain.leafDer)).toEqual(refused("not-verified"));
    }
    expect(epoch.isOver).toBe(false);
  });

  it("are none after an hour, whatever the certificates say", () => {
    const { clock, epoch } = scene();
    const chain = chainOf("a");
    epoch.note(chain);
    clock.advance(MAX_RESUMPTION_MS - 1);
    expect([epoch.judge(chain.leafDer), epoch.isOver]).toEqual([{ kind: "verified", chain }, false]);
    clock.advance(1);
    expect([epoch.judge(chain.leafDer), epoch.isOver]).toEqual([refused("ended"), true]);
  });

  it("are not those of a certificate that is to be shown again, until it was", () => {
    const { epoch } = scene();
    const chain = chainOf("a", within);
    const session = new SessionOfAccept(epoch);
    session.secured(chain);
    expect(epoch.judge(chain.leafDer)).toMatchObject({ kind: "verified" });
    session.forget();
    expect(epoch.judge(chain.leafDer)).toEqual(refused("not-verified"));
    session.up();
    expect(epoch.judge(chain.leafDer)).toEqual(refused("not-verified"));
    new SessionOfAccept(epoch).secured(chain);
    expect(epoch.judge(chain.leafDer)).toMatchObject({ kind: "verified" });
  });

  it("are those of a certificate of no authority only once its peer was let in", () => {
    const { epoch } = scene();
    const chain = chainOf("a", { ...within, chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    const session = new SessionOfAccept(epoch);
    session.secured(chain);
    expect(epoch.judge(chain.leafDer)).toEqual(refused("not-verified"));
    session.up();
    expect(epoch.judge(chain.leafDer)).toEqual({ kind: "verified", chain });
  });

  it("all begin anew where there are too many", () => {
    const { epoch } = scene();
    for (let i = 0; i < MAX_VERIFIED_CHAINS; i++) epoch.note(chainOf(`${i}`, within));
    epoch.note(chainOf("0", within));
    expect(epoch.isOver).toBe(false);
    const more = chainOf("more", within);
    epoch.note(more);
    expect([epoch.judge(more.leafDer), epoch.isOver]).toEqual([refused("not-verified"), true]);
  });

  it("are kept by id where they are of TLS 1.2, and found while their certificate counts", () => {
    const { epoch } = scene();
    const [chain, id] = [chainOf("a", within), Buffer.alloc(32, 7)];
    const data = sessionBytes(chain, "TLSv1.2");
    epoch.keep(id, data);
    expect(epoch.find(id)).toBeUndefined();
    epoch.note(chain);
    epoch.keep(id, data);
    expect(epoch.find(id)).toEqual(data);
    expect(epoch.find(Buffer.alloc(32, 8))).toBeUndefined();
    epoch.forget(chain.fingerprint);
    expect(epoch.find(id)).toBeUndefined();
    epoch.note(chain);
    // Found wanting once, it is gone.
    expect(epoch.find(id)).toBeUndefined();
    epoch.keep(id, sessionBytes(chain, "TLSv1.3"));
    epoch.keep(Buffer.alloc(32, 9), Buffer.from("nothing"));
    expect([epoch.find(id), epoch.find(Buffer.alloc(32, 9))]).toEqual([undefined, undefined]);
  });

  it("are kept by id up to a number, the oldest going first", () => {
    const { epoch } = scene();
    const chain = chainOf("a", within);
    epoch.note(chain);
    const id = (i: number): Buffer => Buffer.from(`${i}`.padStart(32));
    for (let i = 0; i <= MAX_ACCEPTED_SESSIONS; i++) epoch.keep(id(i), sessionBytes(chain, "TLSv1.2"));
    expect([epoch.find(id(0)), epoch.find(id(1)) !== undefined]).toEqual([undefined, true]);
  });
});

describe("AcceptedSessions", () => {
  it("has other keys for a new epoch, before the handshake that needs it", () => {
    const clock = new VirtualClock(START);
    let keys = 0;
    const sessions = new AcceptedSessions(clock, () => keys++);
    const first = sessions.begin();
    expect([sessions.begin() === first, keys]).toEqual([true, 0]);
    clock.advance(MAX_RESUMPTION_MS);
    expect([sessions.begin() === first, keys]).toEqual([false, 1]);
    const second = sessions.current;
    // With other material they came already.
    sessions.replaced();
    expect([sessions.begin() === second, keys]).toEqual([false, 1]);
  });
});
