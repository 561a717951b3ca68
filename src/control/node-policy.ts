import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Node } from "../node/api.ts";
import { auditedParts } from "../policy/audit-mode.ts";
import { printTerm } from "../term/public.ts";
import type { ControlGrant, ControlPolicy, ControlPolicyReload, ControlPolicyState } from "./control-target.ts";

/** The policy of a node behind a control socket. Make it right after the node, so that it sees every attempt to change it. */
export class NodePolicyView {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #file: string | null;
  #problem: ControlPolicyState["problem"] = null;

  /** @param file path of the policy file; undefined where the policy was given in code */
  constructor(node: Node, clock: Clock, file: string | undefined) {
    this.#node = node;
    this.#clock = clock;
    this.#file = file ?? null;
    node.on("reload", ({ what, ok, reason, message }) => {
      if (what !== "policy") return;
      this.#problem = ok ? null : { reason: reason ?? "UNEXPECTED", message: message ?? "" };
    });
  }

  /** Null for a node without a policy. */
  state(): ControlPolicyState | null {
    const { policy } = this.#node;
    if (policy === null) return null;
    const { generation, document } = policy;
    const audited = auditedParts(document, this.#clock.wallMs());
    return { generation, file: this.#file, audited, problem: this.#problem };
  }

  show(): ControlPolicy {
    const { name, policy } = this.#node;
    return {
      node: name,
      generation: policy?.generation ?? null,
      document: policy?.document ?? null,
      rulesInCode: this.#node.rulesInCode(),
      functions: this.#node.registeredFunctions(),
      endpoints: this.#node.endpoints,
    };
  }

  /** @throws {SallyportError} ERR_CONFIG NO_POLICY, POLICY_REJECTED; ERR_API_MISUSE POLICY_NOT_A_FILE */
  reload(): ControlPolicyReload {
    const { name, policy } = this.#node;
    if (policy === null) {
      throw new SallyportError("ERR_CONFIG", "NO_POLICY", `${name} runs without a policy`, {
        stage: "policy",
        advice: "name a policy file in its configuration and start it again; until then only `allow` in code grants",
      });
    }
    const { ok, generation, reason = "UNEXPECTED", message = "" } = policy.reload();
    if (ok) return { generation };
    const why = message.replace(/^\[ERR_[A-Z_]+\] /, "");
    throw new SallyportError("ERR_CONFIG", "POLICY_REJECTED", `generation ${generation} stays in force: ${why}`, {
      stage: "policy",
      detail: { reason, generation },
      advice:
        "correct the file; `sallyport policy check` shows all that is wrong, `sallyport policy test` runs its tests",
    });
  }

  grants(): readonly ControlGrant[] {
    return this.#node.grants().map(({ id, pid, to, verbs, usesLeft, expiresInMs }) => ({
      id,
      pid: printTerm(pid),
      to,
      verbs,
      usesLeft: Number.isFinite(usesLeft) ? usesLeft : null,
      expiresInMs,
    }));
  }

  /** @throws {SallyportError} ERR_CONFIG GRANT_UNKNOWN */
  revoke(id: string): void {
    const grant = this.#node.grants().find((one) => one.id === id);
    if (grant?.revoke() === true) return;
    throw new SallyportError("ERR_CONFIG", "GRANT_UNKNOWN", "no grant that stands has this id", {
      stage: "policy",
      advice: "see `sallyport grants list`; it may have been used up, or have ended with its time or its process",
    });
  }
}
