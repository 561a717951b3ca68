import { addMs, type Timer } from "../base/clock.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { HEALTH_DEADLINE_MS } from "../health/checks.ts";
import type { CertificateState } from "../health/expiry-watch.ts";
import type { Health, PeerHealth, Vitals } from "./health-api.ts";
import { vitalsOf } from "./health-of.ts";
import type { Joining } from "./joining.ts";
import type { Metric } from "./metric.ts";
import type { NodeCore } from "./node-core.ts";
import type { Attachment, NodeParts } from "./node-parts.ts";
import type { Outbound } from "./outbound.ts";
import { DEADLINE, type PingPeer, type Probed, probePeers } from "./peer-probe.ts";
import type { PolicyKeeper } from "./policy-keeper.ts";
import type { Session } from "./session.ts";
import type { SessionHost } from "./session-host.ts";

export interface NodeHealthParts {
  readonly parts: Pick<NodeParts, "handshake" | "audit" | "listens" | "identity" | "configuredCertificate">;
  readonly core: NodeCore;
  readonly host: SessionHost;
  readonly policy: PolicyKeeper;
  readonly joining: Joining;
  readonly outbound: Outbound;
  readonly attachments: readonly Attachment[];
  readonly isOpen: () => boolean;
}

/** A peer that is missed. */
interface Missed {
  readonly name: NodeName;
  readonly reason: string;
}

/** How a node is, and how its peers are (docs/health.md). */
export class NodeHealth {
  readonly #parts: NodeHealthParts;
  #hash: { readonly generation: number; readonly text: string } | undefined;

  constructor(parts: NodeHealthParts) {
    this.#parts = parts;
  }

  vitals(): Vitals {
    const { parts, core, host, policy, joining, attachments, isOpen } = this.#parts;
    const certificate = parts.configuredCertificate;
    return vitalsOf({
      core,
      joining,
      attachments,
      peers: [...host.sessions.all()].map(({ peer }) => peer),
      isOpen: isOpen(),
      listens: parts.listens ?? false,
      audit: parts.audit,
      rejecting: { policy: policy.isRejecting, certificate: certificate?.isRejecting === true },
      expiry: host.health.expiry,
      trust: parts.identity?.trust ?? (certificate === undefined ? "cookie" : "ca"),
      policyHash: this.#policyHash(),
      lastRefusal: host.health.lastRefusal,
    });
  }

  /** Never rejects, and resolves within `HEALTH_DEADLINE_MS`. */
  async health(): Promise<Health> {
    const sessions = this.#parts.isOpen() ? [...this.#parts.host.sessions.all()] : [];
    const probed = await this.#probe(sessions);
    const vitals = this.vitals();
    const connected = [...probed].map(([session, answer]) => peerHealth(session, answer, vitals.certificates));
    const missed = vitals.isDistributed ? this.#missed(vitals, sessions) : [];
    const peers = [...connected, ...missed.map(missedHealth)];
    const count = (state: PeerHealth["state"]): number => peers.filter((peer) => peer.state === state).length;
    const [alive, suspect, dead] = [count("alive"), count("suspect"), count("dead")];
    const names = (isAlive: boolean): readonly NodeName[] =>
      connected.filter(({ state }) => (state === "alive") === isAlive).map(({ name }) => name);
    const status = alive === peers.length ? "healthy" : alive === 0 ? "isolated" : "degraded";
    return {
      ...vitals,
      ...(suspect === 0 ? {} : withUnreachable(vitals)),
      connectedNodes: connected.map(({ name }) => name),
      connectedCount: connected.length,
      status,
      reachableNodes: names(true),
      unreachableNodes: names(false),
      peers,
      alive,
      suspect,
      dead,
      hasQuorum: alive + 1 > (peers.length + 1) / 2,
    };
  }

  /** `cert_seconds_left` by node and role. */
  metrics(): readonly Metric[] {
    return this.#parts.host.health.expiry.states().map(({ of: node, role, fingerprint, secondsLeft }) => ({
      kind: "gauge",
      name: "cert_seconds_left",
      labels: { node, role, fingerprint },
      value: secondsLeft,
    }));
  }

  /** Of those to which nothing may be sent now it is only known that their sessions stand. */
  async #probe(sessions: readonly Session[]): Promise<ReadonlyMap<Session, Probed>> {
    const { core, outbound } = this.#parts;
    const { clock } = core;
    const ping: PingPeer<Session> = (session, timeoutMs) => outbound.ping(session, { timeoutMs });
    const asked = sessions.filter(({ holdsName, isAsking }) => holdsName && !isAsking);
    let timer: Timer | undefined;
    const late = new Promise<readonly Probed[]>((resolve) => {
      timer = clock.at(addMs(clock.now(), HEALTH_DEADLINE_MS), () => resolve([]), true);
    });
    const probed = await Promise.race([probePeers(asked, ping, clock), late]);
    timer?.cancel();
    const found = new Map<Session, Probed>(sessions.map((session) => [session, { rttMs: null }]));
    asked.forEach((session, i) => void found.set(session, probed[i] ?? { reason: DEADLINE }));
    return found;
  }

  /** Seeds that are not joined, and nodes that were dialled and lost. */
  #missed({ seeds }: Vitals, sessions: readonly Session[]): readonly Missed[] {
    const lost = this.#parts.host.health.lost.list();
    const away = seeds.filter(({ state }) => state !== "joined" && state !== "stopped");
    const stopped = seeds.filter(({ state }) => state === "stopped");
    const ofSeeds = away.map(({ name, lastReason }) => ({
      name,
      reason: lastReason ?? lost.find((one) => sameNode(one.name, name))?.reason ?? "NOT_JOINED",
    }));
    const others = lost.filter(({ name }) => ![...away, ...stopped].some((seed) => sameNode(seed.name, name)));
    return [...ofSeeds, ...others].filter(({ name }) => !sessions.some(({ peer }) => sameNode(peer.name, name)));
  }

  #policyHash(): string | null {
    const { policy, parts } = this.#parts;
    if (policy.policy === undefined) return null;
    const { generation, document } = policy.policy;
    if (this.#hash?.generation !== generation) {
      const text = parts.handshake.crypto.sha256(Buffer.from(JSON.stringify(inOrder(document)))).toString("hex");
      this.#hash = { generation, text };
    }
    return this.#hash.text;
  }
}

function peerHealth(
  { peer: { name } }: Session,
  probed: Probed,
  certificates: readonly CertificateState[],
): PeerHealth {
  const certificate = certificates.find(({ role, of }) => role === "peer" && of === name);
  const certificateDaysLeft = certificate?.daysLeft ?? null;
  return "reason" in probed
    ? { name, state: "suspect", reason: probed.reason, rttMs: null, certificateDaysLeft }
    : { name, state: "alive", reason: null, rttMs: probed.rttMs, certificateDaysLeft };
}

function missedHealth({ name, reason }: Missed): PeerHealth {
  return { name, state: "dead", reason, rttMs: null, certificateDaysLeft: null };
}

function withUnreachable({ state, problems }: Vitals): Pick<Vitals, "state" | "problems"> {
  return { state: state === "red" ? "red" : "yellow", problems: [...problems, "PEER_UNREACHABLE"] };
}

/** The same whatever the order of keys. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, inOrder(each)]));
}
