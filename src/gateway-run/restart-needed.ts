import { SallyportError } from "../base/errors.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import { sameText } from "./same-text.ts";

/** Options that a reload takes. */
const RELOADED: readonly string[] = ["pairs", "accept", "dangerous"];

/** @throws {SallyportError} ERR_CONFIG GATEWAY_RESTART_NEEDED where options differ that only count at the start */
export function demandSameStart(running: GatewayOptions, wanted: GatewayOptions): void {
  const [before, after] = [fieldsOf(running), fieldsOf(wanted)];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changed = [...names].filter((name) => !RELOADED.includes(name) && !sameText(before[name], after[name]));
  if (changed.length === 0) return;
  const what = changed.join(", ");
  throw new SallyportError("ERR_CONFIG", "GATEWAY_RESTART_NEEDED", `a reload cannot change ${what}`, {
    detail: { changed: what },
    advice:
      "change it back, or start another gateway in its place: sallyport gateway drain --hand-over, then start it again",
  });
}

/** Listeners are no settings. */
function fieldsOf(options: GatewayOptions): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => typeof value !== "function"));
}
