import { diagnose } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { debugText, type TlsDebug } from "../carrier/tls-debug.ts";
import { expiryText } from "../health/expiry-text.ts";
import type { CertificateExpiry } from "../health/expiry-watch.ts";
import type { Denied, Peer, PolicyReloadResult } from "../node/api.ts";
import type { CertificateReloadResult } from "../node/certificate-api.ts";
import type { AuditedPart } from "../policy/audit-mode.ts";
import { refusalWords } from "../policy/decision-words.ts";
import { failureDocument } from "./report.ts";
import { type Colours, printable } from "./terminal.ts";

/** Reason of the warning that says what is in audit mode. */
export const AUDIT_MODE = "POLICY_AUDIT";

/** One event of a running node as `start --json` prints it, without its time (rulings U11). */
export type StartEvent =
  | {
      readonly event: "listening";
      readonly name: string;
      readonly endpoints: readonly string[];
      /** Of the node's key; null without identity by key. */
      readonly fingerprint: string | null;
      /** Where probes ask; absent where nothing answers them. */
      readonly health?: string;
    }
  | (Pick<Peer, "protocol" | "assurance" | "fingerprint" | "address" | "role"> & {
      readonly event: "nodeup";
      readonly peer: string;
    })
  | { readonly event: "nodedown"; readonly peer: string; readonly reason: string }
  /** Refused, or let through by audit mode. */
  | (Denied & { readonly event: "denied" | "audited" })
  | (PolicyReloadResult & { readonly event: "reload"; readonly what: "policy" })
  /** The files of `tls` were read anew. */
  | (CertificateReloadResult & { readonly event: "reload"; readonly what: "certificate" })
  /** The key directory was read anew. Its keys have no generation; `ended`: sessions that lost their standing. */
  | {
      readonly event: "reload";
      readonly what: "identity";
      readonly generation: null;
      readonly ok: boolean;
      readonly ended: number;
      readonly reason?: string;
      readonly message?: string;
    }
  /** The lists of who may connect were read anew. They have no generation. */
  | {
      readonly event: "reload";
      readonly what: "accept";
      readonly generation: null;
      readonly ok: boolean;
      readonly reason?: string;
      readonly message?: string;
    }
  | { readonly event: "output"; readonly peer: string; readonly text: string }
  /** `advice` begins with the side that has to change something; `diagnosis` and `fault`: see docs/doctor.md. */
  | ({
      readonly event: "refused";
      readonly address: string;
      readonly role: string;
      readonly diagnosis: string;
      readonly fault: string;
    } & ReturnType<typeof failureDocument>)
  | { readonly event: "handler_error"; readonly id: string; readonly where: string; readonly message: string }
  | (CertificateExpiry & { readonly event: "expiry" })
  | { readonly event: "warning"; readonly reason: string; readonly message: string }
  | ({ readonly event: "tls"; readonly dropped: number } & TlsDebug)
  | { readonly event: "stopped"; readonly reason: string };

export function nodeupEvent(peer: Peer): StartEvent {
  const { name, protocol, assurance, fingerprint, address, role } = peer;
  return { event: "nodeup", peer: name, protocol, assurance, fingerprint, address, role };
}

/** What audit mode lets through is told apart from what is refused: nobody should take one for the other. */
export function deniedEvent(denied: Denied): StartEvent {
  return { event: denied.outcome === "allow" ? "audited" : "denied", ...denied };
}

/** A connection that failed before it was a session. */
export function refusedEvent(address: string, role: string, error: SallyportError): StartEvent {
  const { code: diagnosis, fault, fix } = diagnose(error);
  return { event: "refused", address, role, ...failureDocument(error), diagnosis, fault, advice: printable(fix) };
}

/** What of a policy is in audit mode; undefined when nothing is. */
export function auditModeEvent(audited: readonly AuditedPart[]): StartEvent | undefined {
  if (audited.length === 0) return undefined;
  return { event: "warning", reason: AUDIT_MODE, message: auditModeText(audited) };
}

/** `audit mode, not enforced: peer desk until 2027-01-15, rule put until 2027-01-15` */
export function auditModeText(audited: readonly AuditedPart[]): string {
  return `audit mode, not enforced: ${audited.map(({ kind, id, until }) => `${kind} ${id} until ${until}`).join(", ")}`;
}

/** A handler of the owner threw. The stack is for the owner; it stays on one line here. */
export function handlerErrorEvent(id: string, where: string, error: unknown): StartEvent {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { event: "handler_error", id, where, message };
}

/** One line of JSON, the time behind the kind of event. */
export function eventJson(event: StartEvent, atMs: number): Readonly<Record<string, unknown>> {
  const { event: kind, ...fields } = event;
  return { event: kind, at: new Date(atMs).toISOString(), ...fields };
}

/** The same for people: time, word, sentence. Output of peers has a line for each of its own. */
export function eventLine(event: StartEvent, atMs: number, colours: Colours): string {
  const time = colours.dim(new Date(atMs).toISOString().slice(11, 19));
  const line = (word: string, sentence: string): string => `${time} ${word} ${printable(sentence)}`;
  switch (event.event) {
    case "listening": {
      const where = event.endpoints.length === 0 ? "only dials, no listener" : event.endpoints.join(", ");
      const probes = event.health === undefined ? "" : `, health at ${event.health}`;
      return line(colours.green("listening"), `${event.name} on ${where}${probes}`);
    }
    case "nodeup":
      return line(
        colours.green("up       "),
        `${event.peer} ${wayOf(event.role)} ${event.address} (protocol ${event.protocol}, assurance ${event.assurance})`,
      );
    case "nodedown":
      return line(colours.yellow("down     "), `${event.peer}: ${event.reason}`);
    case "denied":
      return line(
        colours.red("denied   "),
        `${operationOf(event)} (${event.outcome}${ruleOf(event)}${whyOf(event)}, ${idOf(event)})`,
      );
    case "audited":
      return line(colours.yellow("audited  "), `${operationOf(event)} let through (${event.rule}, ${idOf(event)})`);
    case "reload":
      return line(event.ok ? colours.green("reload   ") : colours.red("reload   "), reloadText(event));
    case "output":
      return outputLines(event.text)
        .map((text) => line(colours.cyan("output   "), `${event.peer}: ${text}`))
        .join("\n");
    case "refused":
      return line(
        colours.red("refused  "),
        `${wayOf(event.role)} ${quotePeerText(event.address)}: ${event.message}; ${event.advice}`,
      );
    case "handler_error":
      return line(
        colours.red("error    "),
        `${event.where} failed (id ${event.id}): ${event.message.split("\n", 1)[0]}`,
      );
    case "expiry":
      return line(event.withinDays === 0 ? colours.red("expired  ") : colours.yellow("expires  "), expiryText(event));
    case "warning":
      return event.reason === AUDIT_MODE
        ? line(colours.red("AUDIT    "), event.message)
        : line(colours.yellow("warning  "), event.message);
    case "tls":
      return line(colours.dim("tls      "), debugText(event));
    case "stopped":
      return line(colours.dim("stopped  "), event.reason);
  }
}

/** Who dialled: an address that this node dialled is no place that somebody came from. */
function wayOf(role: string): "at" | "from" {
  return role === "initiator" ? "at" : "from";
}

/** `rpc of os:cmd/1 to NODE`; of a summary how many more there were. */
function operationOf({ verb, target, peer, count }: Denied): string {
  const operation = verb === "connect" ? `connect to ${peer}` : `${verb} of ${target} to ${peer}`;
  return count > 1 ? `${count} more like the last of them: ${operation}` : operation;
}

function ruleOf({ rule }: Denied): string {
  return rule === null ? "" : ` by ${rule}`;
}

/** What the outcome does not say; of a connection the line `refused` says it. */
function whyOf({ verb, why }: Denied): string {
  return why === undefined || verb === "connect" ? "" : `: ${refusalWords(why).what}`;
}

function idOf({ decision }: Denied): string {
  return `decision ${decision}`;
}

function reloadText(event: Extract<StartEvent, { event: "reload" }>): string {
  const why = (event.message ?? event.reason ?? "").replace(/^\[ERR_[A-Z_]+\] /, "");
  if (event.what === "policy") {
    const { ok, generation } = event;
    return ok ? `policy, generation ${generation}` : `policy refused, generation ${generation} stays in force: ${why}`;
  }
  if (event.what === "accept") {
    return event.ok ? "lists of who may connect" : `lists of who may connect refused, the old ones stay: ${why}`;
  }
  if (event.what === "certificate") {
    return event.ok ? "certificate files, for new connections" : `certificate files refused, the old ones stay: ${why}`;
  }
  return event.ok
    ? `keys and certificate, ${event.ended} sessions ended`
    : `keys and certificate stay as they were: ${why}`;
}

/** Lines of what a peer wrote, without an empty one for its last line break. */
function outputLines(text: string): readonly string[] {
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}
