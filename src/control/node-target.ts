import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type NodeName, parseDialTarget, sameNode } from "../base/node-name.ts";
import { expiryReason, expiryText } from "../health/expiry-text.ts";
import { formatPublicKey, parsePublicKey } from "../identity/public-key.ts";
import type { Node, Peer } from "../node/api.ts";
import type { Channel } from "../node/channel.ts";
import type { Decision } from "../policy/decision.ts";
import type { Term } from "../term/types.ts";
import { malformed } from "./control-protocol.ts";
import type {
  ControlGrant,
  ControlHealth,
  ControlPeer,
  ControlPending,
  ControlPing,
  ControlPolicy,
  ControlPolicyReload,
  ControlReload,
  ControlStatus,
  ControlTarget,
  ControlVitals,
  MessageTo,
  OperationBounds,
} from "./control-target.ts";
import { NodePolicyView } from "./node-policy.ts";

/** Warnings that `status` shows; older ones go. */
const MAX_WARNINGS = 32;

/** Examines a peer of a node; the part comes from above, so that this folder need not know how. */
export type Examine = (
  node: Node,
  target: string,
  bounds: OperationBounds,
) => Promise<Readonly<Record<string, unknown>>>;

/** A node behind a control socket, over its public interface. Make it right after the node, so that it sees all sessions. */
export class NodeTarget implements ControlTarget {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #since = new WeakMap<Peer, number>();
  readonly #warnings: { readonly reason: string; readonly message: string }[] = [];
  readonly #policy: NodePolicyView;
  readonly #examine: Examine | undefined;

  /**
   * @param policyFile path of the node's policy file, where it has one
   * @param examine what `doctor.connect` does; without it the operation is refused
   */
  constructor(node: Node, clock: Clock, policyFile?: string, examine?: Examine) {
    this.#examine = examine;
    this.#node = node;
    this.#clock = clock;
    this.#policy = new NodePolicyView(node, clock, policyFile);
    this.#startedMs = clock.wallMs();
    node.on("nodeup", (peer) => this.#since.set(peer, clock.wallMs()));
    node.on("warning", ({ reason, message }) => this.#warned(reason, message));
    node.on("expiry", (expiry) => this.#warned(expiryReason(expiry), expiryText(expiry)));
  }

  status(): ControlStatus {
    const node = this.#node;
    const { state, problems, seeds, away } = node.vitals();
    return {
      name: node.name,
      creation: node.creation,
      endpoints: node.endpoints,
      away,
      sessions: node.peers().length,
      fingerprint: node.identity?.fingerprint ?? null,
      trust: node.identity?.trust ?? null,
      state,
      problems,
      seeds,
      policy: this.#policy.state(),
      startedMs: this.#startedMs,
      warnings: [...this.#warnings],
    };
  }

  peers(): readonly ControlPeer[] {
    const peers = this.#node.peers().map((peer) => {
      const { name, protocol, assurance, fingerprint, address } = peer;
      const sinceMs = this.#since.get(peer) ?? this.#startedMs;
      return { name, protocol, assurance, fingerprint, address, sinceMs, channel: channelOf(this.#node, name) };
    });
    return peers.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async health(): Promise<ControlHealth> {
    return { ...(await this.#node.health()), policy: this.#policy.state() };
  }

  vitals(): ControlVitals {
    return { ...this.#node.vitals(), policy: this.#policy.state() };
  }

  why(id: string): Decision | null {
    return this.#node.why(id) ?? null;
  }

  policy(): ControlPolicy {
    return this.#policy.show();
  }

  reloadPolicy(): ControlPolicyReload {
    return this.#policy.reload();
  }

  grants(): readonly ControlGrant[] {
    return this.#policy.grants();
  }

  revokeGrant(id: string): void {
    this.#policy.revoke(id);
  }

  pending(): readonly ControlPending[] {
    const waiting = this.#node.identity?.waiting() ?? [];
    return waiting.map(({ publicKey, ...peer }) => ({
      ...peer,
      key: formatPublicKey(parsePublicKey(publicKey, peer.name)),
    }));
  }

  #warned(reason: string, message: string): void {
    this.#warnings.push({ reason, message });
    if (this.#warnings.length > MAX_WARNINGS) this.#warnings.shift();
  }

  async reloadIdentity(): Promise<ControlReload> {
    const { identity, name } = this.#node;
    if (identity === null) throw noIdentity(name);
    const ended = await identity.reload();
    return { fingerprint: identity.fingerprint, ended };
  }

  async ping(node: string, bounds: OperationBounds): Promise<ControlPing> {
    const { peer, rttMs } = await this.#node.ping(node, bounds);
    const { name, protocol, assurance, fingerprint } = peer;
    return { peer: name, protocol, assurance, fingerprint, rttMs: Math.round(rttMs * 1000) / 1000 };
  }

  async examine(node: string, bounds: OperationBounds): Promise<Readonly<Record<string, unknown>>> {
    if (this.#examine === undefined) throw malformed("this program examines no peers");
    return this.#examine(this.#node, node, bounds);
  }

  async call({ node, name, message }: MessageTo, bounds: OperationBounds): Promise<Term> {
    const { at, rest } = await this.#reach(node, bounds);
    return this.#node.call({ name, node: at }, message, rest());
  }

  async cast({ node, name, message }: MessageTo, bounds: OperationBounds): Promise<void> {
    const { at } = await this.#reach(node, bounds);
    this.#node.cast({ name, node: at }, message);
    await this.#left(at);
  }

  async send({ node, name, message }: MessageTo, bounds: OperationBounds): Promise<void> {
    const { at } = await this.#reach(node, bounds);
    this.#node.send({ name, node: at }, message);
    await this.#left(at);
  }

  async rpc(to: Parameters<ControlTarget["rpc"]>[0], bounds: OperationBounds): Promise<Term> {
    const { at, rest } = await this.#reach(to.node, bounds);
    return this.#node.rpc(at, to.module, to.function, to.args, rest());
  }

  async spawn(to: Parameters<ControlTarget["spawn"]>[0], bounds: OperationBounds): Promise<Term> {
    const { at, rest } = await this.#reach(to.node, bounds);
    return this.#node.spawnRemote(at, to.function, to.args, rest());
  }

  /** Connects where there is no session, and says what is left of the time. The node itself is always reached. */
  async #reach(
    node: string,
    { timeoutMs, signal }: OperationBounds,
  ): Promise<{ readonly at: string; rest(): OperationBounds }> {
    const startedAt = this.#clock.now();
    const { name } = parseDialTarget(node);
    const at = sameNode(name, this.#node.name)
      ? this.#node.name
      : (await this.#node.connect(node, { timeoutMs, signal })).name;
    const rest = (): OperationBounds => {
      return { timeoutMs: Math.max(1, Math.ceil(timeoutMs - (this.#clock.now() - startedAt))), signal };
    };
    return { at, rest };
  }

  /** A message has left when the node is no longer behind with this peer. */
  async #left(at: string): Promise<void> {
    if (at !== this.#node.name) await this.#node.drained(at);
  }
}

function noIdentity(name: NodeName): SallyportError {
  return new SallyportError("ERR_CONFIG", "NO_IDENTITY", `${name} runs without identity by key`, {
    stage: "identity",
    advice: "set identity in its configuration and start it again; until then its peers are known by certificate",
  });
}

/** A session that ends while it is asked about has no channel any more. */
function channelOf(node: Node, name: string): Channel | null {
  try {
    return node.channel(name);
  } catch {
    return null;
  }
}
