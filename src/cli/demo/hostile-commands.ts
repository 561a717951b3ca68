/** A pid as numbers, to be handed to the attacker: it is assumed to know the pids it wants. */
export type RawPid = readonly [node: string, id: number, serial: number, creation: number];

/** What the attacker knows of the node it attacks. */
export interface Knowledge {
  /** A process of that node. */
  readonly victim: RawPid;
  /** Of a node that the attacked one trusts more. */
  readonly third: RawPid;
}

/** How the attacker answers calls. */
export type AnswerMode = "honest" | "fun" | "foreign" | "twice";

export type HostileCommand =
  /** Sends the raw messages of one attack, and answers what came back. */
  | { readonly do: "attack"; readonly attack: string; readonly knowledge: Knowledge }
  | { readonly do: "mode"; readonly mode: AnswerMode };
