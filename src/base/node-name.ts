import type { Brand } from "./brand.ts";
import { SallyportError } from "./errors.ts";
import { quotePeerText } from "./escape.ts";

/**
 * `local@host`, ASCII, at most 255 bytes, kept byte for byte as given (rulings U4). Compare with `sameNode`, which folds
 * the case of the host. Only `parseNodeName` makes one.
 */
export type NodeName = Brand<string, "NodeName">;

/** Longest node name, in bytes. */
export const MAX_NODE_NAME_BYTES = 255;

const LOCAL = /^[A-Za-z0-9_-]+$/;
const HOST = /^[A-Za-z0-9._-]+$/;
const IPV4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const IPV6_GROUPS = 8;
const MAX_IPV6_CHARS = 45;

/** Checks a node name without throwing; `undefined` when it is not one. For names that come from the wire. */
export function tryNodeName(text: string): NodeName | undefined {
  if (text.length > MAX_NODE_NAME_BYTES) return undefined;
  const at = text.indexOf("@");
  if (at <= 0 || at === text.length - 1) return undefined;
  const host = text.slice(at + 1);
  if (!LOCAL.test(text.slice(0, at))) return undefined;
  if (!HOST.test(host) && !isIpv6(host)) return undefined;
  return text as NodeName;
}

/**
 * Parses `local@host`: local `[A-Za-z0-9_-]+`, host `[A-Za-z0-9._-]+` or a bare IPv6 literal.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID
 */
export function parseNodeName(text: string): NodeName {
  const name = tryNodeName(text);
  if (name === undefined) {
    throw new SallyportError(
      "ERR_CONFIG",
      "NAME_INVALID",
      `"${quotePeerText(text)}" is not a node name; write local@host with letters, digits, "_" and "-" before the "@", ` +
        `a host name or IPv6 address after it, and at most ${MAX_NODE_NAME_BYTES} characters in all`,
      { stage: "name", advice: adviceFor(text) },
    );
  }
  return name;
}

/** A colon behind the "@" is mostly a port. */
function adviceFor(text: string): string {
  return /@.*:/s.test(text)
    ? "a port is no part of a name: it goes into listen, or behind the name that is dialled, as in worker@db1.example:9100; " +
        "an IPv6 address before a port needs brackets, as in worker@[2001:db8::1]:9100"
    : "write the name as local@host, for example worker@db1.example";
}

/** Whether a host is an address, so that no name service has to be asked. */
export function isIpAddress(host: string): boolean {
  return IPV4.test(host) || isIpv6(host);
}

/** Without a zone: names are the same on all machines. `db1:9100` is no address, though all its characters could be of one. */
function isIpv6(text: string): boolean {
  if (text.length > MAX_IPV6_CHARS || !text.includes(":")) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [i, half] of halves.entries()) {
    if (half === "") {
      if (halves.length === 1) return false;
      continue;
    }
    const parts = half.split(":");
    for (const [j, part] of parts.entries()) {
      const isLast = i === halves.length - 1 && j === parts.length - 1;
      if (isLast && IPV4.test(part)) groups += 2;
      else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups++;
      else return false;
    }
  }
  return halves.length === 1 ? groups === IPV6_GROUPS : groups < IPV6_GROUPS;
}

/** The part before the `@`. */
export function localPart(name: NodeName): string {
  return name.slice(0, name.indexOf("@"));
}

/** The part after the `@`. */
export function hostPart(name: NodeName): string {
  return name.slice(name.indexOf("@") + 1);
}

/** The form under which names are compared and stored: host lower-cased. */
export function canonicalName(name: NodeName): NodeName {
  const at = name.indexOf("@") + 1;
  return (name.slice(0, at) + name.slice(at).toLowerCase()) as NodeName;
}

/** True when both names mean the same node. */
export function sameNode(a: NodeName, b: NodeName): boolean {
  return a === b || canonicalName(a) === canonicalName(b);
}

/** Something one can dial: a name, and a port when it was given. */
export interface DialTarget {
  readonly name: NodeName;
  readonly port: number | undefined;
}

/**
 * Parses `name@host` or `name@host:port`; IPv6 with a port needs brackets: `q@[::1]:9100`.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID
 */
export function parseDialTarget(text: string): DialTarget {
  const bracketed = /^([^@]+)@\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([^@]+)@([^:@]+)(?::(\d{1,5}))$/.exec(text);
  if (plain === null) return { name: parseNodeName(text), port: undefined };
  const name = parseNodeName(`${plain[1]}@${plain[2]}`);
  if (plain[3] === undefined) return { name, port: undefined };
  const port = Number(plain[3]);
  if (port < 1 || port > 65_535) {
    throw new SallyportError(
      "ERR_CONFIG",
      "NAME_INVALID",
      `port ${plain[3]} of "${quotePeerText(text)}" is not 1..65535`,
      {
        stage: "name",
        advice: "give a port from 1 to 65535, or leave it out",
      },
    );
  }
  return { name, port };
}
