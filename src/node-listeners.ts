import type { Clock } from "./base/clock.ts";
import type { AcceptGate } from "./carrier/accept-gate.ts";
import type { Listener, Scheme } from "./carrier/carrier.ts";
import type { SourceGate } from "./carrier/source-gate.ts";
import { listenTcp } from "./carrier/tcp.ts";
import { listenTls, type TlsCarrierOptions, type TlsDialer } from "./carrier/tls.ts";
import type { TlsMaterial } from "./carrier/tls-material.ts";
import { formatEndpoint } from "./discovery/address.ts";
import type { ListenOption } from "./node/listen-option.ts";
import type { SallyportNode } from "./node/node.ts";

/** A dialer or listener: takes another certificate while it runs. */
export type TlsUser = Pick<TlsDialer, "replaceMaterial">;

/** Binds a listener of TLS, or of plain TCP, and gives it to the node. Without material none of TLS is bound. */
export async function bindListener(
  node: SallyportNode,
  listen: ListenOption,
  parts: { readonly clock: Clock; readonly gate: SourceGate; readonly accepting: TlsUser[] },
  material: TlsMaterial | undefined,
  tlsOptions: TlsCarrierOptions,
): Promise<void> {
  let listener: Listener;
  if (listen.scheme === "tcp") listener = await listenTcp(parts, listen, node.accept);
  else if (material !== undefined) {
    const secure = await listenTls(parts, listen, material, node.accept, tlsOptions);
    parts.accepting.push(secure);
    listener = secure;
  } else return;
  attachListener(node, listen.scheme, listener);
}

/** Gives a listener to the node, which closes it. */
export function attachListener(node: SallyportNode, scheme: Scheme, listener: Listener): void {
  const { host, port } = listener;
  node.attach({
    endpoint: formatEndpoint({ scheme, host, port }),
    isListening: () => listener.isListening !== false,
    close: () => listener.close(),
  });
}

/** What became of newcomers before there was a connection to speak of. */
export function acceptCounters(inner: AcceptGate, gate: SourceGate): Readonly<Record<string, number>> {
  const { admitted, refusedSource, refusedFull, dropped } = inner.counters;
  const { refusedAddress, refusedShut } = gate.counters;
  return {
    accept_refused_address: refusedAddress,
    accept_refused_shut: refusedShut,
    accept_admitted: admitted,
    accept_refused_source: refusedSource,
    accept_refused_full: refusedFull,
    accept_dropped: dropped,
  };
}
