import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, type NodeName, sameNode, tryNodeName } from "../base/node-name.ts";
import type { BundleNode } from "../identity/bundle.ts";
import { formatPublicKey, type PublicKey, parseKeyText, sameKey } from "../identity/public-key.ts";

/** One node's name and key as a line: what `keys export` prints and `keys import` reads. */
export function formatKeyLine(name: NodeName, key: PublicKey): string {
  return `${canonicalName(name)} ${formatPublicKey(key)}`;
}

/**
 * Reads lines of `NAME ed25519:BASE64`. Empty lines and such that start with `#` count for nothing, nor does a line that
 * stands twice.
 * @param from what the text is, for messages; quoted here
 * @throws {SallyportError} ERR_CONFIG KEY_LINE_INVALID, KEY_TEXT_INVALID; ERR_DENIED as `parsePublicKey`
 */
export function parseKeyLines(text: string, from: string): readonly BundleNode[] {
  const nodes: BundleNode[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const where = `${quotePeerText(from)}:${i + 1}`;
    const [nameText = "", keyText = "", ...more] = trimmed.split(/\s+/);
    const name = tryNodeName(nameText);
    if (name === undefined || more.length > 0) throw invalid(`${where} is not a node name and a key`);
    const node = { name: canonicalName(name), key: wholeKey(keyText) };
    const before = nodes.find((other) => sameNode(other.name, name));
    if (before === undefined) nodes.push(node);
    else if (!sameKey(before.key, node.key)) throw invalid(`${where} gives ${name} a second key`);
  }
  if (nodes.length === 0) throw invalid(`${quotePeerText(from)} holds no key`);
  return nodes;
}

/**
 * Reads `ed25519:BASE64`; a fingerprint is not enough to check signatures.
 * @throws {SallyportError} ERR_CONFIG KEY_NEEDED, KEY_TEXT_INVALID; ERR_DENIED as `parsePublicKey`
 */
export function wholeKey(text: string): PublicKey {
  const read = parseKeyText(text);
  if (read.kind === "key") return read.key;
  throw new SallyportError(
    "ERR_CONFIG",
    "KEY_NEEDED",
    `${read.fingerprint} is a fingerprint, and the whole key is needed`,
    {
      stage: "identity",
      advice:
        "ask for the output of `sallyport keys export` on the other node, and compare the fingerprint with this one",
    },
  );
}

function invalid(what: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "KEY_LINE_INVALID", what, {
    stage: "identity",
    advice: "write one node a line, as `sallyport keys export` prints it: NAME ed25519:BASE64",
  });
}
