import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SallyportError } from "../../src/base/errors.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import { AcceptGate, type AcceptGateLimits } from "../../src/carrier/accept-gate.ts";
import type { Admission, CarrierInfo } from "../../src/carrier/carrier.ts";
import type { ChannelledCarrier, ChannelledSink } from "../../src/carrier/channels.ts";
import {
  listenQuic,
  type QuicCarrierOptions,
  type QuicListener,
  type QuicListenOptions,
  type QuicMaterial,
  quicDialer,
} from "../../src/carrier/quic/quic.ts";
import type { QuicCarrier } from "../../src/carrier/quic/quic-carrier.ts";
import { QuicEngine, type QuicEngineOptions } from "../../src/carrier/quic/quic-engine.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { issueSelfSigned } from "../../src/x509/issue.ts";

export const ENGINE = fileURLToPath(new URL("../../lib/quic-engine/main.js", import.meta.url));
export const clock = new RealClock();
export const random = new RealRandom();

/** A self-signed certificate as a listener has one. */
export async function material(): Promise<QuicMaterial> {
  return issueSelfSigned({ clock, random }, { name: parseNodeName("quic@127.0.0.1") });
}

/** Hears one end, and keeps what it heard. */
export class QuicEar implements ChannelledSink {
  info: CarrierInfo | undefined;
  readonly received = new Map<number, Buffer[]>();
  readonly octets = new Map<number, number>();
  readonly ended = new Set<number>();
  readonly resets = new Map<number, number>();
  readonly drainedChannels: number[] = [];
  isClosed = false;
  cause: SallyportError | undefined;
  keep = true;
  onBytes: (channel: number, chunk: Buffer) => void = () => undefined;
  onDrained: (channel: number) => void = () => undefined;
  #waiting: { test: (ear: QuicEar) => boolean; done: () => void }[] = [];

  opened(info: CarrierInfo): void {
    this.info = info;
    this.#look();
  }
  bytes(channel: number, chunk: Buffer): void {
    if (this.keep) {
      const chunks = this.received.get(channel) ?? [];
      chunks.push(chunk);
      this.received.set(channel, chunks);
    }
    this.octets.set(channel, (this.octets.get(channel) ?? 0) + chunk.length);
    this.onBytes(channel, chunk);
    this.#look();
  }
  drained(channel: number): void {
    this.drainedChannels.push(channel);
    this.onDrained(channel);
    this.#look();
  }
  channelEnded(channel: number): void {
    if (this.ended.has(channel)) throw new Error(`channel ${channel} ended twice`);
    this.ended.add(channel);
    this.#look();
  }
  channelReset(channel: number, code: number): void {
    if (this.resets.has(channel)) throw new Error(`channel ${channel} was reset twice`);
    this.resets.set(channel, code);
    this.#look();
  }
  closed(cause: SallyportError | undefined): void {
    if (this.isClosed) throw new Error("closed twice");
    this.isClosed = true;
    this.cause = cause;
    this.#look();
  }

  text(channel: number): string {
    return Buffer.concat(this.received.get(channel) ?? []).toString("latin1");
  }
  count(channel: number): number {
    return this.octets.get(channel) ?? 0;
  }
  until(test: (ear: QuicEar) => boolean): Promise<void> {
    if (test(this)) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ test, done }));
  }
  #look(): void {
    const ready = this.#waiting.filter((each) => each.test(this));
    this.#waiting = this.#waiting.filter((each) => !ready.includes(each));
    for (const each of ready) each.done();
  }
}

export const isOpen = (ear: QuicEar): boolean => ear.info !== undefined;
export const isClosed = (ear: QuicEar): boolean => ear.isClosed;

export interface QuicEnd {
  readonly carrier: ChannelledCarrier;
  readonly ear: QuicEar;
  readonly admission?: Admission;
}

export interface QuicServer {
  readonly engine: QuicEngine;
  readonly listener: QuicListener;
  readonly gate: AcceptGate;
  readonly warnings: string[];
  nextAccepted(): Promise<QuicEnd>;
}

const engines: QuicEngine[] = [];

/** An engine that `closeEngines` ends. */
export function engine(options: QuicEngineOptions = {}, warnings: string[] = []): QuicEngine {
  if (!existsSync(ENGINE)) throw new Error("lib/quic-engine/main.js is missing; run: npm run build");
  const made = new QuicEngine({ clock, warn: (reason) => warnings.push(reason) }, { restartBackoffMs: 10, ...options });
  engines.push(made);
  return made;
}

export function closeEngines(): void {
  for (const each of engines.splice(0)) each.close();
}

export async function serve(
  options: QuicListenOptions & {
    readonly engine?: QuicEngineOptions;
    readonly gate?: AcceptGateLimits;
    readonly host?: string;
    readonly material?: QuicMaterial;
  } = {},
): Promise<QuicServer> {
  const warnings: string[] = [];
  const gate = new AcceptGate({ clock, random }, options.gate);
  const made = engine(options.engine, warnings);
  const arrived: QuicEnd[] = [];
  const waiting: ((end: QuicEnd) => void)[] = [];
  const address = { host: options.host ?? "127.0.0.1", ports: 0 };
  const listener = await listenQuic(
    made,
    gate,
    address,
    options.material ?? (await material()),
    (carrier, admission) => {
      const end = { carrier, ear: new QuicEar(), admission };
      const next = waiting.shift();
      if (next === undefined) arrived.push(end);
      else next(end);
      return end.ear;
    },
    options,
  );
  return {
    engine: made,
    listener,
    gate,
    warnings,
    nextAccepted() {
      const end = arrived.shift();
      return end === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(end);
    },
  };
}

export function dial(
  from: QuicEngine,
  port: number,
  options: QuicCarrierOptions & { readonly host?: string } = {},
): QuicEnd & { readonly carrier: QuicCarrier } {
  const ear = new QuicEar();
  const address = { scheme: "quic" as const, host: options.host ?? "127.0.0.1", port };
  return { carrier: quicDialer(from, options).dial(address, "localhost", ear) as QuicCarrier, ear };
}

/** Two open ends over one listener. */
export async function pair(
  options: Parameters<typeof serve>[0] = {},
  dialled: QuicCarrierOptions = {},
): Promise<{ server: QuicServer; dialler: QuicEngine; near: ReturnType<typeof dial>; far: QuicEnd }> {
  const server = await serve(options);
  const dialler = engine();
  const near = dial(dialler, server.listener.port, dialled);
  const far = await server.nextAccepted();
  await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
  return { server, dialler, near, far };
}
