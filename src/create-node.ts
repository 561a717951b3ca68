import { openAuditTrail } from "./audit/open-trail.ts";
import { OpenChallenges } from "./auth/otp-types.ts";
import type { Clock } from "./base/clock.ts";
import { type NodeName, parseNodeName } from "./base/node-name.ts";
import type { Random } from "./base/random.ts";
import type { StoreFiles } from "./base/store-files.ts";
import { AcceptGate } from "./carrier/accept-gate.ts";
import type { CarrierDialer } from "./carrier/carrier.ts";
import { createSockets } from "./carrier/plain-socket.ts";
import type { SocketCarrierParts } from "./carrier/socket-carrier.ts";
import { SourceGate } from "./carrier/source-gate.ts";
import { SourceList } from "./carrier/source-list.ts";
import { createTcpDialer } from "./carrier/tcp.ts";
import { createTlsDialer, type TlsCarrierOptions } from "./carrier/tls.ts";
import type { TlsMaterial } from "./carrier/tls-material.ts";
import { withErlangFiles } from "./config/node-settings.ts";
import { openPolicy, PolicyWatch, policyStamp } from "./config/policy-source.ts";
import { parseAddress } from "./discovery/address.ts";
import { type DiscoveryWorld, dnsSeeds, makeRegistrars, makeResolver } from "./discovery/default-chain.ts";
import { expectedHosts } from "./discovery/expected-hosts.ts";
import { PeerHosts } from "./discovery/peer-hosts.ts";
import { publishedEndpoints, registerEverywhere } from "./discovery/registrar.ts";
import { NATIVE_ALPN } from "./dist/handshake.ts";
import { heartbeatOf } from "./dist/heartbeat.ts";
import { DEFAULT_DIST_LIMITS } from "./dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "./dist/tick.ts";
import { parseHealthAddress } from "./health/health-address.ts";
import { openHealthEndpoint } from "./health/health-endpoint.ts";
import { readCookies } from "./identity/cookies.ts";
import { advertisedEndpoints } from "./node/advertised.ts";
import type { Node } from "./node/api.ts";
import { checkedReconnect } from "./node/backoff.ts";
import { judgeWith } from "./node/certificate-judge.ts";
import { ConfiguredCertificate, certificateFiles } from "./node/configured-certificate.ts";
import { Doors } from "./node/doors.ts";
import { readExchange } from "./node/exchange-plan.ts";
import { type IdentityLock, lockIdentity } from "./node/identity-lock.ts";
import { guardedTcp, parseListen } from "./node/listen-option.ts";
import { loadIdentity } from "./node/load-identity.ts";
import { SallyportNode } from "./node/node.ts";
import { nodeProbes } from "./node/node-probes.ts";
import type { ErlangFileOption, IdentityOption, NamedByVmArgs, NodeOptions } from "./node/options.ts";
import { OwnAdmission } from "./node/own-admission.ts";
import { materialOf, OwnCertificate } from "./node/own-certificate.ts";
import { visibleWarning } from "./node/quic-visible.ts";
import { watchForRestart } from "./node/restart-watch.ts";
import { readSeeds } from "./node/seeds.ts";
import { makeThrowaway, type ThrowawayIdentity } from "./node/throwaway-identity.ts";
import { TlsDebugLog } from "./node/tls-debug-log.ts";
import { acceptCounters, attachListener, bindListener, type TlsUser } from "./node-listeners.ts";
import { quicOf, schemesOf, usesQuic } from "./quic-node.ts";
import { hostName } from "./system/host-name.ts";
import { RealClock } from "./system/real-clock.ts";
import { RealCrypto } from "./system/real-crypto.ts";
import { RealFiles } from "./system/real-files.ts";
import { RealIdentityCrypto } from "./system/real-identity-crypto.ts";
import { RealRandom } from "./system/real-random.ts";
import { RealSharedFiles } from "./system/real-shared-files.ts";
import { EPMD_PORT } from "./wire/epmd.ts";
import { DEFAULT_FLAGS, PUBLISHED } from "./wire/flags.ts";
import { readCertificateFacts } from "./x509/certificate-facts.ts";

/** Creations below this are reserved (otp-distribution section 1.2). */
const FIRST_CREATION = 4;

/**
 * Makes a node, binds its listeners and registers it where asked. Warnings of the start arrive as `warning` events in the
 * next turn, so listeners set right after this resolves hear them.
 * @throws {SallyportError} ERR_CONFIG (name, files, addresses, shared directory; ALREADY_RUNNING, CONFIG_CONFLICT),
 * ERR_UNREACHABLE EPMD_UNREACHABLE
 */
export function createNode(options: NodeOptions | NamedByVmArgs): Promise<Node> {
  return createNodeWith(options, new RealClock());
}

/**
 * Makes a node that dials over QUIC with a key for this life, which lies on no disk. Over TLS it is a node without an identity.
 * @throws as `createNode`
 */
export function createThrowawayNode(options: NodeOptions, throwaway: ThrowawayIdentity): Promise<Node> {
  return createNodeWith(options, new RealClock(), throwaway);
}

/** The same by another clock, such as that of a machine that is wrong; TLS itself goes by the machine's. For tests. */
export async function createNodeWith(
  options: NodeOptions | NamedByVmArgs,
  clock: Clock,
  throwaway?: ThrowawayIdentity,
): Promise<Node> {
  const held: Held = {};
  const warnings: Warning[] = [];
  const world = { files: new RealFiles(), directory: ".", hostname: hostName() };
  try {
    const settings = withErlangFiles(options, world, warnings);
    const erlangFiles = [options.vmArgs, options.sslDistOptfile].map(pathOf).filter((path) => path !== undefined);
    return await makeNode(settings, throwaway, erlangFiles, held, warnings, clock);
  } catch (error) {
    held.lock?.release();
    held.peerHosts?.stop();
    throw error;
  }
}

/** What a node that cannot be made gives back. */
interface Held {
  lock?: IdentityLock;
  peerHosts?: PeerHosts;
}

/** Puts what it takes of the system before the node stands into `held`. */
async function makeNode(
  options: NodeOptions,
  throwaway: ThrowawayIdentity | undefined,
  erlangFiles: readonly string[],
  held: Held,
  warnings: Warning[],
  clock: Clock,
): Promise<Node> {
  const system = { clock, random: new RealRandom(), crypto: new RealCrypto(), files: new RealFiles() };
  const name = parseNodeName(options.name);
  const heartbeat = heartbeatOf(options.heartbeat ?? {});
  const seeds = readSeeds(options.seeds ?? [], name, dnsSeeds(options.discovery));
  const reconnect = checkedReconnect(options.reconnect);
  const exchange = readExchange(options.exchange, name, system.clock, () =>
    advertisedEndpoints(name, node.endpoints, options.advertise),
  );
  const alpn = options.identity === undefined ? {} : { alpn: [NATIVE_ALPN] };
  const tls =
    options.tls === undefined
      ? undefined
      : new ConfiguredCertificate({
          ...system,
          ...certificateFiles(options.tls, system),
          profile: options.profile ?? "standard",
          check({ server, client }) {
            for (const { loaded, protocol } of [server, client]) {
              createTlsDialer(system, loaded.material, { ...protocol, ...alpn });
            }
          },
        });
  warnings.push(...(tls?.warnings ?? []), ...(tls?.current.warnings ?? []));
  const plaintext = options.dangerous?.plaintext ?? false;
  if (plaintext !== false) {
    const message = "plain TCP is on: whoever can read the network reads and forges everything";
    warnings.push({ reason: "DANGEROUS_PLAINTEXT", message });
  }
  const hasTls = tls !== undefined || options.identity !== undefined;
  const discovery: DiscoveryWorld = {
    ...system,
    crypto: new RealIdentityCrypto(),
    files: new RealSharedFiles(),
    local: system.files,
    epmd: { sockets: createSockets(), clock: system.clock, port: options.epmdPort ?? EPMD_PORT },
    schemes: schemesOf(hasTls, plaintext !== false, usesQuic(options)),
  };
  const resolver = makeResolver(options, discovery, exchange === undefined ? [] : [exchange.hints]);
  if (options.advertise !== undefined) parseAddress(options.advertise, discovery.schemes[0]);
  const healthAddress = options.health === undefined ? undefined : parseHealthAddress(options.health.listen);
  let isToldAtOnce = false;
  /** What comes up during the start waits with its other warnings: nobody can listen before there is a node. */
  const warn = (reason: string, message: string): void => {
    if (isToldAtOnce) node.warn(reason, message);
    else warnings.push({ reason, message });
  };
  const { tickTimeMs = DEFAULT_TICK_OPTIONS.tickTimeMs } = options;
  const ticks = { ...DEFAULT_TICK_OPTIONS, tickTimeMs };
  const quic = quicOf(options, throwaway !== undefined, { clock: system.clock, ticks, warn });
  warnings.push(...visibleWarning(options.quic?.visible));
  const listeners = (options.listen ?? []).map((text) => parseListen(text, plaintext, hasTls));
  const cookies = readCookies(options.cookie, system.files);
  warnings.push(...cookies.warnings);
  const profile = options.profile ?? "standard";
  const own = {
    name,
    creation: newCreation(system.random),
    flags: options.visible === true ? DEFAULT_FLAGS | PUBLISHED : DEFAULT_FLAGS,
  };
  const judgeCertificate = judgeWith(profile);
  const identityWorld = {
    ...system,
    crypto: new RealIdentityCrypto(),
    cookies: cookies.book,
    judgeCertificate,
    profile,
    allowShortCookie: options.dangerous?.shortCookie ?? false,
  };
  // Before anything is written there: a second node with this identity would end the sessions of the first.
  if (options.identity !== undefined) held.lock = await lockIdentity(directoryOf(options.identity), system);
  if (held.lock?.warning !== undefined) warnings.push(held.lock.warning);
  const identity = options.identity === undefined ? undefined : loadIdentity(options.identity, own, identityWorld);
  warnings.push(...(identity?.warnings ?? []));
  const keeper =
    identity?.keeper ?? (throwaway === undefined ? undefined : makeThrowaway(throwaway, own, identityWorld));
  const debugLog = new TlsDebugLog(system.clock, (handshake) => node.emit("tls", handshake));
  const told = { ...alpn, ...(options.tls?.debug === true ? { debug: debugLog.add } : {}) };
  const serverOptions: TlsCarrierOptions = { ...tls?.current.server.protocol, ...told };
  const clientOptions: TlsCarrierOptions = { ...tls?.current.client.protocol, ...told };
  const needsOwn = tls === undefined || listeners.some(({ scheme }) => scheme === "quic");
  const opened =
    !needsOwn || options.identity === undefined
      ? undefined
      : await openOwnCertificate(options.identity, { ...system, name, profile, tlsOptions: alpn });
  warnings.push(...(opened?.warnings ?? []));
  const ownMaterial = tls === undefined ? opened?.certificate.current : undefined;
  const material = tls?.current.server.loaded.material ?? ownMaterial;
  const dialMaterial = tls?.current.client.loaded.material ?? ownMaterial;
  const accepting: TlsUser[] = [];
  const dialling: TlsUser[] = [];
  const dialers: { tls?: CarrierDialer; tcp?: CarrierDialer } = {};
  if (dialMaterial !== undefined) {
    const dialer = createTlsDialer(system, dialMaterial, clientOptions);
    dialers.tls = dialer;
    dialling.push(dialer);
  }
  if (plaintext !== false) dialers.tcp = guardedTcp(createTcpDialer(system), plaintext);
  const audit = openAuditTrail(options.audit, system);
  const peerHosts = new PeerHosts(system.clock);
  held.peerHosts = peerHosts;
  const sources = new SourceList({}, peerHosts);
  const doors = new Doors(audit);
  const admission = new OwnAdmission({
    doors,
    sources,
    peers: peerHosts,
    hostsWith: (nodes) => expectedHosts({ resolve: options.resolve, seeds: seeds.targets, nodes }),
  });
  // Read before anything is bound; what is to be looked up has its answer before the first connection.
  await admission.replace(options.accept ?? {});
  const policyWorld = { ...system, crypto: identityWorld.crypto, name };
  const policyOption = typeof options.policy === "string" ? { file: options.policy } : options.policy;
  // Before it is read: what changes between the reading and the watch is noticed.
  const stamp = policyOption !== undefined && "file" in policyOption ? policyStamp(policyOption.file, policyWorld) : "";
  const policy = policyOption === undefined ? undefined : openPolicy(policyOption, policyWorld);
  const node: SallyportNode = new SallyportNode({
    own,
    identity: keeper,
    audit,
    doors,
    admission,
    auditGrants: options.audit === false ? undefined : options.audit?.grants,
    ownCertificate: opened?.certificate,
    configuredCertificate: tls,
    clock: system.clock,
    random: system.random,
    handshake: {
      crypto: system.crypto,
      random: system.random,
      openChallenges: new OpenChallenges(),
      cookieFor: (peer) => cookies.book.cookieFor(peer),
    },
    dialers,
    barrel: quic?.ports,
    resolver,
    seeds: seeds.targets,
    seedSources: seeds.sources,
    reconnect,
    exchange,
    judgeCertificate,
    readCertificate: readCertificateFacts,
    isCertificateIssued: tls !== undefined,
    ...(policy === undefined ? {} : { policy }),
    ...(options.guardLimits === undefined ? {} : { guardLimits: options.guardLimits }),
    limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
    heartbeat,
    ticks,
    ...(options.processLimits === undefined ? {} : { processLimits: options.processLimits }),
    maxSessions: options.maxSessions,
    listens: listeners.length > 0,
    // A node that nobody can dial is reached only over the connections that it opened.
    idle: options.idle ?? (listeners.length === 0 ? false : {}),
    ...(options.maxOpenCalls === undefined ? {} : { maxOpenCalls: options.maxOpenCalls }),
    onListenerError: (error) => queueMicrotask(() => Promise.reject(error)),
  });
  const { lock } = held;
  if (lock !== undefined) node.attach({ isLast: true, close: async () => lock.release() });
  if (policyOption !== undefined && "file" in policyOption) {
    const watch = new PolicyWatch(policyOption.file, policyWorld, () => void node.policy?.reload(), stamp);
    node.attach({ close: async () => watch.stop() });
  }
  node.attach({ close: async () => tls?.stop() });
  if (erlangFiles.length > 0) {
    const watch = watchForRestart(erlangFiles, system, warn);
    node.attach({ close: async () => watch.stop() });
  }
  const replace = (users: readonly TlsUser[], next: TlsMaterial): void => {
    for (const user of users) user.replaceMaterial(next);
  };
  const showOwn = (): void => {
    const sides = tls === undefined ? [] : [tls.current.server, tls.current.client];
    const own = opened === undefined ? [] : [opened.certificate.current];
    node.ownCertificates([...sides.map(({ loaded }) => loaded.material), ...own]);
  };
  showOwn();
  opened?.certificate.watch({
    replaced(next) {
      if (tls === undefined) replace([...accepting, ...dialling], next);
      quic?.replaceMaterial(next);
      showOwn();
    },
    warned: ({ reason, message }) => warn(reason, message),
  });
  try {
    const inner = new AcceptGate({ ...system, isKnown: (host) => node.isKnownHost(host) }, options.acceptLimits);
    const gate = new SourceGate({
      inner,
      sources,
      isShut: () => doors.isClosed,
      refused: (address, source) => audit?.sourceRefused({ address, source }),
    });
    node.attach({ counters: () => acceptCounters(inner, gate), close: async () => peerHosts.stop() });
    // Before anything is bound: its engine ends with a node that cannot be made.
    if (quic !== undefined) node.attach({ isLast: true, close: async () => quic.close() });
    const quicMaterial = opened?.certificate.current;
    for (const listen of listeners) {
      if (listen.scheme !== "quic") {
        await bindListener(node, listen, { ...system, gate, accepting }, material, serverOptions);
      } else if (quic !== undefined && quicMaterial !== undefined) {
        attachListener(node, "quic", await quic.listen(gate, listen, quicMaterial, node.acceptChannels));
      }
    }
    // With all listeners bound, so that none misses a change.
    tls?.watch({
      replaced({ server, client }) {
        replace(accepting, server.loaded.material);
        replace(dialling, client.loaded.material);
        showOwn();
      },
      warned: warn,
      reloaded: (result) => node.emit("reload", { what: "certificate", ...result }),
    });
    if (healthAddress !== undefined) {
      const probes = nodeProbes(node, options.health?.peers ?? false);
      const endpoint = await openHealthEndpoint(healthAddress, probes, system.clock);
      // To the last: what drains says that it is not ready.
      node.attach({ healthEndpoint: endpoint.url, isLast: true, close: async () => endpoint.close() });
    }
    const endpoints = publishedEndpoints(name, node.endpoints, options.advertise);
    const registrars = makeRegistrars(options, discovery, warn);
    const registered = await registerEverywhere({ name, creation: own.creation, endpoints }, registrars);
    for (const registration of registered) node.attach(registration);
  } catch (error) {
    await node.close({ timeoutMs: 0 });
    throw error;
  }
  system.clock.later(() => {
    isToldAtOnce = true;
    for (const warning of warnings) node.warn(warning.reason, warning.message);
    audit?.listen((reason, message) => node.warn(reason, message));
    node.startJoining();
  });
  return node;
}

interface Warning {
  readonly reason: string;
  readonly message: string;
}

function pathOf(option: ErlangFileOption | undefined): string | undefined {
  return typeof option === "object" ? option.file : option;
}

function directoryOf(identity: IdentityOption): string {
  return identity.dir.replace(/\/+$/, "");
}

function newCreation(random: Random): number {
  let creation = random.uint32();
  while (creation < FIRST_CREATION) creation = random.uint32();
  return creation;
}

/** The certificate in the key directory: it secures the channel and says nothing about who; the identity key does. */
function openOwnCertificate(
  identity: IdentityOption,
  parts: SocketCarrierParts & {
    readonly files: StoreFiles;
    readonly random: Random;
    readonly name: NodeName;
    readonly profile: "standard" | "strict";
    readonly tlsOptions: TlsCarrierOptions;
  },
): ReturnType<typeof OwnCertificate.open> {
  return OwnCertificate.open({
    ...parts,
    crypto: new RealIdentityCrypto(),
    directory: directoryOf(identity),
    usable(pair) {
      try {
        createTlsDialer(parts, materialOf(pair), parts.tlsOptions);
        return true;
      } catch {
        return false;
      }
    },
  });
}
