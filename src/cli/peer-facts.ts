import { type Assurance, isAssurance, type ProtocolName } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { nearestName } from "../base/nearest-name.ts";
import { type NodeName, parseNodeName, tryNodeName } from "../base/node-name.ts";
import { canonicalKeyText } from "../policy/check-peers.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { CompiledPeer, Policy } from "../policy/policy.ts";

/** Facts of a session that the command line chooses; what is not given is what the entry of the peer asks for. */
export interface ChosenFacts {
  readonly assurance?: Assurance;
  readonly transport?: ProtocolName;
  /** Address without port. */
  readonly source?: string;
}

/** Name of somebody whom no policy knows: nobody can have it (RFC 6761). */
const NOBODY: NodeName = parseNodeName("unknown@unknown.invalid");

/**
 * The facts of a peer as a question names it: by alias, node name, key or `unknown`. One in an entry is taken to be what the
 * entry asks for and no more: its first name, its first key, the least assurance.
 * @throws {SallyportError} ERR_CONFIG POLICY_QUESTION
 */
export function factsOf(policy: Policy, from: string, chosen: ChosenFacts = {}): PeerFacts {
  if (from === "unknown") return facts(NOBODY, undefined, undefined, chosen);
  const alias = policy.peers.get(from);
  if (alias !== undefined) return facts(alias.names[0] ?? NOBODY, alias, alias.keys[0], chosen);
  const name = tryNodeName(from);
  if (name !== undefined) {
    const peer = policy.peerOf(name);
    return facts(name, peer, peer?.keys[0], chosen);
  }
  const key = canonicalKeyText(from);
  if (key === undefined) throw nobodyMeant(policy, from);
  const peer = policy.peerOf(key);
  return facts(peer?.names[0] ?? NOBODY, peer, key, chosen);
}

function facts(
  name: NodeName,
  peer: CompiledPeer | undefined,
  key: string | undefined,
  { assurance, transport, source }: ChosenFacts,
): PeerFacts {
  const least = peer === undefined ? "none" : (peer.entry.assurance ?? "tofu");
  const byKey = key !== undefined && !key.startsWith("spki:");
  return {
    name,
    assurance: isAssurance(assurance) ? assurance : least,
    protocol: transport ?? (peer === undefined || byKey ? "native" : "otp"),
    fingerprints: key?.startsWith("SHA256:") === true ? [key] : [],
    publicKeys: key?.startsWith("ed25519:") === true ? [key.slice("ed25519:".length)] : [],
    spki: key?.startsWith("spki:") === true ? key : undefined,
    source,
  };
}

function nobodyMeant(policy: Policy, from: string): SallyportError {
  const near = nearestName(from, [...policy.peers.keys()]);
  const message = `"${quotePeerText(from)}" is no alias of the policy, no node name and no key`;
  return new SallyportError("ERR_CONFIG", "POLICY_QUESTION", message, {
    stage: "policy",
    advice: near === undefined ? "name an alias, local@host, SHA256:... or unknown" : `did you mean "${near}"?`,
  });
}
