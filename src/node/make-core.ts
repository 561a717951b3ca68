import type { AuditTrail } from "../audit/audit-trail.ts";
import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { AllowRule } from "../guard/allow.ts";
import { Capabilities } from "../guard/capabilities.ts";
import { DEFAULT_GUARD_LIMITS, type GuardLimits } from "../guard/limits.ts";
import { handlerError } from "../process/exit-reason.ts";
import { type ProcessLimits, ProcessTable } from "../process/process-table.ts";
import type { Peer } from "./api.ts";
import { CallTable } from "./call-table.ts";
import { Counters } from "./counters.ts";
import type { Deadlines } from "./deadlines.ts";
import { Decisions } from "./decisions.ts";
import { EventHub } from "./event-hub.ts";
import { type Lifetime, MessageContext } from "./message-context.ts";
import { NameRules } from "./name-rules.ts";
import { type NodeCore, reportHandlerError } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { RefMaker } from "./refs.ts";

/** What the shared parts of a node are made from. */
export interface CoreParts {
  readonly own: { readonly name: NodeName; readonly creation: number };
  readonly clock: Clock;
  readonly random: Random;
  readonly processLimits?: ProcessLimits;
  readonly maxOpenCalls?: number;
  readonly guardLimits?: Partial<GuardLimits> | undefined;
  readonly audit?: AuditTrail | undefined;
  readonly onListenerError: (error: unknown) => void;
}

/** Makes what the parts of one node share. `lifetime` is that of the node. */
export function makeCore(parts: CoreParts, deadlines: Deadlines, lifetime: Lifetime): NodeCore {
  const { clock, random, audit } = parts;
  const { name, creation } = parts.own;
  const refs = new RefMaker(name, creation, random);
  const events = new EventHub(parts.onListenerError);
  const counters = new Counters();
  const guardLimits = { ...DEFAULT_GUARD_LIMITS, ...parts.guardLimits };
  const processes: NodeCore["processes"] = new ProcessTable<MessageContext, AllowRule | undefined>({
    node: name,
    creation,
    scheduler: clock,
    signalMeta: (from) => new MessageContext(null, from, name, core.mainPid, lifetime),
    onCrash: (error, process) => ({ exit: handlerError(reportHandlerError(core, labelOf(process), error)) }),
    onCallbackError: (error) => void reportHandlerError(core, "callback", error),
    ...(parts.processLimits === undefined ? {} : { limits: parts.processLimits }),
  });
  const main = processes.spawn({ message: () => {} }, { tag: undefined, trapExit: true });
  const core: NodeCore = {
    name,
    creation,
    self: { node: name, creation },
    clock,
    random,
    processes,
    calls: new CallTable(refs, deadlines, parts.maxOpenCalls),
    refs,
    events,
    counters,
    nameRules: new NameRules(),
    decisions: new Decisions({
      clock,
      random,
      events,
      counters,
      audit,
      maxKept: guardLimits.maxKeptDecisions,
      maxToldPerKind: guardLimits.maxToldPerKind,
    }),
    capabilities: new Capabilities<NodeProcess>(guardLimits.maxGrants),
    guardLimits,
    epoch: { value: 0 },
    outcasts: new WeakSet<Peer>(),
    services: new WeakSet<NodeProcess>(),
    mainPid: main.pid,
  };
  return core;
}

function labelOf(process: NodeProcess): string {
  return process.name ?? `<${process.pid.id}.${process.pid.serial}>`;
}
