/**
 * The octets of an IPv4 (4) or IPv6 (16) address in text, or `undefined` when the text is neither. IPv4 takes exactly
 * four decimal parts without leading zeros; an IPv6 zone (`%eth0`) is not accepted.
 */
export function parseIpAddress(text: string): Buffer | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Text of 4 or 16 address octets; IPv6 in full, lower case, without leading zeros. Other lengths give hex. */
export function formatIpAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16) return Buffer.from(octets).toString("hex");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0)).toString(16));
  return groups.join(":");
}

function parseIpv4(text: string): Buffer | undefined {
  const parts = text.split(".", 5);
  if (parts.length !== 4) return undefined;
  const out = Buffer.alloc(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    out[i] = value;
  }
  return out;
}

function parseIpv6(text: string): Buffer | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const out = Buffer.alloc(16);
  for (const [i, group] of head.entries()) out.writeUInt16BE(group, i * 2);
  for (const [i, group] of tail.entries()) out.writeUInt16BE(group, (head.length + missing + i) * 2);
  return out;
}

/** The 16-bit groups of one side of a `::`; the last may be a dotted IPv4 address when it ends the address. */
function groupsOf(text: string, endsAddress: boolean): number[] | undefined {
  if (text === "") return [];
  const out: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (endsAddress && i === parts.length - 1 && part.includes(".")) {
      const ipv4 = parseIpv4(part);
      if (ipv4 === undefined) return undefined;
      out.push(ipv4.readUInt16BE(0), ipv4.readUInt16BE(2));
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return out;
}
