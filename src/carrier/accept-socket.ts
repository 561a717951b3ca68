import type { Socket } from "node:net";
import type { Admission } from "./carrier.ts";
import type { Gatekeeper } from "./source-gate.ts";

/**
 * Asks the gate about a just accepted socket. A refused one is cut at once; an admitted one gives its place back when
 * it closes, and is cut when the gate needs its place for another.
 */
export function admitSocket(gate: Gatekeeper, socket: Socket): Admission | undefined {
  const address = socket.remoteAddress;
  const admission = address === undefined ? undefined : gate.admit(address, () => socket.destroy());
  if (admission === undefined) {
    // Cut sockets still report errors; nobody is interested in them.
    socket.on("error", () => undefined);
    socket.destroy();
    return undefined;
  }
  socket.once("close", () => admission.release());
  return admission;
}
