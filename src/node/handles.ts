import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Behaviour } from "../process/ports.ts";
import { Pid, type Term } from "../term/types.ts";
import type { LocalProcessHandle, Target } from "./api.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeProcess, NodeProcesses } from "./node-process.ts";

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

/** Whether a message that waited may still be handled: rules may have changed since it was let in. */
export type StillAllowed = (term: Term, ctx: MessageContext, process: NodeProcess) => boolean;

/** Starts a process and makes its handle. */
export function spawnHandle(
  processes: NodeProcesses,
  behaviour: Behaviour<MessageContext>,
  options: Parameters<NodeProcesses["spawn"]>[1],
  stillAllowed: StillAllowed,
): ProcessHandle {
  let terminated: (reason: Term) => void = () => {};
  const exited = new Promise<Term>((resolve) => {
    terminated = resolve;
  });
  const observed: Behaviour<MessageContext> = {
    message: (term, ctx) => {
      if (ctx.peer === null || stillAllowed(term, ctx, handle.process)) return behaviour.message(term, ctx);
    },
    terminated: (reason) => terminated(reason),
  };
  const handle = new ProcessHandle(processes.spawn(observed, options), exited);
  return handle;
}

/** A handle that this node made. @throws {SallyportError} ERR_API_MISUSE HANDLE_FOREIGN */
export function ownHandle(own: NodeName, handle: LocalProcessHandle): ProcessHandle {
  if (handle instanceof ProcessHandle && handle.pid.node === own) return handle;
  throw new SallyportError("ERR_API_MISUSE", "HANDLE_FOREIGN", "the process handle is not of this node", {
    advice: "pass what spawn or register of the same node returned",
  });
}

/** Its pid; undefined where none is given. @throws as `ownHandle` */
export function ownPid(own: NodeName, handle: LocalProcessHandle | undefined): Pid | undefined {
  return handle === undefined ? undefined : ownHandle(own, handle).pid;
}
