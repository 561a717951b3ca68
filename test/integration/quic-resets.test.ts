import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { ForgedClient } from "../barrel-peer/forged-client.mjs";
import type { ChannelEar } from "./channel-ear.ts";
import { closeEngines, pair, serve } from "./quic-rig.ts";

afterEach(closeEngines);

const isClosed = (ear: ChannelEar): boolean => ear.isClosed;

describe("a QUIC listener that was started anew", () => {
  it("tells the peers of its former life, with their next packet, that it knows nothing of them", async () => {
    const { server, near, far } = await pair();
    const lane = near.carrier.open("user");
    process.kill(server.engine.pid ?? 0, "SIGKILL");
    await far.ear.until(isClosed);
    expect(near.ear.isClosed).toBe(false);
    near.carrier.write(lane, Buffer.from("is anybody there"));
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "CONNECTION_LOST" });
    expect(near.ear.cause?.message).toMatch(/knows nothing of the QUIC connection any more/);
  });
});

describe("a QUIC listener", () => {
  it.each([8, 20])("has room for its token beside a client's connection id of %i octets", async (firstIdBytes) => {
    const { listener } = await serve();
    const client = await ForgedClient.connect({ host: "127.0.0.1", port: listener.port, firstIdBytes });
    expect(client.isEstablished).toBe(true);
    client.end();
  });

  it("answers packets of nobody's connection with less than they have, and only so many of a source", async () => {
    const rate = { initialsPerSecond: 1, initialsBurst: 20 };
    const server = await serve({ engine: rate });
    const socket = createSocket("udp4");
    const answers: number[] = [];
    socket.on("message", (bytes) => answers.push(bytes.length));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    for (let n = 0; n < 200; n++) {
      const packet = randomBytes(n % 2 === 0 ? 60 : 30);
      packet[0] = 0x40;
      socket.send(packet, server.listener.port, "127.0.0.1");
    }
    await expect.poll(() => answers.length).toBeGreaterThanOrEqual(rate.initialsBurst);
    // What is answered beyond the burst grows back with time.
    await new Promise((done) => setTimeout(done, 300));
    expect(answers.length).toBeLessThanOrEqual(rate.initialsBurst + 3);
    expect(new Set(answers)).toEqual(new Set([29, 42]));
    socket.close();
  });
});
