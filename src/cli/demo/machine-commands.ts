/** What the demo asks one of its Sallyport machines to do, as a line of JSON. Terms are term text. */
export type MachineCommand =
  | { readonly do: "call" | "send"; readonly node: string; readonly name: string; readonly message: string }
  | {
      readonly do: "burst";
      readonly node: string;
      readonly name: string;
      readonly message: string;
      readonly count: number;
    }
  | { readonly do: "rpc"; readonly node: string; readonly module: string; readonly fn: string; readonly args: string }
  | { readonly do: "spawn"; readonly node: string; readonly fn: string; readonly args: string }
  | { readonly do: "monitor"; readonly node: string; readonly name: string }
  /** On the pid that it was last sent as `{here, Pid}`. */
  | { readonly do: "link" | "exit" | "tell" }
  | { readonly do: "ping"; readonly node: string }
  /** The refusals since the last look, as JSON of `Told[]`. */
  | { readonly do: "refusals" }
  /** How many results arrived. */
  | { readonly do: "results" };

/** How a machine is started: one file of JSON, named on its command line. */
export interface MachineStart {
  readonly name: string;
  /** File of the policy of this run. */
  readonly policy: string;
  readonly keyDirectory: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly cookieFile: string;
  readonly epmdPort: number | null;
  /** `tls://HOST:PORT` */
  readonly listen: string;
  readonly resolve: Readonly<Record<string, string>>;
}

/** Milliseconds that a machine waits for an answer that may not come. */
export const NO_ANSWER_MS = 1_500;
