/** One folder below `src/` (or one file directly in it, named without `.ts`). */
export interface Layer {
  /** A file imports from its own folder and from folders of a lower rank; equal rank means strangers. */
  readonly rank: number;
  /** What the folder is for, one line. */
  readonly why: string;
  /** Packages and builtins its files may import, each with the reason. Nothing else may be imported. */
  readonly outside?: Readonly<Record<string, string>>;
  /** Why its files may read time, randomness and the process. Most may not. */
  readonly world?: string;
}

/** The folder ranks. A new folder needs a line here and, when it imports something from outside, a reason. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  base: { rank: 0, why: "errors, brands, byte writer, queues and the interfaces of everything that is injected" },
  term: { rank: 1, why: "external term format and term text; bytes to values and back" },
  identity: {
    rank: 1,
    why: "keys, fingerprints and trust decisions",
    outside: { "node:crypto": "Ed25519 keys and signatures of the node's identity" },
  },
  system: {
    rank: 1,
    why: "the real clock, randomness, cryptography and disk behind the interfaces of base",
    world: "it is the one place that reads time and randomness; all others get them injected",
    outside: {
      "node:fs": "the Files interface",
      "node:fs/promises": "the Files interface",
      "node:crypto": "the Random and Crypto interfaces",
      "node:os": "host name and temporary directory",
      "node:path": "paths of the Files interface",
      "node:perf_hooks": "the monotonic clock",
      "node:timers": "timers of the clock",
    },
  },
  x509: {
    rank: 1,
    why: "certificates: making, reading, matching names",
    outside: {
      "node:module":
        "loads the certificate library when it is first asked for: a third of what a command takes to start",
      "node:crypto": "X509Certificate and key generation of the platform",
      "@peculiar/x509": "encodes and reads X.509 extensions; DER by hand is where certificate bugs come from",
    },
  },
  policy: { rank: 2, why: "rules to decisions; pure, time and facts are arguments" },
  wire: { rank: 2, why: "bytes of the distribution and EPMD protocols to values and back; pure" },
  carrier: {
    rank: 2,
    why: "byte transports: TCP, TLS, QUIC, memory",
    outside: {
      "node:child_process":
        "the engine of QUIC is a process of its own: its native code can hang, and then costs QUIC only",
      "node:dgram": "asks the system and the peer about a UDP port, for diagnosis",
      "node:dns": "the address of a host whose UDP port is asked about",
      "node:stream": "the pipe to that process; what keeps the first octets of a peer that is examined",
      "node:url": "the path of that process's program",
      "node:net": "the only folder that opens sockets",
      "node:tls": "the only folder that opens TLS sessions",
      "node:crypto": "reads the certificates of a TLS session",
      "node:http": "the listener that probes ask",
      "node:path": "the folder of a key file; computes, touches no disk",
      "node:worker_threads": "a closed MessageChannel, the way to give memory back without waiting for the collector",
    },
  },
  "quic-engine": {
    rank: 3,
    why: "the program of the QUIC engine's process: UDP sockets, the native binding, nothing of the node",
    outside: {
      "node:dgram": "the only folder that opens UDP sockets of QUIC",
      "node:dns": "host names to addresses",
      "node:stream": "the pipe to the node",
      "node:module": "loads the binding's package only when the process runs",
      "node:crypto": "the tokens of stateless retry",
      "node:worker_threads": "a thread that ends a hung process whose node is gone",
    },
  },
  auth: { rank: 3, why: "handshake machines; pure steps" },
  dist: { rank: 4, why: "one distribution connection: core without I/O, and the driver joining it to a carrier" },
  guard: { rank: 5, why: "classification, ownership, return paths, budgets, refusal answers; for node and gateway" },
  health: {
    rank: 5,
    why: "what monitors ask: ends of certificates, checks under one deadline, the endpoint of probes",
  },
  audit: { rank: 5, why: "the record of decisions" },
  process: { rank: 6, why: "mailboxes, links, monitors of local processes" },
  node: {
    rank: 7,
    why: "the node: names, calls, routing, admission, inbound and outbound",
    outside: { "node:events": "rare lifecycle facts reach the user through an EventEmitter; never a message" },
  },
  discovery: {
    rank: 8,
    why: "static, directory, DNS and EPMD resolvers, and registration: hints, never identity",
    outside: { "node:dns/promises": "host names and services to addresses" },
  },
  config: {
    rank: 8,
    why: "configuration files to checked options",
    outside: {
      "jsonc-parser": "JSON with comments, with the position of each mistake",
      "node:path": "paths relative to the configuration file; computes, touches no disk",
    },
  },
  certs: {
    rank: 8,
    why: "a folder of certificates: CA, issuing, renewing, rotation, and what is wrong in it",
    outside: {
      "node:crypto": "reads certificates and compares keys",
      "node:path": "the folder of a key file; computes, touches no disk",
    },
  },
  gateway: { rank: 8, why: "the gate in front of unmodified nodes" },
  observe: {
    rank: 8,
    why: "probes to metrics, logs, traces",
    outside: { "node:diagnostics_channel": "probes that cost nothing when nobody listens" },
  },
  testkit: {
    rank: 8,
    why: "virtual clock, seeded random, simulated network, certificates; published for users' tests",
    outside: { "node:path": "paths of certificates; computes, touches no disk" },
  },
  control: { rank: 9, why: "the local control socket's protocol" },
  doctor: { rank: 9, why: "checks of this machine and staged probes of a peer" },
  "quic-node": { rank: 8, why: "the engine, dialer and listeners of a node that speaks QUIC" },
  "node-listeners": { rank: 9, why: "the listeners of a node over TLS and plain TCP, and what their gate counts" },
  "create-node": { rank: 10, why: "composition root of a node: names the concrete carriers, clock and stores" },
  resolvers: {
    rank: 9,
    why: "the built-in resolvers for chains of the user's own, with the real disk, sockets and clock",
  },
  "gateway-run": {
    rank: 9,
    why: "a running gateway: its pairs, listeners and port mappers, and how they change; its configuration",
    outside: { "node:path": "paths relative to the configuration file; computes, touches no disk" },
  },
  "create-gateway": {
    rank: 10,
    why: "composition root of the gateway: names the concrete clock, cryptography and disk",
  },
  cli: {
    rank: 11,
    why: "parse, call, print",
    world: "a program for people: prints progress, waits, reads its environment",
    outside: {
      commander: "command line arguments",
      picocolors: "colours that obey NO_COLOR",
      "node:fs": "files named on the command line",
      "node:fs/promises": "files named on the command line",
      "node:os": "host name and temporary directory",
      "node:path": "paths named on the command line",
      "node:url": "loads the owner's services module by path",
      "node:process": "arguments, streams, signals, exit code",
      "node:child_process": "the demo starts a real Erlang node",
      "node:readline": "the machines of the demo are typed at; lines of an attached console are edited",
      "node:stream": "keys of a console, without its pastes, as a readline takes them",
      "node:crypto": "names and secrets made for one run",
    },
  },
  index: { rank: 11, why: "the package's root: re-exports only" },
};

/** Folders that import no package and no builtin at all, not even with a reason. */
export const PROTOCOL_FOLDERS: readonly string[] = ["base", "term", "wire", "auth", "dist", "policy"];

/** What unit tests beside the sources may import besides what their folder may. */
export const TEST_IMPORTS: Readonly<Record<string, string>> = {
  vitest: "the test runner",
  "fast-check": "property tests",
  "node:fs": "fixtures",
  "node:fs/promises": "fixtures",
  "node:os": "temporary directories for the tests of system and cli",
  "node:path": "paths of fixtures",
  "node:url": "paths of fixtures",
  "node:crypto": "reference results",
  "node:util": "what inspect shows of secrets",
  "node:zlib": "compressed terms in tests",
  "node:child_process": "reference programs (openssl)",
  "node:buffer": "byte limits of the platform",
  "node:events": "waiting for an event",
};

/** Folders every unit test may use, whatever its rank: doubles, and the real clock, crypto and disk. */
export const TEST_FOLDERS: readonly string[] = ["testkit", "system"];

/** Reads of time, randomness and the process. Allowed where a layer has `world`, and in tests. */
export const WORLD: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\bDate\.now\b|\bnew Date\(\)/g, instead: "take `now`, or Clock.wallMs()" },
  { pattern: /\bperformance\.(?:now|timeOrigin)\b|\bprocess\.hrtime\b/g, instead: "take `now`, or Clock.now()" },
  { pattern: /(?<![.#\w])(?:setTimeout|setInterval)\b/g, instead: "Clock.at()" },
  { pattern: /(?<![.#\w])setImmediate\b|\bprocess\.nextTick\b/g, instead: "Clock.afterTurn()" },
  { pattern: /\bAbortSignal\.timeout\b/g, instead: "a deadline of the injected Clock" },
  {
    pattern: /\bMath\.random\b|\brandom(?:Bytes|UUID|Int|Fill|FillSync)\b|\bgetRandomValues\b/g,
    instead: "the injected Random",
  },
  { pattern: /(?<![.#\w])console\.\w+/g, instead: "a probe, or an event of the node" },
  { pattern: /\bprocess\.(?:env|argv|stdout|stderr|stdin)\b/g, instead: "an option" },
];

/** Longest file without an entry below, and longest file at all, in lines. */
export const MAX_LINES = 400;
export const MAX_LINES_WITH_REASON = 600;

/** Files over MAX_LINES, each with the reason why splitting it would make it harder to read. */
export const LONG_FILES: Readonly<Record<string, string>> = {
  "src/term/term-decoder.ts": "the cursor and the containers that recurse through it share one set of private state",
  "src/term/encode.ts": "one recursion over all kinds of terms, measured as one function group",
  "src/dist/connection.ts": "the driver: every transition of the one connection state machine stands beside the others",
  "src/node/connection-sink.ts":
    "every question of one connection, in the order in which it may be asked, over one set of private state",
  "src/node/session-host.ts": "the ends of all connections meet here; what each does stands in a file of its own",
  "src/node/node.ts": "every method of the public interface, each a line or two",
};

/** At least this much must have been read, so that an empty scan cannot pass. Raise it as the tree grows. */
export const MIN_FILES = 85;
export const MIN_IMPORTS = 320;
