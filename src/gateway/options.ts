import type { AcceptGateLimits } from "../carrier/accept-gate.ts";
import type { TlsFiles } from "../carrier/tls-material.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { CookieSetting } from "../identity/cookies.ts";
import type { GatewayEvent } from "./link.ts";

/** The node that the gateway stands in front of. */
export interface InsideOption {
  /** `name@host`, as the node calls itself. */
  readonly node: string;
  /** Where it listens: `tcp://127.0.0.1:PORT` or `tls://HOST:PORT`. Default: where it registers with `epmd.inside`. */
  readonly address?: string;
  /** Where it dials the outside nodes, one listener for each; default `tcp://127.0.0.1:0`, found through `epmd.inside`. */
  readonly listen?: string;
  readonly cookie: CookieSetting;
  /** Certificate that the inside node is shown: it names the outside nodes. */
  readonly tls?: TlsFiles;
}

/** The nodes on the other side. */
export interface OutsideOption {
  /** `name@host` of each, as the nodes call themselves; all others are refused. */
  readonly nodes: readonly string[];
  /** Where they dial the inside node: `tls://HOST:PORT`. Default: they do not. */
  readonly listen?: string;
  /** Where the inside node reaches them, by name. Default: it does not dial. */
  readonly addresses?: Readonly<Record<string, string>>;
  readonly cookie: CookieSetting;
  /** Certificate that they are shown: it names the inside node. Its CA vouches for theirs. */
  readonly tls?: TlsFiles;
}

/** One inside node and who may meet it. */
export interface GatewayPairOption {
  readonly inside: InsideOption;
  readonly outside: OutsideOption;
  /** False: large messages travel in one frame. Default true. */
  readonly fragments?: boolean;
}

/** Options of `createGateway`. */
export interface GatewayOptions {
  readonly pairs: readonly GatewayPairOption[];
  /** Port mappers of the gateway, `HOST:PORT`. Default none. */
  readonly epmd?: {
    /** Asked by the inside nodes, for outside ones; those without an `address` register here. */
    readonly inside?: string;
    /** Asked by the outside nodes, for inside ones. */
    readonly outside?: string;
  };
  /** `net_ticktime` of the nodes, milliseconds. Default 60,000. */
  readonly tickTimeMs?: number;
  readonly limits?: Partial<DistLimits>;
  readonly acceptLimits?: AcceptGateLimits;
  /** Plain TCP on the outside: `true` on loopback addresses, `"any"` everywhere. Default false. */
  readonly dangerous?: { readonly plaintext?: boolean | "any" };
  /** Hears what becomes of each pair. Must not throw. */
  readonly onEvent?: (event: GatewayEvent) => void;
}
