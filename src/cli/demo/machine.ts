import type { TestAuthority } from "../../testkit/certificates.ts";
import type { CommandWorld } from "../command-world.ts";

/** Node names of the demo. A BEAM with a long name takes an address as its host. */
export const MY_DESKTOP = "my_desktop@127.0.0.1";
export const EC2_NODE = "ec2_node@127.0.0.1";
export const BOB_COLO = "bob_colo@127.0.0.1";

/** What every machine of the demo is started with. */
export interface Setting {
  readonly world: CommandWorld;
  /** Private directory of this run. */
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly cookie: string;
  /** Port of the EPMD of this run; undefined without Erlang. */
  readonly epmdPort: number | undefined;
}

/** What an attempt brought to the one who made it. */
export interface Answer {
  /**
   * `answered` something came back that is no refusal · `refused` it was told no · `nothing` nothing came · `cut` the session
   * was ended · `failed` neither: the attempt itself went wrong.
   */
  readonly kind: "answered" | "refused" | "nothing" | "cut" | "failed";
  /** What came, as a term or a sentence. */
  readonly text: string;
  /** Id of the refusal, where the answer has one. */
  readonly decision?: string;
}

/** Something one machine tries on another. */
export interface Attempt {
  /** As the table shows it. */
  readonly shown: string;
  run(): Promise<Answer>;
}

/** The refusals of a node, by their id: rule, or what it was instead of a rule. */
export interface Told {
  readonly decision: string;
  readonly rule: string | null;
  readonly outcome: string;
}

const DENIED_ID = /sallyport_denied,\s*<<"([0-9A-Z]{8,26})">>/;

/** Sorts an answer that came as text: a refusal names its id, or is the `eperm` of a spawn that was not allowed. */
export function readAnswer(text: string): Answer {
  const decision = DENIED_ID.exec(text)?.[1];
  if (decision !== undefined) return { kind: "refused", text, decision };
  if (/\beperm\b/.test(text)) return { kind: "refused", text };
  return text === "nothing" ? { kind: "nothing", text } : { kind: "answered", text };
}

/** Neither the user's settings nor the user's cookie reach the machines of the demo. */
export function childEnvironment(world: CommandWorld, directory: string): Record<string, string> {
  return { PATH: world.environment("PATH") ?? "", HOME: directory, LANG: "C.UTF-8" };
}
