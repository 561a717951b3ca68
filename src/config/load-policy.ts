import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { Policy } from "../policy/policy.ts";
import { type ParsedPolicy, type PolicySource, parsePolicyFile } from "./parse-policy.ts";

/** What a policy file is loaded for. */
export interface PolicyLoad extends PolicySource {
  /** The node that loads it; the file must be its own. */
  readonly node: NodeName;
  /** Of the policy that is made: counts the policies of a running node, from 1. */
  readonly generation: number;
  /** The time at which the tests of the file are run, Unix milliseconds. */
  readonly nowMs: number;
}

/**
 * A policy from the text of its file: parsed, checked, compiled, and its own tests passed. Pure, for a start and for a reload
 * alike: what throws leaves the policy in force that was before.
 * @throws {SallyportError} ERR_CONFIG POLICY_OTHER_NODE, POLICY_TEST_FAILED, and what `parsePolicyFile` throws
 */
export function policyFromText(text: string, load: PolicyLoad): Policy {
  const parsed = parsePolicyFile(text, load);
  const policy = compilePolicy(parsed.document, load.generation);
  if (policy.node !== canonicalName(load.node)) throw otherNode(parsed, policy.node, load);
  return policy;
}

function otherNode(parsed: ParsedPolicy, node: NodeName, load: PolicyLoad): SallyportError {
  const message = `${load.file}:${parsed.placeOf(["node"])}: this is the policy of ${node}, and this node is ${load.node}`;
  return new SallyportError("ERR_CONFIG", "POLICY_OTHER_NODE", message, {
    stage: "policy",
    advice: "name the policy file of this node, or correct `node` in it",
  });
}
