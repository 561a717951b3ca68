import type { AuditTrail } from "../audit/audit-trail.ts";
import { SHUTDOWN } from "../process/exit-reason.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Joining } from "./joining.ts";
import type { OwnedLifetime } from "./message-context.ts";
import { nodeClosed } from "./node-closed.ts";
import type { NodeCore } from "./node-core.ts";
import type { Attachment } from "./node-parts.ts";
import type { OwnGrants } from "./own-grants.ts";
import type { SessionHost } from "./session-host.ts";
import { untilOver } from "./until-over.ts";

/** Default time `close` waits for open work to be done and queued bytes to leave, in milliseconds. */
const DEFAULT_CLOSE_MS = 5_000;

/** Longest time the goodbyes may take to leave after that, in milliseconds. */
const GOODBYE_MS = 1_000;

/** What a node is closed by. */
export interface ClosingParts {
  readonly core: NodeCore;
  readonly host: SessionHost;
  readonly joining: Joining;
  readonly grants: OwnGrants;
  readonly lifetime: OwnedLifetime;
  readonly deadlines: Deadlines;
  readonly audit: AuditTrail | undefined;
  readonly attachments: readonly Attachment[];
}

/** See `Node.close`. */
export async function closeNode(parts: ClosingParts, timeoutMs: number = DEFAULT_CLOSE_MS): Promise<void> {
  const { core, host, joining, grants, lifetime, deadlines, audit, attachments } = parts;
  const { clock } = core;
  joining.stop();
  const last = attachments.filter(({ isLast }) => isLast);
  const first = attachments.filter(({ isLast }) => !isLast);
  await Promise.all(first.map((attachment) => attachment.close()));
  host.admitNothing(nodeClosed());
  // Peers are still served meanwhile, and what their calls wait for elsewhere may still be answered.
  await untilOver(() => !host.hasOpenWork, clock, timeoutMs);
  core.calls.giveUpAll(nodeClosed());
  core.processes.exitAll(SHUTDOWN);
  grants.stop();
  const leaving = host.endAll(nodeClosed());
  lifetime.end();
  deadlines.stop();
  core.decisions.stop();
  audit?.close();
  // A process that exits with unread bytes cuts its connections, and the goodbye with them.
  await untilOver(() => leaving.every(({ isGone }) => isGone), clock, Math.min(timeoutMs, GOODBYE_MS));
  await Promise.all(last.map((attachment) => attachment.close()));
}
