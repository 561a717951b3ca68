import type { AcceptGateLimits } from "../carrier/accept-gate.ts";
import type { SourcesOption } from "../carrier/source-list.ts";
import type { TlsFiles } from "../carrier/tls-material.ts";
import type { HeartbeatOptions, HeartbeatProfile } from "../dist/heartbeat.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { HealthOption } from "../health/health-address.ts";
import type { CookieSetting } from "../identity/cookies.ts";
import type { IdentityOption, QuicOption } from "../node/options.ts";
import type { PolicyDocument, ShapeEntry } from "../policy/document.ts";
import type { GatewayLimits } from "./limits.ts";
import type { GatewayEvent } from "./link.ts";
import type { Side } from "./message-filter.ts";
import type { GatewayMessage, GatewayNotice } from "./notices.ts";
import type { CommanderProfile } from "./profile.ts";
import type { LeaderProfile } from "./return-paths.ts";

/** Certificates of one side of a pair. */
export interface GatewayTls extends TlsFiles {
  /** TLS sessions of that side are resumed, as of a node. Default true. */
  readonly reuseSessions?: boolean;
}

/** The node that the gateway stands in front of. */
export interface InsideOption {
  /** `name@host`, as the node calls itself. */
  readonly node: string;
  /**
   * Where it listens: `tcp://127.0.0.1:PORT`, `tls://HOST:PORT`, or `quic://HOST:PORT` for a node of barrel_p2p. Default: where it
   * registers with `epmd.inside`.
   */
  readonly address?: string;
  /**
   * Where it dials the outside nodes, one listener for each: for all alike (`tls://HOST:FIRST-LAST`), or by the name of the outside
   * node. Default `tcp://127.0.0.1:0`, found through `epmd.inside`.
   */
  readonly listen?: string | Readonly<Record<string, string>>;
  /** Needed without `identity`, over plain TCP, and over QUIC; else a second secret. */
  readonly cookie?: CookieSetting;
  /** Certificate that the inside node is shown: it names the outside nodes. */
  readonly tls?: GatewayTls;
  /**
   * Identity by key: `dir` holds a key directory for each outside node, called as its pin is, which stands for that node. The inside
   * node proves its own key; a name with a pin speaks by key only. Default: OTP's handshake only.
   */
  readonly identity?: IdentityOption;
  /** What counts where the inside runs over QUIC (`quic://`), which needs `identity` and `cookie`. Default: that of `QuicOption`. */
  readonly quic?: QuicOption;
}

/** The nodes on the other side. */
export interface OutsideOption {
  /** `name@host` of each, as the nodes call themselves; all others are refused. */
  readonly nodes: readonly string[];
  /** Where they dial the inside node: `tls://HOST:PORT`, or `quic://HOST:PORT` for nodes of barrel_p2p. Default: they do not. */
  readonly listen?: string;
  /** Where the inside node reaches them, by name: `tls://` or `quic://HOST:PORT`. Default: it does not dial. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Of nodes that come by OTP's handshake, and a second secret of those with keys. Default none: keys only. */
  readonly cookie?: CookieSetting;
  /** Certificate that they are shown: it names the inside node. Its CA vouches for theirs. */
  readonly tls?: GatewayTls;
  /**
   * Identity by key, as of a node: it stands for the inside node. Outside nodes that have one too prove theirs; a name with a
   * pin speaks by key only. Its directory belongs to this pair alone. Default: OTP's handshake only.
   */
  readonly identity?: IdentityOption;
  /** What counts where the outside runs over QUIC (`quic://`), which needs `identity` and `cookie`. Default: that of `QuicOption`. */
  readonly quic?: QuicOption;
}

/** One inside node and who may meet it. */
export interface GatewayPairOption {
  /** How it is called in status, events and records; each another. Default: the name of the inside node. */
  readonly name?: string;
  readonly inside: InsideOption;
  readonly outside: OutsideOption;
  /** False: large messages travel in one frame. Default true. */
  readonly fragments?: boolean;
  /** Who may do what. Default: the outside nodes command by the default profile, the inside node only answers. */
  readonly filter?: PairFilterOption;
}

/** A policy file, also with the source of `${VARIABLE}` in it, or a document. */
export type PairPolicyOption =
  | string
  | { readonly file: string; readonly environment?: (name: string) => string | undefined }
  | PolicyDocument;

/** Who may do what in a pair. What is not given is denied, or where it says so has a default. */
export interface PairFilterOption {
  /** `commander`: one side commands by `allow`, the other only answers. `peer`: each may do what the other's policy says. Default `commander`. */
  readonly profile?: "commander" | "peer";
  /** The side that commands. Default `outside`. Not with `peer`. */
  readonly commander?: Side;
  /** What the commander may do. Default: all but reach `auth`, `init` and `net_kernel`. Not with a policy of the other side. */
  readonly allow?: CommanderProfile;
  /** By the node that is protected, what the other may do to it: a policy file, or a document; its `node` is that node. */
  readonly policies?: Readonly<Partial<Record<Side, PairPolicyOption>>>;
  /** Until then what is refused is noted and passes, but for what stops or takes over a node. A date (UTC) or an ISO time. */
  readonly observe?: { readonly until: string };
  /** Messages that the commander takes unasked, in order; the first that fits. Default none. */
  readonly inbox?: readonly InboxOption[];
  /** What group leaders of the commander take: output, or also requests for input. Default `output`. */
  readonly leaders?: LeaderProfile;
  /** The worker sees exit reasons of the commander's processes whole. Default false: their class. */
  readonly wholeReasons?: boolean;
  /** Each operation that is let through is told (`command`). Default false. */
  readonly tellsCommands?: boolean;
  readonly limits?: Partial<GatewayLimits>;
}

/** A message of the worker that answers nothing and is let in. */
export interface InboxOption {
  /** A registered name of the commander, or its processes whose pids the worker was sent. */
  readonly to: string | { readonly revealed: true };
  /** What the message must look like, as in a policy. */
  readonly shape: ShapeEntry;
  /** `20/s`, `600/min`, `5/h`. Default: no bound but that of the session. */
  readonly rate?: string;
  /** Longest message: `8KiB` or a number of bytes. */
  readonly payload?: string | number;
  /** Messages in one session. */
  readonly uses?: number;
}

/** The record of a gateway on disk (docs/audit.md). */
export interface GatewayAuditOption {
  /** Directory of the log, of this gateway alone. Made when it is not there. */
  readonly dir: string;
  /** Also each operation that is let through: who ran what where. Default false. */
  readonly commands?: boolean;
  /** No new connection while the log cannot be written. Default false. */
  readonly failClosed?: boolean;
}

/** From where connections are taken, for the listeners and the port mapper of each side. */
export interface GatewayAcceptOption {
  readonly outside?: SourcesOption;
  readonly inside?: SourcesOption;
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
  /** Liveness of legs by key: a profile, or its figures. Default `lan`. */
  readonly heartbeat?: Partial<HeartbeatOptions> & { readonly profile?: HeartbeatProfile };
  readonly limits?: Partial<DistLimits>;
  /** From where connections are taken, by the side that they come from; docs/firewall.md. Default: from everywhere. */
  readonly accept?: GatewayAcceptOption;
  readonly acceptLimits?: AcceptGateLimits;
  /** Keeps a hash-chained record of connections and refusals. Default none. */
  readonly audit?: GatewayAuditOption;
  /** Answers probes over HTTP: `/live`, `/ready` and `/health` (docs/health.md). Default none. */
  readonly health?: HealthOption;
  /** Plain TCP on the outside: `true` on loopback addresses, `"any"` everywhere. Default false. */
  readonly dangerous?: { readonly plaintext?: boolean | "any" };
  /** Hears what becomes of each pair. Must not throw. */
  readonly onEvent?: (event: GatewayEvent) => void;
  /** Hears of messages that are refused, of tables that fill and, with `tellsCommands`, of operations. Must not throw. */
  readonly onMessage?: (event: GatewayMessage) => void;
  /** Hears what an operator should know besides. Must not throw. */
  readonly onNotice?: (notice: GatewayNotice) => void;
}
