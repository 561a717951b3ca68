import type { SallyportError } from "../base/errors.ts";
import type { GatewayDrained, GatewayEndpoint, GatewayReload } from "../gateway/api.ts";
import type { GatewayEvent } from "../gateway/link.ts";
import { otherSide, type Side } from "../gateway/message-filter.ts";
import type { GatewayMessage, GatewayNotice } from "../gateway/notices.ts";
import { ruleToAdd } from "../gateway/rule-to-add.ts";
import type { CertificateExpiry } from "../health/expiry-watch.ts";
import { failureDocument } from "./report.ts";

/** One event of a running gateway as `gateway --json` prints it, without its time. */
export type GatewayOutput =
  | {
      readonly event: "listening";
      readonly file: string;
      readonly endpoints: readonly (GatewayEndpoint & { readonly pair: string })[];
      readonly epmd: Readonly<Partial<Record<Side, string>>>;
      /** Where probes ask; absent where nothing answers them. */
      readonly health?: string;
    }
  | {
      readonly event: "up";
      readonly pair: string;
      readonly inside: string;
      readonly outside: string;
      readonly dialledBy: Side;
      readonly address: string;
    }
  | {
      readonly event: "down";
      readonly pair: string;
      readonly dialler: string | null;
      readonly target: string;
      readonly endedBy: Side;
      readonly reason: string;
      readonly message: string;
    }
  /** A connection that did not become a session. */
  | ({
      readonly event: "refused";
      readonly pair: string;
      readonly dialler: string | null;
      readonly target: string;
      readonly address: string;
    } & ReturnType<typeof failureDocument>)
  /** A message that did not pass, the first of its kind; with `observed` it passed all the same. */
  | {
      readonly event: "denied";
      readonly pair: string;
      readonly from: string;
      readonly to: string;
      readonly why: string;
      readonly operation: string;
      readonly target: string;
      readonly head: string;
      readonly rule: string | null;
      readonly decision: string | null;
      readonly observed: boolean;
      /** What to write, and where, so that it passes; null where nothing should be written. */
      readonly advice: string | null;
    }
  | {
      readonly event: "command";
      readonly pair: string;
      readonly from: string;
      readonly to: string;
      readonly verb: string;
      readonly target: string;
    }
  | {
      readonly event: "filling";
      readonly pair: string;
      readonly limit: string;
      readonly size: number;
      readonly most: number;
    }
  /** So many more of a kind within a minute than were printed. */
  | {
      readonly event: "more";
      readonly of: "up" | "down" | "refused" | "denied" | "command" | "filling";
      readonly pair: string;
      readonly kind: string;
      readonly count: number;
    }
  | {
      readonly event: "duty";
      readonly inside: string;
      readonly findings: readonly { readonly kind: string; readonly message: string; readonly advice: string }[];
    }
  | ({ readonly event: "expiry" } & CertificateExpiry)
  | { readonly event: "observed"; readonly pair: string; readonly until: string }
  | { readonly event: "enforced"; readonly pair: string }
  | ({ readonly event: "policy" } & Omit<Extract<GatewayNotice, { kind: "policy" }>, "kind">)
  | {
      readonly event: "audited";
      readonly decision: string;
      readonly peer: string;
      readonly node: string;
      readonly verb: string;
      readonly target: string;
      readonly rule: string | null;
      readonly count: number;
    }
  | { readonly event: "warning"; readonly reason: string; readonly message: string }
  | ({ readonly event: "reload"; readonly ok: true } & GatewayReload)
  | ({ readonly event: "reload"; readonly ok: false } & ReturnType<typeof failureDocument>)
  | { readonly event: "draining"; readonly sessions: number; readonly timeoutMs: number; readonly handOver: boolean }
  | ({ readonly event: "stopped"; readonly reason: string } & GatewayDrained);

/** What became of a pair, as an output. */
export function eventOutput(event: GatewayEvent): GatewayOutput {
  if (event.kind === "duty") return { event: "duty", inside: event.inside, findings: event.findings };
  const { pair, address, dialledBy } = event;
  if (event.kind === "up") {
    return { event: "up", pair, inside: event.inside, outside: event.outside, dialledBy, address };
  }
  const { target, endedBy, error } = event;
  const dialler = event.dialler ?? null;
  if (event.kind === "refused" && error !== undefined)
    return { event: "refused", pair, dialler, target, address, ...failureDocument(error) };
  const message = error === undefined ? "it left in good order" : failureDocument(error).message;
  return { event: "down", pair, dialler, target, endedBy, reason: error?.reason ?? "CLOSED", message };
}

export function messageOutput(message: GatewayMessage): GatewayOutput {
  const { pair, from } = message;
  const nodes = { from: message[from], to: message[otherSide(from)] };
  switch (message.kind) {
    case "filling":
      return { event: "filling", pair, limit: message.limit, size: message.size, most: message.most };
    case "command":
      return { event: "command", pair, ...nodes, verb: message.verb, target: message.target };
    case "denied": {
      const { why, operation, target, head, decision, observed, id } = message;
      const asked =
        decision === undefined ? { operation, target } : { operation: decision.verb, target: decision.target };
      const rule = decision?.rule ?? (decision === undefined ? null : decision.outcome);
      const advice = ruleToAdd(message) ?? null;
      return { event: "denied", pair, ...nodes, why, ...asked, head, rule, decision: id ?? null, observed, advice };
    }
  }
}

export function noticeOutput(notice: GatewayNotice): GatewayOutput {
  const { kind, ...fields } = notice;
  if (notice.kind === "audited") {
    const { id, peer, node, verb, target, rule } = notice.decision;
    return { event: "audited", decision: id, peer, node: node ?? "", verb, target, rule, count: notice.count };
  }
  return { event: kind, ...fields } as GatewayOutput;
}

export function reloadFailed(error: SallyportError): GatewayOutput {
  return { event: "reload", ok: false, ...failureDocument(error) };
}

/** One line of JSON, the time behind the kind of event. */
export function outputJson(output: GatewayOutput, atMs: number): Readonly<Record<string, unknown>> {
  const { event, ...fields } = output;
  return { event, at: new Date(atMs).toISOString(), ...fields };
}
