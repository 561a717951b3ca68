import { SallyportError } from "../base/errors.ts";

/** A call of a node that has been closed. */
export function nodeClosed(): SallyportError {
  return new SallyportError("ERR_CLOSED", "NODE_CLOSED", "the node is closed", { advice: "create a new node" });
}
