import { compilePolicy } from "./compile.ts";
import type { PolicyDocument } from "./document.ts";

/**
 * A policy written in TypeScript: checks it at once and returns a frozen copy, for `createNode({ policy })`.
 * @throws {SallyportError} ERR_CONFIG POLICY_INVALID
 */
export function definePolicy(document: PolicyDocument): PolicyDocument {
  return compilePolicy(document).document;
}
