import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { Attempt } from "./attempts.ts";
import { type ConnectionHost, ConnectionSink } from "./connection-sink.ts";
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
