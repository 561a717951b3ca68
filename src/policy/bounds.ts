/** So many per so much time. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** `LimitsEntry`, parsed. Undefined: no bound here. */
export interface Bounds {
  readonly rate: Rate | undefined;
  /** Payload bytes. */
  readonly bytes: Rate | undefined;
  readonly inflight: number | undefined;
  readonly payloadBytes: number | undefined;
  readonly depth: number | undefined;
  readonly elements: number | undefined;
  readonly newAtoms: number | undefined;
  readonly funs: boolean;
  readonly foreign: boolean;
}
