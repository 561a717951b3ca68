import type { SallyportError } from "../base/errors.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { udpFailure } from "../carrier/quic/quic-errors.ts";
import { formatAddress } from "../carrier/socket-address.ts";
import { explainSocketError } from "../carrier/tls-errors.ts";
import { DEFAULT_PORTS } from "../node/listen-option.ts";
import { MAX_PORT_PROBE_MS, type NetworkWorld, namesAtEpmd, probePort } from "./network-probes.ts";
import type { Evidence } from "./report.ts";
import { probeUdp, type UdpAnswer } from "./udp-probe.ts";

/** Longest wait for the TCP port of the same number, milliseconds: whether the host is there at all. */
const MAX_BESIDE_MS = 1_000;

/** What one address of a peer did when its port was tried. */
export interface Knocked {
  readonly address: DialAddress;
  /** Undefined: it is open. Otherwise the code of the platform, `ETIMEDOUT` where nothing came. */
  readonly system: string | undefined;
  readonly ms: number;
  /** Of a QUIC address. */
  readonly udp: UdpAnswer | undefined;
}

/** Tries the port of one address by the transport that it is for. Never rejects. */
export async function knockAt(world: NetworkWorld, address: DialAddress): Promise<Knocked> {
  if (address.scheme !== "quic") {
    const { open, system, ms } = await probePort(world, address, MAX_PORT_PROBE_MS);
    return { address, system: open ? undefined : (system ?? "UNKNOWN"), ms, udp: undefined };
  }
  const udp = await probeUdp(world, address, MAX_PORT_PROBE_MS);
  return { address, system: udp.state === "silent" ? udp.system : undefined, ms: udp.ms, udp };
}

/** One line of evidence. */
export function triedText({ address, system, ms, udp }: Knocked): string {
  return `${textOf(address)}: ${system ?? (udp === undefined ? "open" : answered(udp))} after ${ms} ms`;
}

/** Says of a port that is open what it did. */
export function openText({ address, udp }: Knocked): string {
  if (udp === undefined) return `${textOf(address)} accepts connections`;
  return udp.state === "quic" ? `${textOf(address)} answers QUIC` : `${textOf(address)} answers, but no QUIC`;
}

function answered(udp: UdpAnswer): string {
  switch (udp.state) {
    case "quic":
      return `QUIC, versions ${udp.versions.join(" ")}`;
    case "other":
      return `something else than QUIC (${udp.firstBytes})`;
    case "silent":
      return udp.system;
  }
}

/** Why nothing is to be had at a port, and the evidence for it. Never rejects. */
export async function closedPort(
  world: NetworkWorld,
  { address, system = "UNKNOWN", udp }: Knocked,
): Promise<{ readonly error: SallyportError; readonly evidence: Evidence }> {
  const { host, port } = address;
  const where = formatAddress(host, port);
  if (udp === undefined) {
    const cause = Object.assign(new Error("not open"), { code: system });
    const error = explainSocketError(cause, { address: where, role: "dial", opening: true });
    const inDefaultRange = port >= DEFAULT_PORTS.first && port <= DEFAULT_PORTS.last;
    return { error, evidence: { inDefaultRange, epmd: (await namesAtEpmd(world, host)) ?? "no EPMD answers there" } };
  }
  if (system !== "ETIMEDOUT") return { error: udpFailure(system, where), evidence: {} };
  // Silence over UDP says nothing of the host: a TCP port that is refused shows that it is there and only UDP is filtered.
  const beside = await probePort(world, address, MAX_BESIDE_MS);
  const tcp = beside.open ? "open" : (beside.system ?? "UNKNOWN");
  const isGone = tcp === "EHOSTUNREACH" || tcp === "ENETUNREACH";
  return { error: udpFailure(isGone ? tcp : system, where), evidence: { sameTcpPort: `${tcp} after ${beside.ms} ms` } };
}

/** As it stands in a configuration. */
export function textOf({ scheme, host, port }: DialAddress): string {
  return `${scheme}://${formatAddress(host, port)}`;
}
