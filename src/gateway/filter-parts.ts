import type { Incarnation } from "../guard/ownership.ts";
import type { InboxEntry } from "./inbox.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Observation } from "./observation.ts";
import type { Decide } from "./profile.ts";
import type { RefusalLog } from "./refusal-log.ts";
import type { LeaderProfile, ReturnPaths } from "./return-paths.ts";

/** How one pair is filtered. */
export interface FilterOptions {
  readonly commander: Incarnation;
  readonly worker: Incarnation;
  /** Says what the commander may do (`commanderProfile` for the default). */
  readonly decide: Decide;
  /** The commander may ask whether the worker is there, and what its `rex` can. Default true; false for one that has no rules. */
  readonly mayAsk?: boolean;
  readonly limits?: Partial<GatewayLimits>;
  /** Messages that the worker may send unasked. Default none. Another list counts from then on, with uses and rates anew. */
  readonly inbox?: readonly InboxEntry[];
  /** What group leaders of the commander take from the worker. Default `output`. */
  readonly leaders?: LeaderProfile;
  /** Let the worker see exit reasons of the commander's processes whole. Default false: their class. */
  readonly wholeReasons?: boolean;
  /** While it is on, what is refused is noted and passes. Default: never. */
  readonly observation?: Observation;
}

/** What both directions share. */
export interface FilterParts {
  readonly options: FilterOptions;
  readonly limits: GatewayLimits;
  readonly paths: ReturnPaths;
  readonly log: RefusalLog;
  /** Names of commander and worker, as on the wire. */
  readonly nodes: readonly [string, string];
}
