import { SallyportError } from "../base/errors.ts";

/** Sessions that other rules do not let go on. */
export function rulesChanged(pair: string): SallyportError {
  const message = `the rules of ${pair} have changed, and the session could not go on under them`;
  return new SallyportError("ERR_CLOSED", "GATEWAY_RULES_CHANGED", message, {
    stage: "policy",
    advice: "the nodes may connect again, if the new rules let them",
  });
}

/** A pair that the new configuration has not, or has otherwise. */
export function pairReplaced(pair: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "GATEWAY_PAIR_REPLACED", `${pair} was removed, or is started anew`, {
    stage: "session",
    advice: "the nodes may connect again, if the pair is still there",
  });
}

/** The time to drain is over. */
export function drained(pair: string): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "GATEWAY_DRAINED",
    `the gateway stops, and the session of ${pair} was still up`,
    {
      stage: "session",
      advice: "give the drain more time with --timeout, or let the nodes connect to the gateway that took over",
    },
  );
}
