import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, tryNodeName } from "../base/node-name.ts";
import type { NodeKey } from "./node-key.ts";
import { asObject, parseObject } from "./pin-meta.ts";
import {
  type Fingerprint,
  fingerprintOf,
  formatPublicKey,
  KEY_BYTES,
  type PublicKey,
  tryPublicKey,
} from "./public-key.ts";
import { SIGNATURE_BYTES, verifyText } from "./signed-text.ts";
import type { TrustChange } from "./trust-change.ts";
import type { TrustStore } from "./trust-store.ts";

/** Most nodes in one bundle. */
export const MAX_BUNDLE_NODES = 4096;

/** Longest bundle that is read, characters. */
export const MAX_BUNDLE_CHARS: number = 2 * 1024 * 1024;

/** How long a bundle may be imported when nothing else is said: 30 days, in milliseconds. */
export const BUNDLE_VALIDITY_MS: number = 30 * 86_400_000;

/** How far the clocks of signer and importer may differ: one day, in milliseconds. */
const SKEW_MS = 86_400_000;

const VERSION = 1;

export interface BundleNode {
  readonly name: NodeName;
  readonly key: PublicKey;
}

/** The keys of a cluster, signed by one of its nodes. Times are Unix milliseconds. */
export interface Bundle {
  readonly signer: PublicKey;
  readonly createdMs: number;
  readonly notAfterMs: number;
  /** Sorted by canonical name, each name once. */
  readonly nodes: readonly BundleNode[];
}

/**
 * Makes a signed bundle as JSON text. Names are made canonical and sorted.
 * @throws {SallyportError} ERR_CONFIG BUNDLE_INVALID for a name that comes twice, ERR_LIMIT BUNDLE_SIZE
 */
export function makeBundle(
  nodes: readonly BundleNode[],
  signer: NodeKey,
  nowMs: number,
  validityMs: number = BUNDLE_VALIDITY_MS,
): string {
  if (nodes.length > MAX_BUNDLE_NODES) throw tooLarge(nodes.length, MAX_BUNDLE_NODES, "nodes");
  const sorted = nodes.map(({ name, key }) => ({ name: canonicalName(name), key }));
  sorted.sort((a, b) => (a.name < b.name ? -1 : 1));
  const bundle: Bundle = { signer: signer.publicKey, createdMs: nowMs, notAfterMs: nowMs + validityMs, nodes: sorted };
  for (const [i, node] of sorted.entries()) {
    if (node.name === sorted[i - 1]?.name) throw invalid(`${node.name} is in it twice`);
  }
  const text = {
    sallyport: "bundle",
    version: VERSION,
    signer: formatPublicKey(bundle.signer),
    createdMs: bundle.createdMs,
    notAfterMs: bundle.notAfterMs,
    nodes: sorted.map(({ name, key }) => ({ name, key: formatPublicKey(key) })),
    signature: signer.sign("sallyport/1 bundle", signedContent(bundle)).toString("base64"),
  };
  return `${JSON.stringify(text, undefined, 2)}\n`;
}

/**
 * Reads a bundle and checks form, signature and date. Whether its signer may vouch is not decided here.
 * @throws {SallyportError} ERR_CONFIG BUNDLE_INVALID; ERR_DENIED BUNDLE_SIGNATURE, BUNDLE_EXPIRED; ERR_LIMIT BUNDLE_SIZE
 */
export function parseBundle(text: string, nowMs: number, crypto: IdentityCrypto): Bundle {
  if (text.length > MAX_BUNDLE_CHARS) throw tooLarge(text.length, MAX_BUNDLE_CHARS, "characters");
  const json = parseObject(text);
  if (json === undefined || json["sallyport"] !== "bundle") throw invalid("it is not the JSON text of a bundle");
  if (json["version"] !== VERSION) throw invalid(`its version is not ${VERSION}`);
  const { createdMs, notAfterMs } = json;
  const signer = readKey(json["signer"]);
  const signature = readBase64(json["signature"], SIGNATURE_BYTES);
  if (signer === undefined || signature === undefined) throw invalid("signer or signature is malformed");
  if (!isTime(createdMs) || !isTime(notAfterMs)) throw invalid("its times are malformed");
  const bundle: Bundle = { signer, createdMs, notAfterMs, nodes: readNodes(json["nodes"]) };
  if (!verifyText("sallyport/1 bundle", signedContent(bundle), signer, signature, crypto)) {
    throw new SallyportError("ERR_DENIED", "BUNDLE_SIGNATURE", "the bundle was changed after it was signed", {
      stage: "identity",
      advice: "get it again from its signer",
    });
  }
  if (nowMs > notAfterMs + SKEW_MS || nowMs < createdMs - SKEW_MS) {
    throw new SallyportError("ERR_DENIED", "BUNDLE_EXPIRED", "the bundle is not valid today", {
      stage: "identity",
      detail: { createdMs, notAfterMs },
      advice: "ask the signer for a new one, and check this machine's clock",
    });
  }
  return bundle;
}

export interface BundleImport {
  readonly added: readonly NodeName[];
  /** Nodes that were pinned in `trusted/` with this key before. */
  readonly unchanged: readonly NodeName[];
  readonly changes: readonly TrustChange[];
}

/**
 * Pins the nodes of a bundle in `trusted/`, all or, when one cannot be, none: everything is checked before the first
 * write. The node itself is left out. The signer must be named by its fingerprint, or be pinned in `trusted/`.
 * @throws {SallyportError} ERR_DENIED BUNDLE_SIGNER, BUNDLE_OWN_NAME and what `TrustStore.add` throws; ERR_CONFIG
 * PIN_EXISTS without `replace`; ERR_DENIED PIN_NOT_DURABLE when the disk fails: nodes before that stay pinned, and
 * importing again does the rest
 */
export function importBundle(
  store: TrustStore,
  bundle: Bundle,
  crypto: IdentityCrypto,
  options: { readonly nowMs: number; readonly signer?: Fingerprint; readonly replace?: boolean },
): BundleImport {
  checkSigner(store, bundle, crypto, options.signer);
  const wanted: BundleNode[] = [];
  const keys = new Map<Fingerprint, NodeName>();
  for (const node of bundle.nodes) {
    const own = store.isOwn(node.name, node.key);
    if (own.name && own.key) continue;
    if (own.name || own.key) {
      throw new SallyportError("ERR_DENIED", "BUNDLE_OWN_NAME", `the bundle gives ${node.name} a wrong key`, {
        stage: "identity",
        advice: "tell its signer: this node's name has another key in it, or its key another name",
      });
    }
    store.checkImport(node.name, node.key);
    const fingerprint = fingerprintOf(node.key, crypto);
    const twin = keys.get(fingerprint);
    if (twin !== undefined && !store.allowReusedKeys) throw invalid(`${twin} and ${node.name} have the same key`);
    keys.set(fingerprint, node.name);
    const conflict = store.conflictOf(node.name, node.key);
    if (conflict !== undefined && options.replace !== true) {
      throw new SallyportError("ERR_CONFIG", "PIN_EXISTS", `${node.name} has ${conflict}; nothing was imported`, {
        stage: "identity",
        advice: "compare fingerprints with the peer's operator, then ask for replacement explicitly",
      });
    }
    wanted.push(node);
  }
  const changes: TrustChange[] = [];
  const added: NodeName[] = [];
  const unchanged: NodeName[] = [];
  for (const { name, key } of wanted) {
    const made = store.add(name, key, { nowMs: options.nowMs, replace: options.replace ?? false, origin: "bundle" });
    (made.length === 0 ? unchanged : added).push(name);
    for (const change of made) changes.push(change);
  }
  return { added, unchanged, changes };
}

function checkSigner(store: TrustStore, bundle: Bundle, crypto: IdentityCrypto, named: Fingerprint | undefined): void {
  const signer = fingerprintOf(bundle.signer, crypto);
  const accepted = named === undefined ? store.vouchesFor(bundle.signer) : named === signer && !store.isRevoked(signer);
  if (accepted) return;
  throw new SallyportError("ERR_DENIED", "BUNDLE_SIGNER", `the bundle is signed by ${signer}, who may not vouch here`, {
    stage: "identity",
    detail: { signer },
    advice: "compare this fingerprint with the signer's operator, then import with it",
  });
}

/** `version:8 signer:32*8 createdMs:64 notAfterMs:64 count:32 {nameLength:8 name key:32*8}*count`. */
function signedContent(bundle: Bundle): Buffer {
  const head = Buffer.alloc(1 + KEY_BYTES + 8 + 8 + 4);
  head.writeUInt8(VERSION, 0);
  head.set(bundle.signer, 1);
  head.writeBigUInt64BE(BigInt(bundle.createdMs), 33);
  head.writeBigUInt64BE(BigInt(bundle.notAfterMs), 41);
  head.writeUInt32BE(bundle.nodes.length, 49);
  const parts: Uint8Array[] = [head];
  for (const { name, key } of bundle.nodes) {
    parts.push(Buffer.from([name.length]), Buffer.from(name, "latin1"), key);
  }
  return Buffer.concat(parts);
}

function readNodes(value: unknown): readonly BundleNode[] {
  if (!Array.isArray(value)) throw invalid("it has no list of nodes");
  if (value.length > MAX_BUNDLE_NODES) throw tooLarge(value.length, MAX_BUNDLE_NODES, "nodes");
  const nodes: BundleNode[] = [];
  for (const [i, item] of value.entries()) {
    const node = asObject(item);
    const text = node?.["name"];
    const name = typeof text === "string" ? tryNodeName(text) : undefined;
    const key = readKey(node?.["key"]);
    if (name === undefined || key === undefined) throw invalid(`node ${i + 1} has no proper name and key`);
    // One order and one spelling, so that no two texts mean the same bundle.
    if (name !== canonicalName(name)) throw invalid(`node ${i + 1} has upper-case letters in its host`);
    const before = nodes[i - 1];
    if (before !== undefined && before.name >= name) throw invalid("its nodes are not sorted, or one comes twice");
    nodes.push({ name, key });
  }
  return nodes;
}

function readKey(value: unknown): PublicKey | undefined {
  if (typeof value !== "string" || !value.startsWith("ed25519:")) return undefined;
  const bytes = readBase64(value.slice(8), KEY_BYTES);
  return bytes === undefined ? undefined : tryPublicKey(bytes);
}

function readBase64(value: unknown, length: number): Buffer | undefined {
  if (typeof value !== "string" || value.length > 2 * length) return undefined;
  const bytes = Buffer.from(value, "base64");
  return bytes.length === length && bytes.toString("base64") === value ? bytes : undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function invalid(why: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "BUNDLE_INVALID", `this bundle cannot be used: ${why}`, {
    stage: "identity",
    advice: "get it again from its signer, whole and unchanged",
  });
}

function tooLarge(value: number, limit: number, unit: string): SallyportError {
  return new SallyportError("ERR_LIMIT", "BUNDLE_SIZE", `a bundle of ${value} ${unit}, more than ${limit}`, {
    stage: "identity",
    detail: { value, limit },
    advice: "split it into several bundles",
  });
}
