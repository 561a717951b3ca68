import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";

/** A name with a pinned key is spoken to by key only, in both directions (rulings S1). */
export function nativeOnly(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "NATIVE_ONLY", `${name} has a pinned key and may not connect without it`, {
    peer: name,
    stage: "identity",
    advice: "run the peer with its identity key, or remove its pin if it is a BEAM node now",
  });
}
