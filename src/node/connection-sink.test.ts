import { describe, expect, it } from "vitest";
import type { TrustQuestion } from "../auth/native-types.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { Attempt } from "./attempts.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { ConnectionSink } from "./connection-sink.ts";
import { Doors } from "./doors.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

const PEER = parseNodeName("a@h");

/** A sink whose peer has proven itself by OTP, at a node that has pins for `pinned`. */
function proven(pinned: readonly string[]): string[] {
  const done: string[] = [];
  const connection = {
    admit: () => done.push("admitted"),
    destroy: ({ reason }: { reason: string }) => done.push(reason),
  } as unknown as DistConnection;
  const identity = { hasPin: (name: string) => pinned.includes(name) };
  const policy = { factsOf: () => ({}), judge: () => ({ kind: "may-connect" }) };
  const host = {
    sessions: new Sessions(parseNodeName("m@h")),
    doors: new Doors(),
    identity,
    ...policy,
  } as unknown as ConnectionHost;
  const sink = new ConnectionSink(host, undefined, () => undefined, {} as Attempt);
  sink.attach(connection);
  sink.proven({ name: PEER, role: "acceptor", info: {} } as unknown as ProvenPeer);
  return done;
}

describe("a peer that has proven itself without a key", () => {
  it("is admitted when its name has none", () => {
    expect(proven(["b@h"])).toEqual(["admitted"]);
  });

  it("is refused when its name got one since it was claimed", () => {
    expect(proven([PEER])).toEqual(["NATIVE_ONLY"]);
  });
});

/** What a native peer is answered whose key is trusted on first use, and what was asked for that. */
function trusted(cookieDiffers: boolean, isFull: boolean, isAllowed: boolean): unknown[] {
  const done: unknown[] = [];
  const answer = { kind: "granted", assurance: "tofu" };
  const host = {
    doors: new Doors(),
    sessions: {
      noRoomFor: () => {
        done.push("room");
        return isFull ? { reason: "SESSIONS_FULL" } : undefined;
      },
    },
    identity: { decide: (question: unknown) => ({ answer, pending: { question } }) },
    factsOf: () => ({}),
    judge: () => {
      done.push("policy");
      return isAllowed ? { kind: "may-connect" } : { kind: "refused", error: { reason: "PEER_NOT_ALLOWED" } };
    },
  } as unknown as ConnectionHost;
  const attempt = { secured: () => undefined } as unknown as Attempt;
  const sink = new ConnectionSink(host, undefined, () => undefined, attempt);
  const connection = { answerTrust: ({ kind }: { kind: string }) => done.push(kind) };
  sink.attach(connection as unknown as DistConnection);
  sink.secured({ alpn: NATIVE_ALPN } as unknown as CarrierInfo);
  const question = { role: "acceptor", name: PEER, method: "key-cookie", cookieProven: !cookieDiffers, cookieDiffers };
  sink.trustAsked(question as unknown as TrustQuestion);
  return done;
}

describe("a peer whose key is trusted", () => {
  it("is judged by room and policy when it has proven all that it must", () => {
    expect(trusted(false, false, true)).toEqual(["room", "policy", "granted"]);
    expect(trusted(false, false, false)).toEqual(["room", "policy", "refused"]);
    expect(trusted(false, true, true)).toEqual(["room", "full"]);
  });

  it("is judged by neither when its cookie differs, and so can learn nothing of them", () => {
    for (const isFull of [true, false]) {
      for (const isAllowed of [true, false]) expect(trusted(true, isFull, isAllowed)).toEqual(["granted"]);
    }
  });
});

/** A sink whose peer comes up while `standing` is its session; `onEnd` hears of the end of that. */
function comesUp(onEnd: (world: { isAllowed: boolean; pinned: boolean; isUp: boolean }) => void): string[] {
  const done: string[] = [];
  const world = { isAllowed: true, pinned: false, isUp: true };
  const connection = {
    get isUp() {
      return world.isUp;
    },
    destroy: ({ reason }: { reason: string }) => done.push(reason),
  } as unknown as DistConnection;
  const sessions = new Sessions(parseNodeName("m@h"));
  const sink = new ConnectionSink(
    {
      sessions,
      doors: new Doors(),
      identity: { hasPin: () => world.pinned },
      factsOf: () => ({}),
      judge: () =>
        world.isAllowed ? { kind: "may-connect" } : { kind: "refused", error: { reason: "PEER_NOT_ALLOWED" } },
      sessionUp: () => {
        done.push(sessions.get(PEER) === undefined ? "session" : "session beside another");
        return {};
      },
      announce: () => done.push(sessions.openings === 0 ? "announced" : "announced while it is still waited for"),
    } as unknown as ConnectionHost,
    undefined,
    () => undefined,
    { accepted: () => undefined } as unknown as Attempt,
  );
  const old: Session = {
    peer: { name: PEER, assurance: "tofu", publicKey: null },
    facts: { name: PEER },
    holdsName: true,
    connection: {
      destroy: ({ reason }: { reason: string }) => {
        done.push(`old ${reason}`);
        sessions.remove(old);
        onEnd(world);
      },
    },
  } as unknown as Session;
  sessions.add(old);
  sink.attach(connection);
  const question = {
    role: "acceptor",
    name: PEER,
    incarnation: 6n,
    creation: 9,
    flags: 0n,
    peerHoldsSession: false,
    isProven: true,
  } as const;
  const newcomer = { key: Buffer.alloc(32), assurance: "pinned", holdsName: true, succeeds: undefined } as const;
  expect(sessions.arbitrate(question, newcomer, connection)).toBe("go");
  sink.up({ name: PEER, role: "acceptor", info: {} } as unknown as ProvenPeer);
  return done;
}

describe("a peer whose older session ends as the new one comes up", () => {
  it("has its session when nothing changed meanwhile", () => {
    expect(comesUp(() => undefined)).toEqual(["old SESSION_REPLACED", "session", "announced"]);
  });

  it.each([
    ["the policy no longer lets it connect", "isAllowed", "PEER_NOT_ALLOWED"],
    ["its name got a key", "pinned", "NATIVE_ONLY"],
  ] as const)("has none when whoever heard of that end saw to it that %s", (_, what, refused) => {
    expect(
      comesUp((world) => {
        world[what] = !world[what];
      }),
    ).toEqual(["old SESSION_REPLACED", refused]);
  });

  it("has none when whoever heard of that end closed its connection", () => {
    expect(
      comesUp((world) => {
        world.isUp = false;
      }),
    ).toEqual(["old SESSION_REPLACED"]);
  });
});
