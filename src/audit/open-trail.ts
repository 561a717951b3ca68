import type { Clock } from "../base/clock.ts";
import { type AuditFiles, AuditLog } from "./audit-log.ts";
import { AuditTrail } from "./audit-trail.ts";
import { DEFAULT_AUDIT_LIMITS } from "./limits.ts";
import type { ChainCrypto } from "./record.ts";

/** What an audit trail is made of. */
export interface AuditTrailParts {
  readonly files: AuditFiles;
  readonly crypto: ChainCrypto;
  readonly clock: Clock;
}

/** Where a log is, and what becomes of new connections while it cannot be written. */
export interface AuditPlace {
  readonly dir: string;
  /** Default false: they are taken all the same. */
  readonly failClosed?: boolean;
}

/** The audit trail in a directory; undefined where none is asked for. Touches the disk when it is started. */
export function openAuditTrail(option: AuditPlace | false | undefined, parts: AuditTrailParts): AuditTrail | undefined {
  return option === undefined || option === false ? undefined : auditTrailIn(option, parts);
}

/** The audit trail in a directory. Touches the disk when it is started. */
export function auditTrailIn({ dir, failClosed }: AuditPlace, { files, crypto, clock }: AuditTrailParts): AuditTrail {
  const limits = DEFAULT_AUDIT_LIMITS;
  return new AuditTrail(new AuditLog({ files, crypto, clock, directory: dir, limits }), clock, limits, failClosed);
}
