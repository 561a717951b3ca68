import type { AuditTrail } from "../audit/audit-trail.ts";
import type { Health, Peer } from "./api.ts";
import type { Joining } from "./joining.ts";
import type { NodeCore } from "./node-core.ts";
import type { Attachment } from "./node-parts.ts";

/** What `health()` is made of. */
export interface HealthParts {
  readonly core: NodeCore;
  readonly peers: readonly Peer[];
  readonly isOpen: boolean;
  readonly audit: AuditTrail | undefined;
  /** Whether the files of these, as they are now, cannot be taken. */
  readonly rejecting: { readonly policy: boolean; readonly certificate: boolean };
  readonly joining: Pick<Joining, "health" | "problems">;
  readonly attachments: readonly Attachment[];
}

/** How a node is, at this moment. */
export function healthOf({ core, peers, isOpen, audit, rejecting, joining, attachments }: HealthParts): Health {
  const connectedNodes = peers.map((peer) => peer.name);
  const problems = [
    ...(audit?.isFailing === true ? ["AUDIT_NOT_WRITTEN"] : []),
    ...(rejecting.policy ? ["POLICY_REJECTED"] : []),
    ...(rejecting.certificate ? ["RELOAD_REJECTED"] : []),
    ...joining.problems(),
  ];
  return {
    state: audit?.isClosed === true ? "red" : problems.length === 0 ? "green" : "yellow",
    problems,
    selfNode: core.name,
    isDistributed: isOpen,
    connectedNodes,
    connectedCount: connectedNodes.length,
    processes: core.processes.size,
    openCalls: core.calls.size,
    seeds: joining.health(),
    counters: Object.assign(
      core.counters.snapshot(),
      audit?.counters(),
      ...attachments.map((attachment) => attachment.counters?.()),
    ),
  };
}
