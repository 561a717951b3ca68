import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parsePolicyFile } from "../../config/parse-policy.ts";
import { compilePolicy } from "../../policy/compile.ts";
import type { PeerEntry, PolicyDocument } from "../../policy/document.ts";
import type { Policy } from "../../policy/policy.ts";
import { runTests } from "../../policy/review/run-tests.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP } from "./machine.ts";

/** The example that the demo plays, in the source tree and in the package alike. */
export const EXAMPLE_DIRECTORY: string = fileURLToPath(new URL("../../../examples/three-machines/", import.meta.url));

/** The machines by the names of their files. */
export type MachineName = "my_desktop" | "ec2_node" | "bob_colo";

/** What they are called in this run. */
const FILES: Readonly<Record<MachineName, string>> = {
  my_desktop: MY_DESKTOP,
  ec2_node: EC2_NODE,
  bob_colo: BOB_COLO,
};
export const MACHINE_NAMES: readonly MachineName[] = ["my_desktop", "ec2_node", "bob_colo"];

/** Fingerprints of this run, by name of this run. A machine that has none stays known by its certificate. */
export type RunKeys = Readonly<Record<string, string>>;

/** One policy as it is in force in this run. */
export interface RunPolicy {
  readonly file: string;
  /** Name of the node in the shipped file, and in this run. */
  readonly from: string;
  readonly to: string;
  readonly policy: Policy;
  /** Aliases that were given a key, in the order of the file. */
  readonly keyed: readonly string[];
  readonly tests: number;
}

/**
 * The shipped policy of a machine, for this run: other names, and keys where a machine has one.
 * @throws {SallyportError} ERR_CONFIG of a file that is no policy
 */
export function loadRunPolicy(machine: MachineName, keys: RunKeys, nowMs: number): RunPolicy {
  const file = `${machine}.policy.jsonc`;
  const path = join(EXAMPLE_DIRECTORY, file);
  const { document } = parsePolicyFile(readFileSync(path, "utf8"), { file: path });
  const names = new Map(MACHINE_NAMES.map((name) => [shippedName(document, name), FILES[name]]));
  const { document: own, keyed } = instantiate(document, names, keys);
  const policy = compilePolicy(own);
  const tests = runTests(policy, nowMs).filter(({ passed }) => passed).length;
  return { file, from: document.node, to: own.node, policy, keyed, tests };
}

/** Replaces node names by those of a run, and names peers by key that have one. Pure. */
export function instantiate(
  document: PolicyDocument,
  names: ReadonlyMap<string, string>,
  keys: RunKeys,
): { readonly document: PolicyDocument; readonly keyed: readonly string[] } {
  const renamed = (name: string): string => names.get(name) ?? name;
  const keyed: string[] = [];
  const peers: Record<string, PeerEntry> = {};
  for (const [alias, entry] of Object.entries(document.peers ?? {})) {
    const own = entry.names.map(renamed);
    const fingerprints = own.flatMap((name) => keys[name] ?? []);
    if (fingerprints.length > 0) keyed.push(alias);
    peers[alias] =
      fingerprints.length === 0
        ? { ...entry, names: own }
        : { ...entry, names: own, keys: fingerprints, assurance: "pinned" };
  }
  return { document: { ...document, node: renamed(document.node), peers }, keyed };
}

/** What a machine is called in the file: its own name, or the one its entry has. */
function shippedName(document: PolicyDocument, machine: MachineName): string {
  const own = document.node.startsWith(`${machine}@`) ? document.node : undefined;
  return own ?? document.peers?.[machine]?.names[0] ?? machine;
}
