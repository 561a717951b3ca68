import type { Target } from "./decision.ts";
import { functionLabel, namedFunctionLabel, splitFunctionLabel, type TargetMatcher } from "./parse-target.ts";

/** What an index takes: an entry of `to`, or one of the two that only shorthands and denies have. */
export type IndexMatcher = TargetMatcher | { readonly kind: "every-function" } | { readonly kind: "everything" };

/**
 * Values by what they concern, so that finding those of one target is a look into two maps and three lists. `star` is every
 * name and every pid, as in a grant; `everything` is what `*` means in a deny.
 */
export class TargetIndex<T> {
  readonly #names = new Map<string, T[]>();
  readonly #functions = new Map<string, T[]>();
  readonly #modules = new Map<string, T[]>();
  readonly #grantedPids: T[] = [];
  readonly #anyPid: T[] = [];
  readonly #namesAndPids: T[] = [];
  readonly #everyFunction: T[] = [];
  readonly #everything: T[] = [];

  add(matcher: IndexMatcher, value: T): void {
    switch (matcher.kind) {
      case "name":
        put(this.#names, matcher.name, value);
        put(this.#functions, namedFunctionLabel(matcher.name), value);
        break;
      case "function":
        put(this.#functions, functionLabel(matcher.module, matcher.function, matcher.arity), value);
        break;
      case "module":
        put(this.#modules, matcher.module, value);
        break;
      case "granted-pids":
        this.#grantedPids.push(value);
        break;
      case "any-pid":
        this.#anyPid.push(value);
        break;
      case "star":
        this.#namesAndPids.push(value);
        break;
      case "every-function":
        this.#everyFunction.push(value);
        break;
      case "everything":
        this.#everything.push(value);
        break;
    }
  }

  /** Appends the values that concern `target` to `out`; one may come twice. */
  collect(target: Target, out: T[]): void {
    append(out, this.#everything);
    switch (target.kind) {
      case "name":
        append(out, this.#names.get(target.name));
        append(out, this.#namesAndPids);
        break;
      case "pid":
        if (target.name !== undefined) append(out, this.#names.get(target.name));
        if (target.granted) append(out, this.#grantedPids);
        append(out, this.#anyPid);
        append(out, this.#namesAndPids);
        break;
      case "function":
        append(out, this.#functions.get(target.label));
        append(out, this.#everyFunction);
        if (this.#modules.size > 0) {
          const parts = splitFunctionLabel(target.label);
          if (parts !== undefined) append(out, this.#modules.get(parts.module));
        }
        break;
      case "node":
        break;
    }
  }
}

function put<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function append<T>(out: T[], values: readonly T[] | undefined): void {
  if (values !== undefined) for (const value of values) out.push(value);
}
