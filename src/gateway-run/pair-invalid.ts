import { SallyportError } from "../base/errors.ts";

/** A pair that is not as it must be. */
export function pairInvalid(message: string, advice: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "GATEWAY_PAIR_INVALID", message, { stage: "name", advice });
}
