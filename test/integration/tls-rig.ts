import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ConnectionOptions,
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
  connect as tlsConnect,
} from "node:tls";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import type { SallyportError } from "../../src/base/errors.ts";
import { AcceptGate, type AcceptGateLimits } from "../../src/carrier/accept-gate.ts";
import type { Admission, Carrier, CarrierInfo, CarrierSink, Listener } from "../../src/carrier/carrier.ts";
import type { PortChoice } from "../../src/carrier/listen.ts";
import { createTlsDialer, listenTls, type TlsCarrierOptions, type TlsListener } from "../../src/carrier/tls.ts";
import type { TlsMaterial } from "../../src/carrier/tls-material.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";

/** A sink that keeps what it hears and lets tests wait for it. */
export class Ear implements CarrierSink {
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

export interface Accepted {
  carrier: Carrier;
  admission: Admission;
  ear: Ear;
}

export const clock = new RealClock();
export const random = new RealRandom();
export const files = new RealFiles();
export const isOpen = (ear: Ear): boolean => ear.info !== undefined;
export const isClosed = (ear: Ear): boolean => ear.closes > 0;

export let directory: string;
export let authority: TestAuthority;
export let foreign: TestAuthority;
export let server: TlsMaterial;
export let client: TlsMaterial;
export const cleanUps: (() => void)[] = [];

export const material = (issued: { certPem: string; keyPem: string }, caPem?: string): TlsMaterial => ({
  certPem: issued.certPem,
  keyPem: issued.keyPem,
  ...(caPem === undefined ? {} : { caPem }),
});

/** To be called once by every file of tests that uses what is above: the hooks belong to the file that calls. */
export function useTlsRig(): void {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "sallyport-tls-"));
    authority = await createTestAuthority({ clock, random, files }, join(directory, "own"));
    foreign = await createTestAuthority({ clock, random, files }, join(directory, "foreign"), {
      commonName: "Foreign CA",
    });
    server = material(await authority.issue("server@localhost"), authority.caPem);
    client = material(await authority.issue("client@localhost"), authority.caPem);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
  });
}

export interface Rig {
  listener: TlsListener;
  accepted: Accepted[];
  gate: AcceptGate;
  nextAccepted(): Promise<Accepted>;
}

export async function serve(
  options: TlsCarrierOptions & {
    gate?: AcceptGateLimits;
    ports?: PortChoice;
    prepare?: (ear: Ear, carrier: Carrier) => void;
    clock?: Clock;
  } = {},
  own: TlsMaterial = server,
): Promise<Rig> {
  const accepted: Accepted[] = [];
  const waiting: ((accepted: Accepted) => void)[] = [];
  const gate = new AcceptGate({ clock, random }, options.gate);
  const listener = await listenTls(
    { clock: options.clock ?? clock, gate },
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

export function dial(
  rig: { listener: Listener },
  own: TlsMaterial = client,
  options: TlsCarrierOptions = {},
  serverName = "localhost",
) {
  const ear = new Ear();
  const carrier = createTlsDialer({ clock }, own, options).dial(
    { scheme: "tls", host: "127.0.0.1", port: rig.listener.port },
    serverName,
    ear,
  );
  cleanUps.push(() => carrier.destroy());
  return { ear, carrier };
}

export interface Dialled {
  ear: Ear;
  carrier: Carrier;
}

export async function pair(
  options: TlsCarrierOptions = {},
  own: TlsMaterial = client,
  serverOwn: TlsMaterial = server,
): Promise<{ rig: Rig; near: Dialled; far: Accepted }> {
  const rig = await serve(options, serverOwn);
  const near = dial(rig, own, options);
  const far = await rig.nextAccepted();
  await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
  return { rig, near, far };
}

/** A bare TLS client or server, to play peers that do not use this carrier. */
export function bareClient(port: number, options: ConnectionOptions): TLSSocket {
  const socket = tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  socket.on("error", () => undefined);
  cleanUps.push(() => socket.destroy());
  return socket;
}
/** Waits for the end of the handshake; call it right after `bareClient`. */
export function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => socket.once("secureConnect", resolve));
}
export async function bareServer(options: TlsOptions): Promise<{ listener: Listener }> {
  const bare = createTlsServer(
    { cert: server.certPem, key: server.keyPem, ca: authority.caPem, ...options },
    (socket) => {
      socket.on("error", () => undefined);
      socket.resume();
    },
  );
  bare.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => bare.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => void bare.close());
  return {
    listener: { host: "127.0.0.1", port: (bare.address() as AddressInfo).port, close: () => Promise.resolve() },
  };
}
export async function plainServer(answer: string | Buffer | undefined): Promise<{ listener: Listener }> {
  const plain = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => (answer === undefined ? socket.destroy() : socket.end(answer)));
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => void plain.close());
  return {
    listener: { host: "127.0.0.1", port: (plain.address() as AddressInfo).port, close: () => Promise.resolve() },
  };
}
