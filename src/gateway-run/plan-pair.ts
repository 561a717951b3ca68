import { hostPart, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Carrier, CarrierSink, DialAddress } from "../carrier/carrier.ts";
import { ExpectedInside } from "../gateway/expected-inside.ts";
import type { LegCarrier } from "../gateway/leg-carrier.ts";
import { type FilterFactory, SIDES, type Side } from "../gateway/message-filter.ts";
import type { LegIdentity } from "../gateway/native-steps.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import { OutsideBook } from "../gateway/outside-book.ts";
import type { Route } from "../gateway/pair.ts";
import { type ListenOption, parseListen } from "../node/listen-option.ts";
import { DEFAULT_FLAGS, FRAGMENTS } from "../wire/flags.ts";
import type { PairWorld } from "./gateway-world.ts";
import type { OutsideIdentity } from "./outside-identity.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { checkQuicOutside, quicAddress, refuseQuicInside } from "./quic-outside.ts";
import { checkedAddress, dialerOf, readSide, type SideParts } from "./read-side.ts";
import { sameText } from "./same-text.ts";

/** One listener of a pair: where one side dials one node of the other. */
export interface PlannedListener {
  readonly route: Route;
  readonly listen: ListenOption;
  readonly side: SideParts;
}

/** A pair option that was read and checked; nothing is bound yet. */
export interface PairPlan {
  readonly name: string;
  readonly option: GatewayPairOption;
  readonly plaintext: boolean | "any";
  readonly sides: Readonly<Record<Side, SideParts>>;
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
  /** Of its outside legs, where they have one. */
  readonly identity: OutsideIdentity | undefined;
}

/** What a pair is called. */
export function pairName({ name, inside }: GatewayPairOption): string {
  return name ?? inside.node;
}

/**
 * Reads a pair option with its files, and checks it.
 * @param plaintext whether the outside may be plain TCP
 * @param filterFor makes the filters of its sessions
 * @param identity that of its outside legs, where it has one
 * @throws {SallyportError} ERR_CONFIG
 */
export function planPair(
  option: GatewayPairOption,
  plaintext: boolean | "any",
  world: PairWorld,
  filterFor: FilterFactory,
  identity?: OutsideIdentity | "unopened",
): PairPlan {
  const { inside, outside, fragments } = option;
  const target = parseNodeName(inside.node);
  const nodes = outside.nodes.map(parseNodeName);
  if (nodes.length === 0) throw pairInvalid(`the pair of ${target} has no outside nodes`, "name them in outside.nodes");
  if (outside.listen === undefined && outside.addresses === undefined)
    throw pairInvalid(`neither side of the pair of ${target} may dial`, "set outside.listen or outside.addresses");
  if (inside.address === undefined && !world.mappers.has("inside"))
    throw pairInvalid(`nothing says where ${target} listens`, "set inside.address, or epmd.inside");
  if (outside.cookie === undefined && identity === undefined)
    throw pairInvalid(`nothing proves the outside nodes of ${target}`, "set outside.identity, or outside.cookie");
  refuseQuicInside("address", inside.address);
  refuseQuicInside("listen", inside.listen);
  checkQuicOutside(outside, target);
  const mask = fragments === false ? DEFAULT_FLAGS & ~FRAGMENTS : DEFAULT_FLAGS;
  const sides = { inside: readSide(inside, true, world), outside: readSide(outside, plaintext, world, identity) };
  const tools = { inside: sides.inside.tools, outside: sides.outside.tools };
  const native = identity === undefined || identity === "unopened" ? undefined : identity;
  const legs = native === undefined ? {} : { identity: legIdentity(native, target, mask, world) };
  const isVisible = outside.quic?.visible === true;
  const common = { mask, world: world.legs, tools, filterFor, isVisible, ...legs };
  const listeners: PlannedListener[] = [];
  const fixed = inside.address === undefined ? undefined : checkedAddress(inside.address, "tcp", sides.inside);
  if (outside.listen !== undefined) {
    const make = (sink: CarrierSink, isFull: boolean): Carrier => {
      const address = fixed ?? world.mappers.registered(target);
      return dialerOf(sides.inside, address).dial(address, hostPart(target), sink, { name: target, isFull });
    };
    const dial = { kind: "stream", make } as const;
    const route: Route = { ...common, from: "outside", target, mayDial: new Set(nodes), dial };
    listeners.push(planned(route, outside.listen, sides.outside));
  }
  for (const [name, text] of Object.entries(outside.addresses ?? {})) {
    const node = nodes.find((known) => known === name);
    if (node === undefined) throw pairInvalid(`${name} has an address and is not in outside.nodes`, "add it there");
    const dial = outsideDial(text, node, sides.outside, native);
    const route: Route = { ...common, from: "inside", target: node, mayDial: new Set([target]), dial };
    listeners.push(planned(route, inside.listen ?? "tcp://127.0.0.1:0", sides.inside));
  }
  const onlyDials = outside.listen === undefined;
  return {
    name: pairName(option),
    option,
    plaintext,
    sides,
    filterFor,
    inside: target,
    outside: nodes,
    listeners,
    registers: fixed === undefined,
    dialledAt: fixed,
    onlyDials,
    identity: native,
  };
}

/** How an outside node is dialled. @throws {SallyportError} ERR_CONFIG as `checkedAddress` */
function outsideDial(text: string, node: NodeName, side: SideParts, identity: OutsideIdentity | undefined): LegCarrier {
  const overQuic = quicAddress(text);
  if (overQuic === undefined) {
    const address = checkedAddress(text, "tls", side);
    return {
      kind: "stream",
      make: (sink, isFull) => dialerOf(side, address).dial(address, hostPart(node), sink, { name: node, isFull }),
    };
  }
  return {
    kind: "channels",
    make(sink) {
      if (identity?.quic === undefined) throw new Error("a pair over QUIC without its engine");
      const { ports } = identity.quic.node;
      ports.checkDial(node, overQuic);
      return ports.dialer.dial(overQuic, hostPart(node), sink);
    },
  };
}

function legIdentity({ keeper }: OutsideIdentity, inside: NodeName, mask: bigint, { mappers }: PairWorld): LegIdentity {
  const expected = new ExpectedInside(mask, () => mappers.registeredCreation(inside));
  return { keeper, book: new OutsideBook(inside), expected };
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
