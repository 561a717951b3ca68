import { OpenChallenges, type OtpHandshakeTools } from "./auth/otp-types.ts";
import { SallyportError } from "./base/errors.ts";
import { hostPart, localPart, type NodeName, parseNodeName } from "./base/node-name.ts";
import { AcceptGate } from "./carrier/accept-gate.ts";
import type { AcceptHandler, CarrierDialer, DialAddress, Listener } from "./carrier/carrier.ts";
import { listenPlain } from "./carrier/plain-listener.ts";
import { createTcpDialer, listenTcp } from "./carrier/tcp.ts";
import { createTlsDialer, listenTls } from "./carrier/tls.ts";
import { loadTlsMaterial, type TlsFiles, type TlsMaterial } from "./carrier/tls-material.ts";
import { openPolicy } from "./config/policy-source.ts";
import { parseAddress } from "./discovery/address.ts";
import { DEFAULT_DIST_LIMITS } from "./dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "./dist/tick.ts";
import { EpmdServer } from "./gateway/epmd-server.ts";
import type { LegWorld } from "./gateway/leg.ts";
import { Link } from "./gateway/link.ts";
import type { FilterFactory, Side } from "./gateway/message-filter.ts";
import type { GatewayOptions, GatewayPairOption, PairFilterOption } from "./gateway/options.ts";
import type { Route } from "./gateway/pair.ts";
import { notRegistered } from "./gateway/pair-failures.ts";
import { PairRules } from "./gateway/pair-rules.ts";
import { readRules } from "./gateway/read-rules.ts";
import { Budgets } from "./guard/budgets.ts";
import { DEFAULT_GUARD_LIMITS } from "./guard/limits.ts";
import { type CookieSetting, readCookies } from "./identity/cookies.ts";
import { judgeWith } from "./node/certificate-judge.ts";
import { Counters } from "./node/counters.ts";
import { Decisions } from "./node/decisions.ts";
import { EventHub } from "./node/event-hub.ts";
import { checkPlaintext, guardedTcp, parseListen } from "./node/listen-option.ts";
import { PolicyKeeper } from "./node/policy-keeper.ts";
import { RealClock } from "./system/real-clock.ts";
import { RealCrypto } from "./system/real-crypto.ts";
import { RealFiles } from "./system/real-files.ts";
import { RealIdentityCrypto } from "./system/real-identity-crypto.ts";
import { RealRandom } from "./system/real-random.ts";
import { DEFAULT_FLAGS, FRAGMENTS } from "./wire/flags.ts";
import { readCertificateFacts } from "./x509/certificate-facts.ts";

/** A running gateway. */
export interface Gateway {
  /** Where `target` is dialled, by nodes of the side `from`. */
  readonly endpoints: readonly { readonly from: Side; readonly target: string; readonly endpoint: string }[];
  /** Pairs now, those in their handshake included. */
  readonly pairs: number;
  /** Ends all pairs and listeners. Idempotent. */
  close(): Promise<void>;
}

const system = { clock: new RealClock(), random: new RealRandom(), crypto: new RealCrypto(), files: new RealFiles() };
const policyWorld = { clock: system.clock, files: system.files, crypto: new RealIdentityCrypto() };

/** One side of one pair option, read. */
interface SideParts {
  readonly tools: OtpHandshakeTools;
  readonly material: TlsMaterial | undefined;
  readonly dialers: Readonly<Partial<Record<DialAddress["scheme"], CarrierDialer>>>;
  readonly plaintext: boolean | "any";
}

/**
 * Makes a gateway in front of unmodified nodes and binds its listeners. `filterFor` makes the filter of each pair in place of
 * the rules in `options`, for tests and measurements.
 * @throws {SallyportError} ERR_CONFIG
 */
export async function createGateway(options: GatewayOptions, filterFor?: FilterFactory): Promise<Gateway> {
  const making = new Making(options, filterFor);
  try {
    await making.run();
  } catch (error) {
    await making.close();
    throw error;
  }
  return {
    endpoints: making.endpoints,
    get pairs() {
      return making.links.reduce((sum, link) => sum + link.size, 0);
    },
    close: () => making.close(),
  };
}

class Making {
  readonly endpoints: { from: Side; target: string; endpoint: string }[] = [];
  readonly links: Link[] = [];
  readonly #options: GatewayOptions;
  readonly #filterFor: FilterFactory | undefined;
  readonly #budgets = new Budgets(DEFAULT_GUARD_LIMITS.maxBudgets);
  readonly #decisions: Decisions;
  readonly #rules: PairRules[] = [];
  readonly #world: LegWorld;
  readonly #gate: AcceptGate;
  readonly #listeners: Listener[] = [];
  readonly #openChallenges = new OpenChallenges();
  /** What each port mapper finds. */
  readonly #names = { inside: new Map<string, number>(), outside: new Map<string, number>() };
  readonly #registrants = new Set<string>();
  readonly #mappers: Record<Side, EpmdServer>;

  constructor(options: GatewayOptions, filterFor: FilterFactory | undefined) {
    this.#options = options;
    this.#filterFor = filterFor;
    const { maxKeptDecisions: maxKept, maxToldPerKind } = DEFAULT_GUARD_LIMITS;
    this.#decisions = new Decisions({
      ...system,
      events: new EventHub(() => {}),
      counters: new Counters(),
      audit: undefined,
      maxKept,
      maxToldPerKind,
      recordsGrants: false,
    });
    this.#world = {
      clock: system.clock,
      limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
      ticks: {
        ...DEFAULT_TICK_OPTIONS,
        ...(options.tickTimeMs === undefined ? {} : { tickTimeMs: options.tickTimeMs }),
      },
      judgeCertificate: judgeWith("standard"),
      readCertificate: readCertificateFacts,
    };
    this.#gate = new AcceptGate(system, options.acceptLimits);
    const { clock, random } = system;
    const mapper = (names: ReadonlyMap<string, number>, registrants: ReadonlySet<string>): EpmdServer =>
      new EpmdServer({ clock, random, names, registrants });
    this.#mappers = {
      inside: mapper(this.#names.inside, this.#registrants),
      outside: mapper(this.#names.outside, new Set()),
    };
  }

  async run(): Promise<void> {
    if (this.#options.pairs.length === 0) throw invalid("a gateway without pairs", "give at least one pair");
    for (const pair of this.#options.pairs) await this.#addPair(pair);
    for (const side of ["inside", "outside"] as const) {
      const text = this.#options.epmd?.[side];
      if (text === undefined) continue;
      const { host, port } = parseAddress(text, "tcp");
      const mapper = this.#mappers[side];
      const listener = await listenPlain({ host, ports: port }, (socket, from) => mapper.accept(socket, from));
      mapper.port = listener.port;
      this.#listeners.push(listener);
    }
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) await listener.close();
    for (const link of this.links) link.close();
    for (const mapper of Object.values(this.#mappers)) mapper.close();
  }

  async #addPair({ inside, outside, fragments, filter }: GatewayPairOption): Promise<void> {
    const target = parseNodeName(inside.node);
    const nodes = outside.nodes.map(parseNodeName);
    if (nodes.length === 0) throw invalid(`the pair of ${target} has no outside nodes`, "name them in outside.nodes");
    if (outside.listen === undefined && outside.addresses === undefined)
      throw invalid(`neither side of the pair of ${target} may dial`, "set outside.listen or outside.addresses");
    if (inside.address === undefined) {
      if (this.#options.epmd?.inside === undefined)
        throw invalid(`nothing says where ${target} listens`, "set inside.address, or epmd.inside");
      this.#registrants.add(localPart(target));
    }
    const mask = fragments === false ? DEFAULT_FLAGS & ~FRAGMENTS : DEFAULT_FLAGS;
    const sides = {
      inside: this.#side(inside.cookie, inside.tls, true),
      outside: this.#side(outside.cookie, outside.tls, this.#options.dangerous?.plaintext ?? false),
    };
    const tools = { inside: sides.inside.tools, outside: sides.outside.tools };
    const filterFor = this.#filterFor ?? this.#rulesFor(target, nodes, filter ?? {}).filterFor;
    const common = { mask, world: this.#world, tools, filterFor };
    if (outside.listen !== undefined) {
      const fixed = inside.address === undefined ? undefined : checkedAddress(inside.address, "tcp", sides.inside);
      const dial: Route["dial"] = (sink) => {
        const address = fixed ?? this.#registered(target);
        return dialerOf(sides.inside, address).dial(address, hostPart(target), sink);
      };
      const route: Route = { ...common, from: "outside", target, mayDial: new Set(nodes), dial };
      await this.#listen(route, outside.listen, sides.outside);
    }
    for (const [name, text] of Object.entries(outside.addresses ?? {})) {
      const node = nodes.find((known) => known === name);
      if (node === undefined) throw invalid(`${name} has an address and is not in outside.nodes`, "add it there");
      const address = checkedAddress(text, "tls", sides.outside);
      const dial: Route["dial"] = (sink) => dialerOf(sides.outside, address).dial(address, hostPart(node), sink);
      const route: Route = { ...common, from: "inside", target: node, mayDial: new Set([target]), dial };
      await this.#listen(route, inside.listen ?? "tcp://127.0.0.1:0", sides.inside);
    }
  }

  /** @throws {SallyportError} ERR_CONFIG for rules or policies that must not be taken */
  #rulesFor(inside: NodeName, outside: readonly NodeName[], option: PairFilterOption): PairRules {
    const { clock } = system;
    const policies: Partial<Record<Side, PolicyKeeper>> = {};
    for (const side of ["inside", "outside"] as const) {
      const given = option.policies?.[side];
      if (given === undefined) continue;
      const [name, ...others] = side === "inside" ? [inside] : outside;
      if (name === undefined || others.length > 0)
        throw invalid(`one policy cannot be that of ${outside.length} outside nodes`, "make a pair of each of them");
      const source = openPolicy(typeof given === "string" ? { file: given } : given, { ...policyWorld, name });
      policies[side] = new PolicyKeeper({ name, clock, policy: source.first });
    }
    const rules = new PairRules({
      settings: readRules(inside, option, clock.wallMs()),
      policies,
      clock,
      guardLimits: DEFAULT_GUARD_LIMITS,
      budgets: this.#budgets,
      record: (made) => this.#decisions.record(made),
      tell: (event) => this.#options.onMessage?.(event),
    });
    this.#rules.push(rules);
    return rules;
  }

  #side(cookie: CookieSetting, tls: TlsFiles | undefined, plaintext: boolean | "any"): SideParts {
    const { crypto, random, clock, files } = system;
    const { book } = readCookies(cookie, files);
    const cookieFor = (peer: NodeName): Uint8Array | undefined => book.cookieFor(peer);
    const material = tls === undefined ? undefined : loadTlsMaterial(files, tls, clock.wallMs()).material;
    return {
      tools: { crypto, random, openChallenges: this.#openChallenges, cookieFor },
      material,
      dialers: {
        ...(material === undefined ? {} : { tls: createTlsDialer(system, material) }),
        ...(plaintext === false ? {} : { tcp: guardedTcp(createTcpDialer(system), plaintext) }),
      },
      plaintext,
    };
  }

  async #listen(route: Route, text: string, side: SideParts): Promise<void> {
    const listen = parseListen(text, side.plaintext, side.material !== undefined);
    const link = new Link(route, (event) => this.#options.onEvent?.(event));
    const listener = await this.#bind(listen.scheme, listen, side.material, link.accept);
    this.links.push(link);
    this.#listeners.push(listener);
    const { from, target } = route;
    const names = this.#names[from];
    if (names.has(localPart(target)) && this.#options.epmd?.[from] !== undefined)
      throw invalid(`two nodes are called ${localPart(target)} at one port mapper`, "give them different names");
    names.set(localPart(target), listener.port);
    const host = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
    this.endpoints.push({ from, target, endpoint: `${listen.scheme}://${host}:${listener.port}` });
  }

  #bind(
    scheme: "tls" | "tcp",
    listen: Parameters<typeof listenTcp>[1],
    material: TlsMaterial | undefined,
    accept: AcceptHandler,
  ): Promise<Listener> {
    const parts = { ...system, gate: this.#gate };
    if (scheme === "tcp" || material === undefined) return listenTcp(parts, listen, accept);
    return listenTls(parts, listen, material, accept);
  }

  #registered(target: NodeName): DialAddress {
    const at = this.#mappers.inside.registeredAt(localPart(target));
    if (at === undefined) throw notRegistered(target);
    return { scheme: "tcp", ...at };
  }
}

/** @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID, SCHEME_NOT_ALLOWED, TLS_MISSING */
function checkedAddress(text: string, scheme: DialAddress["scheme"], side: SideParts): DialAddress {
  const address = parseAddress(text, scheme);
  if (address.scheme === "tcp") checkPlaintext(address.host, side.plaintext);
  dialerOf(side, address);
  return address;
}

function dialerOf(side: SideParts, { scheme }: DialAddress): CarrierDialer {
  const dialer = side.dialers[scheme];
  if (dialer !== undefined) return dialer;
  throw invalid(`no certificate is set for dialling over ${scheme}`, "set tls on that side of the pair");
}

function invalid(message: string, advice: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "GATEWAY_PAIR_INVALID", message, { stage: "name", advice });
}
