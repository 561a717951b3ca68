import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseNodeName } from "../../src/base/node-name.ts";
import { AcceptGate, type AcceptGateLimits } from "../../src/carrier/accept-gate.ts";
import type { Admission } from "../../src/carrier/carrier.ts";
import type { ChannelledCarrier } from "../../src/carrier/channels.ts";
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
import { ChannelEar, isOpen } from "./channel-ear.ts";

export const ENGINE = fileURLToPath(new URL("../../lib/quic-engine/main.js", import.meta.url));
export const clock = new RealClock();
export const random = new RealRandom();

/** A self-signed certificate as a listener has one. */
export async function material(): Promise<QuicMaterial> {
  return issueSelfSigned({ clock, random }, { name: parseNodeName("quic@127.0.0.1") });
}

export interface QuicEnd {
  readonly carrier: ChannelledCarrier;
  readonly ear: ChannelEar;
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
    readonly ports?: number;
    readonly material?: QuicMaterial;
  } = {},
): Promise<QuicServer> {
  const warnings: string[] = [];
  const gate = new AcceptGate({ clock, random }, options.gate);
  const made = engine(options.engine, warnings);
  const arrived: QuicEnd[] = [];
  const waiting: ((end: QuicEnd) => void)[] = [];
  const address = { host: options.host ?? "127.0.0.1", ports: options.ports ?? 0 };
  const listener = await listenQuic(
    made,
    gate,
    address,
    options.material ?? (await material()),
    (carrier, admission) => {
      const end = { carrier, ear: new ChannelEar(), admission };
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
  const ear = new ChannelEar();
  const address = { scheme: "quic" as const, host: options.host ?? "127.0.0.1", port };
  return { carrier: quicDialer(from, options).dial(address, "localhost", ear) as QuicCarrier, ear };
}

/** Two open ends over one listener, which take each other for authenticated. */
export async function pair(
  options: Parameters<typeof serve>[0] = {},
  dialled: QuicCarrierOptions = {},
  diallers: QuicEngineOptions = {},
): Promise<{ server: QuicServer; dialler: QuicEngine; near: ReturnType<typeof dial>; far: QuicEnd }> {
  const server = await serve(options);
  const dialler = engine(diallers);
  const near = dial(dialler, server.listener.port, dialled);
  const far = await server.nextAccepted();
  await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
  far.admission?.release();
  return { server, dialler, near, far };
}
