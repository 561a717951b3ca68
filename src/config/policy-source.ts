import type { Clock } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import { FILE_LOOK_MS, FileWatch, fileStamp } from "../base/file-watch.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { PolicySource } from "../node/own-policy.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Policy } from "../policy/policy.ts";
import { runTests } from "../policy/review/run-tests.ts";
import type { Environment } from "./expand-variables.ts";
import { policyFromText, testText } from "./load-policy.ts";
import { withFingerprints } from "./policy-keys.ts";

/** How often a policy file is compared with what was read, milliseconds; a change is taken at the second look that sees it. */
export const POLICY_LOOK_MS: number = FILE_LOOK_MS;

export interface PolicyWorld {
  readonly files: StoreFiles;
  readonly clock: Clock;
  readonly crypto: IdentityCrypto;
  readonly name: NodeName;
}

/** A policy that stands in a file. */
export interface PolicyFileOption {
  readonly file: string;
  /** Source of `${VARIABLE}` in it. Default: none is set. */
  readonly environment?: Environment;
}

/**
 * The policy of a node from a file, or from a document in code; its tests are run each time.
 * @throws {SallyportError} ERR_CONFIG POLICY_UNREADABLE and what `policyFromText` and `compilePolicy` throw
 */
export function openPolicy(option: PolicyFileOption | PolicyDocument, world: PolicyWorld): PolicySource {
  const byFingerprint = (policy: Policy): Policy =>
    compilePolicy(withFingerprints(policy.document, world.crypto), policy.generation);
  const compile = (document: PolicyDocument, generation: number): Policy =>
    byFingerprint(fromDocument(document, generation, world));
  if ("version" in option) return { first: compile(option, 1), load: undefined, compile };
  const load = (generation: number): Policy => byFingerprint(fromFile(option as PolicyFileOption, generation, world));
  return { first: load(1), load, compile };
}

/** Calls `changed` when the policy file has changed and then stayed the same for one look, until it is stopped. */
export class PolicyWatch extends FileWatch {
  /** @param stamp `policyStamp` from before the file was read; default: that of now */
  constructor(file: string, world: PolicyWorld, changed: () => void, stamp: string = policyStamp(file, world)) {
    super([file], world, changed, stamp);
  }
}

/** What tells one state of a policy file from another; taken before the file is read, no change goes unnoticed. Never throws. */
export function policyStamp(file: string, { files }: Pick<PolicyWorld, "files">): string {
  return fileStamp([file], files);
}

function fromFile({ file, environment }: PolicyFileOption, generation: number, world: PolicyWorld): Policy {
  let text: string;
  try {
    demandFile(file, world.files);
    text = world.files.readText(file);
  } catch (cause) {
    const message = `the policy ${file} cannot be read: ${cause instanceof NotAFile ? cause.message : systemCode(cause)}`;
    throw new SallyportError("ERR_CONFIG", "POLICY_UNREADABLE", message, {
      stage: "policy",
      cause,
      advice: "name an existing file that this user may read",
    });
  }
  const nowMs = world.clock.wallMs();
  const load = { file, node: world.name, generation, nowMs };
  return policyFromText(text, environment === undefined ? load : { ...load, environment });
}

/** What stands where a file should. */
class NotAFile extends Error {}

/** To read a FIFO would wait for whoever writes to it. @throws NotAFile, or the system's error */
function demandFile(file: string, files: StoreFiles): void {
  const facts = files.facts(file);
  if (facts !== undefined && facts.kind !== "file") throw new NotAFile("it is no regular file");
}

function fromDocument(document: PolicyDocument, generation: number, { name, clock }: PolicyWorld): Policy {
  const policy = compilePolicy(document, generation);
  if (policy.node !== canonicalName(name)) throw otherNode(policy.node, name);
  const failed = runTests(policy, clock.wallMs()).find(({ passed }) => !passed);
  if (failed === undefined) return policy;
  const what = `${testText(failed.test)}: expected ${failed.test.expect} and got ${failed.outcome}`;
  throw new SallyportError(
    "ERR_CONFIG",
    "POLICY_TEST_FAILED",
    `test ${failed.index + 1} of the policy fails: ${what}`,
    {
      stage: "policy",
      advice: "correct the rule or the test",
    },
  );
}

function otherNode(policyNode: NodeName, name: NodeName): SallyportError {
  return new SallyportError("ERR_CONFIG", "POLICY_OTHER_NODE", `this is the policy of ${policyNode}, not of ${name}`, {
    stage: "policy",
    advice: "correct `node` in it",
  });
}
