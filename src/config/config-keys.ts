import { CIPHER_SUITE_NAMES, GROUP_NAMES, SIGNATURE_SCHEMES } from "../carrier/cipher-suites.ts";
import { MAX_CHAIN_DEPTH } from "../carrier/tls-protocol.ts";
import { MAX_HEARTBEAT_MS, MIN_HEARTBEAT_MS } from "../dist/heartbeat.ts";
import type { HealthOption } from "../health/health-address.ts";
import type { NodeOptions, TlsSideOption } from "../node/options.ts";
import { ACCEPT } from "./accept-keys.ts";
import { ACCEPT_LIMITS, COUNT, GUARD_LIMITS, LIMITS, PROCESS_LIMITS, TIME_MS, TRUST_LIMITS } from "./limit-keys.ts";
import { DISCOVERY, QUIC } from "./reach-keys.ts";
import type { Field, Shape } from "./shape.ts";

export const TEXT: Shape = { kind: "string" };
const FILE: Shape = { kind: "string", path: true, example: "data/tls/node.crt" };

const HEARTBEAT_MS: Shape = { kind: "integer", min: MIN_HEARTBEAT_MS, max: MAX_HEARTBEAT_MS };

const SECRET_FILE = {
  kind: "object",
  keys: { file: { shape: { ...FILE, example: "cookie" }, says: "File that holds the secret.", required: true } },
} as const satisfies Shape;

const SECRET: Shape = { kind: "string-or", objects: [SECRET_FILE] };

export const COOKIE: Shape = {
  kind: "string-or",
  objects: [
    SECRET_FILE,
    {
      kind: "object",
      keys: {
        peers: { shape: { kind: "by-node", of: SECRET }, says: "Cookies by node name.", required: true },
        default: { shape: SECRET, says: "Cookie for every other node. Without it they are refused." },
      },
    },
  ],
};

const VERSION: Shape = { kind: "choice", values: ["TLSv1.2", "TLSv1.3"] };

function namesOf(values: readonly string[]): Shape {
  return { kind: "list", of: { kind: "choice", values } };
}

const TLS_SIDE = {
  certFile: { shape: FILE, says: "PEM certificate of this node, then its intermediates." },
  keyFile: { shape: { ...FILE, example: "data/tls/node.key" }, says: "PEM private key." },
  caFile: { shape: { ...FILE, example: "data/tls/ca.crt" }, says: "PEM certificates of trusted CAs." },
  passphrase: { shape: SECRET, says: "Passphrase of an encrypted keyFile." },
  minVersion: { shape: VERSION, says: "Default TLSv1.2, for OTP 25." },
  maxVersion: { shape: VERSION, says: "Default TLSv1.3." },
  ciphers: {
    shape: namesOf(CIPHER_SUITE_NAMES),
    says: "Cipher suites, best first, names of OpenSSL or IANA. Suites of one TLS version only leave the other out.",
  },
  groups: { shape: namesOf(GROUP_NAMES), says: "Groups of the key agreement, best first." },
  signatureAlgorithms: { shape: namesOf(SIGNATURE_SCHEMES), says: "Signature schemes that are taken, best first." },
  honorCipherOrder: {
    shape: { kind: "boolean" },
    says: "This node's order of suites counts when it accepts. Default true.",
  },
  depth: {
    shape: { kind: "integer", min: 0, max: MAX_CHAIN_DEPTH },
    says: "Intermediates between a peer's certificate and its root. Default 2.",
  },
  reuseSessions: {
    shape: { kind: "boolean" },
    says: "TLS sessions are resumed for at most an hour; identity, revocation and policy are asked anew all the same. Default true.",
  },
} as const satisfies Readonly<Record<keyof TlsSideOption, Field>>;

/** Certificate, key and trust anchors, as PEM files. */
export const TLS_FILES: Readonly<Record<"certFile" | "keyFile" | "caFile", Field>> = {
  certFile: { ...TLS_SIDE.certFile, required: true },
  keyFile: { ...TLS_SIDE.keyFile, required: true },
  caFile: { ...TLS_SIDE.caFile, required: true },
};

/** Whether TLS sessions are resumed. */
export const REUSE_SESSIONS: Field = TLS_SIDE.reuseSessions;

export const IDENTITY: Shape = {
  kind: "object",
  keys: {
    dir: {
      shape: { kind: "string", path: true, example: "data/keys" },
      says: "Key directory, made at first start.",
      required: true,
    },
    trust: { shape: { kind: "choice", values: ["strict", "tofu"] }, says: "Default strict." },
    cookieOnly: {
      shape: { kind: "list", of: { kind: "string", example: "*@lan.example" } },
      says: "Peers known by the cookie alone: name@host, each half a word or *. Both sides must list each other.",
    },
    allowReusedKeys: {
      shape: { kind: "boolean" },
      says: "One key may stand for several names. Default false.",
    },
    limits: { shape: { kind: "object", keys: TRUST_LIMITS }, says: "Bounds of what is kept of peers." },
  },
};

export const HEARTBEAT: Shape = {
  kind: "object",
  keys: {
    profile: {
      shape: { kind: "choice", values: ["lan", "wan"] },
      says: "lan: 15 s and 10 s (default). wan: 60 s and 15 s.",
    },
    intervalMs: { shape: HEARTBEAT_MS, says: "A peer that sent nothing for so long is asked whether it lives." },
    timeoutMs: { shape: HEARTBEAT_MS, says: "It is taken for dead when nothing came for so long after that." },
  },
};

const HEALTH: Readonly<Record<keyof HealthOption, Field>> = {
  listen: {
    shape: { kind: "string", example: "9180" },
    says: "Port on 127.0.0.1, or HOST:PORT for another address.",
    required: true,
  },
  peers: {
    shape: { kind: "boolean" },
    says: "Its /health also names peers and asks them whether they answer. Default false.",
  },
};

/** The endpoint of probes, of a node or a gateway. */
export const HEALTH_FIELD: Field = {
  shape: { kind: "object", keys: HEALTH },
  says: "Answers probes over HTTP: /live, /ready and /health. Default none.",
};

/**
 * Every key of `sallyport.jsonc`. The names are those of `NodeOptions`, and the compiler holds the two together: a new
 * option does not build until it has a line here.
 */
export const CONFIG_KEYS: Readonly<Record<keyof NodeOptions | "$schema" | "control", Field>> = {
  $schema: { shape: TEXT, says: "Where editors find the JSON Schema of this file. Not used otherwise." },
  name: { shape: { kind: "string", example: "my_node@192.0.2.7" }, says: "Name of this node: local@host." },
  cookie: { shape: COOKIE, says: "Shared secret of the network; needed to talk to Erlang nodes. No default." },
  listen: {
    shape: { kind: "list", of: { kind: "string", example: "tls://0.0.0.0:9100" } },
    says:
      "Addresses to accept connections on; HOST:FIRST-LAST takes the first free port of a range. Without a port that of 9100 to " +
      "9155. Default for start tls://127.0.0.1, else none.",
  },
  advertise: {
    shape: { kind: "string", example: "home.example:9100" },
    says: "host:port under which others reach the first listener, when it differs from the bound one.",
  },
  tls: {
    shape: {
      kind: "object",
      keys: {
        ...TLS_SIDE,
        ...TLS_FILES,
        server: { shape: { kind: "object", keys: TLS_SIDE }, says: "What counts only when this node accepts." },
        client: { shape: { kind: "object", keys: TLS_SIDE }, says: "What counts only when this node dials." },
        debug: {
          shape: { kind: "boolean" },
          says: "Tell of every TLS handshake: versions, suites, certificates, alerts; no key. Default false.",
        },
      },
    },
    says: "Certificates. Without them, and without identity, no TLS peer can be reached.",
  },
  sslDistOptfile: {
    shape: { ...FILE, example: "/etc/distribute/ssl_dist.conf" },
    says: "ssl_dist.conf of Erlang, instead of tls. Paths in it start at the working directory.",
  },
  vmArgs: {
    shape: { ...FILE, example: "vm.args" },
    says: "vm.args of Erlang: name, cookie, listener and more. It counts more than this file.",
  },
  identity: { shape: IDENTITY, says: "Identity by key: sessions with other Sallyport nodes prove it." },
  policy: {
    shape: { kind: "string", path: true, example: "policy.jsonc" },
    says: "Policy file: what peers may do here. Without it they may ping, and do what allow of a registration grants.",
  },
  resolve: {
    shape: { kind: "by-node", of: { kind: "string", example: "203.0.113.7:9100" } },
    says: 'Addresses by node name: host:port or tls://host:port; "none" for a node that only dials.',
  },
  discovery: {
    shape: { kind: "object", keys: DISCOVERY },
    says: "Where nodes are looked for after the addresses of resolve, before EPMD. Default nowhere.",
  },
  epmd: {
    shape: { kind: "choice", values: ["lookup", "register", "off"] },
    says: "lookup: ask the EPMD at a peer's host (default). register: also register here. off: neither.",
  },
  epmdPort: { shape: { kind: "integer", min: 1, max: 65_535 }, says: "Port of EPMD. Default 4369." },
  seeds: {
    shape: { kind: "list", of: { kind: "string", example: "home@192.0.2.7" } },
    says: "Nodes to connect to, and to connect to again when they are lost: name@host or name@host:port.",
  },
  reconnect: {
    shape: {
      kind: "object",
      keys: {
        minMs: { shape: TIME_MS, says: "First wait, doubled with each failure. Default 500." },
        maxMs: { shape: TIME_MS, says: "Longest wait. Default 60000." },
      },
    },
    says: "Waits between dials of a seed, each of a random part of the time given.",
  },
  exchange: {
    shape: {
      kind: "object",
      keys: {
        with: {
          shape: { kind: "list", of: { kind: "string", example: "home@192.0.2.7" } },
          says: "Peers that are asked for other nodes. Nobody else's word counts. Default none.",
        },
        connect: { shape: { kind: "boolean" }, says: "Connect to every node that is learned. Default false." },
        allow: {
          shape: { kind: "list", of: { kind: "string", example: "home@192.0.2.7" } },
          says: "Peers that may ask, beside those whom the policy lets call sallyport_peers. Default none.",
        },
      },
    },
    says: "Ask peers which other nodes there are and where, and answer those who may ask. Default: neither.",
  },
  quic: {
    shape: { kind: "object", keys: QUIC },
    says: "Dial and listen (quic://) over QUIC, as nodes of barrel_p2p do. Needs identity. Default: neither.",
  },
  visible: {
    shape: { kind: "boolean" },
    says: "Take part in nodes() and global of Erlang nodes; over QUIC quic.visible says so. Default false.",
  },
  profile: {
    shape: { kind: "choice", values: ["standard", "strict"] },
    says: "strict refuses what standard warns of. Default standard.",
  },
  tickTimeMs: { shape: TIME_MS, says: "net_ticktime in milliseconds, the same on all nodes. Default 60000." },
  idle: {
    shape: {
      kind: "false-or",
      object: {
        kind: "object",
        keys: {
          afterMs: { shape: TIME_MS, says: "Without a message in either direction. Default 300000." },
          beam: { shape: { kind: "boolean" }, says: "Also connections with Erlang nodes. Default false." },
        },
      },
    },
    says: "When connections that nothing needs are ended. Default false without listen.",
  },
  heartbeat: {
    shape: HEARTBEAT,
    says: "Liveness of sessions with Sallyport nodes. A dead peer is found within both times and a second.",
  },
  limits: { shape: { kind: "object", keys: LIMITS }, says: "Bounds of each connection." },
  accept: {
    shape: { kind: "object", keys: ACCEPT },
    says: "From where and by whom connections are taken, before keys, certificates and the policy are asked.",
  },
  acceptLimits: {
    shape: { kind: "object", keys: ACCEPT_LIMITS },
    says: "Bounds of connections that are not authenticated yet.",
  },
  guardLimits: { shape: { kind: "object", keys: GUARD_LIMITS }, says: "Bounds of what one peer may use of this node." },
  processLimits: { shape: { kind: "object", keys: PROCESS_LIMITS }, says: "Bounds of the processes of this node." },
  maxSessions: {
    shape: { kind: "integer", min: 1, max: 1_000_000 },
    says: "Sessions with other nodes at once. Default 10,000.",
  },
  maxOpenCalls: { shape: COUNT, says: "Open calls at once. Default 100000." },
  control: {
    shape: {
      kind: "false-or",
      object: {
        kind: "object",
        keys: {
          path: {
            shape: { ...FILE, example: "data/control.sock" },
            says: "Path of the socket, in a directory of mode 0700.",
            required: true,
          },
        },
      },
    },
    says: "Socket through which commands of this machine reach the running node. false: none.",
  },
  audit: {
    shape: {
      kind: "false-or",
      object: {
        kind: "object",
        keys: {
          dir: {
            shape: { kind: "string", path: true, example: "data/audit" },
            says: "Directory of the log, of this node alone. Made when it is not there.",
            required: true,
          },
          grants: {
            shape: { kind: "boolean" },
            says: "Also record what rules allow, for policy learn. Default false.",
          },
          failClosed: {
            shape: { kind: "boolean" },
            says: "No new connection while the log cannot be written. Default false.",
          },
        },
      },
    },
    says: "Hash-chained record of connection attempts, ends and refused operations. Default data/audit for start; false: none.",
  },
  health: HEALTH_FIELD,
  dangerous: {
    shape: {
      kind: "object",
      keys: {
        plaintext: {
          shape: { kind: "choice", values: [true, false, "any"] },
          says: 'Connections without TLS: true for loopback addresses only, "any" for all. Default false.',
        },
        shortCookie: {
          shape: { kind: "boolean" },
          says: "Cookies below 16 bytes in cookie-only mode. Default false.",
        },
      },
    },
    says: "What needs a second thought. Each emits a warning at start.",
  },
};
