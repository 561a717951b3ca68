import { tryBarrelName } from "../auth/barrel-codec.ts";
import { isSallyportError, SallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, hostPart, isIpAddress, type NodeName, tryNodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";
import { parseTermTextDocument } from "../term/text-parse.ts";
import { Atom, type Term, Tuple } from "../term/types.ts";
import { isAddress } from "./address.ts";
import { DNS_RESOLVE_MS } from "./dns.ts";
import type { DnsClient } from "./dns-client.ts";
import { type EndpointForm, WAYS_TO_QUIC } from "./endpoint-file.ts";

/** Nodes in one static table. */
export const MAX_BARREL_NODES = 10_000;

/** Largest configuration file that is read for its nodes, in bytes. */
export const MAX_BARREL_NODES_BYTES: number = 1024 * 1024;

/** Whether both barrel_p2p and this project take it for a node name. */
export function isBarrelName(name: string): boolean {
  return tryBarrelName(name) !== undefined;
}

/** Files `NODE.endpoint` with the Erlang term `{"HOST",PORT}.`, the form of barrel_p2p's file discovery (section 12). */
export const BARREL_FORM: EndpointForm = {
  fileName: (name) => (isBarrelName(name) ? `${name}.endpoint` : undefined),
  format({ endpoints }) {
    const quic = endpoints.find(({ scheme }) => scheme === "quic");
    return quic === undefined ? undefined : `{"${quic.host}",${quic.port}}.\n`;
  },
  parse(bytes, _name, schemes) {
    if (!schemes.includes("quic")) return `it leads to QUIC, which is not dialled here; ${WAYS_TO_QUIC}`;
    const term = readTerm(bytes.toString("utf8"));
    const address = term instanceof Tuple && term.elements.length === 2 ? addressOf(term) : undefined;
    return address === undefined ? 'its file does not hold {"HOST",PORT}.' : [address];
  },
};

/**
 * The table of `nodes` in an Erlang configuration file, as barrel_p2p reads it:
 * `[{quic,[{dist,[{nodes,[{'n@h',{Address,Port}}]}]}]}].`, an address being an IP tuple, or text of an address or host name.
 * @throws {SallyportError} ERR_CONFIG BARREL_NODES_INVALID
 */
export function barrelNodes(text: string, file: string): ReadonlyMap<NodeName, DialAddress> {
  const nodes = property(property(property(readTerm(text), "quic"), "dist"), "nodes");
  if (nodes === undefined) throw nodesInvalid(file, "it has no list nodes under quic, dist");
  if (nodes.length > MAX_BARREL_NODES) throw nodesInvalid(file, `it names more than ${MAX_BARREL_NODES} nodes`);
  const out = new Map<NodeName, DialAddress>();
  for (const entry of nodes) {
    const [name, where] = entry instanceof Tuple && entry.elements.length === 2 ? entry.elements : [];
    const node = name instanceof Atom ? tryNodeName(name.name) : undefined;
    const address = where instanceof Tuple && where.elements.length === 2 ? addressOf(where) : undefined;
    if (node === undefined || address === undefined) {
      throw nodesInvalid(file, `entry ${out.size + 1} is not of the form {'name@host',{"192.0.2.7",4433}}`);
    }
    out.set(canonicalName(node), address);
  }
  return out;
}

/** The same from a file. Errors as `barrelNodes`. */
export function readBarrelNodes(
  path: string,
  files: Pick<StoreFiles, "facts" | "readText">,
): ReadonlyMap<NodeName, DialAddress> {
  let text: string;
  try {
    const bytes = files.facts(path)?.bytes ?? 0;
    if (bytes > MAX_BARREL_NODES_BYTES) {
      throw nodesInvalid(path, `it has ${bytes} bytes, more than ${MAX_BARREL_NODES_BYTES}`);
    }
    text = files.readText(path);
  } catch (error) {
    throw isSallyportError(error) ? error : nodesInvalid(path, `it cannot be read (${systemCode(error)})`);
  }
  return barrelNodes(text, path);
}

/** Looks a node up in such a table. */
export function barrelStaticResolver(nodes: ReadonlyMap<NodeName, DialAddress>): Resolver {
  return {
    label: "the nodes of barrel_p2p's configuration",
    async resolve(name, _signal, note) {
      const address = nodes.get(canonicalName(name));
      if (address === undefined) note?.("no entry");
      return address === undefined ? [] : [address];
    },
  };
}

/** Addresses of the host part of a name, A before AAAA, all with one port: a node of barrel_p2p takes its own for that of the others. */
export function barrelDnsResolver(client: DnsClient, port: number): Resolver {
  return {
    label: `DNS, for barrel_p2p at port ${port}`,
    maxResolveMs: DNS_RESOLVE_MS,
    async resolve(name, signal, note) {
      const host = hostPart(name);
      if (isIpAddress(host)) return [{ scheme: "quic", host, port }];
      const found = await client.addresses(host.toLowerCase(), signal);
      if (found.length === 0) note?.(`no address for ${host}`);
      return found.map((address) => ({ scheme: "quic" as const, host: address, port }));
    },
  };
}

function readTerm(text: string): Term | undefined {
  try {
    return parseTermTextDocument(text);
  } catch {
    return undefined;
  }
}

/** The list under a key of a property list. */
function property(list: Term | undefined, key: string): readonly Term[] | undefined {
  if (!Array.isArray(list)) return undefined;
  for (const entry of list as readonly Term[]) {
    if (!(entry instanceof Tuple) || entry.elements.length !== 2) continue;
    const [name, value] = entry.elements;
    if (name instanceof Atom && name.name === key) return Array.isArray(value) ? (value as readonly Term[]) : undefined;
  }
  return undefined;
}

/** `{Host, Port}`: the host an IP tuple, or text. */
function addressOf({ elements }: Tuple): DialAddress | undefined {
  const [where, port] = elements;
  const host = hostOf(where);
  const address = { scheme: "quic", host, port };
  return isAddress(address) ? address : undefined;
}

function hostOf(term: Term | undefined): string | undefined {
  if (term instanceof Tuple) return ipText(term.elements);
  if (term instanceof Atom) return term.name;
  if (Buffer.isBuffer(term)) return term.toString("utf8");
  if (!Array.isArray(term) || term.length > 255) return undefined;
  const points = term as readonly Term[];
  return points.every((point) => typeof point === "number" && point > 0x20 && point < 0x7f)
    ? String.fromCharCode(...(points as readonly number[]))
    : undefined;
}

function ipText(parts: readonly Term[]): string | undefined {
  const max = parts.length === 4 ? 0xff : 0xffff;
  if (parts.length !== 4 && parts.length !== 8) return undefined;
  if (!parts.every((part) => typeof part === "number" && Number.isInteger(part) && part >= 0 && part <= max))
    return undefined;
  const numbers = parts as readonly number[];
  return parts.length === 4 ? numbers.join(".") : numbers.map((part) => part.toString(16)).join(":");
}

function nodesInvalid(file: string, why: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "BARREL_NODES_INVALID",
    `the nodes in ${quotePeerText(file)} cannot be used: ${why}`,
    {
      stage: "resolve",
      advice: "give a configuration of Erlang with [{quic,[{dist,[{nodes,[{'name@host',{\"192.0.2.7\",4433}}]}]}]}].",
    },
  );
}
