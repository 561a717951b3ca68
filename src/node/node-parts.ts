import type { AuditTrail } from "../audit/audit-trail.ts";
import type { Random } from "../base/random.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { ProcessLimits } from "../process/process-table.ts";
import type { NodeAdmission } from "./admission-api.ts";
import type { ConfiguredCertificate } from "./configured-certificate.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import type { JoiningParts } from "./joining.ts";
import type { OwnCertificate } from "./own-certificate.ts";
import type { PolicySource } from "./own-policy.ts";

/** Everything a node is made of; put together by `createNode`. */
export interface NodeParts extends ConnectionParts, JoiningParts {
  readonly random: Random;
  readonly processLimits?: ProcessLimits;
  readonly maxOpenCalls?: number;
  /** Where connection attempts and ends are recorded; undefined: nowhere. */
  readonly audit?: AuditTrail | undefined;
  /** The lists of who may connect; default none. */
  readonly admission?: NodeAdmission | undefined;
  /** Default false: of operations, only refusals and what audit mode let through are recorded. */
  readonly auditGrants?: boolean | undefined;
  /** The certificate that the node makes for itself; undefined where the operator names one, or there is no TLS. */
  readonly ownCertificate?: OwnCertificate | undefined;
  /** The certificate of the operator's files; undefined where the node makes its own, or there is no TLS. */
  readonly configuredCertificate?: ConfiguredCertificate | undefined;
  /** Bounds of what one peer may use; what is not given has its default. */
  readonly guardLimits?: Partial<GuardLimits> | undefined;
  /** It is to accept connections. Default false. */
  readonly listens?: boolean;
  /** Undefined: only `allow` in code grants anything. */
  readonly policy?: PolicySource | undefined;
  /** A listener of the user threw. */
  readonly onListenerError: (error: unknown) => void;
}

/** Something to close with the node: a listener, a registration, a lock. */
export interface Attachment {
  /** Shown in `node.endpoints`; undefined for what is not an endpoint. */
  readonly endpoint?: string;
  /** Whether its endpoint can be reached now. Absent: always. */
  isListening?(): boolean;
  /** Where probes ask over HTTP; see `Node.healthEndpoint`. */
  readonly healthEndpoint?: string;
  /** Closed when the sessions have ended; the others before. Default false. */
  readonly isLast?: boolean;
  /** Its part of `vitals().counters`. */
  counters?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}
