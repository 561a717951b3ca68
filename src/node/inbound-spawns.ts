import { wantedByErpc } from "../guard/peek-function.ts";
import { functionLabel, namedFunctionLabel } from "../policy/parse-target.ts";
import type { Control } from "../wire/control-types.ts";
import { decodePayload } from "./decode-payload.ts";
import { type Functions, SALLYPORT_FUNCTION_MODULE } from "./functions.ts";
import { BY_DEFAULT, BY_LIMIT, NOT_REGISTERED, type Refusals } from "./refusals.ts";
import type { Session } from "./session.ts";

type SpawnRequest = Extract<Control, { kind: "spawn-request" }>;

/** What a spawn request is for, as its head says it. */
interface Wanted {
  readonly verb: "rpc" | "spawn";
  readonly label: string;
  /** Offset of the argument list. */
  readonly args: number;
}

/** SPAWN_REQUEST: only functions that the owner registered run, and only those that the rules grant. Answered always. */
export class SpawnRequests {
  readonly #functions: Functions;
  readonly #refusals: Refusals;

  constructor(functions: Functions, refusals: Refusals) {
    this.#functions = functions;
    this.#refusals = refusals;
  }

  request(session: Session, control: SpawnRequest, buffer: Buffer, start: number, end: number): void {
    const wanted = this.#wanted(session, control, buffer, start, end);
    if (wanted === undefined) {
      const label = functionLabel(control.module, control.function, control.arity);
      this.#refusals.record(session, control.module === "erpc" ? "rpc" : "spawn", label, BY_DEFAULT);
      answer(session, control, "eperm");
      return;
    }
    const { verb, label } = wanted;
    const asked = this.#functions.ask(session, verb, label, { buffer, start, end, inner: wanted.args });
    if ("why" in asked) {
      this.#refusals.record(session, verb, label, asked.why);
      answer(session, control, "eperm");
      return;
    }
    const invocation = this.#functions.read(control, decodePayload(session, buffer, start, end));
    const { watch, guard } = session;
    const isUnwanted =
      (watch.hasFun && !guard.mayFuns(asked.grant)) || (watch.hasForeign && !guard.mayForeign(asked.grant));
    if (invocation === undefined || invocation.label !== label || isUnwanted) {
      this.#refusals.record(session, verb, label, isUnwanted ? BY_LIMIT : BY_DEFAULT);
      answer(session, control, "eperm");
      return;
    }
    const outcome = this.#functions.start(session, control, invocation, asked.grant);
    if (outcome === "started") {
      this.#refusals.allowed(session, verb, label, asked.verdict, asked.grant);
      return;
    }
    this.#refusals.record(session, verb, label, outcome === "full" ? BY_LIMIT : NOT_REGISTERED);
    answer(session, control, outcome === "missing" ? "eperm" : "system_limit");
  }

  #wanted(session: Session, control: SpawnRequest, buffer: Buffer, start: number, end: number): Wanted | undefined {
    const { module, function: fn, arity } = control;
    if (module !== "erpc") {
      const label = module === SALLYPORT_FUNCTION_MODULE ? namedFunctionLabel(fn) : functionLabel(module, fn, arity);
      return { verb: "spawn", label, args: start };
    }
    const isCall = fn === "execute_call" && arity === 4;
    if (!isCall && !(fn === "execute_cast" && arity === 3)) return undefined;
    const wanted = wantedByErpc(buffer, start, end, isCall ? 4 : 3, session.terms.atomRefs);
    if (wanted === undefined) return undefined;
    return { verb: "rpc", label: functionLabel(wanted.module, wanted.fn, wanted.arity), args: wanted.args };
  }
}

function answer(session: Session, control: SpawnRequest, result: string): void {
  session.signal({ kind: "spawn-reply", ref: control.ref, to: control.from, flags: 0, result });
}
