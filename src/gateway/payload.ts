import type { Incarnation } from "../guard/ownership.ts";
import { DEFAULT_TERM_LIMITS, type TermLimits } from "../term/limits.ts";
import { TermSkipper } from "../term/skip.ts";
import { LIST_EXT, NIL_EXT, STRING_EXT } from "../term/tags.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import {
  atomAt,
  atomIs,
  isAtom,
  isIdentifier,
  isPid,
  isReference,
  isTuple,
  nodeOf,
  ownPidKey,
  ownRefKey,
  Step,
  stepInto,
} from "./encoded-terms.ts";

/** Atoms are counted by the session, not by the message. */
const LIMITS: TermLimits = Object.freeze({ ...DEFAULT_TERM_LIMITS, maxAtoms: Number.MAX_SAFE_INTEGER });

/** What one payload holds of what may not cross. */
export class PayloadFacts {
  hasFun = false;
  /** An identifier, also that of a fun's maker, of a node that is neither of the two. */
  hasForeign = false;
  /** Pids, ports and references, those of the makers of funs included. */
  identifiers = 0;
}

/** One term after another: walking calls nothing that walks. */
const SKIPPER: TermSkipper = new TermSkipper();
const STEP: Step = new Step();

/**
 * Walks a payload once: exactly one term, within the limits on depth and integers, without references to a distribution
 * header. Fills `facts`; `atoms` receives each atom, also names of nodes.
 * @param nodes the names of the pair, as on the wire: for a BEAM a host in other letters is another node
 * @throws {SallyportError} ERR_PEER_MISBEHAVED PACKET_TRAILING_BYTES, TERM_*; ERR_LIMIT TERM_DEPTH, TERM_INTEGER_BYTES
 */
export function walkPayload(
  b: Buffer,
  start: number,
  end: number,
  nodes: readonly [string, string],
  facts: PayloadFacts,
  atoms?: Set<string>,
): void {
  facts.hasFun = false;
  facts.hasForeign = false;
  const after = SKIPPER.skip(b, start, end, LIMITS);
  if (after !== end) {
    throw misbehaved("PACKET_TRAILING_BYTES", `${end - after} bytes follow the payload of a message`);
  }
  if (SKIPPER.hasAtomRef) throw cacheRef();
  facts.hasFun = SKIPPER.hasFun;
  facts.identifiers = SKIPPER.identifiers;
  // Most payloads need no second look: it is for names of nodes, and for atoms where those are counted.
  if (facts.identifiers === 0 && (atoms === undefined || SKIPPER.atoms === 0)) return;
  const step = STEP;
  for (let p = start; p < end; p = step.next) {
    stepInto(b, p, step);
    const { tag } = step;
    if (isIdentifier(tag)) noteNode(b, nodeOf(b, p), nodes, facts, atoms);
    else if (atoms !== undefined && isAtom(tag)) atoms.add(atomAt(b, p) as string);
  }
}

function noteNode(
  b: Buffer,
  at: number,
  nodes: readonly [string, string],
  facts: PayloadFacts,
  atoms: Set<string> | undefined,
): void {
  const known = atomIs(b, at, nodes[0]) ? nodes[0] : atomIs(b, at, nodes[1]) ? nodes[1] : undefined;
  if (known === undefined) facts.hasForeign = true;
  atoms?.add(known ?? (atomAt(b, at) as string));
}

function cacheRef(): Error {
  return misbehaved(
    "TERM_ATOM_REF_INVALID",
    "a reference to an atom of a distribution header, which was not negotiated",
  );
}

/** A term that an answer may begin with. */
export interface Candidate {
  readonly start: number;
  readonly end: number;
  /** Keys of the references it holds directly, or is. */
  readonly refs: readonly string[];
}

/** What a message gives its receiver to answer with. */
export interface Tokens {
  /** Keys of the commander's pids, each once. */
  readonly pids: Set<string>;
  readonly candidates: Candidate[];
}

interface Open {
  left: number;
  readonly start: number;
  /** A tuple of two, or a list: what may be a tag. */
  readonly mayBeTag: boolean;
  readonly isList: boolean;
  refs: string[] | undefined;
  lastTag: number;
}

/**
 * Looks for what the receiver of a term may answer with: pids and references of `owner`, and as tags each such reference,
 * each tuple of two and each improper list that holds one directly. At most `maxTerms` terms are looked at, also those
 * inside funs; what is not whole by then is no candidate.
 */
export function findTokens(b: Buffer, start: number, end: number, owner: Incarnation, maxTerms: number): Tokens {
  const tokens: Tokens = { pids: new Set(), candidates: [] };
  const stack: Open[] = [];
  const step = new Step();
  let p = start;
  for (let seen = 0; p < end && seen < maxTerms; seen++) {
    const at = p;
    stepInto(b, at, step);
    p = step.next;
    const { tag } = step;
    const top = stack[stack.length - 1];
    if (top !== undefined) {
      top.left--;
      top.lastTag = tag;
    }
    if (isPid(tag)) {
      const key = ownPidKey(b, at, owner.node, owner.creation);
      if (key !== undefined) tokens.pids.add(key);
    } else if (isReference(tag)) {
      const key = ownRefKey(b, at, owner.node, owner.creation);
      if (key !== undefined) {
        tokens.candidates.push({ start: at, end: p, refs: [key] });
        if (top?.mayBeTag === true) {
          top.refs ??= [];
          top.refs.push(key);
        }
      }
    }
    if (step.inside > 0) {
      const isList = tag === LIST_EXT;
      const isPair = isTuple(tag) && step.inside === 2;
      stack.push({ left: step.inside, start: at, mayBeTag: isList || isPair, isList, refs: undefined, lastTag: 0 });
    }
    closeFilled(stack, p, tokens);
  }
  return tokens;
}

function closeFilled(stack: Open[], end: number, tokens: Tokens): void {
  for (;;) {
    const top = stack[stack.length - 1];
    if (top === undefined || top.left > 0) return;
    stack.pop();
    if (top.refs === undefined || (top.isList && isListTail(top.lastTag))) continue;
    tokens.candidates.push({ start: top.start, end, refs: top.refs });
  }
}

function isListTail(tag: number): boolean {
  return tag === NIL_EXT || tag === LIST_EXT || tag === STRING_EXT;
}

/** Keys of all references in the term `b[start..end)`; undefined when one of them is not of `owner`. */
export function referencesIn(b: Buffer, start: number, end: number, owner: Incarnation): string[] | undefined {
  const keys: string[] = [];
  const step = new Step();
  for (let p = start; p < end; p = step.next) {
    stepInto(b, p, step);
    if (!isReference(step.tag)) continue;
    const key = ownRefKey(b, p, owner.node, owner.creation);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  return keys;
}
