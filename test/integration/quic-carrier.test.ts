import { X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { SeededRandom } from "../../src/testkit/seeded-random.ts";
import { isClosed, isOpen } from "./channel-ear.ts";
import { rawServer } from "./quic-raw-peer.ts";
import { closeEngines, dial, engine, material, pair, type QuicEnd, serve } from "./quic-rig.ts";

const MIB = 1024 * 1024;

afterEach(closeEngines);

describe("a QUIC connection", () => {
  it("tells both sides who the other is", async () => {
    const shown = await material();
    const { near, far, server } = await pair({ material: shown });
    const der = new X509Certificate(shown.certPem).raw;
    const facts = { transport: "quic", tlsVersion: "TLSv1.3", alpn: "erlang-dist", chainTrusted: false };
    expect(near.ear.info).toMatchObject({ ...facts, remoteAddress: `127.0.0.1:${server.listener.port}` });
    expect(far.ear.info).toMatchObject(facts);
    expect(near.ear.info?.peerCertDer?.equals(der)).toBe(true);
    expect(near.ear.info?.ownCertDer).toBeUndefined();
    expect(far.ear.info?.ownCertDer?.equals(der)).toBe(true);
    expect(far.ear.info?.peerCertDer).toBeUndefined();
  });

  it("shows another certificate after it was replaced", async () => {
    const { server, dialler } = await pair();
    const next = await material();
    server.listener.replaceMaterial(next);
    const again = dial(dialler, server.listener.port);
    await again.ear.until(isOpen);
    expect(again.ear.info?.peerCertDer?.equals(new X509Certificate(next.certPem).raw)).toBe(true);
    const other = await material();
    expect(() => server.listener.replaceMaterial({ certPem: next.certPem, keyPem: other.keyPem })).toThrow(
      expect.objectContaining({ reason: "KEY_CERT_MISMATCH" }),
    );
  });

  it("goes on from another port", async () => {
    const { near, far } = await pair();
    const id = near.carrier.open("user");
    near.carrier.write(id, Buffer.from("a"));
    await far.ear.until((ear) => ear.count(id) === 1);
    const before = far.carrier.info().remoteAddress;
    near.carrier.rebind();
    near.carrier.write(id, Buffer.from("b"));
    await far.ear.until((ear) => ear.count(id) === 2);
    // Also what the accepting side says by itself finds the new port.
    far.carrier.write(id, Buffer.alloc(MIB));
    await near.ear.until((ear) => ear.count(id) === MIB);
    expect(far.carrier.info().remoteAddress).not.toBe(before);
  });

  it("says at both ends that the other lives, by packets alone", async () => {
    const { near, far } = await pair({}, {}, { keepAliveMs: 500 });
    await Promise.all([near, far].map(({ ear }) => ear.until(({ lives }) => lives > 2)));
    expect([near.ear.octets.size, far.ear.octets.size]).toEqual([0, 0]);
  });

  it("opens towards a listener that wants addresses proven", async () => {
    const { near, far } = await pair({ retry: true });
    const id = near.carrier.open("user");
    near.carrier.write(id, Buffer.from("a"));
    await far.ear.until((ear) => ear.count(id) === 1);
  });

  it.each([
    [true, ["one", "two", "three"]],
    [false, ["onetwothree"]],
  ])("keeps what was flushed (%s) apart on the wire", async (flushed, expected) => {
    const peer = await rawServer(await material(), ["erlang-dist"]);
    const near = dial(engine(), peer.port);
    await near.ear.until(isOpen);
    const control = near.carrier.open("control");
    const came = new Promise<void>((resolve) => {
      peer.onRead = () => peer.reads.join("").length === 11 && resolve();
    });
    for (const word of ["one", "two", "three"]) {
      near.carrier.write(control, Buffer.from(word));
      if (flushed) near.carrier.flush(control);
    }
    await came;
    expect(peer.reads).toEqual(expected);
    peer.close();
  });

  it("uses large datagrams within this machine, and does without where they do not arrive", async () => {
    const peer = await rawServer(await material(), ["erlang-dist"]);
    const near = dial(engine(), peer.port);
    await near.ear.until(isOpen);
    const id = near.carrier.open("user");
    let came = 0;
    let heard: () => void = () => undefined;
    peer.onRead = () => {
      for (const read of peer.reads.splice(0)) came += read.length;
      heard();
    };
    let sent = 0;
    const send = async (octets: number): Promise<void> => {
      near.carrier.write(id, Buffer.alloc(octets));
      sent += octets;
      await new Promise<void>((resolve) => {
        heard = () => came === sent && resolve();
        heard();
      });
    };
    const largest = (): number => Math.max(...peer.sizes.splice(0));
    const isSmall = (octets: number): boolean => octets <= 1452;
    // None gets through: what it carried comes in small ones.
    peer.loses = (octets) => !isSmall(octets);
    await send(MIB);
    const tried = peer.sizes.filter((octets) => !isSmall(octets)).length;
    // Tries come a second apart, then ever later.
    expect([tried > 0, tried < 8]).toEqual([true, true]);
    peer.loses = () => false;
    let many = 0;
    while (many < 5) {
      peer.sizes.length = 0;
      await send(256 * 1024);
      many = peer.sizes.filter((octets) => !isSmall(octets)).length;
    }
    expect(largest()).toBe(16_336);
    // The path changes while they are in use.
    peer.loses = (octets) => !isSmall(octets);
    await send(MIB);
    expect(near.ear.isClosed).toBe(false);
    peer.close();
  });

  it("bounds the memory of a peer that reads nothing, and delivers once it reads", async () => {
    const { server, near, far, dialler } = await pair({ engine: { maxBacklogBytes: MIB } });
    const rss = (): number => {
      const status = readFileSync(`/proc/${server.engine.pid}/status`, "latin1");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    };
    const id = near.carrier.open("user");
    far.ear.keep = false;
    far.carrier.pause();
    const before = rss();
    const total = 48 * MIB;
    for (let sent = 0; sent < total; sent += MIB) near.carrier.write(id, Buffer.alloc(MIB));
    // Another connection's exchanges stand for time: the held one has had its chance to go on.
    const other = dial(dialler, server.listener.port);
    const otherFar = await server.nextAccepted();
    await other.ear.until(isOpen);
    const ping = other.carrier.open("user");
    for (let at = 1; at <= 200; at++) {
      other.carrier.write(ping, Buffer.alloc(2000));
      await otherFar.ear.until((ear) => ear.count(ping) === 2000 * at);
      otherFar.carrier.write(ping, Buffer.from("."));
      await other.ear.until((ear) => ear.count(ping) === at);
    }
    expect(far.ear.count(id)).toBe(0);
    expect(near.carrier.pendingBytes()).toBeGreaterThan(total - 8 * MIB);
    expect(rss() - before).toBeLessThan(24 * MIB);
    far.carrier.resume();
    await far.ear.until((ear) => ear.count(id) === total);
    expect(near.ear.isClosed).toBe(false);
  });
});

describe("a QUIC listener", () => {
  it("goes on after garbage, and answers an unknown version with those it knows", async () => {
    const server = await serve();
    const noise = createSocket("udp4");
    noise.bind(0, "127.0.0.1");
    await once(noise, "listening");
    const bytes = new SeededRandom(7);
    const send = (datagram: Buffer): Promise<void> =>
      new Promise((resolve) => noise.send(datagram, server.listener.port, "127.0.0.1", () => resolve()));
    for (let at = 0; at < 400; at++) {
      const datagram = bytes.bytes(1 + ((at * 97) % 1500));
      // A quarter each: anything, long headers, long headers of version 1, short headers.
      if (at % 4 === 1 || at % 4 === 2) datagram[0] = 0xc0 | (datagram[0] ?? 0);
      if (at % 4 === 2 && datagram.length > 6) datagram.set([0, 0, 0, 1, 8], 1);
      if (at % 4 === 3) datagram[0] = 0x40 | ((datagram[0] ?? 0) & 0x3f);
      await send(datagram);
    }
    // Garbage that looks like a packet of a former life is answered as well.
    const asker = createSocket("udp4");
    asker.bind(0, "127.0.0.1");
    await once(asker, "listening");
    const answer = once(asker, "message") as Promise<[Buffer]>;
    const unknown = Buffer.alloc(1200);
    unknown.set([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8]);
    asker.send(unknown, server.listener.port, "127.0.0.1");
    const [negotiation] = await answer;
    expect(negotiation.readUInt32BE(1)).toBe(0);
    expect(negotiation.readUInt32BE(negotiation.length - 4)).toBe(1);
    noise.close();
    asker.close();
    const near = dial(engine(), server.listener.port);
    await near.ear.until(isOpen);
    expect([server.warnings, server.engine.starts]).toEqual([[], 1]);
  });

  it("refuses other application protocols", async () => {
    const server = await serve();
    const near = dial(engine(), server.listener.port, { alpn: ["h3"] });
    const far = await server.nextAccepted();
    await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
    for (const { ear } of [near, far]) {
      expect(ear.cause).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "QUIC_NO_ALPN" });
      expect(ear.info).toBeUndefined();
    }
    expect(server.gate.size).toBe(0);
  });

  it("asks the gate, and takes the next once a peer is known or gone", async () => {
    const server = await serve({ gate: { maxHalfOpenPerLoopback: 2 } });
    const dialler = engine();
    const ends: { near: ReturnType<typeof dial>; far: QuicEnd }[] = [];
    for (let at = 0; at < 2; at++) {
      const near = dial(dialler, server.listener.port);
      ends.push({ near, far: await server.nextAccepted() });
      await near.ear.until(isOpen);
    }
    // Refused before TLS begins. A dialler goes on asking, as QUIC does with every packet that is not answered.
    const third = dial(dialler, server.listener.port);
    while (server.gate.counters.refusedSource === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(third.ear.info).toBeUndefined();
    ends[0]?.far.admission?.release();
    await third.ear.until(isOpen);
    ends[1]?.near.carrier.destroy();
    await ends[1]?.far.ear.until(isClosed);
    const fourth = dial(dialler, server.listener.port);
    await fourth.ear.until(isOpen);
    expect(server.gate.size).toBe(2);
  });

  it("bounds how many connections a source begins", async () => {
    const server = await serve({ engine: { initialsBurst: 2, initialsPerSecond: 0 } });
    const dialler = engine();
    const first = [dial(dialler, server.listener.port), dial(dialler, server.listener.port)];
    await Promise.all(first.map(({ ear }) => ear.until(isOpen)));
    const third = dial(dialler, server.listener.port);
    const id = first[0]?.carrier.open("user") ?? 0;
    first[0]?.carrier.write(id, Buffer.alloc(MIB));
    const far = await server.nextAccepted();
    await far.ear.until((ear) => ear.count(id) === MIB);
    expect(third.ear.info).toBeUndefined();
    expect(server.gate.counters.admitted).toBe(2);
  });

  it("is refused where strangers reach it, and warns when that is meant", async () => {
    await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({ reason: "QUIC_PUBLIC_ADDRESS" });
    const server = await serve({ host: "0.0.0.0", allowPublic: true });
    expect(server.warnings).toEqual(["QUIC_PUBLIC_LISTENER"]);
    const near = dial(engine(), server.listener.port);
    await near.ear.until(isOpen);
  });

  it("says when its port is taken, and takes no new connections once closed", async () => {
    const { server, near, far, dialler } = await pair();
    const taken = { host: "127.0.0.1", ports: server.listener.port };
    await expect(serve({ ports: taken.ports })).rejects.toMatchObject({ code: "ERR_CONFIG", reason: "PORT_IN_USE" });
    await server.listener.close();
    const id = near.carrier.open("user");
    near.carrier.write(id, Buffer.from("x"));
    await far.ear.until((ear) => ear.count(id) === 1);
    const late = dial(dialler, server.listener.port);
    near.carrier.write(id, Buffer.alloc(MIB));
    await far.ear.until((ear) => ear.count(id) === MIB + 1);
    expect(late.ear.info).toBeUndefined();
    // With the last connection gone the port is free.
    near.carrier.end();
    await far.ear.until(isClosed);
    late.carrier.destroy();
  });
});

describe("a QUIC dial", () => {
  it("names a host that does not exist", async () => {
    const near = dial(engine(), 4433, { host: "no-such-host.invalid" });
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ code: "ERR_UNREACHABLE" });
  });

  it("can be given up at any time", async () => {
    const near = dial(engine(), 9);
    near.carrier.destroy();
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "CLOSED_LOCALLY" });
  });
});
