import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { AcceptGate } from "../../src/carrier/accept-gate.ts";
import type { Carrier } from "../../src/carrier/carrier.ts";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createTcpDialer, listenTcp } from "../../src/carrier/tcp.ts";
import { createTlsDialer } from "../../src/carrier/tls.ts";

import {
  authority,
  bareClient,
  bareServer,
  cleanUps,
  client,
  clock,
  dial,
  Ear,
  isClosed,
  isOpen,
  material,
  pair,
  plainServer,
  random,
  serve,
  useTlsRig,
} from "./tls-rig.ts";

useTlsRig();

describe("failures", () => {
  it("explains a closed port", async () => {
    const gone = await plainServer("");
    const port = gone.listener.port;
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
    const { ear } = dial({ listener: { ...gone.listener, port } });
    await ear.until(isClosed);
    expect(ear.cause).toMatchObject({ code: "ERR_UNREACHABLE", reason: "PORT_CLOSED", stage: "port" });
    expect(ear.info).toBeUndefined();
  });

  it("explains a host without address", async () => {
    const ear = new Ear();
    createTlsDialer({ clock }, client).dial({ scheme: "tls", host: "no-such-host.invalid", port: 1 }, "x", ear);
    await ear.until(isClosed);
    expect(ear.cause).toMatchObject({ code: "ERR_UNREACHABLE", stage: "resolve" });
    expect(["HOST_NOT_FOUND", "HOST_LOOKUP_FAILED"]).toContain(ear.cause?.reason);
  });

  it.each([
    ["an HTTP server", "HTTP/1.1 400 Bad Request\r\n\r\n", "ERR_PEER_INCOMPATIBLE", "NOT_A_TLS_PEER"],
    ["a plain Erlang port that closes", undefined, "ERR_CLOSED", undefined],
  ])("explains dialling TLS to %s", async (_what, answer, code, reason) => {
    const { ear } = dial(await plainServer(answer));
    await ear.until(isClosed);
    expect(ear.cause).toMatchObject({ code, stage: expect.stringMatching(/^(tls|port)$/) });
    if (reason !== undefined) expect(ear.cause?.reason).toBe(reason);
    else expect(["CLOSED_WHILE_OPENING", "CONNECTION_RESET"]).toContain(ear.cause?.reason);
  });

  it.each([
    ["an HTTP request", "GET / HTTP/1.1\r\n\r\n"],
    ["a plain distribution handshake", "\0\x10n\0\x06\0\0\0\0a@localhost"],
  ])("explains %s on the TLS port to the acceptor", async (_what, hello) => {
    const rig = await serve();
    const socket = createConnection({ host: "127.0.0.1", port: rig.listener.port });
    socket.on("error", () => undefined);
    socket.write(Buffer.from(hello, "latin1"));
    const far = await rig.nextAccepted();
    await far.ear.until(isClosed);
    expect(far.ear.cause).toMatchObject({
      code: "ERR_PEER_INCOMPATIBLE",
      reason: "NOT_A_TLS_PEER",
      stage: "tls",
      detail: { role: "accept" },
    });
    expect(far.ear.info).toBeUndefined();
  });

  it("explains a client that hangs up during TLS to the acceptor, and gives its place back", async () => {
    const rig = await serve();
    const socket = createConnection({ host: "127.0.0.1", port: rig.listener.port });
    const far = await rig.nextAccepted();
    expect(rig.gate.size).toBe(1);
    socket.end();
    await far.ear.until(isClosed);
    expect(far.ear.cause).toMatchObject({ code: "ERR_CLOSED" });
    expect(["CLOSED_WHILE_OPENING", "CONNECTION_RESET"]).toContain(far.ear.cause?.reason);
    expect(rig.gate.size).toBe(0);
  });

  it("explains versions without overlap on both sides", async () => {
    const rig = await serve({ minVersion: "TLSv1.3" });
    bareClient(rig.listener.port, { maxVersion: "TLSv1.2" });
    const far = await (await rig.nextAccepted()).ear.until(isClosed);
    expect(far.cause).toMatchObject({ reason: "TLS_VERSION_UNSUPPORTED", detail: { side: "local" } });
    const old = await bareServer({ maxVersion: "TLSv1.2" });
    const near = dial(old, client, { minVersion: "TLSv1.3" });
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "TLS_ALERT_PROTOCOL_VERSION", detail: { side: "peer" } });
  });

  it("explains cipher suites without overlap on both sides", async () => {
    // For RSA keys only, where ours are ECDSA.
    const others = { maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-GCM-SHA256" } as const;
    const rig = await serve();
    bareClient(rig.listener.port, others);
    const far = await (await rig.nextAccepted()).ear.until(isClosed);
    expect(far.cause).toMatchObject({ reason: "TLS_NO_SHARED_CIPHER", detail: { side: "local" } });
    const near = dial(await bareServer(others));
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "TLS_ALERT_HANDSHAKE_FAILURE", detail: { side: "peer" } });
  });

  it.each([
    [40, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_HANDSHAKE_FAILURE"],
    [42, "ERR_DENIED", "TLS_ALERT_BAD_CERT"],
    [43, "ERR_DENIED", "TLS_ALERT_CERT_UNSUPPORTED"],
    [44, "ERR_DENIED", "TLS_ALERT_CERT_REVOKED"],
    [45, "ERR_DENIED", "TLS_ALERT_CERT_EXPIRED"],
    [46, "ERR_DENIED", "TLS_ALERT_BAD_CERT"],
    [48, "ERR_DENIED", "TLS_ALERT_UNKNOWN_CA"],
    [49, "ERR_DENIED", "TLS_ALERT_ACCESS_DENIED"],
    [70, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_PROTOCOL_VERSION"],
    [71, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_HANDSHAKE_FAILURE"],
    [80, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_OTHER"],
    [112, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_UNKNOWN_NAME"],
    [116, "ERR_DENIED", "TLS_ALERT_CERT_REQUIRED"],
    [120, "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_NO_ALPN"],
  ])("explains alert %i of the other end (RFC 8446 section 6)", async (alert, code, reason) => {
    // type:8 version:16 length:16 level:8 description:8
    const record = Buffer.from([21, 3, 3, 0, 2, 2, alert]);
    const { ear } = dial(await plainServer(record));
    await ear.until(isClosed);
    expect(ear.cause).toMatchObject({ code, reason, stage: "tls", detail: { side: "peer", role: "dial" } });
    expect(ear.cause?.advice).toBeTruthy();
  });

  it("explains a server that judges the certificate after the client's side of TLS 1.3 is up", async () => {
    const strict = await bareServer({ requestCert: true, rejectUnauthorized: true });
    const rejected = dial(strict, material(await authority.selfSigned("client@localhost")));
    await rejected.ear.until(isClosed);
    expect(rejected.ear.closes).toBe(1);
    expect(rejected.ear.info?.tlsVersion).toBe("TLSv1.3");
  });
});

describe("listening", () => {
  const inUse = (reason: string): unknown => expect.objectContaining({ code: "ERR_CONFIG", reason });

  it("takes the first free port of a range, then says that it is exhausted", async () => {
    const one = await serve();
    const first = one.listener.port;
    await expect(serve({ ports: first })).rejects.toEqual(inUse("PORT_IN_USE"));
    await expect(serve({ ports: { first, last: first } })).rejects.toEqual(inUse("PORT_IN_USE"));
    const two = await serve({ ports: { first, last: Math.min(first + 50, 65_535) } });
    expect(two.listener.port).toBeGreaterThan(first);
    if (two.listener.port === first + 1) {
      await expect(serve({ ports: { first, last: first + 1 } })).rejects.toEqual(inUse("PORT_RANGE_EXHAUSTED"));
    }
  });

  it("says that an address is not this machine's", async () => {
    const gate = new AcceptGate({ clock, random });
    const binding = listenTcp({ clock, gate }, { host: "192.0.2.1", ports: 0 }, () => new Ear());
    await expect(binding).rejects.toEqual(inUse("BIND_FAILED"));
    const senseless = listenTcp({ clock, gate }, { host: "127.0.0.1", ports: { first: 10, last: 9 } }, () => new Ear());
    await expect(senseless).rejects.toEqual(inUse("BIND_FAILED"));
  });

  it("frees the port at once when closed, while accepted carriers live on", async () => {
    const { rig, near, far } = await pair();
    await rig.listener.close();
    const again = await serve({ ports: rig.listener.port });
    expect(again.listener.port).toBe(rig.listener.port);
    near.carrier.write(0, Buffer.from("still here"));
    await far.ear.until((ear) => ear.received === 10);
  });

  it("accepts a peer at once beside a crowd of silent connections, and cuts those beyond the cap", async () => {
    const rig = await serve({ gate: { maxHalfOpen: 40, maxHalfOpenPerLoopback: 20 } });
    let cut = 0;
    for (let i = 0; i < 30; i++) {
      const silent = createConnection({ host: "127.0.0.1", port: rig.listener.port, localAddress: "127.0.0.2" });
      silent.on("error", () => undefined);
      silent.on("close", () => cut++);
      cleanUps.push(() => silent.destroy());
    }
    for (let i = 0; i < 20; i++) await rig.nextAccepted();
    const near = dial(rig);
    const far = await rig.nextAccepted();
    await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
    expect(rig.gate.size).toBe(21);
    expect(rig.gate.counters.refusedSource).toBe(10);
    expect(cut).toBeLessThanOrEqual(10);
    far.admission.release();
    expect(rig.gate.size).toBe(20);
    near.carrier.destroy();
    await far.ear.until(isClosed);
    expect(rig.gate.size).toBe(20);
  });

  it("drops an old silent connection when the places are full", async () => {
    const rig = await serve({ gate: { maxHalfOpen: 4, minAgeMs: 0 } });
    const ears: Ear[] = [];
    for (let i = 0; i < 3; i++) {
      const silent = createConnection({ host: "127.0.0.1", port: rig.listener.port });
      silent.on("error", () => undefined);
      cleanUps.push(() => silent.destroy());
      ears.push((await rig.nextAccepted()).ear);
    }
    await dial(rig).ear.until(isOpen);
    await Promise.race(ears.map((ear) => ear.until(isClosed)));
    expect(ears.filter(isClosed)).toHaveLength(1);
    expect(ears.find(isClosed)?.cause).toMatchObject({ code: "ERR_CLOSED" });
    expect(rig.gate.counters.dropped).toBe(1);
  });
});

describe("plain TCP", () => {
  it("connects, carries bytes and closes, and claims no security", async () => {
    const gate = new AcceptGate({ clock, random });
    const accepted = new Ear();
    let inside: Carrier | undefined;
    const listener = await listenTcp({ clock, gate }, { host: "127.0.0.1", ports: 0 }, (carrier) => {
      inside = carrier;
      return accepted;
    });
    cleanUps.push(() => void listener.close());
    const near = new Ear();
    const carrier = createTcpDialer({ clock }).dial(
      { scheme: "tcp", host: "127.0.0.1", port: listener.port },
      "x",
      near,
    );
    await near.until(isOpen);
    carrier.write(0, Buffer.from("ab"));
    carrier.write(0, Buffer.from("cd"));
    await accepted.until((ear) => ear.received === 4);
    expect(near.info).toMatchObject({
      transport: "tcp",
      chainTrusted: false,
      peerCertDer: undefined,
      exporter: undefined,
    });
    inside?.end();
    await Promise.all([near.until(isClosed), accepted.until(isClosed)]);
    expect([near.cause, accepted.cause]).toEqual([undefined, undefined]);
    expect(gate.size).toBe(0);
  });

  it("talks to small services and reports the system's code when there is none", async () => {
    const service = await plainServer("answer");
    const heard: string[] = [];
    const talk = (port: number): Promise<void> =>
      new Promise((resolve) => {
        const socket = createSockets().connect("127.0.0.1", port, {
          connected: () => socket.write(Buffer.from("?")),
          bytes: (chunk) => heard.push(chunk.toString()),
          closed: (error) => {
            heard.push(`closed ${error}`);
            resolve();
          },
        });
      });
    await talk(service.listener.port);
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
    await talk(service.listener.port);
    expect(heard).toEqual(["answer", "closed undefined", "closed ECONNREFUSED"]);
  });
});
