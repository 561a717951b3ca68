/** Addresses that share their first bits. */
export interface AddressRange {
  /** 4 or 16 octets. */
  readonly octets: Uint8Array;
  readonly bits: number;
}

/** `203.0.113.0/24`, `2001:db8::/32` or one address; undefined when it is none or has bits beyond its length. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const octets = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (octets === undefined) return undefined;
  const length = slash < 0 ? String(octets.length * 8) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > octets.length * 8) return undefined;
  const bits = Number(length);
  for (let i = bits; i < octets.length * 8; i++) if (bitAt(octets, i) !== 0) return undefined;
  return { octets, bits };
}

/** Whether the range holds an address that `parseAddress` gave. An IPv4 range holds no IPv6 address. */
export function rangeHolds(range: AddressRange, address: Uint8Array): boolean {
  if (range.octets.length !== address.length) return false;
  const whole = range.bits >> 3;
  for (let i = 0; i < whole; i++) if (range.octets[i] !== address[i]) return false;
  for (let i = whole * 8; i < range.bits; i++) if (bitAt(range.octets, i) !== bitAt(address, i)) return false;
  return true;
}

/**
 * The octets of an IPv4 or IPv6 address; undefined when the text is neither. `::ffff:203.0.113.7`, under which a dual
 * socket sees an IPv4 peer, is the IPv4 address; a zone (`%eth0`) is left out.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  if (text.length > 64) return undefined;
  if (!text.includes(":")) return parseIpv4(text);
  const octets = parseIpv6(text.replace(/%[A-Za-z0-9._-]+$/, ""));
  const mapped = octets?.subarray(0, 12).every((octet, i) => octet === (i < 10 ? 0 : 0xff));
  return mapped === true ? octets?.slice(12) : octets;
}

function bitAt(octets: Uint8Array, i: number): number {
  return ((octets[i >> 3] ?? 0) >> (7 - (i & 7))) & 1;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "", halves.length === 1);
  const tail = groups(halves[1] ?? "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** The octets on one side of `::`; a dotted IPv4 address may end the whole. */
function groups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === "") return [];
  const out: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (endsAddress && i === parts.length - 1 && part.includes(".")) {
      const dotted = parseIpv4(part);
      if (dotted === undefined) return undefined;
      out.push(...dotted);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      const group = Number.parseInt(part, 16);
      out.push(group >> 8, group & 0xff);
    } else return undefined;
  }
  return out;
}
