import { type AddressRange, parseAddress, parseAddressRange, rangeHolds } from "../base/address-range.ts";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";

/** Entries of one list of sources at most: each is compared with the address of every newcomer. */
export const MAX_SOURCES = 256;

/** Stands among sources for the addresses of the configured peers. */
export const PEERS_WORD = "peers";

/** From where connections are taken. */
export interface SourcesOption {
  /** Addresses and ranges (CIDR), and `peers` for the addresses of the configured peers. Default: every address. */
  readonly sources?: readonly string[];
  /** Never from these, whatever `sources` says. Default none. */
  readonly refuse?: readonly string[];
}

/** The addresses of the configured peers, as far as they are known. */
export interface KnownSources {
  /** @param address 4 or 16 octets */
  holds(address: Uint8Array): boolean;
}

/** Lists of sources that were read. */
interface Lists {
  /** Undefined: every address. */
  readonly allowed: readonly AddressRange[] | undefined;
  readonly refused: readonly AddressRange[];
  readonly asksForPeers: boolean;
}

/** Whether an address may connect at all. Its lists can be replaced while it is asked. */
export class SourceList {
  readonly #peers: KnownSources;
  #lists: Lists;

  /** @throws {SallyportError} ERR_CONFIG SOURCE_INVALID, ERR_LIMIT SOURCES_TOO_MANY */
  constructor(option: SourcesOption = {}, peers: KnownSources = { holds: () => false }) {
    this.#lists = readSources(option);
    this.#peers = peers;
  }

  /** @throws {SallyportError} ERR_CONFIG SOURCE_INVALID, ERR_LIMIT SOURCES_TOO_MANY: the lists stay as they were */
  replace(option: SourcesOption): void {
    this.#lists = readSources(option);
  }

  /** @param address as the system says it; a text that is no address is in no list, and outside every list */
  admits(address: string): boolean {
    const { allowed, refused, asksForPeers } = this.#lists;
    if (allowed === undefined && refused.length === 0) return true;
    const octets = parseAddress(address);
    if (octets === undefined || refused.some((range) => rangeHolds(range, octets))) return false;
    if (allowed === undefined || allowed.some((range) => rangeHolds(range, octets))) return true;
    return asksForPeers && this.#peers.holds(octets);
  }
}

/** @throws {SallyportError} ERR_CONFIG SOURCE_INVALID, ERR_LIMIT SOURCES_TOO_MANY */
export function readSources({ sources, refuse = [] }: SourcesOption): Lists {
  const ranges = sources?.filter((text) => text !== PEERS_WORD);
  return {
    allowed: ranges === undefined ? undefined : rangesOf(ranges, "sources"),
    refused: rangesOf(refuse, "refuse"),
    asksForPeers: sources?.includes(PEERS_WORD) === true,
  };
}

function rangesOf(texts: readonly string[], list: string): readonly AddressRange[] {
  if (texts.length > MAX_SOURCES) {
    throw new SallyportError("ERR_LIMIT", "SOURCES_TOO_MANY", `accept.${list} has ${texts.length} entries`, {
      stage: "port",
      detail: { limit: MAX_SOURCES, value: texts.length },
      advice: `give at most ${MAX_SOURCES}: use ranges, as 203.0.113.0/24`,
    });
  }
  return texts.map((text) => {
    const range = parseAddressRange(text);
    if (range !== undefined) return range;
    throw new SallyportError(
      "ERR_CONFIG",
      "SOURCE_INVALID",
      `"${quotePeerText(text)}" in accept.${list} is no address`,
      {
        stage: "port",
        advice:
          `write an address or a range without bits beyond its length, as 203.0.113.0/24 or 2001:db8::/32` +
          (list === "sources" ? ", or peers" : ""),
      },
    );
  });
}

/** The network that connections are counted by: an IPv4 /24, an IPv6 /56, a loopback address itself. */
export function networkOf(address: string): string {
  const octets = parseAddress(address);
  if (octets === undefined) return address;
  if (octets.length === 4) return octets[0] === 127 ? octets.join(".") : `${octets.subarray(0, 3).join(".")}.0/24`;
  const groups = [0, 2, 4].map((i) => (((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0)).toString(16));
  return `${groups.join(":")}:${((octets[6] ?? 0) << 8).toString(16)}::/56`;
}
