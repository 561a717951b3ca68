import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { AllowRule } from "../guard/allow.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { PayloadBytes } from "../guard/weigh.ts";
import type { Grant, Verdict } from "../policy/decision.ts";
import { functionLabel, namedFunctionLabel } from "../policy/parse-target.ts";
import { handlerError, NORMAL } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import { Atom, atomName, Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import type { FunctionName, RegisteredFunction, RegisterOptions } from "./api.ts";
import { MessageContext, OwnedLifetime } from "./message-context.ts";
import { type NodeCore, reportHandlerError } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import type { OpenWork } from "./open-work.ts";
import { Refusals, type Why } from "./refusals.ts";
import type { Session } from "./session.ts";

/** Module under which Sallyport functions without one are spawned (rulings U8). */
export const SALLYPORT_FUNCTION_MODULE = "sallyport_fn";

/** Functions one peer may have started here, by spawn or rpc, and that still run. */
export const MAX_SPAWNED_PER_PEER = 4_096;

/** Arguments of a remote call, at most. */
const MAX_ARITY = 255;

const RETURN = new Atom("return");
const ERROR = new Atom("error");

/** A function may be run: by which grant; undefined where nothing is bounded. */
export interface Granted {
  readonly verdict: Verdict;
  readonly grant: Grant | undefined;
}

/** Whether a function may be run, or why not. */
export type Asked = Granted | { readonly why: Why };

export interface FunctionEntry {
  readonly label: string;
  readonly run: RegisteredFunction;
  readonly rule: AllowRule | undefined;
}

type SpawnRequest = Extract<Control, { kind: "spawn-request" }>;

/** What a spawn request asks for, once its arguments are read. */
export interface Invocation {
  readonly verb: "rpc" | "spawn";
  /** For messages: `module:function/arity`. */
  readonly label: string;
  readonly args: readonly Term[];
  /** The reference under which erpc expects the result, for `erpc:execute_call/4`. */
  readonly resultRef: Reference | undefined;
}

/** Functions the owner registered: the only code that a peer's spawn or rpc can reach (design D7). */
export class Functions {
  readonly #core: NodeCore;
  readonly #entries = new Map<string, FunctionEntry>();
  /** Places taken, by canonical name of the peer. */
  readonly #running = new Map<NodeName, number>();

  constructor(core: NodeCore) {
    this.#core = core;
  }

  /** @throws {SallyportError} ERR_API_MISUSE FUNCTION_TAKEN, FUNCTION_INVALID */
  register(name: FunctionName, run: RegisteredFunction, options: RegisterOptions): void {
    const label = labelOf(name);
    if (typeof run !== "function") throw invalid(label, "is registered without a function to run");
    if (this.#entries.has(label)) {
      throw new SallyportError("ERR_API_MISUSE", "FUNCTION_TAKEN", `function ${label} is registered already`, {
        advice: "register each function once",
      });
    }
    this.#entries.set(label, { label, run, rule: AllowRule.compile(options.allow, ["rpc", "spawn"]) });
  }

  /** The function that is registered as `label`. */
  entry(label: string): FunctionEntry | undefined {
    return this.#entries.get(label);
  }

  /** Of all that is registered, in the order of registration. */
  labels(): Iterable<string> {
    return this.#entries.keys();
  }

  /** What code grants, for a matrix of who may what. */
  *rules(): IterableIterator<{ readonly label: string; readonly rule: AllowRule }> {
    for (const { label, rule } of this.#entries.values()) if (rule !== undefined) yield { label, rule };
  }

  /** Whether the peer may run what its request asks for, before the arguments are decoded. Uses up rates. */
  ask(session: Session, verb: "rpc" | "spawn", label: string, payload: PayloadBytes): Asked {
    const { guard } = session;
    const verdict = guard.onFunction(verb, label, this.#entries.get(label)?.rule);
    if (verdict.outcome !== "allow") return { why: verdict };
    if (guard.isOpen(verdict)) return { verdict, grant: undefined };
    const grant = guard.weigh(verdict, payload, session.terms);
    return "kind" in grant ? { why: grant } : { verdict, grant };
  }

  /** Reads what is asked for; undefined when the arguments do not have the shape that the request demands. */
  read(request: SpawnRequest, payload: Term): Invocation | undefined {
    if (!Array.isArray(payload) || payload.length > MAX_ARITY) return undefined;
    const args: readonly Term[] = payload;
    if (request.module !== "erpc") {
      if (args.length !== request.arity) return undefined;
      const sallyport = request.module === SALLYPORT_FUNCTION_MODULE;
      const label = sallyport
        ? namedFunctionLabel(request.function)
        : functionLabel(request.module, request.function, request.arity);
      return { verb: "spawn", label, args, resultRef: undefined };
    }
    const isCall = request.function === "execute_call" && request.arity === 4 && args.length === 4;
    const isCast = request.function === "execute_cast" && request.arity === 3 && args.length === 3;
    if (!isCall && !isCast) return undefined;
    const [module, fn, inner] = isCall ? args.slice(1) : args;
    const moduleName = atomName(module);
    const functionName = atomName(fn);
    if (moduleName === undefined || functionName === undefined || !Array.isArray(inner)) return undefined;
    const resultRef = isCall ? args[0] : undefined;
    return {
      verb: "rpc",
      label: functionLabel(moduleName, functionName, inner.length),
      args: inner,
      resultRef: resultRef instanceof Reference ? resultRef : undefined,
    };
  }

  /**
   * Starts the process of a permitted request: SPAWN_REPLY first, then link and monitor, then the function runs. `missing`:
   * nothing is registered; `full`: the peer, its grant or the node has too many running.
   */
  start(
    session: Session,
    request: SpawnRequest,
    invocation: Invocation,
    grant: Grant | undefined,
  ): "started" | "missing" | "full" {
    const entry = this.#entries.get(invocation.label);
    if (entry === undefined) return "missing";
    const giveBack = this.takePlace(session, grant);
    if (giveBack === undefined) return "full";
    const { processes } = this.#core;
    const life = new OwnedLifetime();
    const behaviour = new FunctionBehaviour(this.#core, entry, invocation, life, (process, reason) => {
      processes.exit(process, reason);
    });
    // An erpc caller that gives up takes its monitor back, and nobody wants the result of a lost one: the function is told.
    const isCall = invocation.resultRef !== undefined;
    const work: OpenWork = {
      // What was spawned to stay outlives the session; an answer that nobody waits for does not.
      end: () => {
        if (isCall) life.end();
      },
      reconsider: () => this.#reconsider(session, invocation, behaviour),
    };
    const watched = isCall ? request.ref : undefined;
    session.work.add(work, watched);
    behaviour.ended = (): void => {
      giveBack();
      life.end();
      session.work.remove(work, watched);
    };
    const parent = AllowRule.forPeer(session.facts, ["send", "monitor", "link", "exit"]);
    let process: NodeProcess;
    try {
      process = processes.spawn(behaviour, { tag: parent, exposeReasons: true });
    } catch (error) {
      behaviour.ended();
      if (isSallyportError(error)) return "full"; // PROCESS_LIMIT
      throw error;
    }
    behaviour.process = process;
    const wanted = optionNames(request.options);
    const flags = (wanted.has("link") ? 1 : 0) | (wanted.has("monitor") ? 2 : 0);
    session.signal({ kind: "spawn-reply", ref: request.ref, to: request.from, flags, result: process.pid });
    if ((flags & 1) !== 0) session.tables.linkRequested(request.from, process.pid);
    if ((flags & 2) !== 0) session.tables.monitorRequested(request.from, process.pid, request.ref);
    process.deliver(
      invocation.args,
      new MessageContext(session.peer, request.from, this.#core.name, process.pid, life),
    );
    return "started";
  }

  /** What the rules in force say of a function that runs already. */
  verdict(session: Session, verb: "rpc" | "spawn", label: string): Verdict {
    return session.guard.onFunction(verb, label, this.#entries.get(label)?.rule);
  }

  /** Rules have changed: a call that they do not allow any more ends as refused. */
  #reconsider(session: Session, { verb, label }: Invocation, behaviour: FunctionBehaviour): void {
    const verdict = this.verdict(session, verb, label);
    if (verdict.outcome === "allow") return;
    const refused = new Refusals(this.#core).record(session, verb, label, verdict);
    if (behaviour.process !== undefined) this.#core.processes.exit(behaviour.process, denied(refused));
  }

  /**
   * Takes one of the places a peer has for functions that run; undefined when it has none left. Counted by name and not by
   * session, or connecting anew would give as many again. The function returned gives the place back, once.
   */
  takePlace(session: Session, grant: Grant | undefined): (() => void) | undefined {
    const name = session.facts.name;
    const count = this.#running.get(name) ?? 0;
    if (count >= MAX_SPAWNED_PER_PEER || !session.guard.enter("function", grant)) return undefined;
    this.#running.set(name, count + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      session.guard.leave("function", grant);
      const left = (this.#running.get(name) ?? 1) - 1;
      if (left === 0) this.#running.delete(name);
      else this.#running.set(name, left);
    };
  }
}

/** Runs one registered function as the life of one process; further messages to it are dropped. */
class FunctionBehaviour implements Behaviour<MessageContext> {
  process: NodeProcess | undefined;
  ended: () => void = () => {};
  readonly #core: NodeCore;
  readonly #entry: FunctionEntry;
  readonly #invocation: Invocation;
  readonly #life: OwnedLifetime;
  readonly #exit: (process: NodeProcess, reason: Term) => void;
  #started = false;

  constructor(
    core: NodeCore,
    entry: FunctionEntry,
    invocation: Invocation,
    life: OwnedLifetime,
    exit: (process: NodeProcess, reason: Term) => void,
  ) {
    this.#core = core;
    this.#entry = entry;
    this.#invocation = invocation;
    this.#life = life;
    this.#exit = exit;
  }

  message(_term: Term, ctx: MessageContext): void {
    if (this.#started) return;
    this.#started = true;
    // Not awaited by the mailbox: exit signals must reach a process that waits for a promise.
    void this.#run(ctx);
  }

  terminated(): void {
    this.ended();
  }

  async #run(ctx: MessageContext): Promise<void> {
    let reason: Term;
    const { resultRef } = this.#invocation;
    try {
      const value = (await this.#entry.run(this.#invocation.args, ctx.within(this.#life))) as Term;
      reason = resultRef === undefined ? NORMAL : new Tuple([resultRef, RETURN, value]);
    } catch (error) {
      const told = handlerError(reportHandlerError(this.#core, this.#entry.label, error));
      reason = resultRef === undefined ? told : new Tuple([resultRef, ERROR, told, []]);
    }
    if (this.process !== undefined) this.#exit(this.process, reason);
  }
}

function optionNames(options: Term): ReadonlySet<string> {
  const names = new Set<string>();
  if (Array.isArray(options)) for (const option of options) names.add(atomName(option) ?? "");
  return names;
}

function labelOf(name: FunctionName): string {
  if (typeof name === "string") {
    if (name.length === 0 || name.length > 255 || name.includes(":")) throw invalid(name, "is not a function name");
    return namedFunctionLabel(name);
  }
  if (!Number.isInteger(name.arity) || name.arity < 0 || name.arity > MAX_ARITY) {
    throw invalid(name.function, `has arity ${name.arity}, which is not 0..${MAX_ARITY}`);
  }
  return functionLabel(name.module, name.function, name.arity);
}

function invalid(label: string, what: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "FUNCTION_INVALID", `"${label}" ${what}`, {
    advice: "give a name such as worker, or {module, function, arity}",
  });
}
