import { isSallyportError } from "../base/errors.ts";
import type { Datagrams } from "../base/sockets.ts";
import type { ListenAddress } from "../carrier/listen.ts";
import { listenPlain } from "../carrier/plain-listener.ts";
import { isOpenToStrangers } from "../carrier/quic/public-address.ts";
import { publicRefused, quicListenFailed } from "../carrier/quic/quic-errors.ts";
import { formatAddress } from "../carrier/socket-address.ts";
import { parseListen } from "../node/listen-option.ts";
import type { NodeOptions } from "../node/options.ts";
import { bad, type Check, fine, skipped } from "./check.ts";

/** What a running node says of its listeners. */
export interface RunningPorts {
  readonly endpoints: readonly string[];
  /** Those of them at which nobody can reach it now. */
  readonly away: readonly string[];
}

/** Whether the listeners could be bound; those of a running node are, but for those that it has lost. */
export async function checkPorts(
  options: NodeOptions,
  datagrams: Datagrams,
  running: RunningPorts | undefined,
): Promise<readonly Check[]> {
  if (running !== undefined) return runningPorts(running);
  const listen = options.listen ?? [];
  if (listen.length === 0) return [skipped("ports", "no listener: the node only dials")];
  const checks: Check[] = [];
  for (const text of listen) checks.push(await checkListener(text, options, datagrams));
  return checks;
}

function runningPorts({ endpoints, away }: RunningPorts): readonly Check[] {
  if (endpoints.length === 0) return [fine("ports", "the running node only dials")];
  const bound = endpoints.filter((endpoint) => !away.includes(endpoint));
  const lost = away.map((endpoint) =>
    bad(
      "ports",
      "NOT_LISTENING",
      `the running node has lost ${endpoint}`,
      "it comes back by itself within a minute; if not, or when it goes again, read the warnings in sallyport status",
    ),
  );
  return bound.length === 0 ? lost : [fine("ports", `bound by the running node: ${bound.join(", ")}`), ...lost];
}

async function checkListener(
  text: string,
  { dangerous, tls, identity, quic }: NodeOptions,
  datagrams: Datagrams,
): Promise<Check> {
  try {
    const address = parseListen(text, dangerous?.plaintext ?? false, tls !== undefined || identity !== undefined);
    if (address.scheme === "quic") {
      if (quic?.allowPublic !== true && isOpenToStrangers(address.host)) throw publicRefused(address.host);
      return await checkUdp(address, datagrams);
    }
    // Bound for a moment; who connects in it is cut off.
    const listener = await listenPlain(address, (socket) => {
      socket.destroy();
      return undefined;
    });
    await listener.close();
    return fine("ports", `${formatAddress(listener.host, listener.port)} is free`);
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    const says = error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
    return bad("ports", error.reason, says, error.advice ?? "take another port, or end what listens there");
  }
}

/** QUIC has the UDP ports, which are taken and free apart from those of TCP. */
async function checkUdp({ host, ports }: ListenAddress, datagrams: Datagrams): Promise<Check> {
  const { first, last } = typeof ports === "number" ? { first: ports, last: ports } : ports;
  for (let port = first; ; port++) {
    const system = await datagrams.tryBind(host, port);
    if (system === undefined) return fine("ports", `UDP ${formatAddress(host, port)} is free`);
    if (port < last && system === "EADDRINUSE") continue;
    const error = quicListenFailed(formatAddress(host, port), system);
    return bad(
      "ports",
      error.reason,
      error.message.replace(/^\[ERR_[A-Z_]+\] /, ""),
      error.advice ?? "take another port",
    );
  }
}
