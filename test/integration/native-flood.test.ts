import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { A, B, dialling, NativeRig, portOf } from "./native-rig.ts";

const { node, acquainted } = new NativeRig();
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** Opens a connection that says nothing, from an address of its own on this machine. */
function silent(to: Node, localAddress: string): Socket {
  const socket = connect({ host: "127.0.0.1", port: portOf(to), localAddress });
  socket.on("error", () => undefined);
  sockets.push(socket);
  return socket;
}

const counter = (of: Node, name: string): number => of.vitals().counters[name] ?? 0;

/** Resolves when a counter of a node has reached a number. */
async function reached(of: Node, name: string, count: number): Promise<void> {
  while (counter(of, name) < count) await new Promise((resolve) => setImmediate(resolve));
}

describe("a flood of silent strangers from many addresses", () => {
  // Eight places, two of them for known peers; none is ever old enough to be dropped.
  const acceptLimits = { maxHalfOpen: 8, minAgeMs: 60_000 };

  it("shuts out newcomers, and not a peer whose key is pinned", async () => {
    await acquainted(A, B);
    const b = await node(B, "strict", { acceptLimits });
    const a = await node(A, "strict", dialling(b));
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
    await a.ping(B);
    a.disconnect(B);
    for (let i = 2; i <= 7; i++) silent(b, `127.0.0.${i}`);
    await reached(b, "accept_admitted", 7);
    const newcomer = silent(b, "127.0.0.8");
    await once(newcomer, "close");
    expect(counter(b, "accept_refused_full")).toBe(1);
    expect(await a.connect(B)).toMatchObject({ assurance: "pinned" });
    // The next start knows it from its pin.
    await b.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    const next = await node(B, "strict", { acceptLimits });
    for (let i = 2; i <= 7; i++) silent(next, `127.0.0.${i}`);
    await reached(next, "accept_admitted", 6);
    await a.close();
    const again = await node(A, "strict", dialling(next));
    expect(await again.connect(B)).toMatchObject({ assurance: "pinned" });
  });
});
