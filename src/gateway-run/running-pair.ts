import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Listener } from "../carrier/carrier.ts";
import { listenTcp } from "../carrier/tcp.ts";
import { listenTls, type TlsListener } from "../carrier/tls.ts";
import type { GatewayEndpoint, GatewayPairStatus, GatewaySessionStatus } from "../gateway/api.ts";
import type { DutyFinding } from "../gateway/duty.ts";
import type { GuardedPair } from "../gateway/guarded-pair.ts";
import { Link, type LinkSession, type PairEvent } from "../gateway/link.ts";
import { type FilterFactory, SIDES, type Side } from "../gateway/message-filter.ts";
import { PairTotals } from "../gateway/pair-totals.ts";
import { watchedCertificates } from "../health/watched-certificates.ts";
import type { PairWorld } from "./gateway-world.ts";
import type { IdentityUse } from "./identity-pool.ts";
import type { OwnRules } from "./own-rules.ts";
import { rulesChanged } from "./pair-ends.ts";
import type { PairIdentity } from "./pair-identity.ts";
import type { PairPlan, PlannedListener } from "./plan-pair.ts";
import { sameText } from "./same-text.ts";
import { whenFree } from "./when-free.ts";

/** A listener, where it is bound. */
interface Bound {
  readonly planned: PlannedListener;
  readonly listener: Listener | TlsListener;
  readonly endpoint: GatewayEndpoint;
}

/** One pair option at work: its listeners, and the sessions that come of them. */
export class RunningPair {
  /** As it is now: certificates may be other ones than when it began. */
  plan: PairPlan;
  /** Undefined where the filters come from elsewhere. */
  readonly rules: OwnRules | undefined;
  readonly #world: PairWorld;
  readonly #links = new Map<PlannedListener, Link>();
  readonly #totals = new PairTotals();
  #bound: readonly Bound[] = [];
  readonly #use: IdentityUse | undefined;
  readonly #unwatch: readonly (() => void)[];
  /** Under these its certificates are watched: a pair that takes its place has others. */
  readonly #watched = { inside: {}, outside: {} };

  /** @param use of the identities of the plan, where it has any: it is released with the pair */
  constructor(plan: PairPlan, rules: OwnRules | undefined, world: PairWorld, use: IdentityUse | undefined) {
    this.plan = plan;
    this.rules = rules;
    this.#world = world;
    for (const planned of plan.listeners) {
      const link: Link = new Link(planned.route, (event) => this.#happened(event, link));
      this.#links.set(planned, link);
    }
    this.#use = use;
    const { outside, inside } = use?.identities ?? {};
    const identities = [...(outside === undefined ? [] : [outside]), ...(inside?.values() ?? [])];
    this.#unwatch = identities.map(({ keeper, watch }) =>
      watch((changes) => {
        for (const link of this.#links.values()) link.cut(keeper, changes);
      }),
    );
    rules?.start((over) => void this.end(over));
    this.#watchCertificates();
  }

  get filterFor(): FilterFactory {
    return this.plan.filterFor;
  }

  get name(): string {
    return this.plan.name;
  }

  get endpoints(): readonly GatewayEndpoint[] {
    return this.#bound.map(({ endpoint }) => endpoint);
  }

  /** At all its endpoints. */
  get isListening(): boolean {
    const reachable = this.#bound.filter(({ listener }) => listener.isListening !== false);
    return reachable.length === this.plan.listeners.length;
  }

  /** Sessions, those in their handshake included. */
  get size(): number {
    return [...this.#links.values()].reduce((sum, link) => sum + link.size, 0);
  }

  get sessions(): readonly LinkSession[] {
    return [...this.#links.values()].flatMap((link) => [...link.sessions]);
  }

  /** Binds the listeners; all or none. @throws {SallyportError} ERR_CONFIG */
  async listen(): Promise<void> {
    try {
      for (const planned of this.plan.listeners) await this.#bind(planned);
    } catch (error) {
      await this.unlisten();
      throw error;
    }
  }

  /** Takes no new connections; sessions go on. Ports are free when the call returns. Idempotent. */
  async unlisten(): Promise<void> {
    const bound = this.#bound;
    this.#bound = [];
    for (const { listener, endpoint, planned } of bound) {
      this.#world.mappers.withdraw(endpoint.from, planned.route.target, listener.port);
    }
    await Promise.all(bound.map(({ listener }) => listener.close()));
  }

  /**
   * The same, for another that needs the ports: those of QUIC also carry the sessions that were accepted there, which end at
   * once. `cause`: why, for the events.
   */
  async vacate(cause: SallyportError): Promise<void> {
    const closed = this.unlisten();
    for (const [{ listen }, link] of this.#links) if (listen.scheme === "quic") link.destroy(cause);
    await closed;
  }

  /** As `vacate`, for another process, which needs the key directories as well. */
  handOver(cause: SallyportError): Promise<void> {
    this.#use?.letGo();
    return this.vacate(cause);
  }

  /** Ends listeners and sessions. `cause`: why, for the events. Idempotent. */
  async close(cause?: SallyportError): Promise<void> {
    this.rules?.stop();
    const closed = this.unlisten();
    for (const link of this.#links.values()) link.close(cause);
    await closed;
    for (const unwatch of this.#unwatch) unwatch();
    this.#use?.release();
    for (const side of SIDES) this.#world.expiry.set(this.#watched[side], []);
  }

  /** Ends sessions that may not go on under the rules as they are; tells how many. */
  end(over: readonly GuardedPair[]): number {
    const cause = rulesChanged(this.name);
    for (const filter of over) for (const link of this.#links.values()) link.end(filter, cause);
    return over.length;
  }

  /** New connections use the certificates of another reading of the same plan. True: they differ. */
  takeCertificates({ sides }: PairPlan): boolean {
    const changed = SIDES.filter((side) => !sameText(sides[side].material, this.plan.sides[side].material));
    for (const side of changed) {
      const { material } = sides[side];
      if (material === undefined) continue;
      this.plan.sides[side].dialers.tls?.replaceMaterial(material);
      for (const { listener, endpoint, planned } of this.#bound) {
        const isTls = planned.listen.scheme === "tls" && "replaceMaterial" in listener;
        if (endpoint.from === side && isTls) listener.replaceMaterial(material);
      }
      const own = { ...this.plan.sides[side], material };
      this.plan = { ...this.plan, sides: { ...this.plan.sides, [side]: own } };
    }
    this.#watchCertificates();
    return changed.length > 0;
  }

  status(duty: readonly DutyFinding[]): GatewayPairStatus {
    const { rules } = this;
    const sessions = this.sessions.map(sessionStatus);
    const reports = sessions.flatMap(({ report }) => report ?? []);
    return {
      name: this.name,
      inside: this.plan.inside,
      outside: this.plan.outside,
      commander: rules?.commander ?? null,
      observedUntil: rules?.observedUntil ?? null,
      policies: rules?.policies() ?? {},
      endpoints: this.endpoints,
      keys: this.#keys(),
      duty,
      connecting: this.size - sessions.length,
      sessions,
      totals: this.#totals.report(reports),
    };
  }

  #keys(): GatewayPairStatus["keys"] {
    const { outside, inside = new Map<NodeName, PairIdentity>() } = this.#use?.identities ?? {};
    const key = (side: Side, standsFor: NodeName, { keeper }: PairIdentity) => ({
      side,
      standsFor,
      fingerprint: keeper.fingerprint,
    });
    const ofOutside = outside === undefined ? [] : [key("outside", this.plan.inside, outside)];
    return [...ofOutside, ...[...inside].map(([name, identity]) => key("inside", name, identity))];
  }

  #watchCertificates(): void {
    const { sides, keyed } = this.plan;
    for (const side of SIDES) {
      const { material } = sides[side];
      const shown = material === undefined ? keyed[side].flatMap((own) => own.material ?? []) : [material];
      const certificates = shown.flatMap((one) => watchedCertificates(one, `${this.name} ${side}`));
      this.#world.expiry.set(this.#watched[side], certificates);
    }
  }

  #happened(event: PairEvent, link: Link): void {
    const isUp = event.kind === "up";
    if (isUp) this.#totals.up++;
    else if (event.kind === "refused") this.#totals.refused++;
    else if (event.report !== undefined) this.#totals.add(event.report);
    const session = isUp ? [...link.sessions].find(({ address }) => address === event.address) : undefined;
    this.#world.happened(this.name, event, session);
    // Its own record may be the first that cannot be written.
    const refusal = isUp ? this.#world.refusal() : undefined;
    if (refusal !== undefined && session !== undefined) link.end(session.filter, refusal);
  }

  async #bind(planned: PlannedListener): Promise<void> {
    const link = this.#links.get(planned);
    if (link === undefined) return;
    const { route, listen } = planned;
    const { system, admission, mappers } = this.#world;
    const gate = admission.gates[route.from];
    const parts = { ...system, gate };
    const { tlsOptions, quic: engine } = planned.side;
    // That of files may be another one by now.
    const material = this.plan.sides[route.from].material ?? planned.side.material;
    const quic = listen.scheme === "quic" ? engine : undefined;
    const listener =
      quic !== undefined
        ? await whenFree(system.clock, () => quic.node.listen(gate, listen, quic.material, link.acceptChannels))
        : listen.scheme === "tcp" || material === undefined
          ? await listenTcp(parts, listen, link.accept)
          : await listenTls(parts, listen, material, link.accept, tlsOptions);
    const { from, target } = route;
    const host = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
    const endpoint = { from, target, endpoint: `${listen.scheme}://${host}:${listener.port}` };
    try {
      // A node that asks a port mapper dials over TCP or TLS.
      if (quic === undefined) mappers.publish(from, target, listener.port);
    } catch (error) {
      await listener.close();
      throw error;
    }
    this.#bound = [...this.#bound, { planned, listener, endpoint }];
  }
}

function sessionStatus({ filter, ...session }: LinkSession): GatewaySessionStatus {
  const { inside, outside, dialledBy, address, sinceMs } = session;
  const { facts } = filter;
  const assurance = facts === undefined ? null : { outside: facts.outside.assurance, inside: facts.inside.assurance };
  const protocol = facts === undefined ? null : { outside: facts.outside.protocol, inside: facts.inside.protocol };
  return { inside, outside, dialledBy, address, sinceMs, protocol, assurance, report: filter.report?.() ?? null };
}
