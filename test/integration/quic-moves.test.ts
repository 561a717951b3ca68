import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { isOpen } from "./channel-ear.ts";
import { closeEngines, dial, engine, serve } from "./quic-rig.ts";

const MIB = 1024 * 1024;
const HOST = "127.0.0.1";
let sockets: Socket[] = [];
afterEach(() => {
  closeEngines();
  for (const socket of sockets.splice(0)) socket.close();
  sockets = [];
});

async function bound(heard: (bytes: Buffer, from: RemoteInfo) => void): Promise<Socket> {
  const socket = createSocket("udp4");
  sockets.push(socket);
  socket.on("message", heard);
  socket.bind(0, HOST);
  await once(socket, "listening");
  return socket;
}

/** Stands between a dialler and a listener as an address translator does, and forgets its mapping when it is told to. */
async function translator(to: number) {
  let dialler = 0;
  const outside = (): Promise<Socket> => bound((bytes) => inside.send(bytes, dialler, HOST));
  const inside: Socket = await bound((bytes, from) => {
    dialler = from.port;
    mapped.send(bytes, to, HOST);
  });
  let mapped = await outside();
  return {
    port: inside.address().port,
    /** What comes to the port of before goes nowhere. */
    async forget() {
      const former = mapped;
      mapped = await outside();
      former.removeAllListeners("message");
    },
  };
}

describe("a QUIC connection whose address changes on the way", () => {
  it("loses nothing of what was under way to the address of before", async () => {
    const server = await serve();
    const between = await translator(server.listener.port);
    const near = dial(engine(), between.port);
    const far = await server.nextAccepted();
    await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
    const id = near.carrier.open("user");
    // All that goes to and fro is acknowledged before.
    near.carrier.write(id, Buffer.from("a"));
    await far.ear.until((ear) => ear.count(id) === 1);
    far.carrier.write(id, Buffer.from("b"));
    await near.ear.until((ear) => ear.count(id) === 1);
    await new Promise((done) => setTimeout(done, 300));

    const before = far.carrier.info().remoteAddress;
    await between.forget();
    far.carrier.write(id, Buffer.alloc(MIB));
    await new Promise((done) => setTimeout(done, 50));
    near.carrier.write(id, Buffer.from("from elsewhere"));
    await near.ear.until((ear) => ear.count(id) === 1 + MIB);
    await far.ear.until((ear) => ear.count(id) === 15);
    expect(far.carrier.info().remoteAddress).not.toBe(before);
  });
});
