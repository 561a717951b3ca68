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

/** Whether the listeners could be bound; those of a running node are. `running`: its endpoints. */
export async function checkPorts(
  options: NodeOptions,
  datagrams: Datagrams,
  running: readonly string[] | undefined,
): Promise<readonly Check[]> {
  if (running !== undefined) {
    const bound =
      running.length === 0 ? "the running node only dials" : `bound by the running node: ${running.join(", ")}`;
    return [fine("ports", bound)];
  }
  const listen = options.listen ?? [];
  if (listen.length === 0) return [skipped("ports", "no listener: the node only dials")];
  const checks: Check[] = [];
  for (const text of listen) checks.push(await checkListener(text, options, datagrams));
  return checks;
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
