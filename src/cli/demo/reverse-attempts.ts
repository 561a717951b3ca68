import { type Term, Tuple } from "../../term/public.ts";
import type { DesktopState, Watching } from "./desktop.ts";
import type { ErlangMachine } from "./erlang-machine.ts";
import { type Answer, MY_DESKTOP } from "./machine.ts";
import type { MachineCommand } from "./machine-commands.ts";
import type { Expected } from "./rows.ts";
import type { SallyportMachine } from "./sallyport-machine.ts";

/** Something that a machine tries on my_desktop. */
export interface Reverse {
  readonly shown: string;
  readonly expected: Expected;
  readonly watching: Omit<Watching, "from">;
  run(): Promise<Answer>;
}

const ORDERS_REFUSED: Expected = { outcome: "refused", by: "no-orders" };
const NOT_GRANTED: Expected = { outcome: "refused", by: "deny-default" };
const UNHEARD: Expected = { outcome: "silence", by: "deny-default" };

const ran = (state: DesktopState): number => state["functions run"];
const opened = (state: DesktopState): number => state.vault;
const killed = (state: DesktopState): number => state["vault killed"];
const reported = (state: DesktopState): number => state.job_events;

/** Messages of the burst; `ec2-progress` lets 20 a second through. */
export const BURST = 60;

/** The reverse of every order, from a real Erlang node: what is typed there is shown as it is. */
export function erlangAttempts(ec2: ErlangMachine): readonly Reverse[] {
  const typed = (shown: string, expressions: string, expected: Expected, watching: Reverse["watching"]): Reverse => ({
    shown,
    expected,
    watching,
    run: () => ec2.attempt(expressions),
  });
  const same = (shown: string, expected: Expected, watching: Reverse["watching"]): Reverse =>
    typed(shown, inFull(shown), expected, watching);
  const sent = (shown: string, expected: Expected, watching: Reverse["watching"]): Reverse =>
    typed(shown, `${inFull(shown)}, ${HEAR}`, expected, watching);
  return [
    sent(
      '{job_events, D} ! {progress, <<"build">>, 40}',
      { outcome: "done", by: "ec2-progress" },
      {
        effect: reported,
        grant: ["send", "job_events"],
      },
    ),
    sent('{job_events, D} ! {progress, "build", fast}', UNHEARD, { effect: reported }),
    same('rpc:call(D, os, cmd, ["id"])', ORDERS_REFUSED, { effect: ran }),
    same("gen_server:call({vault, D}, open)", NOT_GRANTED, { effect: opened }),
    typed('erlang:spawn(D, os, cmd, ["id"])', SPAWN, ORDERS_REFUSED, { effect: ran }),
    typed("erlang:monitor(process, {job_events, D})", MONITOR, NOT_GRANTED, {}),
    typed("link(Pid)", LINK, ORDERS_REFUSED, {}),
    sent("exit(Pid, kill)", { outcome: "silence", by: "no-orders" }, { effect: killed }),
    sent("Pid ! hello", UNHEARD, { effect: opened }),
    same("sys:terminate({vault, D}, normal)", NOT_GRANTED, { effect: killed }),
  ];
}

/** The same from a Sallyport process that plays the node. */
export function sallyportAttempts(ec2: SallyportMachine): readonly Reverse[] {
  const node = MY_DESKTOP;
  const said = (
    shown: string,
    command: MachineCommand,
    expected: Expected,
    watching: Reverse["watching"],
  ): Reverse => ({
    shown,
    expected,
    watching,
    run: () => ec2.attempt(command),
  });
  const report = (message: string): MachineCommand => ({ do: "send", node, name: "job_events", message });
  return [
    said(
      'send job_events {progress, <<"build">>, 40}',
      report('{progress, <<"build">>, 40}'),
      { outcome: "done", by: "ec2-progress" },
      {
        effect: reported,
        grant: ["send", "job_events"],
      },
    ),
    said('send job_events {progress, "build", fast}', report('{progress, "build", fast}'), UNHEARD, {
      effect: reported,
    }),
    said('run os:cmd("id")', { do: "rpc", node, module: "os", fn: "cmd", args: '["id"]' }, ORDERS_REFUSED, {
      effect: ran,
    }),
    said("call vault open", { do: "call", node, name: "vault", message: "open" }, NOT_GRANTED, { effect: opened }),
    said("spawn worker", { do: "spawn", node, fn: "worker", args: "[1]" }, ORDERS_REFUSED, { effect: ran }),
    said("monitor job_events", { do: "monitor", node, name: "job_events" }, NOT_GRANTED, {}),
    said("link to a pid it was sent", { do: "link" }, ORDERS_REFUSED, {}),
    said("kill that pid", { do: "exit" }, { outcome: "silence", by: "no-orders" }, { effect: killed }),
    said("message to that pid", { do: "tell" }, UNHEARD, { effect: opened }),
  ];
}

/** What bob_colo tries while it is honest. */
export function bobAttempts(bob: SallyportMachine): readonly Reverse[] {
  const node = MY_DESKTOP;
  return [
    {
      shown: 'send job_events {progress, <<"build">>, 40}',
      expected: UNHEARD,
      watching: { effect: reported },
      run: () => bob.attempt({ do: "send", node, name: "job_events", message: '{progress, <<"build">>, 40}' }),
    },
    {
      shown: "spawn worker",
      expected: ORDERS_REFUSED,
      watching: { effect: ran },
      run: () => bob.attempt({ do: "spawn", node, fn: "worker", args: "[1]" }),
    },
  ];
}

/** Sends many progress reports at once. */
export async function sendBurst(ec2: ErlangMachine | SallyportMachine): Promise<void> {
  if ("evaluate" in ec2) {
    await ec2.evaluate(inFull(`[{job_events, D} ! {progress, <<"burst">>, N} || N <- lists:seq(1, ${BURST})], ok`));
    return;
  }
  const message = '{progress, <<"burst">>, 1}';
  await ec2.attempt({ do: "burst", node: MY_DESKTOP, name: "job_events", message, count: BURST });
}

/** Reports of the burst that arrived. */
export function burstArrived(events: readonly Term[]): number {
  return events.filter((term) => term instanceof Tuple && String(term.elements[1]) === "burst").length;
}

/** An expression as it is typed: D is short for my_desktop's name in the table. */
export function inFull(shown: string): string {
  return `catch ${shown.replace(/\bD\b/g, `'${MY_DESKTOP}'`)}`;
}

/** `spawn` answers with a pid at once, whatever becomes of it; `spawn_request` is what it sends, and tells. */
const SPAWN =
  `R = erlang:spawn_request('${MY_DESKTOP}', os, cmd, ["id"], []), ` +
  "receive {spawn_reply, R, error, Why} -> Why; {spawn_reply, R, ok, P} -> P after 2000 -> nothing end";
/** What came back of a message: nothing ever should. */
const HEAR = "(fun() -> receive Came -> Came after 60 -> nothing end end)()";
const MONITOR =
  `M = erlang:monitor(process, {job_events, '${MY_DESKTOP}'}), ` +
  "receive {'DOWN', M, _, _, W} -> W after 1500 -> nothing end";
const LINK = "link(Pid), receive {'EXIT', Pid, Denied} -> Denied after 1500 -> nothing end";
