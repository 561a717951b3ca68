import { hostPart, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { LegCarrier } from "../gateway/leg-carrier.ts";
import { type FilterFactory, SIDES, type Side } from "../gateway/message-filter.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import type { Route } from "../gateway/route.ts";
import { type ListenOption, parseListen } from "../node/listen-option.ts";
import { visibleTo } from "../node/quic-visible.ts";
import { DEFAULT_FLAGS, FRAGMENTS } from "../wire/flags.ts";
import { checkPair } from "./check-pair.ts";
import type { PairWorld } from "./gateway-world.ts";
import type { PairIdentities } from "./identity-pool.ts";
import { legIdentities } from "./leg-identities.ts";
import { insideListen } from "./pair-addresses.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { quicAddress } from "./quic-side.ts";
import { checkedAddress, dialerOf, readSide, type SideParts, withIdentity } from "./read-side.ts";
import { sameText } from "./same-text.ts";

/** One listener of a pair: where one side dials one node of the other. */
export interface PlannedListener {
  readonly route: Route;
  readonly listen: ListenOption;
  /** As its legs use it. */
  readonly side: SideParts;
}

/** A pair option that was read and checked; nothing is bound yet. */
export interface PairPlan {
  readonly name: string;
  readonly option: GatewayPairOption;
  readonly plaintext: boolean | "any";
  readonly sides: Readonly<Record<Side, SideParts>>;
  /** The same as legs use them, one for each node that these stand for. */
  readonly keyed: Readonly<Record<Side, readonly SideParts[]>>;
  readonly filterFor: FilterFactory;
  readonly inside: NodeName;
  readonly outside: readonly NodeName[];
  readonly listeners: readonly PlannedListener[];
  /** The inside node says by registering where it listens. */
  readonly registers: boolean;
  /** Where it is dialled; undefined when it says so by registering. */
  readonly dialledAt: DialAddress | undefined;
  /** No outside node dials it: it only dials itself. */
  readonly onlyDials: boolean;
  /** Those of its legs, where they are open. */
  readonly identities: PairIdentities | undefined;
}

/** What a pair is called. */
export function pairName({ name, inside }: GatewayPairOption): string {
  return name ?? inside.node;
}

/**
 * Reads a pair option with its files, and checks it.
 * @param plaintext whether the outside may be plain TCP
 * @param filterFor makes the filters of its sessions
 * @param identities those of its legs; undefined when it has none, or when none is to be opened
 * @throws {SallyportError} ERR_CONFIG
 */
export function planPair(
  option: GatewayPairOption,
  plaintext: boolean | "any",
  world: PairWorld,
  filterFor: FilterFactory,
  identities?: PairIdentities,
): PairPlan {
  const { inside, outside, fragments } = option;
  const target = parseNodeName(inside.node);
  const nodes = outside.nodes.map(parseNodeName);
  checkPair(option, target, nodes, world);
  const mask = fragments === false ? DEFAULT_FLAGS & ~FRAGMENTS : DEFAULT_FLAGS;
  const sides = {
    inside: readSide(inside, true, world, inside.identity !== undefined),
    outside: readSide(outside, plaintext, world, outside.identity !== undefined),
  };
  const outer = withIdentity(sides.outside, identities?.outside, world);
  const inner = new Map(nodes.map((node) => [node, withIdentity(sides.inside, identities?.inside.get(node), world)]));
  const innerOf = (node: NodeName): SideParts => inner.get(node) ?? sides.inside;
  const tools = { inside: sides.inside.tools, outside: sides.outside.tools };
  const isVisibleTo = { inside: visibleTo(inside.quic?.visible), outside: visibleTo(outside.quic?.visible) };
  const keys = identities === undefined ? {} : { identities: legIdentities(identities, target, mask, world) };
  const common = { mask, world: world.legs, tools, filterFor, isVisibleTo, ...keys };
  const listeners: PlannedListener[] = [];
  const fixed = inside.address === undefined ? undefined : dialAddress(inside.address, "tcp", sides.inside);
  if (outside.listen !== undefined) {
    const at = (): DialAddress => fixed ?? world.mappers.registered(target);
    const dial = (dialler: NodeName): LegCarrier => dialling(target, at, innerOf(dialler), fixed?.scheme === "quic");
    const route: Route = { ...common, from: "outside", target, mayDial: new Set(nodes), dial };
    listeners.push(planned(route, outside.listen, outer));
  }
  for (const [name, text] of Object.entries(outside.addresses ?? {})) {
    const node = nodes.find((known) => known === name);
    if (node === undefined) throw pairInvalid(`${name} has an address and is not in outside.nodes`, "add it there");
    const address = dialAddress(text, "tls", sides.outside);
    const carrier = dialling(node, () => address, outer, address.scheme === "quic");
    const route: Route = { ...common, from: "inside", target: node, mayDial: new Set([target]), dial: () => carrier };
    listeners.push(planned(route, insideListen(inside, node), innerOf(node)));
  }
  return {
    name: pairName(option),
    option,
    plaintext,
    sides,
    keyed: { inside: [...inner.values()], outside: [outer] },
    filterFor,
    inside: target,
    outside: nodes,
    listeners,
    registers: fixed === undefined,
    dialledAt: fixed,
    onlyDials: outside.listen === undefined,
    identities,
  };
}

/** Where a node is dialled. @throws {SallyportError} ERR_CONFIG as `checkedAddress` */
function dialAddress(text: string, scheme: "tcp" | "tls", side: SideParts): DialAddress {
  return quicAddress(text) ?? checkedAddress(text, scheme, side);
}

/** How a node is dialled by legs of `side`. `at`: where, at that moment. */
function dialling(node: NodeName, at: () => DialAddress, side: SideParts, isQuic: boolean): LegCarrier {
  if (!isQuic) {
    return {
      kind: "stream",
      make(sink, isFull) {
        const address = at();
        return dialerOf(side, address).dial(address, hostPart(node), sink, { name: node, isFull });
      },
    };
  }
  return {
    kind: "channels",
    make(sink) {
      if (side.quic === undefined) throw new Error("a pair over QUIC without its engine");
      const { ports } = side.quic.node;
      ports.checkDial(node, at());
      return ports.dialer.dial(at(), hostPart(node), sink);
    },
  };
}

function planned(route: Route, text: string, side: SideParts): PlannedListener {
  return { route, listen: parseListen(text, side.plaintext, side.hasTls), side };
}

/** Whether a pair can go on as it is: same nodes, addresses, cookies and certificate paths. */
export function isSamePair(one: PairPlan, other: PairPlan): boolean {
  const shape = ({ option: { filter: _, ...rest }, plaintext }: PairPlan) => ({ rest, plaintext });
  if (!sameText(shape(one), shape(other))) return false;
  const cookies = ({ sides }: PairPlan) => SIDES.flatMap((side) => sides[side].cookies.all());
  const [before, after] = [cookies(one), cookies(other)];
  return before.length === after.length && before.every((cookie, i) => Buffer.compare(cookie, after[i] ?? NONE) === 0);
}

const NONE = new Uint8Array(0);
