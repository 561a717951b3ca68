import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { CarrierDialer, Scheme } from "../carrier/carrier.ts";
import type { ListenAddress } from "../carrier/listen.ts";
import { isLoopbackHost } from "../carrier/socket-address.ts";

/** First and last port tried when a listener names none (design D9). */
export const DEFAULT_PORTS: { readonly first: number; readonly last: number } = { first: 9100, last: 9155 };

/** Port of a QUIC listener that names none: where nodes of barrel_p2p dial others (barrel-auth section 12). */
export const QUIC_PORT = 4433;

/** Where to listen, and how. */
export interface ListenOption extends ListenAddress {
  readonly scheme: Scheme;
}

/** Parses `tls://HOST[:PORT]` and `tls://HOST:FIRST-LAST`, also with `tcp` and `quic`. @throws {SallyportError} ERR_CONFIG LISTEN_INVALID, PORT_RANGE_INVALID, SCHEME_NOT_ALLOWED, TLS_MISSING */
export function parseListen(text: string, plaintext: boolean | "any", hasTls: boolean): ListenOption {
  const match = /^(tls|tcp|quic):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]]+))(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text);
  const host = match?.[2] ?? match?.[3];
  const port = match?.[4] === undefined ? undefined : Number(match[4]);
  const last = match?.[5] === undefined ? port : Number(match[5]);
  if (match === null || host === undefined || Math.max(port ?? 0, last ?? 0) > 65_535) {
    throw new SallyportError(
      "ERR_CONFIG",
      "LISTEN_INVALID",
      `"${quotePeerText(text)}" is not an address to listen on`,
      {
        stage: "port",
        advice: "write tls://HOST, tls://HOST:PORT or tls://HOST:FIRST-LAST, for example tls://0.0.0.0:9100",
      },
    );
  }
  if (port !== undefined && last !== undefined && (last < port || (port === 0 && last > 0))) {
    throw new SallyportError("ERR_CONFIG", "PORT_RANGE_INVALID", `the ports ${port}-${last} are no range`, {
      stage: "port",
      advice: "write the lower port first, for example tls://0.0.0.0:9100-9155",
    });
  }
  const scheme = match[1] as Scheme;
  if (scheme === "tcp") checkPlaintext(host, plaintext);
  else if (scheme === "tls" && !hasTls) {
    throw new SallyportError("ERR_CONFIG", "TLS_MISSING", `listening on ${text} needs certificates`, {
      stage: "tls",
      advice: "set tls with certFile, keyFile and caFile (on the command line --tls-cert, --tls-key and --tls-ca)",
    });
  }
  const unnamed = scheme === "quic" ? QUIC_PORT : DEFAULT_PORTS;
  const ports = port === undefined || last === undefined ? unnamed : port === last ? port : { first: port, last };
  return { scheme, host, ports };
}

/** Plain TCP leaves this machine only when that was asked for by name (rulings U12). */
export function checkPlaintext(host: string, plaintext: boolean | "any"): void {
  if (plaintext === "any" || (plaintext && isLoopbackHost(host))) return;
  throw new SallyportError(
    "ERR_CONFIG",
    "SCHEME_NOT_ALLOWED",
    `plain TCP to or on ${quotePeerText(host)} is not allowed${plaintext ? ": it is not a loopback address" : ""}`,
    {
      stage: "tls",
      advice: plaintext
        ? 'set dangerous.plaintext to "any" only if everybody on that network is trusted'
        : "use TLS, or set dangerous.plaintext (--dangerous-plaintext) for loopback addresses",
    },
  );
}

/** A dialer of plain TCP that goes nowhere else. */
export function guardedTcp(dialer: CarrierDialer, plaintext: boolean | "any"): CarrierDialer {
  return {
    dial(address, serverName, sink) {
      checkPlaintext(address.host, plaintext);
      return dialer.dial(address, serverName, sink);
    },
  };
}
