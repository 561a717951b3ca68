import type { PayloadBytes } from "../guard/weigh.ts";
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
  /** What is sent, where something is: bytes of one term that was walked. */
  readonly payload: PayloadBytes | undefined;
}

/** No. `id` is told to the process that waits; the operator finds the decision by it (rulings U9). */
export interface Denial {
  readonly allowed: false;
  readonly id: string;
  readonly rule: string;
}

/** Yes. */
export interface Permission {
  readonly allowed: true;
  /** It would have been refused, but the pair is only observed. */
  readonly observed?: Denial;
  /** Gives back a place among those under way, exactly once: when the answer has come, or will not. */
  readonly leave?: () => void;
}

/** What came of it. */
export type CommanderDecision = Permission | Denial;

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
export const SYSTEM_NAMES: readonly string[] = ["auth", "init", "net_kernel"];

const ALLOWED: CommanderDecision = Object.freeze({ allowed: true });

/**
 * The default profile from commander to worker (threat model 4.6).
 * @param record takes note of a refusal and gives its id
 */
export function commanderProfile(
  profile: CommanderProfile,
  record: (request: CommanderRequest, rule: string) => string,
): Decide {
  return (request) => {
    const rule = refusedBy(profile, request);
    return rule === undefined ? ALLOWED : { allowed: false, id: record(request, rule), rule };
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
      if (SYSTEM_NAMES.includes(target.name))
        return profile.granted?.includes(target.name) === true ? undefined : "granted";
      if (target.name === "rex" && profile.functions !== undefined) return "functions";
      return profile.calls?.includes(target.name) === false ? "calls" : undefined;
    default:
      return profile.calls !== undefined && !isOwnChild ? "calls" : undefined;
  }
}
