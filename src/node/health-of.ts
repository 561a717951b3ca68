import type { AuditTrail } from "../audit/audit-trail.ts";
import type { CheckedPart } from "../health/checks.ts";
import type { ExpiryProblem, ExpiryWatch } from "../health/expiry-watch.ts";
import type { Peer } from "./api.ts";
import type { LastRefusal, Vitals } from "./health-api.ts";
import type { Joining } from "./joining.ts";
import type { NodeCore } from "./node-core.ts";
import type { Attachment } from "./node-parts.ts";

/** A listener that should be there is not. */
const NOT_LISTENING = "NOT_LISTENING";

/** What `vitals()` is made of. */
export interface VitalsParts {
  readonly core: NodeCore;
  readonly peers: readonly Peer[];
  readonly isOpen: boolean;
  /** It was made to accept connections. */
  readonly listens: boolean;
  readonly audit: AuditTrail | undefined;
  /** Whether the files of these, as they are now, cannot be taken. */
  readonly rejecting: { readonly policy: boolean; readonly certificate: boolean };
  readonly joining: Pick<Joining, "health" | "problems">;
  readonly expiry: ExpiryWatch;
  readonly trust: Vitals["trust"];
  readonly policyHash: string | null;
  readonly lastRefusal: LastRefusal | null;
  readonly attachments: readonly Attachment[];
}

/** How a node is, at this moment. Never throws: counters that cannot be had are left out, and that is a problem. */
export function vitalsOf(parts: VitalsParts): Vitals {
  const { core, peers, isOpen, audit, rejecting, joining, expiry } = parts;
  const connectedNodes = isOpen ? peers.map((peer) => peer.name) : [];
  const dates = expiry.problems();
  const away = awayFrom(parts);
  const checks = checksOf(parts, away, dates);
  const counters = countersOf(parts);
  const problems = [
    ...dates.map(({ reason }) => reason),
    ...(away.length > 0 ? [NOT_LISTENING] : []),
    ...(audit?.isFailing === true ? ["AUDIT_NOT_WRITTEN"] : []),
    ...(rejecting.policy ? ["POLICY_REJECTED"] : []),
    ...(rejecting.certificate ? ["RELOAD_REJECTED"] : []),
    ...joining.problems(),
    ...(counters.areWhole ? [] : ["CHECK_FAILED"]),
  ];
  return {
    state:
      audit?.isClosed === true || dates.some(({ isGrave }) => isGrave) || isNowhere(parts, away)
        ? "red"
        : problems.length === 0
          ? "green"
          : "yellow",
    problems,
    isReady: checks.every(({ ok }) => ok),
    checks,
    away,
    selfNode: core.name,
    isDistributed: isOpen,
    connectedNodes,
    connectedCount: connectedNodes.length,
    processes: core.processes.size,
    openCalls: core.calls.size,
    seeds: joining.health(),
    certificates: expiry.states(),
    trust: parts.trust,
    policyHash: parts.policyHash,
    lastRefusal: parts.lastRefusal,
    counters: counters.values,
  };
}

interface Counted {
  readonly values: Readonly<Record<string, number>>;
  readonly areWhole: boolean;
}

function countersOf({ core, audit, attachments }: VitalsParts): Counted {
  const values: Record<string, number> = core.counters.snapshot();
  let areWhole = true;
  for (const read of [() => audit?.counters(), ...attachments.map((one) => () => one.counters?.())]) {
    try {
      Object.assign(values, read());
    } catch {
      areWhole = false;
    }
  }
  return { values, areWhole };
}

/** Endpoints that are to be there and are not. One that closes has left them of its own will. */
function awayFrom({ isOpen, attachments }: VitalsParts): readonly string[] {
  if (!isOpen) return [];
  return attachments.flatMap(({ endpoint, isListening }) => (isListening?.() === false ? (endpoint ?? []) : []));
}

/** It accepts connections at some endpoint, and can be reached at none. */
function isNowhere({ attachments }: VitalsParts, away: readonly string[]): boolean {
  return away.length > 0 && away.length === attachments.filter(({ endpoint }) => endpoint !== undefined).length;
}

/** What peers need of this node. A policy file that was refused leaves the one before in force: it is loaded. */
function checksOf(
  { isOpen, listens, attachments }: VitalsParts,
  away: readonly string[],
  dates: readonly ExpiryProblem[],
): readonly CheckedPart[] {
  const isBound = away.length === 0 && (!listens || attachments.some(({ endpoint }) => endpoint !== undefined));
  const grave = dates.find(({ isGrave }) => isGrave);
  return [
    isOpen ? { name: "open", ok: true } : { name: "open", ok: false, reason: "NODE_CLOSED" },
    isBound ? { name: "listener", ok: true } : { name: "listener", ok: false, reason: NOT_LISTENING },
    grave === undefined
      ? { name: "certificates", ok: true }
      : { name: "certificates", ok: false, reason: grave.reason },
    { name: "policy", ok: true },
  ];
}
