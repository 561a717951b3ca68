import { isSallyportError } from "../../base/errors.ts";
import { canonicalName, type NodeName, tryNodeName } from "../../base/node-name.ts";
import { formatPublicKey, parseKeyText, tryFingerprint } from "../../identity/public-key.ts";
import { formatPath, type JsonPath, type ProblemList, quoted } from "../problem.ts";
import {
  checkLimits,
  checkWhole,
  checkWord,
  field,
  isPlain,
  objectOf,
  type Plain,
  PROVEN,
  textsOf,
  timeOf,
} from "./check-values.ts";

const PEER_KEYS = ["keys", "names", "assurance", "level", "domain", "limits", "mode", "until"];
const ALIAS = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
/** `unknown` is who no entry knows, in tests. */
const TAKEN_ALIASES: readonly string[] = ["unknown"];

/** A domain's name: letters, digits, `_`, `.` and `-`. */
export const DOMAIN_NAME: RegExp = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/**
 * A key of an entry in the one form in which keys are compared: `SHA256:...`, `spki:SHA256:...`, or `ed25519:` and padded
 * base64. Undefined when it is no key, or a key that nobody can hold alone.
 */
export function canonicalKeyText(text: string): string | undefined {
  if (text.startsWith("spki:")) return tryFingerprint(text.slice(5)) === undefined ? undefined : text;
  try {
    const key = parseKeyText(text);
    return key.kind === "fingerprint" ? key.fingerprint : formatPublicKey(key.key);
  } catch (error) {
    if (isSallyportError(error)) return undefined;
    throw error;
  }
}

/** What entries hold between them, to find two that could mean the same peer. */
interface Held {
  readonly names: Map<NodeName, JsonPath>;
  readonly keys: Map<string, JsonPath>;
}

/** Checks `peers`; returns the aliases. */
export function checkPeers(value: unknown, node: NodeName | undefined, problems: ProblemList): ReadonlySet<string> {
  const aliases = new Set<string>();
  if (value === undefined) return aliases;
  if (!isPlain(value)) {
    problems.add(["peers"], `must be an object of entries by alias, not ${quoted(value)}`);
    return aliases;
  }
  const held: Held = { names: new Map(), keys: new Map() };
  for (const [alias, entry] of Object.entries(value)) {
    if (problems.isFull) break;
    const path = ["peers", alias];
    aliases.add(alias);
    if (!ALIAS.test(alias) || TAKEN_ALIASES.includes(alias)) {
      problems.add(path, "is no alias; use up to 64 letters, digits, _, . and -, and not unknown");
    }
    const peer = objectOf(entry, PEER_KEYS, path, problems);
    if (peer !== undefined) checkPeer(peer, path, node, held, problems);
  }
  return aliases;
}

function checkPeer(peer: Plain, path: JsonPath, node: NodeName | undefined, held: Held, problems: ProblemList): void {
  const keys = field(peer, "keys");
  const names = field(peer, "names");
  const assurance = field(peer, "assurance");
  if (keys !== undefined) checkKeys(keys, [...path, "keys"], held, problems);
  if (names === undefined) problems.add(path, "needs names: the node names that this peer may claim");
  else checkNames(names, [...path, "names"], node, held, problems);
  if (keys === undefined && assurance !== "ca" && assurance !== "cookie") {
    problems.add(path, "has no keys, so it needs assurance ca or cookie: its name alone proves nothing");
  } else if (assurance !== undefined) checkWord(assurance, PROVEN, [...path, "assurance"], problems);
  const level = field(peer, "level");
  if (level !== undefined) checkWhole(level, 0, [...path, "level"], problems);
  const domain = field(peer, "domain");
  if (domain !== undefined && (typeof domain !== "string" || !DOMAIN_NAME.test(domain))) {
    problems.add([...path, "domain"], `${quoted(domain)} is no name of a domain`);
  }
  const limits = field(peer, "limits");
  if (limits !== undefined) checkLimits(limits, [...path, "limits"], problems);
  const mode = field(peer, "mode");
  const until = field(peer, "until");
  if (mode !== undefined) checkWord(mode, ["enforce", "audit"], [...path, "mode"], problems);
  if (mode === "audit" && until === undefined) problems.add(path, "is in audit mode and needs until, a date");
  if (until === undefined) return;
  timeOf(until, [...path, "until"], problems);
  if (mode !== "audit")
    problems.add([...path, "until"], "belongs to mode audit; to end a grant, give the rule until or before");
}

function checkKeys(value: unknown, path: JsonPath, held: Held, problems: ProblemList): void {
  if (!Array.isArray(value)) {
    problems.add(path, `must be a list of keys, not ${quoted(value)}`);
    return;
  }
  for (const [text, at] of textsOf(value, path, problems)) {
    const key = canonicalKeyText(text);
    if (key === undefined) {
      problems.add(at, `${quoted(text)} is no key; write SHA256:..., ed25519:... or spki:SHA256:..., whole`);
    } else claim(held.keys, key, at, problems);
  }
}

function checkNames(
  value: unknown,
  path: JsonPath,
  node: NodeName | undefined,
  held: Held,
  problems: ProblemList,
): void {
  if (!Array.isArray(value)) {
    problems.add(path, `must be a list of node names, not ${quoted(value)}`);
    return;
  }
  for (const [text, at] of textsOf(value, path, problems)) {
    const name = tryNodeName(text);
    if (name === undefined) problems.add(at, `${quoted(text)} is no node name; write local@host`);
    else if (node !== undefined && canonicalName(name) === node) problems.add(at, "is the name of this node itself");
    else claim(held.names, canonicalName(name), at, problems);
  }
}

/** Two entries with a name or a key in common could mean the same peer; within one entry it is a slip of the pen. */
function claim<K>(held: Map<K, JsonPath>, key: K, at: JsonPath, problems: ProblemList): void {
  const before = held.get(key);
  if (before === undefined) held.set(key, at);
  else problems.add(at, `is also at ${formatPath(before)}: two entries must not mean the same peer`);
}
