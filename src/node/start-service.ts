import type { AllowRule } from "../guard/allow.ts";
import { NORMAL } from "../process/exit-reason.ts";
import type { ServiceHandlers } from "./api.ts";
import { type ProcessHandle, type StillAllowed, spawnHandle } from "./handles.ts";
import type { NodeCore } from "./node-core.ts";
import { ServiceBehaviour, type SessionOf } from "./service.ts";

export interface ServicePlan {
  readonly name: string;
  readonly handlers: ServiceHandlers;
  readonly rule: AllowRule | undefined;
  /** A service of the node itself, under a name that users may not have. */
  readonly isOwn: boolean;
}

/** Starts a named service. @throws {SallyportError} ERR_API_MISUSE NAME_TAKEN, NAME_RESERVED and the like: then nothing runs */
export function startService(
  core: NodeCore,
  { name, handlers, rule, isOwn }: ServicePlan,
  sessionOf: SessionOf,
  stillAllowed: StillAllowed,
): ProcessHandle {
  const { processes, services, nameRules } = core;
  const service = new ServiceBehaviour(core, name, handlers, sessionOf);
  const handle = spawnHandle(processes, service, { tag: rule }, stillAllowed);
  service.process = handle.process;
  services.add(handle.process);
  try {
    if (isOwn) processes.names.registerReserved(name, handle.process);
    else processes.names.register(name, handle.process);
  } catch (error) {
    processes.exit(handle.process, NORMAL);
    throw error;
  }
  nameRules.remember(name, rule);
  return handle;
}
