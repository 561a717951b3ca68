import type { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { Denied, Peer } from "../node/api.ts";
import { failureDocument } from "./report.ts";
import { type Colours, printable } from "./terminal.ts";

/** One event of a running node as `start --json` prints it, without its time (rulings U11). */
export type StartEvent =
  | {
      readonly event: "listening";
      readonly name: string;
      readonly endpoints: readonly string[];
      /** Of the node's key; null without identity by key. */
      readonly fingerprint: string | null;
    }
  | (Pick<Peer, "protocol" | "assurance" | "fingerprint" | "address"> & {
      readonly event: "nodeup";
      readonly peer: string;
    })
  | { readonly event: "nodedown"; readonly peer: string; readonly reason: string }
  | (Denied & { readonly event: "denied" })
  | ({ readonly event: "refused"; readonly address: string; readonly role: string } & ReturnType<
      typeof failureDocument
    >)
  | { readonly event: "handler_error"; readonly id: string; readonly where: string; readonly message: string }
  | { readonly event: "warning"; readonly reason: string; readonly message: string }
  | { readonly event: "stopped"; readonly reason: string };

export function nodeupEvent(peer: Peer): StartEvent {
  const { name, protocol, assurance, fingerprint, address } = peer;
  return { event: "nodeup", peer: name, protocol, assurance, fingerprint, address };
}

/** A connection that failed before it was a session. */
export function refusedEvent(address: string, role: string, error: SallyportError): StartEvent {
  return { event: "refused", address, role, ...failureDocument(error) };
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

/** The same for people: time, word, sentence. */
export function eventLine(event: StartEvent, atMs: number, colours: Colours): string {
  const time = colours.dim(new Date(atMs).toISOString().slice(11, 19));
  const line = (word: string, sentence: string): string => `${time} ${word} ${printable(sentence)}`;
  switch (event.event) {
    case "listening": {
      const where = event.endpoints.length === 0 ? "only dials, no listener" : event.endpoints.join(", ");
      return line(colours.green("listening"), `${event.name} on ${where}`);
    }
    case "nodeup":
      return line(
        colours.green("up       "),
        `${event.peer} from ${event.address} (protocol ${event.protocol}, assurance ${event.assurance})`,
      );
    case "nodedown":
      return line(colours.yellow("down     "), `${event.peer}: ${event.reason}`);
    case "denied":
      return line(
        colours.red("denied   "),
        `${event.verb} of ${event.target} to ${event.peer} (${event.outcome}, decision ${event.decision})`,
      );
    case "refused":
      return line(colours.red("refused  "), `${quotePeerText(event.address)}: ${event.message}; ${event.advice}`);
    case "handler_error":
      return line(
        colours.red("error    "),
        `${event.where} failed (id ${event.id}): ${event.message.split("\n", 1)[0]}`,
      );
    case "warning":
      return line(colours.yellow("warning  "), event.message);
    case "stopped":
      return line(colours.dim("stopped  "), event.reason);
  }
}
