import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { Attempt } from "./attempts.ts";
import { type ConnectionHost, ConnectionSink } from "./connection-sink.ts";
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
  const host = { sessions: new Sessions(parseNodeName("m@h")), identity, ...policy } as unknown as ConnectionHost;
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

/** A sink whose native or OTP peer comes up while `standing` is its session; `onEnd` hears of the end of that. */
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
      identity: { hasPin: () => world.pinned },
      factsOf: () => ({}),
      judge: () =>
        world.isAllowed ? { kind: "may-connect" } : { kind: "refused", error: { reason: "PEER_NOT_ALLOWED" } },
      sessionUp: () => {
        done.push(sessions.get(PEER) === undefined ? "session" : "session beside another");
        return {};
      },
      announce: () => done.push("announced"),
    } as unknown as ConnectionHost,
    undefined,
    () => undefined,
    { accepted: () => undefined } as unknown as Attempt,
  );
  const old: Session = {
    peer: { name: PEER },
    facts: { name: PEER },
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
