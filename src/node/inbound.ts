import { classifyMessage } from "../guard/classify.ts";
import { forgedField } from "../guard/ownership.ts";
import { TupleHead } from "../term/peek.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import type { Functions } from "./functions.ts";
import { Answers } from "./inbound-answers.ts";
import { Deliveries } from "./inbound-messages.ts";
import { Signals } from "./inbound-signals.ts";
import { SpawnRequests } from "./inbound-spawns.ts";
import type { OwnProcesses } from "./message-parts.ts";
import type { NodeCore } from "./node-core.ts";
import { Refusals } from "./refusals.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import type { Session } from "./session.ts";

/**
 * What peers send, decided and carried out. Order for each message: are its identifiers the peer's own, may the peer do
 * this to that target (for which the head of the payload is looked at), and only then is the payload decoded.
 */
export class Inbound {
  readonly #core: NodeCore;
  readonly #spawns: RemoteSpawns;
  readonly #refusals: Refusals;
  readonly #deliveries: Deliveries;
  readonly #answers: Answers;
  readonly #signals: Signals;
  readonly #requests: SpawnRequests;
  readonly #head: TupleHead = new TupleHead();

  constructor(core: NodeCore, functions: Functions, spawns: RemoteSpawns, own: OwnProcesses) {
    this.#core = core;
    this.#spawns = spawns;
    this.#refusals = new Refusals(core);
    this.#deliveries = new Deliveries(core, functions, own, this.#refusals);
    this.#answers = new Answers(core, spawns);
    this.#signals = new Signals(core, own, this.#refusals);
    this.#requests = new SpawnRequests(functions, this.#refusals);
  }

  /** First fragment of a large message: is it worth collecting? Answers no when it would be refused whole. */
  wanted(session: Session, control: Control): boolean {
    if (forgedField(control, session, this.#core.self) !== undefined) return true; // refused, with the connection, when it is complete
    if (control.kind === "alias-send")
      return this.#answers.awaits(session, control.alias) || this.#core.capabilities.size > 0;
    if (control.kind !== "send" && control.kind !== "reg-send") return true;
    if (control.kind === "send" && this.#answers.isMain(control.to)) return this.#core.calls.size > 0;
    return this.#deliveries.mayReach(session, control);
  }

  /**
   * First fragment of a large message to which `wanted` said no: it is refused as the whole would be, by its head, and nothing
   * of it is decoded but whom to answer.
   */
  refused(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    if (control.kind !== "send" && control.kind !== "reg-send") this.#core.counters.add("late_replies");
    else if (control.kind === "send" && this.#answers.isMain(control.to)) this.#core.counters.add("late_replies");
    else this.#deliveries.message(session, control, buffer, start, end);
  }

  /** Takes one message. @throws {SallyportError} which closes the connection */
  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    const warm = session.warm;
    if (warm?.control === control && warm.generation === this.#core.processes.names.generation && warm.process.alive) {
      const verb = classifyMessage(buffer, start, end, this.#head, session.terms.atomRefs);
      if ((verb === "send" && warm.send) || (verb === "call" && warm.call) || (verb === "cast" && warm.cast)) {
        this.#deliveries.deliver(session, warm.control, warm.process, warm.ctx, verb, buffer, start, end);
        return;
      }
    }
    const forged = forgedField(control, session, this.#core.self);
    if (forged !== undefined) {
      throw misbehaved("FORGED_IDENTIFIER", `the ${forged} of a ${control.kind} message does not belong to the peer`);
    }
    switch (control.kind) {
      case "send":
        if (this.#answers.isMain(control.to)) this.#answers.toMain(session, buffer, start, end);
        else this.#deliveries.message(session, control, buffer, start, end);
        return;
      case "reg-send":
        this.#deliveries.message(session, control, buffer, start, end);
        return;
      case "alias-send":
        if (this.#answers.byAlias(session, control.alias, buffer, start, end)) return;
        this.#deliveries.byCapability(session, control, buffer, start, end);
        return;
      case "monitor":
        this.#signals.monitor(session, control);
        return;
      case "demonitor":
        this.#signals.demonitor(session, control);
        return;
      case "monitor-exit":
        this.#answers.down(session, control, buffer, start, end);
        return;
      case "link":
        this.#signals.link(session, control);
        return;
      case "unlink":
        return;
      case "unlink-id":
        session.tables.unlinkRequested(control.id, control.from, control.to);
        return;
      case "unlink-id-ack":
        session.tables.unlinkAcked(control.id, control.from, control.to);
        return;
      case "exit":
        this.#answers.exit(session, control, buffer, start, end);
        return;
      case "exit2":
        this.#signals.exit2(session, control, buffer, start, end);
        return;
      case "group-leader":
        this.#refusals.record(session, "io", "group leader", { outcome: "deny-default" });
        return;
      case "spawn-request":
        this.#requests.request(session, control, buffer, start, end);
        return;
      case "spawn-reply":
        if (!this.#spawns.replyReceived(session, control)) this.#core.counters.add("unsolicited");
        return;
    }
  }

  /** Rules have changed: what of this session's monitors, links and work has no grant any more is closed. */
  withdraw(session: Session): void {
    session.warm = undefined;
    // Calls before monitors: a caller is told once, by the end of the monitor behind which it waits.
    session.work.reconsider();
    this.#signals.withdraw(session);
  }
}
