import { SOURCES } from "../config/accept-keys.ts";
import { COOKIE, HEALTH_FIELD, HEARTBEAT, IDENTITY, REUSE_SESSIONS, TEXT, TLS_FILES } from "../config/config-keys.ts";
import { ACCEPT_LIMITS, COUNT, LIMITS, TIME_MS } from "../config/limit-keys.ts";
import { QUIC } from "../config/reach-keys.ts";
import type { Field, Shape } from "../config/shape.ts";
import type { GatewayLimits } from "../gateway/limits.ts";
import type {
  GatewayAuditOption,
  GatewayOptions,
  GatewayPairOption,
  InboxOption,
  InsideOption,
  OutsideOption,
  PairFilterOption,
} from "../gateway/options.ts";
import type { CommanderProfile } from "../gateway/profile.ts";

type Keys<T> = Readonly<Record<keyof T, Field>>;

const FLAG: Shape = { kind: "boolean" };
const SIDE: Shape = { kind: "choice", values: ["outside", "inside"] };

function words(example: string): Shape {
  return { kind: "list", of: { kind: "string", example } };
}

function text(example: string): Shape {
  return { kind: "string", example };
}

function file(example: string): Shape {
  return { kind: "string", path: true, example };
}

function object(keys: Readonly<Record<string, Field>>): Shape & { readonly kind: "object" } {
  return { kind: "object", keys };
}

const PAIR_TLS: Readonly<Record<string, Field>> = { ...TLS_FILES, reuseSessions: REUSE_SESSIONS };

const INSIDE: Keys<InsideOption> = {
  node: { shape: text("desk@desk.example"), says: "Name of the node: local@host, as it calls itself.", required: true },
  address: {
    shape: text("tcp://127.0.0.1:9405"),
    says: "Where it listens; quic:// for a node of barrel_p2p. Without it: where it registers with epmd.inside.",
  },
  listen: {
    shape: { kind: "string-or-by-node", example: "tcp://127.0.0.1:9101", of: text("tls://127.0.0.1:9101") },
    says: "Where it dials the outside nodes, one listener for each: for all alike, or by node. Default tcp://127.0.0.1:0, found through epmd.inside.",
  },
  cookie: {
    shape: COOKIE,
    says: "Cookie of this side, another than that of the outside. Only with identity it may be left out: keys only.",
  },
  tls: { shape: object(PAIR_TLS), says: "Certificate that the inside node is shown: it names the outside nodes." },
  identity: {
    shape: IDENTITY,
    says: "Identity by key, of this pair alone: dir holds a key directory for each outside node. Default: none, no keys are looked at.",
  },
  quic: { shape: object(QUIC), says: "Of the inside over QUIC, which needs identity and cookie." },
};

const OUTSIDE: Keys<OutsideOption> = {
  nodes: {
    shape: words("shop@ec2.example"),
    says: "Names of the nodes on the other side, as they call themselves. All others are refused.",
    required: true,
  },
  listen: {
    shape: text("tls://0.0.0.0:9400"),
    says: "Where they dial the inside node; quic:// for nodes of barrel_p2p. Default: they do not.",
  },
  addresses: {
    shape: { kind: "by-node", of: text("tls://203.0.113.7:9100") },
    says: "Where the inside node reaches them; quic:// for nodes of barrel_p2p. Default: it does not dial.",
  },
  cookie: {
    shape: COOKIE,
    says: "Cookie of this side: of nodes without keys, and a second secret of those with. Default none: keys only.",
  },
  tls: {
    shape: object(PAIR_TLS),
    says: "Certificate that they are shown: it names the inside node. Its CA vouches for theirs.",
  },
  identity: {
    shape: IDENTITY,
    says: "Identity by key, of this pair alone: it stands for the inside node. Default: none, no keys are looked at.",
  },
  quic: { shape: object(QUIC), says: "Of the outside over QUIC, which needs identity and cookie." },
};

const PROFILE: Keys<CommanderProfile> = {
  calls: {
    shape: words("cart"),
    says: "Registered names that may be sent to. Default all but auth, init and net_kernel.",
  },
  functions: { shape: words("lists:seq/2"), says: "Functions that may be run: module:function/arity. Default all." },
  funs: { shape: FLAG, says: "Funs may be run. Default true; false where functions is given." },
  killOnlyChildren: { shape: FLAG, says: "Exit signals go to children of the commander only. Default false." },
  granted: {
    shape: { kind: "list", of: { kind: "choice", values: ["auth", "init", "net_kernel"] } },
    says: "Names that stop or take over the node, to be reached all the same. Default none.",
  },
};

const INBOX: Keys<InboxOption> = {
  to: {
    shape: {
      kind: "string-or",
      objects: [
        object({
          revealed: {
            shape: { kind: "choice", values: [true] },
            says: "Processes of the commander whose pids the worker was sent.",
            required: true,
          },
        }),
      ],
    },
    says: "A registered name of the commander, or { revealed: true }.",
    required: true,
  },
  shape: { shape: { kind: "message-shape" }, says: "What the message must look like, as in a policy.", required: true },
  rate: { shape: text("20/s"), says: "How often: 20/s, 600/min, 5/h. Default: no bound but that of the session." },
  payload: {
    shape: { kind: "string-or-integer", example: "8KiB", integer: { kind: "integer", min: 1, max: 0xffff_ffff } },
    says: "Longest message. Default: no bound but that of the session.",
  },
  uses: { shape: COUNT, says: "Messages in one session. Default any number." },
};

const PAIR_LIMITS: Keys<GatewayLimits> = {
  maxCalls: { shape: COUNT, says: "Calls that are not answered. Default 16384." },
  maxExpectedAnswers: { shape: COUNT, says: "Answers that might come to references in messages. Default 16384." },
  answerMs: { shape: TIME_MS, says: "How long such an answer may take. Default 600000." },
  maxTagBytes: { shape: COUNT, says: "Longest tag of a call. Default 2048." },
  maxMonitors: { shape: COUNT, says: "Monitors of the commander. Default 16384." },
  maxLinks: { shape: COUNT, says: "Links of the commander. Default 4096." },
  maxSpawns: { shape: COUNT, says: "Spawn requests that are not answered. Default 4096." },
  maxChildren: { shape: COUNT, says: "Spawned processes with a link or monitor. Default 4096." },
  maxRevealed: { shape: COUNT, says: "Processes of the commander that the worker may monitor. Default 16384." },
  maxWorkerMonitors: { shape: COUNT, says: "Monitors of the worker. Default 4096." },
  maxLeaders: { shape: COUNT, says: "Group leaders of the commander. Default 256." },
  maxPrinting: { shape: COUNT, says: "Requests of the worker to print that are not answered. Default 4096." },
  leaderBytesPerSecond: { shape: COUNT, says: "What may be printed to one of them. Default 1 MiB." },
  maxScannedTerms: { shape: COUNT, says: "Terms of a message that are looked through. Default 20000." },
  maxPidsPerAnswer: { shape: COUNT, says: "Pids that one expected answer may go to. Default 64." },
  maxAtoms: { shape: COUNT, says: "Different atoms of the worker in one session. Default 20000." },
  childMessagesPerSecond: { shape: COUNT, says: "Messages of spawned processes to their parents. Default 1000." },
  childBytesPerSecond: { shape: COUNT, says: "Bytes of those. Default 1 MiB." },
  maxRefusals: { shape: COUNT, says: "Refused messages of the worker in ten seconds. Default 10000." },
  maxToldKinds: { shape: COUNT, says: "Kinds of refusals that are told apart. Default 256." },
};

const FILTER: Keys<PairFilterOption> = {
  profile: {
    shape: { kind: "choice", values: ["commander", "peer"] },
    says: "commander (default): one side commands, the other only answers. peer: each may do what the other's policy says.",
  },
  commander: { shape: SIDE, says: "The side that commands. Default outside." },
  allow: { shape: object(PROFILE), says: "What the commander may do. Not with a policy of the other side." },
  policies: {
    shape: object({
      inside: {
        shape: file("desk.policy.jsonc"),
        says: "Policy of the inside node: what the outside one may do to it.",
      },
      outside: {
        shape: file("shop.policy.jsonc"),
        says: "Policy of the outside node: what the inside one may do to it.",
      },
    }),
    says: "Policy files, by the node that is protected.",
  },
  observe: {
    shape: object({
      until: {
        shape: text("2027-01-15"),
        says: "A date (UTC) or an ISO time. Then what is refused is refused.",
        required: true,
      },
    }),
    says: "What is refused is noted and passes, until then.",
  },
  inbox: {
    shape: { kind: "list", of: object(INBOX) },
    says: "Messages that the commander takes unasked; the first that fits. Default none.",
  },
  leaders: {
    shape: { kind: "choice", values: ["output", "shell"] },
    says: "What group leaders of the commander take: output (default), or also requests for input.",
  },
  wholeReasons: { shape: FLAG, says: "The worker sees exit reasons of the commander whole. Default false." },
  tellsCommands: { shape: FLAG, says: "Print each operation that is let through. Default false." },
  limits: { shape: object(PAIR_LIMITS), says: "Bounds of each session." },
};

const PAIR: Keys<GatewayPairOption> = {
  name: {
    shape: text("desk"),
    says: "How the pair is called in status and logs. Default: the name of the inside node.",
  },
  inside: { shape: object(INSIDE), says: "The node that the gateway stands in front of.", required: true },
  outside: { shape: object(OUTSIDE), says: "The nodes on the other side.", required: true },
  fragments: { shape: FLAG, says: "False: large messages travel in one frame. Default true." },
  filter: {
    shape: object(FILTER),
    says: "Who may do what. Default: the outside nodes command, the inside node only answers.",
  },
};

const AUDIT: Keys<GatewayAuditOption> = {
  dir: { shape: file("data/gateway-audit"), says: "Directory of the log, of this gateway alone.", required: true },
  commands: { shape: FLAG, says: "Also record what is let through: who ran what where. Default false." },
  failClosed: { shape: FLAG, says: "No new connection while the log cannot be written. Default false." },
};

type FileOptions = Omit<GatewayOptions, "onEvent" | "onMessage" | "onNotice">;

/**
 * Every key of `gateway.jsonc`. The names are those of `GatewayOptions`, and the compiler holds the two together: a new
 * option does not build until it has a line here.
 */
export const GATEWAY_KEYS: Readonly<Record<keyof FileOptions | "$schema" | "version" | "control", Field>> = {
  $schema: { shape: TEXT, says: "Where editors find the JSON Schema of this file. Not used otherwise." },
  version: { shape: { kind: "choice", values: [1] }, says: "Version of this form.", required: true },
  pairs: { shape: { kind: "list", of: object(PAIR) }, says: "Who is in front of whom.", required: true },
  epmd: {
    shape: object({
      inside: {
        shape: text("127.0.0.1:4370"),
        says: "Asked by the inside nodes, for outside ones; those without an address register here.",
      },
      outside: { shape: text("0.0.0.0:4369"), says: "Asked by the outside nodes, for inside ones." },
    }),
    says: "Port mappers of the gateway. Default none.",
  },
  tickTimeMs: { shape: TIME_MS, says: "net_ticktime of the nodes, in milliseconds. Default 60000." },
  health: HEALTH_FIELD,
  heartbeat: { shape: HEARTBEAT, says: "Liveness of sessions by key." },
  limits: { shape: object(LIMITS), says: "Bounds of each connection." },
  accept: {
    shape: object({
      outside: {
        shape: object(SOURCES),
        says: "Of the outside nodes; peers: the hosts of outside.addresses and outside.nodes.",
      },
      inside: {
        shape: object(SOURCES),
        says: "Of the inside nodes; peers: the hosts of inside.address and inside.node.",
      },
    }),
    says: "From where connections are taken, before a byte of TLS. Default: from everywhere.",
  },
  acceptLimits: { shape: object(ACCEPT_LIMITS), says: "Bounds of connections that are not authenticated yet." },
  control: {
    shape: {
      kind: "false-or",
      object: object({
        path: {
          shape: file("data/gateway.sock"),
          says: "Path of the socket, in a directory of mode 0700.",
          required: true,
        },
      }),
    },
    says: "Socket for gateway status, reload and drain. Default data/gateway.sock; false: none.",
  },
  audit: {
    shape: { kind: "false-or", object: object(AUDIT) },
    says: "Hash-chained record of connections and refusals. Default data/gateway-audit; false: none.",
  },
  dangerous: {
    shape: object({
      plaintext: {
        shape: { kind: "choice", values: [true, false, "any"] },
        says: 'Plain TCP on the outside: true on loopback addresses, "any" everywhere. Default false.',
      },
    }),
    says: "What needs a second thought. Each is told at the start.",
  },
};
