import { SallyportError } from "../base/errors.ts";
import { checkShape } from "../policy/check/check-shape.ts";
import { parseRate, parseSize, parseTime } from "../policy/parse-values.ts";
import { ProblemList } from "../policy/problem.ts";
import type { InboxEntry } from "./inbox.ts";
import type { InboxOption, PairFilterOption } from "./options.ts";
import type { PairRuleSettings } from "./pair-rules.ts";

/**
 * The rules of a pair from its option, checked: what contradicts itself or cannot be read is an error, never a default.
 * @param pair how the pair is called in an error
 * @param nowMs Unix milliseconds
 * @throws {SallyportError} ERR_CONFIG GATEWAY_RULES_INVALID
 */
export function readRules(pair: string, option: PairFilterOption, nowMs: number): PairRuleSettings {
  const { profile = "commander", allow, policies, observe } = option;
  const commander = profile === "peer" ? undefined : (option.commander ?? "outside");
  if (commander === undefined) {
    if (option.commander !== undefined || allow !== undefined)
      throw invalid(pair, "equals have no commander and no list of what it may do", "give each node a policy instead");
    if (policies?.outside === undefined && policies?.inside === undefined && observe === undefined)
      throw invalid(pair, "equals without a policy may do nothing", "give policies.inside, policies.outside or both");
    if (option.inbox !== undefined)
      throw invalid(pair, "equals have no inbox", "allow `send` in the policy of the receiver");
  } else {
    const receiver = commander === "outside" ? "inside" : "outside";
    if (allow !== undefined && policies?.[receiver] !== undefined)
      throw invalid(pair, `both allow and policies.${receiver} say what the commander may do`, "keep one of them");
    if (option.inbox !== undefined && policies?.[commander] !== undefined)
      throw invalid(pair, `both inbox and policies.${commander} say what the worker may send`, "keep one of them");
  }
  return {
    commander,
    profile: allow ?? {},
    inbox: (option.inbox ?? []).map((entry, index) => readInbox(pair, entry, index)),
    leaders: option.leaders ?? "output",
    wholeReasons: option.wholeReasons ?? false,
    observeUntilMs: observe === undefined ? undefined : readUntil(pair, observe.until, nowMs),
    tellsCommands: option.tellsCommands ?? false,
    limits: option.limits ?? {},
  };
}

function readInbox(pair: string, option: InboxOption, index: number): InboxEntry {
  const { to, shape, rate, payload, uses } = option;
  const at = `inbox[${index}]`;
  const problems = new ProblemList();
  checkShape(shape, [at, "shape"], problems);
  const [problem] = problems.all;
  if (problem !== undefined) throw invalid(pair, problem.message, "see docs/policy.md for shapes");
  const parsedRate = rate === undefined ? undefined : parseRate(rate);
  if (rate !== undefined && parsedRate === undefined) throw invalid(pair, `${at}.rate is "${rate}"`, "write `20/s`");
  const maxBytes = payload === undefined ? undefined : readSize(payload);
  if (payload !== undefined && maxBytes === undefined)
    throw invalid(pair, `${at}.payload is "${payload}"`, "write `8KiB`, or a number of bytes");
  if (uses !== undefined && (!Number.isSafeInteger(uses) || uses < 1))
    throw invalid(pair, `${at}.uses is ${uses}`, "give a number of messages, at least 1");
  return {
    to,
    shape,
    ...(parsedRate === undefined ? {} : { rate: parsedRate }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(uses === undefined ? {} : { uses }),
  };
}

function readSize(size: string | number): number | undefined {
  if (typeof size === "string") return parseSize(size);
  return Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

function readUntil(pair: string, until: string, nowMs: number): number {
  const untilMs = parseTime(until);
  if (untilMs === undefined) throw invalid(pair, `observe.until is "${until}"`, "write a date, such as `2027-01-15`");
  if (untilMs <= nowMs) throw invalid(pair, `observe.until is over: ${until}`, "remove observe, or give a later date");
  return untilMs;
}

function invalid(pair: string, what: string, advice: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "GATEWAY_RULES_INVALID", `the pair of ${pair}: ${what}`, {
    stage: "policy",
    advice,
  });
}
