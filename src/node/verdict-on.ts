import { BY_CAPABILITY } from "../guard/capabilities.ts";
import type { MessageVerb } from "../guard/classify.ts";
import type { SessionGuard } from "../guard/session-guard.ts";
import type { Verdict } from "../policy/decision.ts";
import type { Admission } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";

/** What the rules of `guard` say now of a message that came as `admission` tells. */
export function verdictOn(
  core: NodeCore,
  guard: SessionGuard,
  { target, capability }: Admission,
  process: NodeProcess,
  verb: MessageVerb,
): Verdict {
  const { processes, capabilities, clock } = core;
  const now = clock.now();
  // A grant of a process holds for what came by it also when that was its last use.
  const isHanded =
    capability !== undefined &&
    (capability.usesLeft <= 0 || capabilities.byAlias(capability.alias, now) === capability);
  const isGranted = isHanded || capabilities.isGranted(process, guard.facts, now);
  const byPid = isGranted ? "by-granted-pid" : "by-pid";
  const access = typeof target === "string" ? "by-name" : byPid;
  const verdict = guard.onProcess(verb, process, access, processes.names.generation);
  return verdict.outcome === "deny-default" && isHanded ? BY_CAPABILITY : verdict;
}
