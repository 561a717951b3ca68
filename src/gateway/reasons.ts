import { ATOM_CACHE_REF, EXPORT_EXT, MAP_EXT, NEW_FUN_EXT } from "../term/tags.ts";
import { Atom } from "../term/types.ts";
import { atomAt, isIdentifier, nodeOf, Step, stepInto, termEnd, tupleAt } from "./encoded-terms.ts";
import { encoded } from "./verdict.ts";

/** Stands in a reason where a fun or an identifier of a third node stood. */
const REMOVED: Buffer = encoded(new Atom("removed_by_gateway"));

const CLASSES: Readonly<Record<string, Buffer>> = Object.freeze(
  Object.fromEntries(
    ["normal", "shutdown", "killed", "noproc", "noconnection", "error"].map((name) => [name, encoded(new Atom(name))]),
  ),
);

/** The classes of results that `erpc:execute_call` puts into the reason of its process. */
const RESULTS: ReadonlySet<string | undefined> = new Set(["return", "throw", "exit", "error"]);

/**
 * What the worker may learn of the reason at `b[start..end)` (rulings S11): its class, one of the atoms `normal`, `shutdown`,
 * `killed`, `noproc`, `noconnection` and `error`.
 */
export function reasonClass(b: Buffer, start: number): Buffer {
  const pair = tupleAt(b, start, 2);
  let name = atomAt(b, start);
  if (pair !== undefined && atomAt(b, pair[0] as number) === "shutdown") name = "shutdown";
  if (name === "kill") name = "killed";
  return (name !== undefined && Object.hasOwn(CLASSES, name) ? CLASSES[name] : CLASSES["error"]) as Buffer;
}

/** `return` or `throw` and so on when the reason is the result of the call whose first argument was `tag`. */
export function resultKind(b: Buffer, start: number, tag: string | undefined): string | undefined {
  if (tag === undefined) return undefined;
  const places = tupleAt(b, start, 3) ?? tupleAt(b, start, 4);
  if (places === undefined || b.toString("latin1", places[0], places[1]) !== tag) return undefined;
  const kind = atomAt(b, places[1] as number);
  return RESULTS.has(kind) ? kind : undefined;
}

/**
 * The reason at `b[start..end)` with an inert atom in place of each fun and each identifier of a third node: a `badfun`
 * carries one with good reason, and the commander must learn of the end in any case. Where one stands in the key of a map,
 * where two might become equal, the class of the reason is all that is left.
 */
export function withoutFuns(b: Buffer, start: number, end: number, nodes: readonly [string, string]): Buffer {
  const pieces: Buffer[] = [];
  /** Open containers: terms left, 1 for a map, 1 within a key. */
  const left: number[] = [];
  const maps: boolean[] = [];
  const keys: boolean[] = [];
  const step = new Step();
  let copied = start;
  for (let p = start; p < end; ) {
    const top = left.length - 1;
    const inKey = top >= 0 && (keys[top] === true || (maps[top] === true && (left[top] as number) % 2 === 0));
    if (top >= 0) left[top] = (left[top] as number) - 1;
    stepInto(b, p, step);
    if (mustGo(b, p, step.tag, nodes)) {
      if (inKey) return reasonClass(b, start);
      pieces.push(b.subarray(copied, p), REMOVED);
      p = termEnd(b, p);
      copied = p;
    } else {
      p = step.next;
      if (step.inside > 0) {
        left.push(step.inside);
        maps.push(step.tag === MAP_EXT);
        keys.push(inKey);
      }
    }
    while (left.length > 0 && left[left.length - 1] === 0) {
      left.pop();
      maps.pop();
      keys.pop();
    }
  }
  pieces.push(b.subarray(copied, end));
  return Buffer.concat(pieces);
}

function mustGo(b: Buffer, at: number, tag: number, nodes: readonly [string, string]): boolean {
  if (tag === NEW_FUN_EXT || tag === EXPORT_EXT || tag === ATOM_CACHE_REF) return true;
  if (!isIdentifier(tag)) return false;
  const node = atomAt(b, nodeOf(b, at));
  return node !== nodes[0] && node !== nodes[1];
}
