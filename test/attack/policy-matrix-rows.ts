// The capability matrix of requirements 3.1 for three machines: 20 operations in 6 directions, each with the verb and target
// under which a policy knows it, and with what a hostile client does to find out.

/** `DE`: D asks E. */
export type Direction = "DE" | "DB" | "EB" | "ED" | "BE" | "BD";
export const DIRECTIONS: readonly Direction[] = ["DE", "DB", "EB", "ED", "BE", "BD"];

/** Allowed; denied; denied unless granted; only as the answer to an open request; only inside the own prefix of names. */
export type Cell = "Y" | "N" | "G" | "R" | "O";

/** What the client tries; `attempts` of the test has one function for each. */
export type AttemptName =
  | "connect"
  | "session"
  | "names"
  | "sendName"
  | "sendPid"
  | "call"
  | "replyOpen"
  | "replyClosed"
  | "monitor"
  | "link"
  | "exit"
  | "spawn"
  | "runSpawn"
  | "runRpc"
  | "admin"
  | "registerName"
  | "displaceName"
  | "join"
  | "broadcast"
  | "introspect"
  | "transit"
  | "passOn";

/** The same for streams, which are there over QUIC alone: opens one, and writes back on one that the machine has opened. */
export type StreamAttemptName = "stream" | "streamBack";

/** One attempt, and how `policy can` is asked about it; `verb: null` where no verb of a policy means it. */
export interface Ask<A extends string = AttemptName> {
  readonly attempt: A;
  readonly verb: string | null;
  readonly target?: string;
}

export interface Row<A extends string = AttemptName> {
  readonly operation: string;
  readonly cells: Readonly<Record<Direction, Cell>>;
  readonly asks: readonly Ask<A>[];
  /** Why the row is asked so, where that does not go without saying. */
  readonly why?: string;
  /** Nothing grants it in this release, whatever the matrix would have. */
  readonly isReserved?: boolean;
}

const cells = (line: string): Readonly<Record<Direction, Cell>> => {
  const [DE = "N", DB = "N", EB = "N", ED = "N", BE = "N", BD = "N"] = line.split(" ") as Cell[];
  return { DE, DB, EB, ED, BE, BD };
};

export const ROWS: readonly Row[] = [
  {
    operation: "open transport connection",
    cells: cells("Y Y G N N N"),
    asks: [{ attempt: "connect", verb: "connect" }],
  },
  {
    operation: "be authenticated as a peer",
    cells: cells("Y Y Y Y Y Y"),
    asks: [{ attempt: "session", verb: null }],
    why: "a node that was dialled proves its key on that link, and is in no entry: it may answer. The matrix has N for B asking E; that is the row above, since B does not get in by itself",
  },
  {
    operation: "learn other peers' names/addresses",
    cells: cells("Y Y N N N N"),
    asks: [{ attempt: "names", verb: "rpc", target: "peers:names/0" }],
    why: "nothing of the node tells names; the function that an owner would register for it is granted to D alone",
  },
  {
    operation: "send to a public (exported) name",
    cells: cells("Y Y G G G N"),
    asks: [{ attempt: "sendName", verb: "send", target: "jobs" }],
  },
  {
    operation: "send to an arbitrary process address",
    cells: cells("Y Y N N N N"),
    asks: [{ attempt: "sendPid", verb: "send", target: "any-pid" }],
  },
  {
    operation: "call an exported service",
    cells: cells("Y Y G G G N"),
    asks: [{ attempt: "call", verb: "call", target: "jobs" }],
  },
  {
    operation: "reply to a call, deliver result",
    cells: cells("Y Y R R R R"),
    asks: [
      { attempt: "replyOpen", verb: "reply", target: "call#open" },
      { attempt: "replyClosed", verb: "reply", target: "call#closed" },
    ],
    why: "R and Y are the same here: an answer to an open call is let in, and one to nothing never, whoever sends it",
  },
  {
    operation: "monitor a process / node",
    cells: cells("Y Y G G G N"),
    asks: [{ attempt: "monitor", verb: "monitor", target: "jobs" }],
  },
  {
    operation: "link, send exit or kill",
    cells: cells("Y Y G N N N"),
    asks: [
      { attempt: "link", verb: "link", target: "mortal" },
      { attempt: "exit", verb: "exit", target: "mortal" },
    ],
  },
  {
    operation: "spawn a registered function",
    cells: cells("Y Y G N N N"),
    asks: [{ attempt: "spawn", verb: "spawn", target: "worker" }],
  },
  {
    operation: "run unregistered code, eval, OS command",
    cells: cells("N N N N N N"),
    asks: [
      { attempt: "runSpawn", verb: null },
      { attempt: "runRpc", verb: "rpc", target: "os:cmd/1" },
    ],
    why: "a level may spawn every registered function; what is registered is not in the policy, and nothing else can run",
  },
  {
    operation: "admin: config, rotate, policy, shutdown",
    cells: cells("G G N N N N"),
    asks: [{ attempt: "admin", verb: "system", target: "machine" }],
    why: "the messages of a node's own machinery; there is no other way to administer it from outside",
  },
  {
    operation: "register a cluster-wide name",
    cells: cells("Y Y O O O O"),
    asks: [{ attempt: "registerName", verb: "registry", target: "db" }],
    why: "no registry yet: the verb is reserved",
    isReserved: true,
  },
  {
    operation: "unregister or displace another's name",
    cells: cells("G G N N N N"),
    asks: [{ attempt: "displaceName", verb: "registry", target: "jobs" }],
    why: "no registry yet: the verb is reserved",
    isReserved: true,
  },
  {
    operation: "join a group / receive broadcasts",
    cells: cells("Y Y G G G N"),
    asks: [{ attempt: "join", verb: "pubsub", target: "workers" }],
    why: "no groups yet: the verb is reserved",
    isReserved: true,
  },
  {
    operation: "broadcast into a group",
    cells: cells("Y Y G G G N"),
    asks: [{ attempt: "broadcast", verb: "pubsub", target: "workers" }],
    why: "no groups yet: the verb is reserved",
    isReserved: true,
  },
  {
    operation: "introspect (processes, metrics)",
    cells: cells("G G N N N N"),
    asks: [{ attempt: "introspect", verb: "rpc", target: "metrics:all/0" }],
    why: "nothing of the node tells it; the function that an owner would register for it",
  },
  {
    operation: "transit through Y to a third node",
    cells: cells("N N N N N N"),
    asks: [{ attempt: "transit", verb: null }],
    why: "no verb means it: a message to a process of another node is never passed on",
  },
  {
    operation: "pass on a reference it was given",
    cells: cells("N N N N N N"),
    asks: [{ attempt: "passOn", verb: null }],
    why: "no verb means it: an alias is bound to the key it was handed to; the test uses one that another peer holds",
  },
];

/** Rows for sessions over QUIC. */
export const QUIC_ROWS: readonly Row<StreamAttemptName>[] = [
  {
    operation: "bulk stream towards Y",
    cells: cells("Y Y G R G R"),
    asks: [
      { attempt: "stream", verb: "stream", target: "upload" },
      { attempt: "streamBack", verb: null },
    ],
    why: "what comes back on a stream that the machine opened is the answer, and no verb means it: R and Y are the same there. A level gives no streams, so that D's are granted by a rule, as its rpc is",
  },
];
