export type { Assurance, ProtocolName } from "./base/assurance.ts";
export { type Detail, type ErrorCode, isSallyportError, SallyportError, type Stage } from "./base/errors.ts";
export type { NodeName } from "./base/node-name.ts";
export type { DialAddress } from "./carrier/carrier.ts";
export type { SourcesOption } from "./carrier/source-list.ts";
export type { TlsDebug, TlsDebugCertificate } from "./carrier/tls-debug.ts";
export { checkGateway, createGateway } from "./create-gateway.ts";
export { createNode } from "./create-node.ts";
export type { DistLimits } from "./dist/limits.ts";
export { DEFAULT_STREAM_RESET_CODE, MAX_STREAM_RESET_CODE } from "./dist/stream-codes.ts";
export type {
  Gateway,
  GatewayAuditStatus,
  GatewayDrained,
  GatewayDrainOptions,
  GatewayEndpoint,
  GatewayHealth,
  GatewayPairHealth,
  GatewayPairKey,
  GatewayPairStatus,
  GatewayPairTotals,
  GatewayPolicyStatus,
  GatewayReload,
  GatewaySessionStatus,
  GatewaySourceStatus,
  GatewayStatus,
} from "./gateway/api.ts";
export type { DutyFinding } from "./gateway/duty.ts";
export type { FilterReport } from "./gateway/filter-report.ts";
export type { GatewayLimits } from "./gateway/limits.ts";
export type { GatewayEvent } from "./gateway/link.ts";
export type { GatewayMessage, GatewayNotice } from "./gateway/notices.ts";
export type {
  GatewayAcceptOption,
  GatewayAuditOption,
  GatewayOptions,
  GatewayPairOption,
  GatewayTls,
  InboxOption,
  InsideOption,
  OutsideOption,
  PairFilterOption,
  PairPolicyOption,
} from "./gateway/options.ts";
export type { CommanderProfile } from "./gateway/profile.ts";
export type { Allow, AllowVerb } from "./guard/allow.ts";
export type { CapabilityVerb } from "./guard/capabilities.ts";
export type { GuardLimits } from "./guard/limits.ts";
export type { CheckedPart, CheckResult } from "./health/checks.ts";
export type { CertificateExpiry, CertificateState } from "./health/expiry-watch.ts";
export type { CertificateRole } from "./health/watched-certificates.ts";
export type { TrustLimits } from "./identity/trust-store.ts";
export type { AcceptOption, NodeAdmission } from "./node/admission-api.ts";
export {
  type CallOptions,
  type CertificateReloadResult,
  type Denied,
  type Down,
  ExitRequest,
  exit,
  type FunctionName,
  type GrantOptions,
  type HandlerContext,
  type Health,
  type HeldInvite,
  type LastRefusal,
  type LocalProcessHandle,
  type Metric,
  type Node,
  type NodeCertificate,
  type NodeEvents,
  type NodeIdentity,
  type NodePolicy,
  type Peer,
  type PeerHealth,
  type PeerStream,
  type PolicyReloadResult,
  type ProcessGrant,
  type ProcessHandler,
  type RegisteredFunction,
  type RegisterOptions,
  type ReplyTerm,
  type RpcOptions,
  type RuleInCode,
  type ServiceHandlers,
  type SpawnOptions,
  type SpawnRemoteOptions,
  type StreamHandler,
  type Target,
  type Vitals,
  type WaitingPeer,
} from "./node/api.ts";
export type { Channel } from "./node/channel.ts";
export type {
  AuditOption,
  CookieOption,
  DiscoveryOption,
  DnsOption,
  ErlangFileOption,
  ExchangeOption,
  HealthOption,
  IdentityOption,
  NamedByVmArgs,
  NodeOptions,
  SecretSource,
  TlsOption,
  TlsSideOption,
} from "./node/options.ts";
export type { Resolver } from "./node/ports.ts";
export type { SeedHealth, SeedState } from "./node/seed.ts";
export type { Decision, DecisionWhy, NearestMiss, RefusedWhy } from "./policy/decision.ts";
export { definePolicy } from "./policy/define-policy.ts";
export type {
  ConditionEntry,
  DomainEntry,
  LimitsEntry,
  Outcome,
  PeerEntry,
  PolicyDocument,
  RuleEntry,
  ShapeEntry,
  TestEntry,
} from "./policy/document.ts";
export type { Verb } from "./policy/verbs.ts";
export type { ProcessLimits } from "./process/process-table.ts";
export {
  directoryResolver,
  dnsResolver,
  epmdResolver,
  hostPartResolver,
  type ResolverOptions,
  staticResolver,
} from "./resolvers.ts";
export {
  Atom,
  atom,
  atomName,
  BitString,
  compareTerms,
  DEFAULT_TERM_LIMITS,
  type DecodeTermOptions,
  decodeTerm,
  ExportFun,
  encodeTerm,
  Float,
  Fun,
  float,
  ImproperList,
  type Inflate,
  isAtom,
  mapGet,
  mapHas,
  NativeRecord,
  type ParseTermOptions,
  Pid,
  Port,
  parseTermText,
  printTerm,
  Reference,
  type Term,
  type TermLimits,
  Tuple,
  termEquals,
  tuple,
} from "./term/public.ts";
