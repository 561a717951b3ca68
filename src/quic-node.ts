import type { Clock } from "./base/clock.ts";
import { SallyportError } from "./base/errors.ts";
import { isIpAddress, type NodeName } from "./base/node-name.ts";
import type { DialAddress, Scheme } from "./carrier/carrier.ts";
import type { ChannelledAcceptHandler } from "./carrier/channels.ts";
import type { ListenAddress } from "./carrier/listen.ts";
import { isOpenToStrangers } from "./carrier/quic/public-address.ts";
import { listenQuic, type QuicListener, quicDialer } from "./carrier/quic/quic.ts";
import { QuicEngine } from "./carrier/quic/quic-engine.ts";
import { publicDialRefused } from "./carrier/quic/quic-errors.ts";
import { formatAddress } from "./carrier/socket-address.ts";
import type { Gatekeeper } from "./carrier/source-gate.ts";
import type { TlsMaterial } from "./carrier/tls-material.ts";
import { LANES } from "./dist/lane-routing.ts";
import { FRAGMENTS_AHEAD_BYTES } from "./dist/send.ts";
import { silenceMs, type TickOptions } from "./dist/tick.ts";
import type { BarrelPorts } from "./node/connection-parts.ts";
import type { NodeOptions, QuicOption } from "./node/options.ts";
import { visibleTo } from "./node/quic-visible.ts";

export interface QuicNodeParts {
  readonly clock: Clock;
  /** How long peers wait for a sign of life; a node that hangs for so long loses its sessions, here as elsewhere. */
  readonly ticks: TickOptions;
  readonly option: QuicOption;
  /** Hears of what the operator should know while the node runs. */
  warn(reason: string, message: string): void;
}

/**
 * A lane is told to wait from a sixteenth of what the send path keeps ahead of the carrier: however its bytes spread over the lanes, one of
 * them says when there is room again.
 */
const LIMITS = { highWaterBytes: FRAGMENTS_AHEAD_BYTES / LANES } as const;

/** A node may be busy for so long and keep its connections over QUIC, whatever its tick time. */
const MIN_NODE_DEADLINE_MS = 10_000;

/** QUIC of one node: one engine for all that it dials and accepts. Nothing is loaded before the first use. */
export class QuicNode {
  /** What the node's connections need. */
  readonly ports: BarrelPorts;
  readonly #engine: QuicEngine;
  readonly #option: QuicOption;
  readonly #listeners: QuicListener[] = [];

  constructor({ clock, option, ticks, warn }: QuicNodeParts) {
    this.#engine = new QuicEngine(
      { clock, warn },
      { nodeDeadlineMs: Math.max(silenceMs(ticks), MIN_NODE_DEADLINE_MS) },
    );
    this.#option = option;
    this.ports = {
      dialer: quicDialer(this.#engine, { ...LIMITS, allowPublic: option.allowPublic === true }),
      isVisibleTo: visibleTo(option.visible),
      checkDial: (target, address) => checkQuicDial(option, target, address),
    };
  }

  /**
   * Accepts over QUIC with this certificate. Errors as `listenQuic`.
   * @throws {SallyportError} ERR_CONFIG, ERR_CLOSED
   */
  async listen(
    gate: Gatekeeper,
    address: ListenAddress,
    material: TlsMaterial,
    accept: ChannelledAcceptHandler,
  ): Promise<QuicListener> {
    const { allowPublic = false, retry = false } = this.#option;
    const listener = await listenQuic(this.#engine, gate, address, material, accept, { ...LIMITS, allowPublic, retry });
    this.#listeners.push(listener);
    return listener;
  }

  /** Later connections see this certificate. @throws {SallyportError} as `listenQuic` */
  replaceMaterial(material: TlsMaterial): void {
    for (const listener of this.#listeners) listener.replaceMaterial(material);
  }

  /** Ends the engine, and with it what is left of its connections. */
  close(): void {
    this.#engine.close();
  }
}

/**
 * The engine has known faults that a peer can use, so it speaks to the outside only where that was asked for (rulings S7). A name is judged
 * by the engine, at the address that it then dials.
 * @throws {SallyportError} ERR_CONFIG QUIC_PUBLIC_ADDRESS for an address
 */
export function checkQuicDial(
  { allowPublic = false }: QuicOption,
  target: NodeName,
  { host, port }: DialAddress,
): void {
  if (allowPublic || !isIpAddress(host) || !isOpenToStrangers(host)) return;
  throw publicDialRefused(`${target} would be dialled over QUIC at ${formatAddress(host, port)}`, { peer: target });
}

/** QUIC proves peers by key, and a node without one has nothing to prove. */
function quicNeedsIdentity(): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "QUIC_NEEDS_IDENTITY",
    "QUIC is asked for, and this node has no identity key",
    {
      stage: "identity",
      advice: "set identity with a key directory (--key-dir)",
    },
  );
}

/** Asked for by its option or a listener. */
export function usesQuic(options: Pick<NodeOptions, "quic" | "listen">): boolean {
  return options.quic !== undefined || listensOverQuic(options);
}

function listensOverQuic({ listen = [] }: Pick<NodeOptions, "listen">): boolean {
  return listen.some((text) => text.startsWith("quic://"));
}

/**
 * QUIC of a node, where its options ask for it.
 * @param hasThrowaway it has a key for this life, which is enough for dialling: a listener needs one that lasts
 * @throws {SallyportError} ERR_CONFIG QUIC_NEEDS_IDENTITY
 */
export function quicOf(
  options: NodeOptions,
  hasThrowaway: boolean,
  { clock, ticks, warn }: Omit<QuicNodeParts, "option">,
): QuicNode | undefined {
  if (!usesQuic(options)) return undefined;
  const isDialOnly = !listensOverQuic(options);
  if (options.identity === undefined && !(hasThrowaway && isDialOnly)) throw quicNeedsIdentity();
  return new QuicNode({ clock, ticks, option: options.quic ?? {}, warn });
}

/** Schemes that a node dials; the first is meant where none is written. */
export function schemesOf(hasTls: boolean, hasTcp: boolean, hasQuic: boolean): readonly [Scheme, ...Scheme[]] {
  const [first = "tls", ...more] = [
    ...(hasTls || !hasTcp ? (["tls"] as const) : []),
    ...(hasTcp ? (["tcp"] as const) : []),
    ...(hasQuic ? (["quic"] as const) : []),
  ];
  return [first, ...more];
}
