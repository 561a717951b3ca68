import type { Node } from "../../node/api.ts";
import { Atom, atomName, ExportFun, Pid, type Term, Tuple } from "../../term/types.ts";

/** The shells a worker may have. */
export type ShellKind = "erlang" | "elixir";

/** How each is started: a function that answers the pid of the shell, whose group leader is that of its caller. */
export const SHELLS: Readonly<
  Record<ShellKind, { readonly module: string; readonly fn: string; readonly says: string }>
> = {
  erlang: { module: "shell", fn: "start", says: "Erlang shell" },
  elixir: { module: "Elixir.IEx", fn: "start", says: "IEx" },
};

/** Whether the worker has IEx: it is looked for where its code lies, and not loaded. */
export async function hasElixir(node: Node, worker: string, timeoutMs: number): Promise<boolean> {
  const place = await node.rpc(worker, "code", "which", [new Atom(SHELLS.elixir.module)], { timeoutMs });
  return !(place instanceof Atom);
}

/** Line of all that is evaluated. */
const A = 1;

const form = (kind: string, ...parts: readonly Term[]): Tuple => new Tuple([new Atom(kind), A, ...parts]);
const named = (name: string): Tuple => form("atom", new Atom(name));
const nil = form("nil");

/**
 * Arguments of `erl_eval:expr` that scan `text` on the worker:
 * `case erl_scan:tokens([], Text, ...Args) of {done, Result, Rest} -> {done, Result, Rest}; {more, _} -> more end`. The continuation
 * of `more` holds funs, which no node takes as a value, so that it stays there and all of the text is scanned each time.
 * Undefined when the arguments cannot be written as code.
 */
export function scanExpression(text: string, args: readonly Term[]): readonly Term[] | undefined {
  const written = args.map(abstractOf);
  if (written.includes(undefined)) return undefined;
  const points = Array.from(text, (char) => char.codePointAt(0) as number);
  const call = form("call", form("remote", named("erl_scan"), named("tokens")), [
    nil,
    form("string", points),
    ...written,
  ]);
  const done = form("tuple", [named("done"), form("var", new Atom("Result")), form("var", new Atom("Rest"))]);
  const more = form("tuple", [named("more"), form("var", new Atom("_"))]);
  const clauses = [form("clause", [done], [], [done]), form("clause", [more], [], [named("more")])];
  return [form("case", call, clauses), []];
}

/** Code whose value is the term: of atoms, integers, lists, tuples and external funs. Undefined for any other. */
function abstractOf(term: Term): Term {
  const name = atomName(term);
  if (name !== undefined) return named(name);
  if (typeof term === "number" && Number.isInteger(term)) return form("integer", term);
  if (term instanceof ExportFun) {
    const arity = form("integer", term.arity);
    return form("fun", new Tuple([new Atom("function"), named(term.module), named(term.function), arity]));
  }
  if (term instanceof Tuple) {
    const elements = term.elements.map(abstractOf);
    return elements.includes(undefined) ? undefined : form("tuple", elements);
  }
  if (!Array.isArray(term)) return undefined;
  return term.reduceRight<Term>((tail, item) => {
    const head = abstractOf(item);
    return head === undefined || tail === undefined ? undefined : form("cons", head, tail);
  }, nil);
}

/** The value of `{value, Value, Bindings}`; undefined for anything else. */
export function evaluated(answer: Term): Term {
  return answer instanceof Tuple && answer.length === 3 ? answer.elements[1] : undefined;
}

/** A pid of this life of the worker; undefined for anything else. */
export function ownPidOf(term: Term, worker: { readonly name: string; readonly incarnation: number }): Pid | undefined {
  return term instanceof Pid && term.node === worker.name && term.creation === worker.incarnation ? term : undefined;
}
