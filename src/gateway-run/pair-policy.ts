import type { NodeName } from "../base/node-name.ts";
import {
  openPolicy,
  type PolicyFileOption,
  PolicyWatch,
  type PolicyWorld,
  policyStamp,
} from "../config/policy-source.ts";
import type { GatewayPolicyStatus } from "../gateway/api.ts";
import type { PairPolicyOption } from "../gateway/options.ts";
import type { PolicyReloadResult } from "../node/api.ts";
import type { PolicySource } from "../node/own-policy.ts";
import { PolicyKeeper } from "../node/policy-keeper.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Policy } from "../policy/policy.ts";
import type { GatewaySystem } from "./gateway-world.ts";
import { sameText } from "./same-text.ts";

/** The policy of one node of a pair: what the other may do to it. */
export class PairPolicy {
  readonly keeper: PolicyKeeper;
  readonly #world: PolicyWorld;
  #option: PolicyFileOption | PolicyDocument;
  #source: PolicySource;
  /** Of the file, from before it was read. */
  #stamp: string;
  #watch: PolicyWatch | undefined;
  #problem: string | null = null;

  /** @throws {SallyportError} ERR_CONFIG for a policy that must not be taken */
  constructor(option: PairPolicyOption, name: NodeName, { clock, files, identityCrypto: crypto }: GatewaySystem) {
    this.#world = { clock, files, crypto, name };
    this.#option = optionOf(option);
    this.#stamp = this.#stampOf(this.#option);
    this.#source = openPolicy(this.#option, this.#world);
    this.keeper = new PolicyKeeper({ name, clock, policy: this.#source.first });
  }

  /**
   * Reads what `option` gives now; undefined when it is what is in force. The result takes it.
   * @throws {SallyportError} ERR_CONFIG for a policy that must not be taken
   */
  read(option: PairPolicyOption): (() => void) | undefined {
    const next = optionOf(option);
    const stamp = this.#stampOf(next);
    const isSame = sameText(next, this.#option);
    if (isSame && stamp === this.#stamp && this.#problem === null) return undefined;
    const source = openPolicy(next, this.#world);
    const generation = this.keeper.generation + 1;
    const policy = source.load?.(generation) ?? source.compile(source.first.document, generation);
    return () => {
      this.#option = next;
      this.#stamp = stamp;
      this.#source = source;
      this.#take(() => policy);
      if (this.#watch !== undefined) this.watch(this.#changed);
    };
  }

  /** Calls `changed` whenever its file was read anew. */
  watch(changed: (result: PolicyReloadResult) => void): void {
    this.stop();
    this.#changed = changed;
    const option = this.#option;
    if (!("file" in option)) return;
    const { load } = this.#source;
    this.#watch = new PolicyWatch(
      option.file,
      this.#world,
      () => {
        this.#stamp = this.#stampOf(option);
        if (load !== undefined) changed(this.#take(load));
      },
      this.#stamp,
    );
  }

  stop(): void {
    this.#watch?.stop();
    this.#watch = undefined;
  }

  status(): GatewayPolicyStatus {
    const file = "file" in this.#option ? this.#option.file : null;
    return { file, generation: this.keeper.generation, problem: this.#problem };
  }

  #changed: (result: PolicyReloadResult) => void = () => undefined;

  #take(load: (generation: number) => Policy): PolicyReloadResult {
    const result = this.keeper.take(load);
    this.#problem = result.ok ? null : (result.message ?? result.reason ?? "");
    return result;
  }

  #stampOf(option: PolicyFileOption | PolicyDocument): string {
    return "file" in option ? policyStamp(option.file, this.#world) : "";
  }
}

function optionOf(option: PairPolicyOption): PolicyFileOption | PolicyDocument {
  return typeof option === "string" ? { file: option } : option;
}
