import { OpenChallenges } from "../auth/otp-types.ts";
import { AcceptGate } from "../carrier/accept-gate.ts";
import { heartbeatOf } from "../dist/heartbeat.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import { Budgets } from "../guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import { ExpiryWatch } from "../health/expiry-watch.ts";
import { peerCertificate } from "../health/watched-certificates.ts";
import { judgeWith } from "../node/certificate-judge.ts";
import { Counters } from "../node/counters.ts";
import { Decisions } from "../node/decisions.ts";
import { EventHub } from "../node/event-hub.ts";
import { readCertificateFacts } from "../x509/certificate-facts.ts";
import { GatewayAdmission } from "./gateway-admission.ts";
import type { GatewayAudit } from "./gateway-audit.ts";
import type { GatewaySystem, PairWorld } from "./gateway-world.ts";
import { PortMappers } from "./port-mappers.ts";

/** What the pairs of a gateway share, made of its options. */
export function makeWorld(
  options: GatewayOptions,
  system: GatewaySystem,
  parts: Pick<PairWorld, "filterFor" | "happened" | "said" | "notice"> & { readonly audit: GatewayAudit | undefined },
): PairWorld {
  const { maxKeptDecisions: maxKept, maxToldPerKind, maxBudgets } = DEFAULT_GUARD_LIMITS;
  const { audit, ...told } = parts;
  const { tickTimeMs } = options;
  const events = new EventHub(() => {});
  const decisions: Decisions = new Decisions({
    ...system,
    events,
    counters: new Counters(),
    audit,
    maxKept,
    maxToldPerKind,
    recordsGrants: false,
  });
  // Refusals are told as messages, or as a session that did not come up.
  events.on("denied", ({ decision: id, outcome, count }) => {
    const decision = outcome === "allow" ? decisions.why(id) : undefined;
    if (decision !== undefined) told.notice({ kind: "audited", decision, count });
  });
  const expiry = new ExpiryWatch({
    clock: system.clock,
    tell: (certificate) => told.notice({ kind: "expiry", ...certificate }),
  });
  const admission = new GatewayAdmission(new AcceptGate(system, options.acceptLimits), system.clock, audit);
  return {
    ...told,
    system,
    expiry,
    legs: {
      clock: system.clock,
      limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
      ticks: { ...DEFAULT_TICK_OPTIONS, ...(tickTimeMs === undefined ? {} : { tickTimeMs }) },
      heartbeat: heartbeatOf(options.heartbeat ?? {}),
      judgeCertificate: judgeWith("standard"),
      readCertificate: readCertificateFacts,
      shown: (leg, peer, der) => expiry.set(leg, der === undefined ? [] : peerCertificate(der, peer)),
    },
    admission,
    refusal: () => audit?.refusal,
    openChallenges: new OpenChallenges(),
    budgets: new Budgets(maxBudgets),
    decisions,
    mappers: new PortMappers(options.epmd ?? {}, { ...system, gates: admission.gates }),
    tellsCommands: options.audit?.commands === true,
  };
}
