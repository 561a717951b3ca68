import type { AcceptGateLimits } from "../carrier/accept-gate.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { TrustLimits } from "../identity/trust-store.ts";
import type { ProcessLimits } from "../process/process-table.ts";
import type { Field, Shape } from "./shape.ts";

/** Longest time a timer of the platform takes, in milliseconds. */
const MAX_TIME_MS = 0x7fff_ffff;

export const COUNT: Shape = { kind: "integer", min: 1, max: Number.MAX_SAFE_INTEGER };
export const TIME_MS: Shape = { kind: "integer", min: 1, max: MAX_TIME_MS };

export const LIMITS: Readonly<Record<keyof DistLimits, Field>> = {
  maxTlsHandshakeMs: { shape: TIME_MS, says: "From the first byte of a connection to the end of TLS. Default 5000." },
  maxHandshakeMs: { shape: TIME_MS, says: "From the first byte to an authenticated session. Default 10000." },
  maxHandshakeFrameBytes: { shape: COUNT, says: "Largest handshake message. Default 4096." },
  maxFrameBytes: { shape: COUNT, says: "Largest frame when fragments were agreed. Default 16 MiB." },
  maxMessageBytes: { shape: COUNT, says: "Largest message after reassembly. Default 64 MiB." },
  maxReassemblyBytes: { shape: COUNT, says: "Bytes of unfinished messages per connection. Default 64 MiB." },
  maxReassemblySequences: { shape: COUNT, says: "Unfinished messages per connection. Default 16." },
  maxReassemblyMs: { shape: TIME_MS, says: "Longest time a message may stay unfinished. Default 30000." },
  maxFrameMs: { shape: TIME_MS, says: "Longest time one started frame may take. Default 30000." },
  congestedBytes: { shape: COUNT, says: "Waiting bytes at which send answers false. Default 1 MiB." },
  maxQueuedBytes: { shape: COUNT, says: "Waiting bytes at which send fails. Default 128 MiB." },
  maxWaitingBytes: { shape: COUNT, says: "Bytes that wait for a connection to be made. Default 8 MiB." },
  maxDepth: { shape: COUNT, says: "Containers inside each other in one term. Default 512." },
  maxIntegerBytes: { shape: COUNT, says: "Largest integer of a term, in bytes. Default 65536." },
  maxAtoms: { shape: COUNT, says: "Atoms decoded in one message. Default 20000." },
  maxElements: { shape: COUNT, says: "Elements of all containers of one message. Default 8000000." },
};

export const ACCEPT_LIMITS: Readonly<Record<keyof AcceptGateLimits, Field>> = {
  maxHalfOpen: { shape: COUNT, says: "Connections that are not authenticated yet. Default 1024." },
  maxHalfOpenPerSource: { shape: COUNT, says: "The same for one source network. Default 16." },
  maxHalfOpenPerLoopback: { shape: COUNT, says: "The same for one loopback address. Default 64." },
  minAgeMs: { shape: TIME_MS, says: "Younger ones are never dropped for another. Default 250." },
};

export const TRUST_LIMITS: Readonly<Record<keyof TrustLimits, Field>> = {
  maxFirstUse: { shape: COUNT, says: "Keys accepted on first use. Default 1024." },
  firstUseTtlMs: { shape: COUNT, says: "When one that is not seen lapses. Default 180 days." },
  maxPending: { shape: COUNT, says: "Strangers that wait for an operator. Default 256." },
  maxPendingPerAddress: { shape: COUNT, says: "The same from one address. Default 16." },
  pendingTtlMs: { shape: COUNT, says: "How long one waits after it was last seen. Default 24 hours." },
};

export const PROCESS_LIMITS: Readonly<Record<keyof ProcessLimits, Field>> = {
  maxProcesses: { shape: COUNT, says: "Living processes. Default 100000." },
  maxMailboxMessages: { shape: COUNT, says: "Messages waiting for one process. Default 100000." },
  maxMailboxBytes: { shape: COUNT, says: "Bytes waiting for one process. Default 256 MiB." },
  mailboxReserve: { shape: COUNT, says: "Room above that for EXIT and DOWN only. Default a tenth of it." },
  maxRememberedDead: { shape: COUNT, says: "Ended processes whose rule is remembered. Default 4096." },
  maxLocalMonitors: { shape: COUNT, says: "Monitors within this node. Default 100000." },
};

export const GUARD_LIMITS: Readonly<Record<keyof GuardLimits, Field>> = {
  maxInflightPerPeer: { shape: COUNT, says: "Calls of one peer that services have not answered. Default 4096." },
  maxDenialsPerSecond: { shape: COUNT, says: "Refusals a second above which a connection rests. Default 1000." },
  denialPauseMs: { shape: TIME_MS, says: "How long it is not read then. Default 100." },
  maxKeptVerdicts: { shape: COUNT, says: "Verdicts one session keeps on what is not there. Default 4096." },
  maxBudgets: { shape: COUNT, says: "Peers whose use of their bounds is remembered. Default 10000." },
  maxGrants: { shape: COUNT, says: "Processes handed to peers at once. Default 16384." },
  maxToldPerKind: { shape: COUNT, says: "Refusals of one kind that are told singly in a minute. Default 10." },
  maxKeptDecisions: { shape: COUNT, says: "Decisions that why finds without the audit log. Default 10000." },
};
