import { SallyportError } from "../base/errors.ts";

/** A call of a node that has been closed. */
export function nodeClosed(): SallyportError {
  return new SallyportError("ERR_CLOSED", "NODE_CLOSED", "the node is closed", { advice: "create a new node" });
}

/** A connection ended in good order before it was a session. */
export function closedBeforeSession(): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_DURING_HANDSHAKE",
    "the connection was closed before the session stood",
    { stage: "session", advice: "connect again" },
  );
}
