import type { CheckResult, HealthCheck } from "../health/checks.ts";
import type { ProbePaths } from "../health/health-endpoint.ts";
import type { Node } from "./api.ts";
import type { Health, Vitals } from "./health-api.ts";

/** The checks of `ready`. */
const READY = ["open", "listener", "certificates", "policy"] as const;

/**
 * What a node answers to probes. `live`: it runs and can answer at all. `ready`: peers can use it. `health`: both, and the
 * rest of what it knows of itself; with `names` also its peers, which are asked for it.
 */
export function nodeProbes(node: Pick<Node, "vitals" | "health">, names: boolean): ProbePaths {
  const ready: readonly HealthCheck[] = READY.map((name) => ({ name, check: () => partOf(node.vitals(), name) }));
  const health: HealthCheck = names
    ? { name: "peers", check: async () => withNames(await node.health()) }
    : { name: "state", check: () => withoutNames(node.vitals()) };
  return { "/live": [{ name: "live", check: () => ({ ok: true }) }], "/ready": ready, "/health": [...ready, health] };
}

function partOf({ checks }: Vitals, wanted: string): CheckResult {
  const { name: _, ...part } = checks.find(({ name }) => name === wanted) ?? { name: wanted, ok: false };
  return part;
}

/** What concerns this node alone. */
function withoutNames(vitals: Vitals): CheckResult {
  const { state, problems, isDistributed, connectedCount, policyHash, trust } = vitals;
  const certificates = vitals.certificates
    .filter(({ role }) => role !== "peer")
    .map(({ role, notAfter, daysLeft }) => ({ role, notAfter, daysLeft }));
  return { ok: true, detail: { state, problems, isDistributed, connectedCount, policyHash, trust, certificates } };
}

function withNames(health: Health): CheckResult {
  const { detail } = withoutNames(health);
  const { selfNode, connectedNodes, reachableNodes, unreachableNodes, peers, alive, suspect, dead } = health;
  const { state, problems, status, hasQuorum, seeds, lastRefusal } = health;
  const certificates = health.certificates.map(({ role, of, notAfter, daysLeft }) => ({
    role,
    of,
    notAfter,
    daysLeft,
  }));
  const names = { selfNode, connectedNodes, reachableNodes, unreachableNodes, peers, seeds, lastRefusal, certificates };
  // Peers that are away make no node unfit.
  return {
    ok: true,
    detail: { ...detail, ...names, state, problems, alive, suspect, dead, hasQuorum, cluster: status },
  };
}
