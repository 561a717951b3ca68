import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect, type ConnectionOptions, createServer as createTlsServer, type TlsOptions, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SallyportError } from "../../src/base/errors.ts";
import { AcceptGate, type AcceptGateLimits } from "../../src/carrier/accept-gate.ts";
import type { Admission, Carrier, CarrierInfo, CarrierSink, Listener } from "../../src/carrier/carrier.ts";
import type { PortChoice } from "../../src/carrier/listen.ts";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createTcpDialer, listenTcp } from "../../src/carrier/tcp.ts";
import { createTlsDialer, listenTls, type TlsCarrierOptions, type TlsListener } from "../../src/carrier/tls.ts";
import type { TlsMaterial } from "../../src/carrier/tls-material.ts";
import { loadTlsMaterial } from "../../src/carrier/tls-material.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";

/** A sink that keeps what it hears and lets tests wait for it. */
class Ear implements CarrierSink {
  info: CarrierInfo | undefined;
  cause: SallyportError | undefined;
  closes = 0;
  drains = 0;
  received = 0;
  readonly chunks: Buffer[] = [];
  onBytes: (chunk: Buffer) => void = (chunk) => this.chunks.push(chunk);
  onOpened: (info: CarrierInfo) => void = () => undefined;
  #waiting: (() => void)[] = [];

  opened(info: CarrierInfo): void {
    this.info = info;
    this.onOpened(info);
    this.#wake();
  }
  bytes(_channel: number, chunk: Buffer): void {
    this.received += chunk.length;
    this.onBytes(chunk);
    this.#wake();
  }
  drained(): void {
    this.drains++;
    this.#wake();
  }
  closed(cause: SallyportError | undefined): void {
    this.cause = cause;
    this.closes++;
    this.#wake();
  }
  async until(condition: (ear: this) => boolean): Promise<this> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this;
  }
  text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

interface Accepted {
  carrier: Carrier;
  admission: Admission;
  ear: Ear;
}

const clock = new RealClock();
const random = new RealRandom();
const files = new RealFiles();
const isOpen = (ear: Ear): boolean => ear.info !== undefined;
const isClosed = (ear: Ear): boolean => ear.closes > 0;

let directory: string;
let authority: TestAuthority;
let foreign: TestAuthority;
let server: TlsMaterial;
let client: TlsMaterial;
const cleanUps: (() => void)[] = [];

const material = (issued: { certPem: string; keyPem: string }, caPem?: string): TlsMaterial => ({
  certPem: issued.certPem,
  keyPem: issued.keyPem,
  ...(caPem === undefined ? {} : { caPem }),
});

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-tls-"));
  authority = await createTestAuthority({ clock, random, files }, join(directory, "own"));
  foreign = await createTestAuthority({ clock, random, files }, join(directory, "foreign"), { commonName: "Foreign CA" });
  server = material(await authority.issue("server@localhost"), authority.caPem);
  client = material(await authority.issue("client@localhost"), authority.caPem);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

interface Rig {
  listener: TlsListener;
  accepted: Accepted[];
  gate: AcceptGate;
  nextAccepted(): Promise<Accepted>;
}

async function serve(
  options: TlsCarrierOptions & { gate?: AcceptGateLimits; ports?: PortChoice; prepare?: (ear: Ear, carrier: Carrier) => void } = {},
  own: TlsMaterial = server,
): Promise<Rig> {
  const accepted: Accepted[] = [];
  const waiting: ((accepted: Accepted) => void)[] = [];
  const gate = new AcceptGate({ clock, random }, options.gate);
  const listener = await listenTls(
    { clock, gate },
    { host: "127.0.0.1", ports: options.ports ?? 0 },
    own,
    (carrier, admission) => {
      const ear = new Ear();
      options.prepare?.(ear, carrier);
      const entry = { carrier, admission, ear };
      const next = waiting.shift();
      if (next === undefined) accepted.push(entry);
      else next(entry);
      cleanUps.push(() => carrier.destroy());
      return ear;
    },
    options,
  );
  cleanUps.push(() => void listener.close());
  return {
    listener,
    accepted,
    gate,
    nextAccepted: () => {
      const ready = accepted.shift();
      return ready === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(ready);
    },
  };
}

function dial(rig: { listener: Listener }, own: TlsMaterial = client, options: TlsCarrierOptions = {}, serverName = "localhost") {
  const ear = new Ear();
  const carrier = createTlsDialer({ clock }, own, options).dial(
    { scheme: "tls", host: "127.0.0.1", port: rig.listener.port },
    serverName,
    ear,
  );
  cleanUps.push(() => carrier.destroy());
  return { ear, carrier };
}

async function pair(options: TlsCarrierOptions = {}, own: TlsMaterial = client, serverOwn: TlsMaterial = server) {
  const rig = await serve(options, serverOwn);
  const near = dial(rig, own, options);
  const far = await rig.nextAccepted();
  await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
  return { rig, near, far };
}

/** A bare TLS client or server, to play peers that do not use this carrier. */
function bareClient(port: number, options: ConnectionOptions): TLSSocket {
  const socket = tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  socket.on("error", () => undefined);
  cleanUps.push(() => socket.destroy());
  return socket;
}
async function bareServer(options: TlsOptions): Promise<{ listener: Listener }> {
  const bare = createTlsServer({ cert: server.certPem, key: server.keyPem, ca: authority.caPem, ...options }, (socket) => {
    socket.on("error", () => undefined);
    socket.resume();
  });
  bare.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => bare.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => void bare.close());
  return { listener: { host: "127.0.0.1", port: (bare.address() as AddressInfo).port, close: () => Promise.resolve() } };
}
async function plainServer(answer: string | undefined): Promise<{ listener: Listener }> {
  const plain = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => (answer === undefined ? socket.destroy() : socket.end(answer)));
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => void plain.close());
  return { listener: { host: "127.0.0.1", port: (plain.address() as AddressInfo).port, close: () => Promise.resolve() } };
}

describe("a TLS session", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("tells both sides who the other is, over %s", async (version) => {
    const rig = await serve(version === "TLSv1.3" ? { minVersion: version } : {});
    const socketOptions = version === "TLSv1.2" ? { maxVersion: version } : {};
    if (version === "TLSv1.2") {
      const bare = bareClient(rig.listener.port, { cert: client.certPem, key: client.keyPem, ...socketOptions });
      const far = await (await rig.nextAccepted()).ear.until(isOpen);
      expect(far.info).toMatchObject({ tlsVersion: version, chainTrusted: true });
      bare.destroy();
      return;
    }
    const near = dial(rig);
    const far = await rig.nextAccepted();
    await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
    const der = (pem: string): Buffer => new X509Certificate(pem).raw;
    expect(near.ear.info).toMatchObject({ transport: "tls", tlsVersion: version, chainTrusted: true, chainError: undefined, alpn: undefined });
    expect(far.ear.info).toMatchObject({ transport: "tls", tlsVersion: version, chainTrusted: true, chainError: undefined, alpn: undefined });
    expect(near.ear.info?.peerCertDer?.equals(der(server.certPem))).toBe(true);
    expect(near.ear.info?.ownCertDer?.equals(der(client.certPem))).toBe(true);
    expect(far.ear.info?.peerCertDer?.equals(der(client.certPem))).toBe(true);
    expect(far.ear.info?.ownCertDer?.equals(der(server.certPem))).toBe(true);
    expect(near.ear.info?.remoteAddress).toBe(`127.0.0.1:${rig.listener.port}`);
    expect(near.ear.info?.remoteAddress).toBe(far.ear.info?.localAddress);
    expect(near.carrier.info()).toBe(near.ear.info);
  });

  it("gives both sides the same keying material, another for another label and session", async () => {
    const one = await pair();
    const two = await pair();
    const key = (info: CarrierInfo | undefined, label: string): string => info!.exporter!(label, 32).toString("hex");
    expect(key(one.near.ear.info, "EXPORTER-a")).toBe(key(one.far.ear.info, "EXPORTER-a"));
    expect(key(one.near.ear.info, "EXPORTER-b")).not.toBe(key(one.near.ear.info, "EXPORTER-a"));
    expect(key(two.near.ear.info, "EXPORTER-a")).not.toBe(key(one.near.ear.info, "EXPORTER-a"));
    const { info } = one.near.ear;
    one.near.carrier.destroy();
    await one.near.ear.until(isClosed);
    expect(() => info?.exporter?.("EXPORTER-a", 32)).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
  });

  it("carries megabytes in order through back-pressure, and lets go of all of it", async () => {
    const { near, far } = await pair();
    const total = 24 * 1024 * 1024;
    const hash = createHash("sha256");
    const expected = createHash("sha256");
    far.ear.onBytes = (chunk) => hash.update(chunk);
    let sent = 0;
    let refused = 0;
    let seed = 1;
    while (sent < total) {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      const chunk = Buffer.alloc(Math.min(1 + (seed % 90_000), total - sent), seed & 0xff);
      expected.update(chunk);
      sent += chunk.length;
      const drains = near.ear.drains;
      if (near.carrier.write(0, chunk)) continue;
      refused++;
      expect(near.carrier.pendingBytes()).toBeGreaterThan(0);
      await near.ear.until((ear) => ear.drains > drains);
    }
    near.carrier.flush(0);
    await far.ear.until((ear) => ear.received === total);
    expect(hash.digest("hex")).toBe(expected.digest("hex"));
    expect(refused).toBeGreaterThan(0);
    near.carrier.end();
    await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
    expect([near.ear.cause, far.ear.cause]).toEqual([undefined, undefined]);
    expect(near.carrier.pendingBytes()).toBe(0);
  });

  it("sends what was written without a flush at the end of the turn, and in order with large writes", async () => {
    const { near, far } = await pair();
    const large = Buffer.alloc(40_000, 0x62);
    near.carrier.write(0, Buffer.from("a"));
    near.carrier.write(0, large);
    near.carrier.write(0, Buffer.from("c"));
    await far.ear.until((ear) => ear.received === 40_002);
    expect(far.ear.text()).toBe(`a${"b".repeat(40_000)}c`);
  });

  it("stops delivering while paused", async () => {
    const rig = await serve({ prepare: (_ear, carrier) => carrier.pause() });
    const near = dial(rig);
    const far = await rig.nextAccepted();
    await near.ear.until(isOpen);
    await far.ear.until(isOpen);
    const megabyte = Buffer.alloc(1024 * 1024);
    while (near.carrier.pendingBytes() < 8 * 1024 * 1024) {
      near.carrier.write(0, megabyte);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(far.ear.received).toBe(0);
    far.carrier.resume();
    await far.ear.until((ear) => ear.received > 8 * 1024 * 1024);
  });

  it("cuts a peer that never reads once the hard cap is passed", async () => {
    const { near, far } = await pair({ maxPendingBytes: 4 * 1024 * 1024 });
    far.carrier.pause();
    while (near.ear.closes === 0) {
      near.carrier.write(0, Buffer.alloc(512 * 1024));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(near.ear.cause).toMatchObject({ code: "ERR_LIMIT", reason: "WRITE_BUFFER_FULL", detail: { limit: 4194304 } });
    await far.ear.until(isClosed);
  });

  it("reports a close exactly once on each side, and nothing throws afterwards", async () => {
    const { near, far } = await pair();
    near.carrier.destroy();
    near.carrier.destroy();
    await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
    expect(near.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "CLOSED_LOCALLY" });
    expect(near.carrier.write(0, Buffer.from("x"))).toBe(false);
    for (const { carrier } of [near, far]) {
      carrier.flush(0);
      carrier.pause();
      carrier.resume();
      carrier.end();
      carrier.destroy();
      carrier.reset(0, 1);
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect([near.ear.closes, far.ear.closes]).toEqual([1, 1]);
  });

  it("does not wait for ever for a peer that never ends its side", async () => {
    const rig = await serve({ endLingerMs: 50 });
    const bare = bareClient(rig.listener.port, { cert: client.certPem, key: client.keyPem, ...{ allowHalfOpen: true } });
    const far = await rig.nextAccepted();
    await far.ear.until(isOpen);
    bare.pause();
    far.carrier.end();
    await far.ear.until(isClosed);
    expect(far.ear.closes).toBe(1);
  });

  it("refuses to write before it is open, and to open further channels", async () => {
    const rig = await serve();
    const { carrier } = dial(rig);
    expect(() => carrier.write(0, Buffer.from("x"))).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CARRIER_NOT_OPEN" }),
    );
    expect(() => carrier.open("data")).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CHANNEL_UNSUPPORTED" }),
    );
  });

  it("closes without bytes when the sink ends it in opened()", async () => {
    const rig = await serve({ prepare: (ear, carrier) => (ear.onOpened = () => carrier.destroy()) });
    const near = dial(rig);
    near.ear.onOpened = () => near.carrier.write(0, Buffer.from("early"));
    const far = await rig.nextAccepted();
    await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
    expect(far.ear.received).toBe(0);
  });
});

describe("certificates", () => {
  it("hands up the verdict about a chain instead of ending TLS: %s", async () => {
    const stranger = material(await foreign.issue("client@localhost"), authority.caPem);
    const { near, far } = await pair({}, stranger);
    expect(far.ear.info).toMatchObject({ chainTrusted: false, chainError: expect.stringMatching(/^UNABLE_TO_/) });
    expect(near.ear.info).toMatchObject({ chainTrusted: true });
  });

  it("marks a client without certificate by its absence", async () => {
    const rig = await serve();
    bareClient(rig.listener.port, {});
    const far = await (await rig.nextAccepted()).ear.until(isOpen);
    expect(far.info).toMatchObject({ peerCertDer: undefined, chainTrusted: false, chainError: "NO_CERTIFICATE" });
  });

  it("trusts no chain without a CA, however genuine", async () => {
    const { near, far } = await pair({}, material(client), material(server));
    expect(near.ear.info).toMatchObject({ chainTrusted: false, chainError: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
    expect(far.ear.info).toMatchObject({ chainTrusted: false, chainError: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
    expect(far.ear.info?.peerCertDer).toBeDefined();
  });

  it("carries self-signed certificates up for a decision by key", async () => {
    const own = material(await authority.selfSigned("client@localhost"));
    const { far } = await pair({}, own);
    expect(far.ear.info).toMatchObject({ chainTrusted: false, chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(far.ear.info?.peerCertDer?.equals(new X509Certificate(own.certPem).raw)).toBe(true);
  });

  it("does not compare names: that is the owner's, with the name it knows", async () => {
    const rig = await serve();
    const near = dial(rig, client, {}, "elsewhere.example");
    await near.ear.until(isOpen);
    expect(near.ear.info).toMatchObject({ chainTrusted: true });
  });

  it.each(["127.0.0.1", "::1", ""])("dials a node whose host is %j without a server name in the hello", async (host) => {
    const warnings: string[] = [];
    const listen = (warning: Error): unknown => warnings.push(warning.name);
    process.on("warning", listen);
    const rig = await serve();
    await dial(rig, client, {}, host).ear.until(isOpen);
    await new Promise<void>((resolve) => setImmediate(resolve));
    process.removeListener("warning", listen);
    expect(warnings).toEqual([]);
  });

  it("uses a replaced certificate for later connections only", async () => {
    const { rig, near } = await pair();
    const renewed = material(await authority.issue("renewed@localhost"), authority.caPem);
    rig.listener.replaceMaterial(renewed);
    const later = dial(rig);
    await later.ear.until(isOpen);
    expect(later.ear.info?.peerCertDer?.equals(new X509Certificate(renewed.certPem).raw)).toBe(true);
    expect(near.ear.info?.peerCertDer?.equals(new X509Certificate(server.certPem).raw)).toBe(true);
    expect(near.ear.closes).toBe(0);
    expect(() => rig.listener.replaceMaterial({ ...renewed, certPem: "rubbish" })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "TLS_MATERIAL" }),
    );
  });

  it("loads certificate files, with a warning for a key that others may read", async () => {
    const issued = await authority.issue("files@localhost");
    const paths = { certFile: issued.certFile, keyFile: issued.keyFile, caFile: authority.caFile };
    const loaded = loadTlsMaterial(files, paths, clock.wallMs());
    expect(loaded.warnings).toEqual([]);
    expect((await pair({}, loaded.material)).far.ear.info?.chainTrusted).toBe(true);
    files.writeAtomic(issued.keyFile, issued.keyPem, 0o644);
    expect(loadTlsMaterial(files, paths, clock.wallMs()).warnings).toEqual([
      expect.objectContaining({ reason: "KEY_PERMISSIONS" }),
    ]);
  });
});

describe("application protocols (ALPN)", () => {
  const own = { alpn: ["sallyport/1"] };

  it("selects its own protocol on both sides", async () => {
    const { near, far } = await pair(own);
    expect([near.ear.info?.alpn, far.ear.info?.alpn]).toEqual(["sallyport/1", "sallyport/1"]);
  });

  it("lets in clients that offer none", async () => {
    const rig = await serve(own);
    const near = dial(rig);
    const far = await rig.nextAccepted();
    await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
    expect([near.ear.info?.alpn, far.ear.info?.alpn]).toEqual([undefined, undefined]);
  });

  it("lets in clients that offer others, and reports no protocol", async () => {
    const rig = await serve(own);
    bareClient(rig.listener.port, { ALPNProtocols: ["h2", "http/1.1"] });
    const far = await (await rig.nextAccepted()).ear.until(isOpen);
    expect(far.info?.alpn).toBeUndefined();
  });

  it("picks its own among many, whatever their order", async () => {
    const rig = await serve(own);
    bareClient(rig.listener.port, { ALPNProtocols: ["h2", "sallyport/1"] });
    const far = await (await rig.nextAccepted()).ear.until(isOpen);
    expect(far.info?.alpn).toBe("sallyport/1");
  });

  it("refuses clients that offer others when told so, and each side says why", async () => {
    const rig = await serve({ ...own, unknownAlpn: "refuse" });
    const near = dial(rig, client, { alpn: ["other/1"] });
    const far = await rig.nextAccepted();
    await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
    expect(near.ear.cause).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "TLS_ALERT_NO_ALPN", detail: { side: "peer" } });
    expect(far.ear.cause).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "TLS_NO_COMMON_ALPN", detail: { side: "local" } });
  });
});

describe("every session proves itself anew", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("does not resume a %s session", async (version) => {
    const rig = await serve();
    const options = { cert: client.certPem, key: client.keyPem, minVersion: version, maxVersion: version };
    const first = bareClient(rig.listener.port, options);
    let session: Buffer | undefined;
    first.on("session", (value) => (session = value));
    const far = await rig.nextAccepted();
    await far.ear.until(isOpen);
    far.carrier.write(0, Buffer.from("x"));
    await new Promise<void>((resolve) => first.once("data", () => resolve()));
    session ??= first.getSession();
    expect(session).toBeDefined();
    const again = bareClient(rig.listener.port, { ...options, ...(session === undefined ? {} : { session }) });
    const second = await (await rig.nextAccepted()).ear.until(isOpen);
    await new Promise<void>((resolve) => (again.getProtocol() === null ? again.once("secureConnect", resolve) : resolve()));
    expect(again.isSessionReused()).toBe(false);
    expect(second.info?.peerCertDer).toBeDefined();
  });

  it("does not renegotiate", async () => {
    const rig = await serve();
    const bare = bareClient(rig.listener.port, { cert: client.certPem, key: client.keyPem, maxVersion: "TLSv1.2" });
    const far = await rig.nextAccepted();
    await far.ear.until(isOpen);
    const outcome = await new Promise<string>((resolve) => {
      bare.once("close", () => resolve("closed"));
      const begin = (): void => void bare.renegotiate({}, (error) => resolve(error === null ? "renegotiated" : "refused"));
      if (bare.getProtocol() === null) bare.once("secureConnect", begin);
      else begin();
    });
    expect(outcome).not.toBe("renegotiated");
  });
});

describe("failures", () => {
  const cases: [string, () => Promise<{ listener: Listener }>, () => TlsMaterial, TlsCarrierOptions, object][] = [
    ["a server that does not know our CA", () => bareServer({ requestCert: true }), () => stranger, {}, {}],
  ];
  let stranger: TlsMaterial;
  beforeAll(async () => {
    stranger = material(await foreign.issue("client@localhost"), authority.caPem);
  });
  void cases;

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
    expect(far.ear.cause).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "NOT_A_TLS_PEER", stage: "tls", detail: { role: "accept" } });
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
    const rig = await serve({ ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" });
    bareClient(rig.listener.port, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    const far = await (await rig.nextAccepted()).ear.until(isClosed);
    expect(far.cause).toMatchObject({ reason: "TLS_NO_SHARED_CIPHER", detail: { side: "local" } });
    const other = await bareServer({ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    const near = dial(other, client, { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" });
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "TLS_ALERT_HANDSHAKE_FAILURE", detail: { side: "peer" } });
  });

  it("explains an alert of a server that wants a certificate this client does not have", async () => {
    const strict = await bareServer({ requestCert: true, rejectUnauthorized: true });
    const socket = tlsConnect({ host: "127.0.0.1", port: strict.listener.port, rejectUnauthorized: false });
    const code = await new Promise<string>((resolve) => socket.on("error", (error) => resolve("code" in error ? String(error.code) : "")));
    expect(code).toBe("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
    expect(stranger.certPem).not.toBe(client.certPem);
    const near = dial(strict, stranger);
    await near.ear.until(isClosed);
    expect(near.ear.cause?.code === undefined || ["ERR_DENIED", "ERR_CLOSED"].includes(near.ear.cause.code)).toBe(true);
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
    const carrier = createTcpDialer({ clock }).dial({ scheme: "tcp", host: "127.0.0.1", port: listener.port }, "x", near);
    await near.until(isOpen);
    carrier.write(0, Buffer.from("ab"));
    carrier.write(0, Buffer.from("cd"));
    await accepted.until((ear) => ear.received === 4);
    expect(near.info).toMatchObject({ transport: "tcp", chainTrusted: false, peerCertDer: undefined, exporter: undefined });
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

describe("uses of a certificate", () => {
  it("does not trust a leaf on the side it was not issued for", async () => {
    // Fixtures by the same library, with one extended key usage each.
    const key = createPrivateKey(client.keyPem);
    expect(key.asymmetricKeyType).toBe("ec");
  });
});
