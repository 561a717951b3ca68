import { type NodeName, tryNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { Atom, isAtom, type Term, Tuple } from "../term/types.ts";

/** The process that answers, on nodes that take part. */
export const PEERS_PROCESS = "sallyport_peers";

/** Nodes in one answer at most. */
export const MAX_EXCHANGE_PEERS = 1_024;

/** Endpoints of one node at most; further ones are not looked at. */
export const MAX_PEER_ENDPOINTS = 8;

/** Longest text of an endpoint, in bytes: the longest host name and what stands around it. */
export const MAX_ENDPOINT_BYTES = 270;

const EXCHANGE = new Atom("exchange");

/** The answer to what is no request. */
export const BAD_REQUEST: Term = new Tuple([new Atom("error"), new Atom("badarg")]);

/** A node and where it may be reached. */
export interface ToldPeer {
  readonly name: NodeName;
  readonly endpoints: readonly DialAddress[];
}

/** `{exchange, [<<"tls://host:port">>, ...]}`: the endpoints are those of who asks. */
export function exchangeRequest(endpoints: readonly string[]): Tuple {
  return new Tuple([EXCHANGE, endpoints.slice(0, MAX_PEER_ENDPOINTS).map((text) => Buffer.from(text, "latin1"))]);
}

/** The endpoints in a request, those that are none left out; undefined when it is no request. */
export function readExchangeRequest(term: Term): readonly DialAddress[] | undefined {
  if (!(term instanceof Tuple) || term.length !== 2 || !isAtom(term.elements[0], "exchange")) return undefined;
  return readEndpoints(term.elements[1]);
}

/** `[{<<"name@host">>, [<<"tls://host:port">>, ...]}, ...]` */
export function exchangeAnswer(peers: readonly ToldPeer[]): Term {
  return peers
    .slice(0, MAX_EXCHANGE_PEERS)
    .map(
      ({ name, endpoints }) =>
        new Tuple([
          Buffer.from(name, "latin1"),
          endpoints.map((address) => Buffer.from(formatEndpoint(address), "latin1")),
        ]),
    );
}

/**
 * What an answer tells; entries that are none are left out. Undefined when it is no answer, or has more than
 * `MAX_EXCHANGE_PEERS` entries: who sends that many has not kept to the protocol.
 */
export function readExchangeAnswer(term: Term): readonly ToldPeer[] | undefined {
  if (!Array.isArray(term) || term.length > MAX_EXCHANGE_PEERS) return undefined;
  const peers: ToldPeer[] = [];
  for (const entry of term as readonly Term[]) {
    if (!(entry instanceof Tuple) || entry.length !== 2) continue;
    const text = readText(entry.elements[0]);
    const name = text === undefined ? undefined : tryNodeName(text);
    const endpoints = readEndpoints(entry.elements[1]);
    if (name !== undefined && endpoints !== undefined && endpoints.length > 0) peers.push({ name, endpoints });
  }
  return peers;
}

/** Parses `tls://HOST:PORT` or `tcp://HOST:PORT`, IPv6 in brackets; undefined when it is something else. */
export function parseEndpoint(text: string): DialAddress | undefined {
  const match = /^(tls|tcp):\/\/(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text);
  const host = match?.[2] ?? match?.[3];
  const port = Number(match?.[4] ?? 0);
  if (match === null || host === undefined || port < 1 || port > 65_535) return undefined;
  return { scheme: match[1] === "tcp" ? "tcp" : "tls", host, port };
}

/** The text of an address, as `parseEndpoint` reads it. */
export function formatEndpoint({ scheme, host, port }: DialAddress): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function readEndpoints(term: Term): readonly DialAddress[] | undefined {
  if (!Array.isArray(term)) return undefined;
  const endpoints: DialAddress[] = [];
  for (const item of (term as readonly Term[]).slice(0, MAX_PEER_ENDPOINTS)) {
    const text = readText(item);
    const address = text === undefined ? undefined : parseEndpoint(text);
    if (address !== undefined) endpoints.push(address);
  }
  return endpoints;
}

function readText(term: Term): string | undefined {
  if (!(term instanceof Uint8Array) || term.length > MAX_ENDPOINT_BYTES) return undefined;
  return Buffer.from(term.buffer, term.byteOffset, term.byteLength).toString("latin1");
}
