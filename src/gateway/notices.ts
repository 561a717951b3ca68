import type { CertificateExpiry } from "../health/expiry-watch.ts";
import type { Decision } from "../policy/decision.ts";
import type { Side } from "./message-filter.ts";
import type { MessageEvent } from "./pair-rules.ts";

/** What a gateway tells of messages. `decision`: where a rule was asked, what it said. */
export type GatewayMessage = MessageEvent & { readonly pair: string; readonly decision?: Decision };

/** What an operator should know besides what becomes of sessions and messages. */
export type GatewayNotice =
  | { readonly kind: "warning"; readonly reason: string; readonly message: string }
  /** A certificate of the gateway, or one that a leg has shown, is near its end or past it. */
  | ({ readonly kind: "expiry" } & CertificateExpiry)
  /** What is refused in this pair passes, until then (ISO time, UTC). */
  | { readonly kind: "observed"; readonly pair: string; readonly until: string }
  /** That is over: what is refused does not pass any more. */
  | { readonly kind: "enforced"; readonly pair: string }
  /** A policy file has changed. `ok`: it is in force; else the one of `generation` stays. */
  | {
      readonly kind: "policy";
      readonly pair: string;
      readonly side: Side;
      readonly ok: boolean;
      readonly generation: number;
      readonly reason?: string;
      readonly message?: string;
    }
  /** Let through because a rule is in audit mode; `count`: 1, or so many more of the kind within a minute. */
  | { readonly kind: "audited"; readonly decision: Decision; readonly count: number };
