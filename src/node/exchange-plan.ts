import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName, parseNodeName, sameNode } from "../base/node-name.ts";
import { AllowRule } from "../guard/allow.ts";
import { ExchangeHints } from "./exchange-hints.ts";
import type { ExchangeOption } from "./options.ts";

/** Peers that are asked, at most. */
export const MAX_EXCHANGE_WITH = 256;

/** Peer exchange of a node, as its owner wants it. */
export interface ExchangePlan {
  /** The peers that are asked; nobody else's word counts. */
  readonly with: readonly NodeName[];
  /** Whether those that are learned are connected to. */
  readonly connect: boolean;
  /** Who may ask, beside those whom the policy lets `call sallyport_peers`. */
  readonly rule: AllowRule | undefined;
  readonly hints: ExchangeHints;
  /** Where this node is reached, as `tls://host:port`; nowhere for one that only dials. */
  readonly advertised: () => readonly string[];
}

/**
 * Reads the option `exchange`; the own name in `with` is left out.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, EXCHANGE_INVALID; ERR_API_MISUSE ALLOW_INVALID
 */
export function readExchange(
  option: ExchangeOption | undefined,
  own: NodeName,
  clock: Clock,
  advertised: () => readonly string[],
): ExchangePlan | undefined {
  if (option === undefined) return undefined;
  const { with: texts = [], connect = false, allow } = option;
  const names = new Map<NodeName, NodeName>();
  for (const text of texts) {
    const name = parseNodeName(text);
    if (!sameNode(name, own)) names.set(canonicalName(name), name);
  }
  if (names.size > MAX_EXCHANGE_WITH) {
    throw invalid(`exchange.with has ${names.size} nodes, and ${MAX_EXCHANGE_WITH} is the most`);
  }
  if (connect && texts.length === 0) throw invalid("exchange.connect is set, and exchange.with names nobody to ask");
  const rule = AllowRule.compile(allow, ["call"]);
  return { with: [...names.values()], connect, rule, hints: new ExchangeHints(clock), advertised };
}

function invalid(what: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "EXCHANGE_INVALID", what, {
    stage: "session",
    advice: "name in exchange.with the few peers whose word is to count",
  });
}
