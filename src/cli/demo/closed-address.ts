import { AcceptGate, type AcceptGateParts } from "../../carrier/accept-gate.ts";
import type { CarrierSink } from "../../carrier/carrier.ts";
import { listenTcp } from "../../carrier/tcp.ts";

/**
 * An address of this machine where nobody listens, `tls://127.0.0.1:PORT`: the system gave the port to us, and we gave it
 * back. @throws {SallyportError} ERR_CONFIG BIND_FAILED
 */
export async function closedAddress(world: Pick<AcceptGateParts, "clock" | "random">): Promise<string> {
  const gate = new AcceptGate(world);
  const listener = await listenTcp({ ...world, gate }, { host: "127.0.0.1", ports: 0 }, (carrier) => {
    carrier.destroy();
    return NOBODY;
  });
  await listener.close();
  return `tls://127.0.0.1:${listener.port}`;
}

/** Hears nothing: no connection is taken. */
const NOBODY: CarrierSink = {
  opened: () => undefined,
  bytes: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};
