import type { AtomTable } from "./atom-table.ts";
import type { TermLimits } from "./limits.ts";
import type { PidTable } from "./pid-table.ts";

/** What a `TermDecoder` is made with. */
export interface TermDecoderOptions {
  /** Bounds that differ from the defaults. */
  readonly limits?: Partial<TermLimits>;
  /** The connection's atom cache; without one every atom is a new object. */
  readonly atoms?: AtomTable;
  /** The connection's pid cache; without one every pid is a new object. */
  readonly pids?: PidTable;
}
