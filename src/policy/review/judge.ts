import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { didYouMean } from "../../base/nearest-name.ts";
import { canonicalName, type NodeName, parseNodeName, tryNodeName } from "../../base/node-name.ts";
import type { CodeRule } from "../authority.ts";
import { canonicalKeyText } from "../check/check-peers.ts";
import type { NearestMiss, PeerFacts, RefusedWhy, Target, Verdict } from "../decision.ts";
import { asDialledInOverQuic, isDialledInOverQuic } from "../dialled-in.ts";
import type { Outcome } from "../document.ts";
import { parseOperationTarget, parseReplyTarget } from "../parse-target.ts";
import type { CompiledPeer, Policy } from "../policy.ts";
import type { Verb } from "../verbs.ts";

/** What a policy says of one imagined operation. */
export interface Judgement {
  readonly outcome: Outcome;
  readonly rule: string | null;
  readonly nearestMiss: NearestMiss | null;
  /** Null for who is in no entry. */
  readonly alias: string | null;
  /** The facts that were assumed. */
  readonly facts: PeerFacts;
  /** Undefined when the peer may not connect, and for a reply. */
  readonly verdict: Verdict | undefined;
  /** Why the peer may not connect; undefined when it may. */
  readonly refusedWhy: RefusedWhy | undefined;
}

/** Facts of the imagined peer that the question chooses, and this node's part: the peer dials in unless it is `dialler`. */
export interface ChosenFacts extends Partial<Pick<PeerFacts, "assurance" | "protocol" | "source">> {
  readonly role?: "acceptor" | "dialler";
}

/** What `allow` in code says of an operation; undefined where nothing is registered with one. */
export type CodeAsked = (verb: Verb, target: Target, facts: PeerFacts) => CodeRule | undefined;

/** The name under which `unknown` is imagined; nobody can have it. */
const UNKNOWN_NAME = parseNodeName("unknown@unknown.invalid");

/**
 * May `from` (alias, node name, key or `unknown`) do this, at `nowMs`, with the facts of `chosen` where it has some? Answers from rules alone: limits and shapes need a
 * message. `allow` in code counts where `code` knows it.
 * @throws {SallyportError} ERR_CONFIG POLICY_QUESTION for words that mean nothing in this policy
 */
export function judge(
  policy: Policy,
  from: string,
  verb: Verb | "reply",
  to: string | undefined,
  nowMs: number,
  chosen: ChosenFacts = {},
  code?: CodeAsked,
): Judgement {
  const imagined = imaginePeer(policy, from);
  if (imagined === undefined) {
    const near = didYouMean(from, [...policy.peers.keys(), "unknown"]);
    throw noQuestion(`${named(from)} is no alias, node name or key, and not unknown${near}`);
  }
  const role = verb === "reply" ? "dialler" : (chosen.role ?? "acceptor");
  const facts = withChosen(imagined, chosen, role);
  const identified = policy.identify(facts, role, nowMs);
  const isOpen = verb === "reply" ? parseReplyTarget(to) : false;
  if (isOpen === undefined) throw noQuestion(`${named(to)} is not call#open or call#closed`);
  const target = verb === "reply" ? undefined : parseOperationTarget(verb, to);
  if (verb !== "reply" && target === undefined) {
    throw noQuestion(verb === "connect" ? "connect has no target" : `${verb} needs a target, and ${named(to)} is none`);
  }
  if (identified.kind === "refused") {
    const { outcome, rule, why } = identified;
    const alias = aliasOf(policy, facts);
    return { outcome, rule, nearestMiss: null, alias, facts, verdict: undefined, refusedWhy: why };
  }
  const { authority } = identified;
  if (verb === "reply" || target === undefined) {
    const outcome = isOpen ? "allow" : "deny-default";
    const { alias } = authority;
    return { outcome, rule: null, nearestMiss: null, alias, facts, verdict: undefined, refusedWhy: undefined };
  }
  const verdict = authority.decide(verb, target, nowMs, code?.(verb, target, facts));
  const { outcome, rule, nearestMiss } = verdict;
  return { outcome, rule, nearestMiss, alias: authority.alias, facts, verdict, refusedWhy: undefined };
}

/** The facts of a peer as a node would have them: who dials in over QUIC has no key there. */
export function withChosen(
  imagined: PeerFacts,
  { role: _, ...chosen }: ChosenFacts,
  role: "acceptor" | "dialler",
): PeerFacts {
  const facts: PeerFacts = { ...imagined, ...chosen };
  return isDialledInOverQuic(facts, role) ? asDialledInOverQuic(facts) : facts;
}

/**
 * A peer as it would most likely come: with the key, the name and the protocol of its entry and all the assurance these can
 * have; address unknown. A name or key in no entry is taken at its most, `pinned`; `unknown` has proven nothing.
 * Undefined when the text is none of the four.
 */
export function imaginePeer(policy: Policy, from: string): PeerFacts | undefined {
  if (from === "unknown") return factsOf(UNKNOWN_NAME, undefined, "none", "native");
  const byAlias = policy.peers.get(from);
  if (byAlias !== undefined) return ofEntry(byAlias, byAlias.names[0], undefined);
  const name = tryNodeName(from);
  if (name !== undefined) {
    const peer = policy.peerOf(name);
    const canonical = canonicalName(name);
    return peer === undefined ? factsOf(canonical, undefined, "pinned", "native") : ofEntry(peer, canonical, undefined);
  }
  const key = canonicalKeyText(from);
  if (key === undefined) return undefined;
  const peer = policy.peerOf(key);
  return peer === undefined ? factsOf(UNKNOWN_NAME, key, "pinned", "native") : ofEntry(peer, peer.names[0], key);
}

function ofEntry(peer: CompiledPeer, name: NodeName | undefined, wanted: string | undefined): PeerFacts | undefined {
  if (name === undefined) return undefined;
  const key = wanted ?? peer.keys.find((text) => !text.startsWith("spki:")) ?? peer.keys[0];
  if (key === undefined) return factsOf(name, undefined, peer.entry.assurance ?? "cookie", "otp");
  return key.startsWith("spki:") ? factsOf(name, key, "ca", "otp") : factsOf(name, key, "pinned", "native");
}

function factsOf(
  name: NodeName,
  key: string | undefined,
  assurance: PeerFacts["assurance"],
  protocol: PeerFacts["protocol"],
): PeerFacts {
  return {
    name,
    assurance,
    protocol,
    fingerprints: key?.startsWith("SHA256:") ? [key] : [],
    publicKeys: key?.startsWith("ed25519:") ? [key.slice(8)] : [],
    spki: key?.startsWith("spki:") ? key : undefined,
    source: undefined,
  };
}

function aliasOf(policy: Policy, facts: PeerFacts): string | null {
  return policy.peerOf(facts.name)?.alias ?? null;
}

function named(text: string | undefined): string {
  return text === undefined ? "nothing" : `"${quotePeerText(text)}"`;
}

function noQuestion(message: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "POLICY_QUESTION", message, {
    stage: "policy",
    advice: "ask with an alias, node name, key or unknown, a verb, and one target such as jobs, M:F/A or granted-pids",
  });
}
