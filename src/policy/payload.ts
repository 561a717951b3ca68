import type { TermFacts } from "../term/inspect.ts";
import type { Bounds } from "./bounds.ts";
import { isShapeWord } from "./check/check-shape.ts";
import type { ShapeEntry } from "./document.ts";
import type { Policy } from "./policy.ts";

/** The bound that one payload does not keep, by its name in the file. */
export type PayloadBound = "payload" | "depth" | "elements" | "newAtoms" | "funs" | "foreign";

/** Atoms that every program uses; they are never new. */
const COMMON_ATOMS: readonly string[] = ["true", "false", "nil", "undefined", "ok", "error", "null"];

/**
 * Which bound a payload does not keep; undefined when it keeps all. Numbers must keep those of the grant and those of the
 * peer; funs and identifiers of third nodes pass when either says so, so a grant can open what the peer's bounds leave shut.
 */
export function withinBounds(
  grant: Bounds | undefined,
  peer: Bounds,
  facts: TermFacts,
  payloadBytes: number,
): PayloadBound | undefined {
  if (exceeds(payloadBytes, grant?.payloadBytes, peer.payloadBytes)) return "payload";
  if (exceeds(facts.depth, grant?.depth, peer.depth)) return "depth";
  if (exceeds(facts.elements, grant?.elements, peer.elements)) return "elements";
  if (exceeds(facts.newAtoms, grant?.newAtoms, peer.newAtoms)) return "newAtoms";
  if (facts.hasFun && grant?.funs !== true && !peer.funs) return "funs";
  if (facts.hasForeign && grant?.foreign !== true && !peer.foreign) return "foreign";
  return undefined;
}

/** Whether more than the size of a payload must be looked at; `inspectTerm` need not run otherwise. */
export function needsInspection(grant: Bounds | undefined, peer: Bounds): boolean {
  return (
    !(grant?.funs === true || peer.funs) ||
    !(grant?.foreign === true || peer.foreign) ||
    [grant, peer].some(
      (bounds) => bounds?.depth !== undefined || bounds?.elements !== undefined || bounds?.newAtoms !== undefined,
    )
  );
}

/** Up to how many new atoms must be counted to judge this grant; undefined when they do not matter. */
export function newAtomsToCount(grant: Bounds | undefined, peer: Bounds): number | undefined {
  if (grant?.newAtoms === undefined) return peer.newAtoms;
  return peer.newAtoms === undefined ? grant.newAtoms : Math.min(grant.newAtoms, peer.newAtoms);
}

/** Atoms that are not new in any payload: those that the policy names in shapes and targets, and the common ones. */
export function knownAtomsOf(policy: Policy): ReadonlySet<string> {
  const atoms = new Set(COMMON_ATOMS);
  for (const rule of policy.rules) {
    for (const target of rule.targets) {
      if (target.kind === "name") atoms.add(target.name);
      else if (target.kind === "function") atoms.add(target.module).add(target.function);
      else if (target.kind === "module") atoms.add(target.module);
    }
    if (rule.entry.shape !== undefined) addShapeAtoms(rule.entry.shape, atoms);
  }
  return atoms;
}

function addShapeAtoms(shape: ShapeEntry, atoms: Set<string>): void {
  if (typeof shape === "number") return;
  if (typeof shape === "string") {
    if (!isShapeWord(shape)) atoms.add(shape);
  } else if ("atom" in shape) atoms.add(shape.atom);
  else if ("tuple" in shape) for (const part of shape.tuple) addShapeAtoms(part, atoms);
  else if ("list" in shape) addShapeAtoms(shape.list, atoms);
  else if ("oneOf" in shape) for (const part of shape.oneOf) addShapeAtoms(part, atoms);
  else {
    for (const [key, part] of Object.entries(shape.map)) {
      atoms.add(key);
      addShapeAtoms(part, atoms);
    }
  }
}

function exceeds(value: number, a: number | undefined, b: number | undefined): boolean {
  return (a !== undefined && value > a) || (b !== undefined && value > b);
}
