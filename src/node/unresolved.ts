import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";

/** Nobody knows where a node is. `asked`: each resolver, with what it said where that is known. */
export function unresolved(target: NodeName, asked: readonly string[], cause?: unknown): SallyportError {
  const said = asked.join("; ");
  return new SallyportError("ERR_UNREACHABLE", "NAME_UNRESOLVED", `no address for ${target}: asked ${said}`, {
    peer: target,
    stage: "resolve",
    advice: "start the node, or give its address with resolve (on the command line --resolve NODE=HOST:PORT)",
    detail: { asked: said },
    ...(cause === undefined ? {} : { cause }),
  });
}
