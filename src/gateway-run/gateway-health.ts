import type { Clock } from "../base/clock.ts";
import type { GatewayHealth, GatewayPairHealth, GatewayStatus } from "../gateway/api.ts";
import type { CheckedPart, CheckResult } from "../health/checks.ts";
import type { ExpiryWatch } from "../health/expiry-watch.ts";
import type { HealthOption } from "../health/health-address.ts";
import { parseHealthAddress } from "../health/health-address.ts";
import { type HealthEndpoint, openHealthEndpoint, type ProbePaths } from "../health/health-endpoint.ts";

/** The checks of `ready`. */
const READY = ["open", "listener", "certificates", "policy"] as const;

/** What the health of a gateway is made of. */
export interface GatewayHealthParts {
  readonly status: GatewayStatus;
  readonly expiry: ExpiryWatch;
  /** Names of pairs that do not listen everywhere they should. */
  readonly unbound: readonly string[];
}

/** How a gateway is, at this moment. */
export function gatewayHealthOf({ status, expiry, unbound }: GatewayHealthParts): GatewayHealth {
  const { state, pairs, audit } = status;
  const dates = expiry.problems();
  const grave = dates.find(({ isGrave }) => isGrave);
  const rejecting = pairs.filter(({ policies }) => Object.values(policies).some(({ problem }) => problem !== null));
  const problems = [
    ...dates.map(({ reason }) => reason),
    ...(state === "running" && unbound.length > 0 ? ["NOT_LISTENING"] : []),
    ...(audit?.isFailing === true ? ["AUDIT_NOT_WRITTEN"] : []),
    ...(rejecting.length > 0 ? ["POLICY_REJECTED"] : []),
    ...(pairs.some(({ duty }) => duty.length > 0) ? ["DUTY_FAILED"] : []),
  ];
  // A policy file that was refused leaves the one before in force: it is loaded.
  const checks: readonly CheckedPart[] = [
    part("open", state === "running" ? undefined : "GATEWAY_STOPPING"),
    part("listener", unbound.length === 0 ? undefined : "NOT_LISTENING"),
    part("certificates", grave?.reason),
    part("policy", undefined),
  ];
  return {
    state: grave !== undefined ? "red" : problems.length === 0 ? "green" : "yellow",
    problems,
    isReady: checks.every(({ ok }) => ok),
    checks,
    pairs: pairs.map((pair): GatewayPairHealth => {
      const { name, sessions, connecting, endpoints } = pair;
      const outside = sessions.map((session) => session.outside);
      return {
        name,
        isListening: !unbound.includes(name),
        endpoints: endpoints.length,
        connecting,
        connected: outside,
      };
    }),
    certificates: expiry.states(),
  };
}

/** Opens the endpoint of probes. @throws {SallyportError} ERR_CONFIG */
export function openGatewayProbes(
  { listen, peers = false }: HealthOption,
  health: () => GatewayHealth,
  clock: Clock,
): Promise<HealthEndpoint> {
  return openHealthEndpoint(parseHealthAddress(listen), gatewayProbes(health, peers), clock);
}

function gatewayProbes(health: () => GatewayHealth, names: boolean): ProbePaths {
  const partOf = (wanted: string): CheckResult => {
    const { name: _, ...found } = health().checks.find(({ name }) => name === wanted) ?? part(wanted, "CHECK_FAILED");
    return found;
  };
  const ready = READY.map((name) => ({ name, check: () => partOf(name) }));
  const state = {
    name: "state",
    check: (): CheckResult => ({ ok: true, detail: names ? named(health()) : unnamed(health()) }),
  };
  return { "/live": [{ name: "live", check: () => ({ ok: true }) }], "/ready": ready, "/health": [...ready, state] };
}

function unnamed({ state, problems, pairs, certificates }: GatewayHealth): Readonly<Record<string, unknown>> {
  const own = certificates.filter(({ role }) => role !== "peer");
  return {
    state,
    problems,
    pairs: pairs.length,
    connectedCount: pairs.reduce((sum, { connected }) => sum + connected.length, 0),
    certificates: own.map(({ role, notAfter, daysLeft }) => ({ role, notAfter, daysLeft })),
  };
}

function named({ state, problems, pairs, certificates }: GatewayHealth): Readonly<Record<string, unknown>> {
  const all = certificates.map(({ role, of, notAfter, daysLeft }) => ({ role, of, notAfter, daysLeft }));
  return { state, problems, pairs, certificates: all };
}

function part(name: string, reason: string | undefined): CheckedPart {
  return reason === undefined ? { name, ok: true } : { name, ok: false, reason };
}
