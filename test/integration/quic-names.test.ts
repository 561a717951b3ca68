import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { isOpen } from "./channel-ear.ts";
import { closeEngines, dial, engine, serve } from "./quic-rig.ts";

const NAMES = { script: fileURLToPath(new URL("quic-names-engine.mjs", import.meta.url)) };
/** The first address of the name; the second one is 127.0.0.1. */
const FIRST = "127.0.0.7";

let sockets: Socket[] = [];
afterEach(() => {
  closeEngines();
  for (const socket of sockets.splice(0)) socket.close();
  sockets = [];
});

const dialTwins = (port: number) => dial(engine(NAMES), port, { host: "twins.example" });

describe("a name with two addresses over QUIC", () => {
  it("is reached at the second when nobody listens at the first", async () => {
    const server = await serve();
    const near = dialTwins(server.listener.port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `127.0.0.1:${server.listener.port}` });
    expect((await server.nextAccepted()).carrier.info().remoteAddress).toMatch("127.0.0.1:");
  });

  it("is reached at the second when the first is silent", async () => {
    const server = await serve();
    const { port } = server.listener;
    const silent = createSocket("udp4");
    sockets.push(silent);
    let asked = 0;
    silent.on("message", () => asked++);
    silent.bind(port, FIRST);
    await once(silent, "listening");
    const near = dialTwins(port);
    await near.ear.until(isOpen);
    expect(near.carrier.info()).toMatchObject({ remoteAddress: `127.0.0.1:${port}` });
    expect(asked).toBeGreaterThan(0);
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
