import type { AcceptGateLimits } from "../carrier/accept-gate.ts";
import type { TlsProtocolOptions } from "../carrier/tls-protocol.ts";
import type { HeartbeatOptions, HeartbeatProfile } from "../dist/heartbeat.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { Allow } from "../guard/allow.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { HealthOption } from "../health/health-address.ts";
import type { TrustLimits } from "../identity/trust-store.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { ProcessLimits } from "../process/process-table.ts";
import type { AcceptOption } from "./admission-api.ts";
import type { Resolver } from "./ports.ts";

/** A secret given as text or as the file that holds it (one trailing line break is dropped; rulings U5). */
export type SecretSource = string | { readonly file: string };

/** One cookie for all peers, or a default and cookies by peer. */
export type CookieOption =
  | SecretSource
  | { readonly default?: SecretSource; readonly peers: Readonly<Record<string, SecretSource>> };

/** The node's own key, and which keys of others it trusts (docs/identity.md). */
export interface IdentityOption {
  /** Key directory: `node.key`, `node.pub`, `trusted/`, `first-use/`, `revoked/`. Made at first start. */
  readonly dir: string;
  /** `strict` (default) takes keys that were provisioned; `tofu` also takes a key at first sight. */
  readonly trust?: "strict" | "tofu";
  /**
   * Peers that are known by the cookie alone, over self-signed TLS and without keys: `name@host`, each half a word or `*`.
   * Both sides must list each other. A peer with a pinned key is not taken so. Needs a cookie of 16 bytes or more.
   */
  readonly cookieOnly?: readonly string[];
  /** One key may stand for several names. Default false: the second name is refused, `KEY_REUSED`. */
  readonly allowReusedKeys?: boolean;
  /** Bounds of what is kept of peers; see docs/limits.md. */
  readonly limits?: TrustLimits;
}

/** Where the records of connection attempts go (docs/audit.md). */
export interface AuditOption {
  /** Directory of the log, of this node alone. Made when it is not there. */
  readonly dir: string;
  /** Also record the operations that rules allow, for `sallyport policy learn` for instance. Default false. */
  readonly grants?: boolean;
  /** No new connection, in either direction, while the log cannot be written. Sessions go on. Default false. */
  readonly failClosed?: boolean;
}

/** QUIC, as nodes of barrel_p2p speak it (docs/barrel.md). The engine has known faults; docs/quic.md lists them. */
export interface QuicOption {
  /**
   * Also dial and listen beyond loopback and private addresses. A host name to dial counts as what it resolves to, one to listen on as
   * beyond. Default false.
   */
  readonly allowPublic?: boolean;
  /** Have each client prove its address before TLS, for one more round trip. Erlang's clients are not proven to follow. Default false. */
  readonly retry?: boolean;
  /**
   * Show this node to Erlang's `nodes()` and `global` there: to the peers with these names, or to all. Erlang nodes serve tagged streams to visible
   * nodes only, and send traffic of their own to them. Default false, also where `visible` is set.
   */
  readonly visible?: boolean | readonly string[];
}

/** When connections that nothing needs are ended; they open again on demand. `false`: never. */
export type IdleOption =
  | false
  | {
      /** Without a message in either direction, milliseconds. Default 300,000. */
      readonly afterMs?: number;
      /** Also those with BEAM nodes. What they send at that moment may be lost. Default false. */
      readonly beam?: boolean;
    };

/** Where nodes find each other (docs/discovery.md). An answer is a hint: who is there, the handshake says. */
export interface DiscoveryOption {
  /** Directory that machines share: this node writes a file about itself, and looks for those of others. */
  readonly directory?: string;
  /** `true`: SRV records `_sallyport._tcp.HOST` of the host part of a name. */
  readonly dns?: true | DnsOption;
  /** The places where nodes of barrel_p2p find each other, for a node with `quic`. */
  readonly barrel?: BarrelDiscoveryOption;
}

/** Discovery in the forms of barrel_p2p. */
export interface BarrelDiscoveryOption {
  /** Erlang configuration file with the nodes under `quic`, `dist`, `nodes`. Read at the start. */
  readonly nodesFile?: string;
  /** Shared directory of files `NODE.endpoint`; this node writes its own when it listens on QUIC. */
  readonly directory?: string;
  /** A and AAAA records of the host part. `true`: port 4433. */
  readonly dns?: true | { readonly port?: number; readonly servers?: readonly string[] };
}

export interface DnsOption {
  /** SRV name of a service, such as a headless one of Kubernetes, whose targets are host parts of nodes: gives their ports. */
  readonly service?: string;
  /** Port at the A and AAAA addresses of the host part. Without it they are asked last of all, for port 9100. */
  readonly port?: number;
  /** Name servers, `IP` or `IP:PORT`, instead of those of this machine. */
  readonly servers?: readonly string[];
}

/** Peer exchange (docs/lifecycle.md). */
export interface ExchangeOption {
  /** The peers that are asked for other nodes, whenever they are connected; nobody else's word counts. Default none. */
  readonly with?: readonly string[];
  /** Connect to every node that is learned, as if it were a seed. Default false: it is only known where they are. */
  readonly connect?: boolean;
  /** Who may ask this node, beside those whom the policy lets `call sallyport_peers`. Default nobody. */
  readonly allow?: Allow;
}

/** Certificate, trust and what is agreed to on one side of TLS; what is absent is that of both sides. */
export interface TlsSideOption extends TlsProtocolOptions {
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
  /** Of an encrypted `keyFile`. */
  readonly passphrase?: SecretSource;
}

/** Certificates and TLS of a node; `server` and `client` hold what counts only when it accepts, or only when it dials. */
export interface TlsOption extends TlsSideOption {
  /** PEM certificate of this node, then its intermediates. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM certificates of trusted CAs. */
  readonly caFile: string;
  readonly server?: TlsSideOption;
  readonly client?: TlsSideOption;
  /** Tell of every TLS handshake with the event `tls`: versions, suites, certificates, alerts; no key and no secret. Default false. */
  readonly debug?: boolean;
}

/** A file of Erlang's own configuration; `environment` gives the variables in it. Default: none is set. */
export type ErlangFileOption =
  | string
  | { readonly file: string; readonly environment?: (name: string) => string | undefined };

export type { HealthOption } from "../health/health-address.ts";

/** Options of `createNode`, and with the same names the keys of `sallyport.jsonc` (rulings U18). */
export interface NodeOptions {
  /** `local@host`. */
  readonly name: string;
  /** Needed to talk to BEAM nodes. No default. */
  readonly cookie?: CookieOption;
  /**
   * `tls://HOST:PORT`; without a port the first free one of 9100 to 9155, of `FIRST-LAST` the first free one, port 0 any. `tcp://` needs
   * `dangerous.plaintext`. Default none: the node only dials.
   */
  readonly listen?: readonly string[];
  /**
   * `host:port` under which others reach the first listener, when it differs from the bound one: what EPMD and the shared
   * directory are told. Default the bound one; of a listener on all addresses, the host part of the name and the bound port.
   */
  readonly advertise?: string;
  /** CA profile: PEM files, read anew when they change. Without it, and with `identity`, a certificate of its own is made and kept: native peers only. */
  readonly tls?: TlsOption;
  /** An `ssl_dist.conf` of Erlang: `tls` from a file (docs/erlang-config.md). */
  readonly sslDistOptfile?: ErlangFileOption;
  /** A `vm.args` of Erlang: name, cookie, listener and more from a file (docs/erlang-config.md). */
  readonly vmArgs?: ErlangFileOption;
  /** Identity by key: sessions with other Sallyport nodes prove it. Without it the node speaks to BEAM nodes only. */
  readonly identity?: IdentityOption;
  /**
   * Addresses by node name, `host:port` or `tls://host:port`; `none` for a node that only dials. Or resolvers that are asked
   * one after the other, first hit wins: they replace the static table and all that follows it (docs/discovery.md).
   */
  readonly resolve?: Readonly<Record<string, string>> | readonly Resolver[];
  /** Where nodes are looked for after the static table, before EPMD and the host part of the name. Default nowhere. */
  readonly discovery?: DiscoveryOption;
  /**
   * EPMD: `lookup` asks the one at the peer's host (default), `register` also registers the first listener at the local
   * one so that BEAM nodes can dial this node by name, `off` does neither.
   */
  readonly epmd?: "lookup" | "register" | "off";
  /** Default 4369. */
  readonly epmdPort?: number;
  /**
   * Nodes to connect to, `name@host` or `name@host:port`: dialled at start and whenever they are lost, until they are joined. The
   * own name among them is left out, so that all nodes can have one list.
   */
  readonly seeds?: readonly string[];
  /** Waits between dials of a seed, milliseconds: from `minMs` (default 500), doubling, to `maxMs` (60,000), with full jitter. */
  readonly reconnect?: { readonly minMs?: number; readonly maxMs?: number };
  /** Ask peers which other nodes there are and where, and answer those who may ask. Default: neither. */
  readonly exchange?: ExchangeOption;
  /** Take part in `global` and `nodes()` of BEAM nodes; over QUIC `quic.visible` says so. Default false (hidden). */
  readonly visible?: boolean;
  /** `strict` refuses what `standard` warns of. Default `standard`. */
  readonly profile?: "standard" | "strict";
  /** `net_ticktime` of the network in milliseconds, the same on all nodes. Default 60,000. */
  readonly tickTimeMs?: number;
  /**
   * Ends connections with Sallyport nodes that nothing needs: no message for a while, and no link, monitor, open call, spawned
   * function or waiting byte. Default `{}`; without `listen` default false, for such a node is only reached over what it opened.
   */
  readonly idle?: IdleOption;
  /**
   * Liveness of native sessions: a PING after `intervalMs` without a byte, and `timeoutMs` for any byte to come. Profile
   * `lan` (default) is 15 and 10 seconds, `wan` 60 and 15; `intervalMs` and `timeoutMs` replace its figures.
   */
  readonly heartbeat?: Partial<HeartbeatOptions> & { readonly profile?: HeartbeatProfile };
  /** Bounds of each connection; see docs/limits.md. */
  readonly limits?: Partial<DistLimits>;
  /** From where and by whom connections are taken; see docs/firewall.md. Default: from everywhere, by whom trust and policy let. */
  readonly accept?: AcceptOption;
  /** Bounds of connections that are not authenticated yet; see docs/limits.md. */
  readonly acceptLimits?: AcceptGateLimits;
  /** Bounds of the processes of this node; see docs/limits.md. */
  readonly processLimits?: ProcessLimits;
  /** Sessions with other nodes at once; a further node that dials in is refused. Default 10,000. */
  readonly maxSessions?: number;
  /** Open calls at once. Default 100,000. */
  readonly maxOpenCalls?: number;
  /**
   * What peers may do here: a file (`policy.jsonc`, read anew when it changes; `environment` gives the variables in it), or a
   * document as `definePolicy` makes it.
   * Default none: every authenticated peer may connect, and has what `allow` in code grants.
   */
  readonly policy?:
    | string
    | { readonly file: string; readonly environment?: (name: string) => string | undefined }
    | PolicyDocument;
  /** Bounds of what one peer may use; see docs/limits.md. */
  readonly guardLimits?: Partial<GuardLimits>;
  /** Keeps a hash-chained record of connection attempts, ends of sessions, and refused operations. Default none. */
  readonly audit?: AuditOption | false;
  /** Answers probes over HTTP: `/live`, `/ready` and `/health` (docs/health.md). Default none. */
  readonly health?: HealthOption;
  /** Dial and listen over QUIC. Needs `identity`. Default: neither, and its engine is not loaded. */
  readonly quic?: QuicOption;
  /** What needs a second thought. Each emits a warning at start. */
  readonly dangerous?: {
    /** Plain TCP: `true` on loopback addresses only, `"any"` everywhere. */
    readonly plaintext?: boolean | "any";
    /** Cookies below 16 bytes in cookie-only mode: one seen handshake is enough to guess them. */
    readonly shortCookie?: boolean;
  };
}

/** The same where the name comes from `vmArgs`. */
export type NamedByVmArgs = Omit<NodeOptions, "name" | "vmArgs"> & {
  readonly name?: string;
  readonly vmArgs: ErlangFileOption;
};
