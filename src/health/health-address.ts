import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { ListenAddress } from "../carrier/listen.ts";

/** The endpoint of probes (docs/health.md). */
export interface HealthOption {
  /** `PORT` for 127.0.0.1, or `HOST:PORT`; port 0 takes any. */
  readonly listen: string;
  /** `/health` also names peers and asks them whether they answer. Default false. */
  readonly peers?: boolean;
}

/** Where the endpoint is bound when only a port is named. */
const LOOPBACK = "127.0.0.1";

/** Reads `PORT` and `HOST:PORT`. @throws {SallyportError} ERR_CONFIG HEALTH_LISTEN_INVALID */
export function parseHealthAddress(text: string): ListenAddress {
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+)):)?(\d{1,5})$/.exec(text);
  const ports = Number(match?.[3] ?? Number.NaN);
  if (ports <= 65_535) return { host: match?.[1] ?? match?.[2] ?? LOOPBACK, ports };
  throw new SallyportError(
    "ERR_CONFIG",
    "HEALTH_LISTEN_INVALID",
    `"${quotePeerText(text)}" is not where health can listen`,
    { stage: "port", advice: "write a port for this machine alone, or HOST:PORT, for example 0.0.0.0:9180" },
  );
}
