import type { Target } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";

/** One operation of the commander, as far as it is decided upon. */
export interface CommanderRequest {
  readonly verb: Verb;
  readonly target: Target;
  /** The payload holds a fun. */
  readonly hasFun: boolean;
  /** The target is a process that the commander spawned and has a link or monitor on. */
  readonly isOwnChild: boolean;
}

/** What came of it. `id` is told to the process that waits; the operator finds the decision by it (rulings U9). */
export type CommanderDecision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly id: string; readonly rule: string };

/** Asked for each operation of the commander that has a verb. */
export type Decide = (request: CommanderRequest) => CommanderDecision;

/** Narrows what a commander may do; empty, it may do all but reach the names that need a grant. */
export interface CommanderProfile {
  /** Registered names that may be sent to. With it, pids may be sent to only where they are children of the commander. */
  readonly calls?: readonly string[];
  /** `module:function/arity`: functions that may be run. With it `rex` takes nothing else. */
  readonly functions?: readonly string[];
  /** False: nothing with a fun in it may be run. Default true; false where `functions` is given. */
  readonly funs?: boolean;
  /** True: exit signals go to children of the commander only. Default false. */
  readonly killOnlyChildren?: boolean;
  /** Names among `auth`, `init` and `net_kernel` that may be sent to after all. */
  readonly granted?: readonly string[];
}

/** Names that stop or take over a node in one message; `net_kernel` is still pinged. */
const NEED_GRANT: readonly string[] = ["auth", "init", "net_kernel"];

const ALLOWED: CommanderDecision = Object.freeze({ allowed: true });

/**
 * The default profile from commander to worker (threat model 4.6).
 * @param nextId makes the id of a refusal
 */
export function commanderProfile(profile: CommanderProfile, nextId: () => string): Decide {
  return (request) => {
    const rule = refusedBy(profile, request);
    return rule === undefined ? ALLOWED : { allowed: false, id: nextId(), rule };
  };
}

/** The option that refuses it. */
function refusedBy(
  profile: CommanderProfile,
  { verb, target, hasFun, isOwnChild }: CommanderRequest,
): string | undefined {
  if (verb === "exit") return profile.killOnlyChildren === true && !isOwnChild ? "killOnlyChildren" : undefined;
  if (verb === "monitor" || verb === "link") return undefined;
  switch (target.kind) {
    case "function":
      if (profile.functions?.includes(target.label) === false) return "functions";
      return hasFun && !(profile.funs ?? profile.functions === undefined) ? "funs" : undefined;
    case "name":
      if (NEED_GRANT.includes(target.name))
        return profile.granted?.includes(target.name) === true ? undefined : "granted";
      if (target.name === "rex" && profile.functions !== undefined) return "functions";
      return profile.calls?.includes(target.name) === false ? "calls" : undefined;
    default:
      return profile.calls !== undefined && !isOwnChild ? "calls" : undefined;
  }
}
