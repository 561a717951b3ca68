import { isSallyportError } from "../../base/errors.ts";
import { atom, printTerm, tuple } from "../../term/public.ts";
import type { Desktop, DesktopState } from "./desktop.ts";
import type { AnswerMode, Knowledge } from "./hostile-commands.ts";
import { type Answer, BOB_COLO } from "./machine.ts";
import type { Reverse } from "./reverse-attempts.ts";
import type { Expected } from "./rows.ts";
import type { SallyportMachine } from "./sallyport-machine.ts";

const ran = (state: DesktopState): number => state["functions run"];
const opened = (state: DesktopState): number => state.vault;
const killed = (state: DesktopState): number => state["vault killed"];
const reported = (state: DesktopState): number => state.job_events;
const written = (state: DesktopState): number => state.output;

const NO_ORDERS: Expected = { outcome: "refused", by: "no-orders" };
const DENIED: Expected = { outcome: "refused", by: "deny-default" };
const UNHEARD: Expected = { outcome: "silence", by: "deny-default" };
const IGNORED: Expected = { outcome: "silence", by: "no-orders" };
const UNASKED: Expected = { outcome: "silence", by: "unsolicited" };
const LATE: Expected = { outcome: "silence", by: "late_replies" };
const CUT: Expected = { outcome: "cut off", by: "FORGED_IDENTIFIER" };

type Line = readonly [attack: string, shown: string, expected: Expected, effect?: (state: DesktopState) => number];

/** Raw messages of the attacker, and what should become of them. */
const LINES: readonly Line[] = [
  ["message to a service", "REG_SEND job_events, a progress report", UNHEARD, reported],
  ["message to a pid", "SEND to a pid that it knows", UNHEARD, opened],
  ["call", "gen_server call to vault", DENIED, opened],
  ["monitor of what is there", "MONITOR_P vault: is it there?", DENIED],
  ["monitor of what is not", "MONITOR_P no_such: the same answer", DENIED],
  ["system message", "{system, From, {terminate, normal}} to vault", IGNORED, killed],
  ["spawn", 'SPAWN_REQUEST os:cmd(["touch ..."])', NO_ORDERS, ran],
  ["spawn of a registered function", "SPAWN_REQUEST worker, which is registered", NO_ORDERS, ran],
  ["erpc", "SPAWN_REQUEST erpc:execute_call of os:cmd", NO_ORDERS, ran],
  ["rex", "{call, os, cmd, ...} to rex", NO_ORDERS, ran],
  ["kill", "EXIT2 kill to a pid", IGNORED, killed],
  ["link", "LINK to that pid, to take it along", NO_ORDERS],
  ["exit over no link", "EXIT kill over a link that is not there", UNASKED, killed],
  ["group leader", "GROUP_LEADER: take over its output", UNHEARD],
  ["output", "io_request to user: a faked prompt", IGNORED, written],
  ["answer to no call", "answer to a call that was never made", LATE],
  ["answer by alias", "ALIAS_SEND by a guessed alias", LATE],
  ["DOWN of no monitor", "DOWN of a monitor that was never set", UNASKED],
  ["reply to no spawn", "SPAWN_REPLY that nobody waits for", UNASKED],
];

/** Messages in the name of others: each costs the session. */
const FORGED: readonly Line[] = [
  ["forged sender", "progress report in the name of ec2_node", CUT, reported],
  ["forged sender of the node itself", "EXIT2 kill in the name of my_desktop itself", CUT, killed],
];

/** Names of all attacks of the table. */
export const ATTACKS_SHOWN: readonly string[] = [...LINES, ...FORGED].map(([attack]) => attack);

/** The attacks that go out over one session. */
export function rawAttempts(hostile: SallyportMachine, knowledge: Knowledge): readonly Reverse[] {
  return LINES.map((line) => reverseOf(line, hostile, knowledge));
}

/** Those that end it. */
export function forgedAttempts(hostile: SallyportMachine, knowledge: Knowledge): readonly Reverse[] {
  return FORGED.map((line) => reverseOf(line, hostile, knowledge));
}

function reverseOf([attack, shown, expected, effect]: Line, hostile: SallyportMachine, knowledge: Knowledge): Reverse {
  return {
    shown,
    expected,
    watching: effect === undefined ? {} : { effect },
    run: () => hostile.attempt({ do: "attack", attack, knowledge }),
  };
}

/** What the attacker puts into an answer that my_desktop does wait for, and how its call should end. */
export const ANSWERS: readonly (readonly [mode: AnswerMode, shown: string, expected: string])[] = [
  ["honest", "answers a call as it should", '{started,<<"job">>}'],
  ["fun", "puts fun os:cmd/1 into the answer", "ERR_DENIED ANSWER_REFUSED"],
  ["foreign", "puts a pid of ec2_node into the answer", "ERR_DENIED ANSWER_REFUSED"],
  ["twice", "answers twice, differently", '{started,<<"job">>}'],
];

/** Calls the attacker, which answers in its way; resolves with how the call ended. */
export async function callHostile(hostile: SallyportMachine, desktop: Desktop, mode: AnswerMode): Promise<Answer> {
  await hostile.attempt({ do: "mode", mode });
  try {
    const request = tuple(atom("start"), Buffer.from("job"));
    const value = await desktop.node.call({ name: "jobs", node: BOB_COLO }, request, { timeoutMs: 3_000 });
    return { kind: "answered", text: printTerm(value) };
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    return { kind: error.code === "ERR_DENIED" ? "refused" : "failed", text: `${error.code} ${error.reason}` };
  }
}
