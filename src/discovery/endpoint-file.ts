import { quotePeerText } from "../base/escape.ts";
import { type NodeName, sameNode, tryNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { formatEndpoint, tryAddress } from "./address.ts";
import type { OwnEndpoints } from "./registrar.ts";

/** Version of the form of endpoint files. */
const VERSION = 1;

/** Endpoints in one file. */
export const MAX_FILE_ENDPOINTS = 8;

/** Largest endpoint file, in bytes: eight endpoints with the longest host names fit. */
export const MAX_ENDPOINT_FILE_BYTES = 4_096;

/** For a node that does not dial QUIC, and found nothing else. */
export const WAYS_TO_QUIC = "over QUIC it is reached with --protocol barrel, or with quic in the configuration";

/** A form of files about nodes in a directory. */
export interface EndpointForm {
  /** Undefined when the name has no place in this form. `stem`: the file-safe form of a name that pins have. */
  fileName(name: NodeName, stem: (name: NodeName) => string): string | undefined;
  /** Undefined when there is nothing to tell. `startedMs`: Unix milliseconds. */
  format(own: OwnEndpoints, startedMs: number): string | undefined;
  /** Addresses, or why there are none. The bytes are anybody's. */
  parse(bytes: Buffer, name: NodeName, schemes: readonly DialAddress["scheme"][]): readonly DialAddress[] | string;
}

/** Our own form, JSON. */
export const SALLYPORT_FORM: EndpointForm = {
  fileName: (name, stem) => `${stem(name)}.json`,
  format: (own, startedMs) => (own.endpoints.length === 0 ? undefined : formatEndpointFile(own, startedMs)),
  parse: parseEndpointFile,
};

/** One node in a shared directory, as text. `startedMs`: Unix milliseconds. */
export function formatEndpointFile(own: OwnEndpoints, startedMs: number): string {
  const endpoints = own.endpoints.slice(0, MAX_FILE_ENDPOINTS).map(formatEndpoint);
  return `${JSON.stringify({ sallyport: VERSION, node: own.name, endpoints, creation: own.creation, startedMs })}\n`;
}

/**
 * Reads what somebody wrote about a node: addresses, or why there are none. The file may be anybody's: another name inside or
 * another form make it worthless as a whole. Endpoints of schemes that this node does not dial are left out.
 */
export function parseEndpointFile(
  bytes: Buffer,
  name: NodeName,
  schemes: readonly DialAddress["scheme"][],
): readonly DialAddress[] | string {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return "its file is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "its file holds no object";
  const { sallyport, node, endpoints, creation, startedMs, ...others } = value as Readonly<Record<string, unknown>>;
  if (sallyport !== VERSION) return `its file is not of version ${VERSION}`;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) return `its file has the unknown key "${quotePeerText(unknown)}"`;
  if (!isCount(creation) || !isCount(startedMs)) return "its file lacks creation or startedMs";
  const inside = typeof node === "string" ? tryNodeName(node) : undefined;
  if (inside === undefined || !sameNode(inside, name)) return `its file is about ${shown(node)}`;
  if (!Array.isArray(endpoints) || endpoints.length === 0) return "its file has no endpoints";
  if (endpoints.length > MAX_FILE_ENDPOINTS) return `its file has more than ${MAX_FILE_ENDPOINTS} endpoints`;
  const out: DialAddress[] = [];
  let isOverQuic = false;
  for (const endpoint of endpoints) {
    const address = typeof endpoint === "string" ? tryAddress(endpoint, "tls") : undefined;
    if (address === undefined) return `its file has an endpoint that is none: ${shown(endpoint)}`;
    if (schemes.includes(address.scheme)) out.push(address);
    else if (address.scheme === "quic") isOverQuic = true;
  }
  if (out.length > 0) return out;
  const none = `its file has no endpoint that is dialled here (${schemes.join(", ")})`;
  return isOverQuic ? `${none}; ${WAYS_TO_QUIC}` : none;
}

function shown(value: unknown): string {
  return quotePeerText(JSON.stringify(value) ?? "nothing");
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
