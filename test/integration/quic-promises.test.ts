import { X509Certificate } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { NativeConnection } from "../../src/quic-engine/binding.ts";
import { isClosed } from "./channel-ear.ts";
import { type RawPeer, type Resumable, rawClient, rawServer } from "./quic-raw-peer.ts";
import { closeEngines, material, pair, serve } from "./quic-rig.ts";

// What the QUIC engine promises of connections, whoever the other side is.

const ALPN = ["erlang-dist"];
const TICKET_KEY = Buffer.alloc(48, 7);

const open: RawPeer[] = [];
afterEach(() => {
  for (const peer of open.splice(0)) peer.close();
  closeEngines();
});

const own = (peer: RawPeer): RawPeer => {
  open.push(peer);
  return peer;
};

/** Packets go to and fro until this holds. */
async function until(peer: RawPeer, test: (connection: NativeConnection & Resumable) => boolean): Promise<void> {
  const connection = (await peer.connection) as NativeConnection & Resumable;
  await new Promise<void>((resolve) => {
    peer.onRead = () => test(connection) && resolve();
    peer.onRead();
  });
}

/** Dials, and gives what the other side would resume the next time. */
async function sessionFrom(port: number): Promise<Uint8Array> {
  const first = own(await rawClient(port, ALPN));
  let session: Uint8Array | null = null;
  await until(first, (connection) => {
    session = connection.session();
    return session !== null;
  });
  return session ?? Buffer.alloc(0);
}

describe("a connection over QUIC", () => {
  it("outlives its idle timeout where neither side has anything to say", async () => {
    const times = { idleTimeoutMs: 2_000 };
    const alive = { ...times, keepAliveMs: 1 };
    const kept = await pair({ engine: alive }, {}, alive);
    // One that is not kept alive tells the time: twice, since it began later.
    for (const _life of [1, 2]) {
      const silent = { ...times, keepAliveMs: 1_000_000 };
      const left = await pair({ engine: silent }, {}, silent);
      await left.near.ear.until(isClosed);
      expect(left.near.ear.cause).toMatchObject({ reason: "CONNECTION_LOST" });
    }
    const { near, far } = kept;
    expect([near.ear.isClosed, far.ear.isClosed]).toEqual([false, false]);
    const id = near.carrier.open("user");
    near.carrier.write(id, Buffer.from("still here"));
    await far.ear.until((ear) => ear.text(id) === "still here");
  });

  it("is never resumed: who comes with a session of before shakes hands anew, and is shown the certificate", async () => {
    const shown = await material();
    const server = await serve({ material: shown });
    const session = await sessionFrom(server.listener.port);
    const accepted = await server.nextAccepted();
    const second = own(await rawClient(server.listener.port, ALPN, session));
    const far = await server.nextAccepted();
    const connection = await second.connection;
    await until(second, () => connection.isEstablished());
    expect(connection.isResumed()).toBe(false);
    const chain = connection.peerCertChain() ?? [];
    expect(chain.map((der) => new X509Certificate(shown.certPem).raw.equals(der))).toEqual([true]);
    connection.streamSend(4, Buffer.from("hello"), false);
    await second.push();
    await far.ear.until((ear) => ear.text(4) === "hello");
    expect(accepted.ear.isClosed).toBe(false);
  });

  it("could be resumed where a server keeps the key of its tickets, so that the test before means something", async () => {
    const shown = await material();
    const session = await sessionFrom(own(await rawServer(shown, ALPN, TICKET_KEY)).port);
    const second = own(await rawClient(own(await rawServer(shown, ALPN, TICKET_KEY)).port, ALPN, session));
    const connection = await second.connection;
    await until(second, () => connection.isEstablished());
    expect(connection.isResumed()).toBe(true);
  });
});
