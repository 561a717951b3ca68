import { Pid, type Term } from "../term/types.ts";
import type { LocalProcessHandle, Target } from "./api.ts";
import type { NodeProcess } from "./session.ts";

/** A process of this node as its owner holds it. */
export class ProcessHandle implements LocalProcessHandle {
  readonly process: NodeProcess;
  readonly exited: Promise<Term>;

  constructor(process: NodeProcess, exited: Promise<Term>) {
    this.process = process;
    this.exited = exited;
  }

  get pid(): Pid {
    return this.process.pid;
  }

  get alive(): boolean {
    return this.process.alive;
  }
}

/** A target taken apart: a name on some node, or a pid. `node` is undefined for this node's own names. */
export type Place =
  | { readonly kind: "pid"; readonly pid: Pid }
  | { readonly kind: "name"; readonly name: string; readonly node: string | undefined };

/** Tells the forms of a target apart. */
export function placeOf(target: Target): Place {
  if (typeof target === "string") return { kind: "name", name: target, node: undefined };
  if (target instanceof Pid) return { kind: "pid", pid: target };
  if ("pid" in target) return { kind: "pid", pid: target.pid };
  return { kind: "name", name: target.name, node: target.node };
}
