import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { isOpen } from "./channel-ear.ts";
import { closeEngines, dial, engine, serve } from "./quic-rig.ts";

const NAMES = { script: fileURLToPath(new URL("quic-names-engine.mjs", import.meta.url)) };
/** The first address of the name; the second one is 127.0.0.1. */
const FIRST = "127.0.0.7";
/** Later than the next address is asked, and sooner than nobody listens for it any more. */
const LATE_MS = 700;

let sockets: Socket[] = [];
afterEach(() => {
  closeEngines();
  for (const socket of sockets.splice(0)) socket.close();
  sockets = [];
});

/** A socket for one test. */
async function socketAt(host: string, port: number, heard: (bytes: Buffer, from: RemoteInfo) => void): Promise<Socket> {
  const socket = createSocket("udp4");
  sockets.push(socket);
  socket.on("message", heard);
  socket.bind(port, host);
  await once(socket, "listening");
  return socket;
}

/** An octet from somebody whom nobody has asked. */
async function stranger(port: number, host: string): Promise<void> {
  const socket = await socketAt("127.0.0.99", 0, () => undefined);
  socket.send("x", port, host);
}

const dialTwins = (port: number) => dial(engine(NAMES), port, { host: "twins.example" });

describe("a name with two addresses over QUIC", () => {
  it("is reached at the second when nobody listens at the first", async () => {
    const server = await serve();
    const near = dialTwins(server.listener.port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `127.0.0.1:${server.listener.port}` });
    expect((await server.nextAccepted()).carrier.info().remoteAddress).toMatch("127.0.0.1:");
  });

  it.each([
    ["is silent", () => undefined],
    ["answers with something else", (socket: Socket, port: number, host: string) => socket.send("x", port, host)],
    ["is silent and a third party answers", (_first: Socket, port: number, host: string) => stranger(port, host)],
  ])("is reached at the second when the first %s", async (_what, answer) => {
    const server = await serve();
    const { port } = server.listener;
    let asked = 0;
    const first = await socketAt(FIRST, port, (_bytes, from) => {
      asked++;
      answer(first, from.port, from.address);
    });
    const near = dialTwins(port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `127.0.0.1:${port}` });
    expect(asked).toBeGreaterThan(0);
  });

  it("keeps no place at the first when that answers too late", async () => {
    const server = await serve();
    const slow = await serve();
    const { port } = server.listener;
    // What the first address answers comes late.
    let dialler = 0;
    const outer = await socketAt(FIRST, port, (bytes, from) => {
      // The look whether the port is closed comes from elsewhere.
      if (bytes.length === 1) return;
      dialler = from.port;
      inner.send(bytes, slow.listener.port, "127.0.0.1");
    });
    const inner = await socketAt("127.0.0.1", 0, (bytes) => {
      setTimeout(() => outer.send(bytes, dialler, "127.0.0.1"), LATE_MS);
    });
    const near = dialTwins(port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `127.0.0.1:${port}` });
    const late = await slow.nextAccepted();
    await late.ear.until((ear) => ear.isClosed);
    // In good order, once its handshake was over: not by a deadline.
    expect([late.ear.info === undefined, late.ear.cause]).toEqual([false, undefined]);
  });

  it("is reached at the first when somebody listens there, and is asked for once", async () => {
    const server = await serve({ host: FIRST });
    const other = await serve({ ports: server.listener.port });
    const near = dialTwins(server.listener.port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `${FIRST}:${server.listener.port}` });
    expect(other.gate.counters.admitted).toBe(0);
  });

  it("is closed when nobody listens at either", async () => {
    const server = await serve();
    const { port } = server.listener;
    await server.listener.close();
    const near = dialTwins(port);
    await near.ear.until((ear) => ear.isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "UDP_CLOSED" });
  });
});
