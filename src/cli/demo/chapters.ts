import type { Node } from "../../node/api.ts";
import { judge } from "../../policy/review/judge.ts";
import { atom, tuple } from "../../term/public.ts";
import { until } from "./desktop.ts";
import { type Ordered, ordersFor } from "./desktop-orders.ts";
import type { RunPolicy } from "./example-policies.ts";
import type { Fleet } from "./fleet.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP, readAnswer } from "./machine.ts";
import {
  BURST,
  bobAttempts,
  burstArrived,
  erlangAttempts,
  inFull,
  type Reverse,
  sallyportAttempts,
  sendBurst,
} from "./reverse-attempts.ts";
import { type Expected, outcomeOf, type Row, rowOf } from "./rows.ts";
import { SallyportMachine } from "./sallyport-machine.ts";

/** Reports of a burst that a rule of 20 a second lets through at once, and at most while the burst lasts. */
const RATE = 20;
const RATE_SLACK = 10;

/** What my_desktop does on the other two. */
export async function ordersOf(fleet: Fleet, to: "ec2_node" | "bob_colo"): Promise<readonly Row[]> {
  const { desktop, ec2, bob, policies, setting } = fleet;
  const isBob = to === "bob_colo";
  const machine = isBob ? bob : ec2;
  const asks = machine instanceof SallyportMachine;
  const ordered: Ordered = {
    node: isBob ? BOB_COLO : EC2_NODE,
    worker: asks ? ["worker", "worker"] : ["jobs:work", "jobs:work/1"],
    asks,
    look: isBob ? null : "desk-look",
  };
  const rows: Row[] = [];
  for (const { shown, expected, asks: question, run } of ordersFor(desktop.node, ordered)) {
    const answer = await run();
    const told = machine instanceof SallyportMachine ? await machine.refusals() : [];
    const grantedBy = asks ? grantOf(policies[to], question, setting.world.clock.wallMs()) : "-";
    const outcome = outcomeOf({ answer, told, dropped: undefined, cutBy: undefined, happened: undefined, grantedBy });
    rows.push(rowOf({ from: MY_DESKTOP, to: ordered.node, attempt: shown, expected }, outcome, answer.text));
  }
  return rows;
}

/** Before my_desktop has dialled anybody, nobody can reach it: it has no listener. */
export async function unreached({ desktop, ec2 }: Fleet): Promise<readonly Row[]> {
  const isErlang = !(ec2 instanceof SallyportMachine);
  const answer = isErlang
    ? await ec2.attempt(inFull("net_adm:ping(D)"))
    : await ec2.attempt({ do: "ping", node: MY_DESKTOP });
  const isOut = desktop.node.peers().length === 0 && (answer.kind !== "answered" || answer.text === "pang");
  return [
    rowOf(
      {
        from: EC2_NODE,
        to: MY_DESKTOP,
        attempt: isErlang ? "net_adm:ping(D)" : "ping",
        expected: { outcome: "no way", by: "no listener" },
      },
      { observed: { outcome: isOut ? "no way" : "unclear", by: "no listener" }, decision: null },
      answer.text,
    ),
  ];
}

/** What ec2_node and bob_colo try on my_desktop while everybody is who he should be. */
export async function reverseOf(fleet: Fleet, from: "ec2_node" | "bob_colo"): Promise<readonly Row[]> {
  const { desktop, ec2, bob } = fleet;
  if (from === "bob_colo") return tried(fleet, BOB_COLO, bobAttempts(bob));
  // A pid of my_desktop that ec2_node has learned of, so that it has one to try.
  desktop.node.send({ name: "jobs", node: EC2_NODE }, tuple(atom("here"), desktop.vault.pid));
  await desktop.node.ping(EC2_NODE);
  if (!(ec2 instanceof SallyportMachine)) await ec2.evaluate("{Pid, _} = jobs:heard()");
  const attempts = ec2 instanceof SallyportMachine ? sallyportAttempts(ec2) : erlangAttempts(ec2);
  return [...(await tried(fleet, EC2_NODE, attempts)), await burst(fleet)];
}

/** What ec2_node and bob_colo do with each other, as far as one of the two asks its policy. */
export async function betweenOf({ ec2, bob, policies, setting }: Fleet): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const nowMs = setting.world.clock.wallMs();
  const attempts = [
    ['call jobs {start, <<"index">>}', ["call", "jobs"], { outcome: "done", by: "ec2-jobs" }],
    ["spawn worker", ["spawn", "worker"], { outcome: "done", by: "ec2-worker" }],
    ['run os:cmd("id")', ["rpc", "os:cmd/1"], { outcome: "refused", by: "deny-default" }],
  ] as const;
  for (const [shown, question, expected] of attempts) {
    const answer =
      ec2 instanceof SallyportMachine
        ? await ec2.attempt(BY_SALLYPORT[question[0]])
        : readAnswer(await ec2.evaluate(BY_ERLANG[question[0]]));
    const told = await bob.refusals();
    const grantedBy = grantOf(policies.bob_colo, question, nowMs, EC2_NODE);
    const outcome = outcomeOf({ answer, told, dropped: undefined, cutBy: undefined, happened: undefined, grantedBy });
    rows.push(rowOf({ from: EC2_NODE, to: BOB_COLO, attempt: shown, expected }, outcome, answer.text));
  }
  return rows;
}

/** What bob_colo does on ec2_node: one delivery is granted. A plain Erlang node lets it do the rest, too. */
export async function deliveriesOf({ ec2, bob, policies, setting }: Fleet): Promise<readonly Row[]> {
  const asks = ec2 instanceof SallyportMachine;
  const nowMs = setting.world.clock.wallMs();
  const count = async (): Promise<number> =>
    Number(asks ? (await ec2.attempt({ do: "results" })).text : await ec2.evaluate("element(2, jobs:heard())"));
  const pair = { from: BOB_COLO, to: EC2_NODE };
  if (asks) await ec2.refusals();
  const rows: Row[] = [];
  const before = await count();
  const message = '{result, <<"index">>, <<"42 pages">>}';
  const sent = await bob.attempt({ do: "send", node: EC2_NODE, name: "results", message });
  let happened = false;
  await until(async () => {
    happened = (await count()) > before;
    return happened;
  });
  const grantedBy = asks ? grantOf(policies.ec2_node, ["send", "results"], nowMs, BOB_COLO) : "-";
  const told = asks ? await ec2.refusals() : [];
  const delivered = outcomeOf({ answer: sent, told, dropped: undefined, cutBy: undefined, happened, grantedBy });
  const granted: Expected = { outcome: "done", by: asks ? "bob-results" : "-" };
  rows.push(rowOf({ ...pair, attempt: "send results {result, ..., ...}", expected: granted }, delivered, sent.text));

  const ran = await bob.attempt({ do: "rpc", node: EC2_NODE, module: "os", fn: "cmd", args: '["echo hi"]' });
  const refusals = asks ? await ec2.refusals() : [];
  const parts = { dropped: undefined, cutBy: undefined, happened: undefined, grantedBy: "-" };
  const outcome = outcomeOf({ answer: ran, told: refusals, ...parts });
  const expected: Expected = asks ? { outcome: "refused", by: "bob-no-orders" } : { outcome: "done", by: "-" };
  rows.push(rowOf({ ...pair, attempt: 'run os:cmd("echo hi")', expected }, outcome, ran.text));
  return rows;
}

const BY_ERLANG = {
  call: `catch gen_server:call({jobs, '${BOB_COLO}'}, {start, <<"index">>})`,
  spawn:
    `S = erlang:spawn_request('${BOB_COLO}', sallyport_fn, worker, [<<"index">>], []), ` +
    "receive {spawn_reply, S, Said, Child} -> {Said, Child} after 2000 -> nothing end",
  rpc: `catch rpc:call('${BOB_COLO}', os, cmd, ["id"])`,
} as const;
const BY_SALLYPORT = {
  call: { do: "call", node: BOB_COLO, name: "jobs", message: '{start, <<"index">>}' },
  spawn: { do: "spawn", node: BOB_COLO, fn: "worker", args: '[<<"index">>]' },
  rpc: { do: "rpc", node: BOB_COLO, module: "os", fn: "cmd", args: '["id"]' },
} as const;

/** A report that is granted, far more often than it is. */
async function burst({ desktop, ec2 }: Pick<Fleet, "desktop" | "ec2">): Promise<Row> {
  const before = desktop.counter("denied");
  const handled = (): number => burstArrived(desktop.events) + desktop.counter("denied") - before;
  await sendBurst(ec2);
  await until(() => handled() >= BURST);
  const arrived = burstArrived(desktop.events);
  const isLimited = handled() === BURST && arrived >= RATE - 2 && arrived <= RATE + RATE_SLACK;
  return rowOf(
    {
      from: EC2_NODE,
      to: MY_DESKTOP,
      attempt: `${BURST} progress reports at once`,
      expected: { outcome: "limited", by: "ec2-progress" },
    },
    { observed: { outcome: isLimited ? "limited" : "unclear", by: "ec2-progress" }, decision: null },
    `${arrived} arrived, ${handled() - arrived} refused (20/s)`,
  );
}

/** Lets somebody try one thing after the other on my_desktop. */
export async function tried({ desktop }: Fleet, from: string, attempts: readonly Reverse[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { shown, expected, watching, run } of attempts) {
    const sighting = await desktop.watch(run, { from, ...watching });
    const outcome = outcomeOf(sighting);
    rows.push(rowOf({ from, to: MY_DESKTOP, attempt: shown, expected }, outcome, sighting.answer.text));
  }
  return rows;
}

/** By what the receiver's policy lets it through. */
function grantOf(
  { policy }: RunPolicy,
  [verb, target]: readonly [verb: Parameters<typeof judge>[2], target: string],
  nowMs: number,
  from: string = MY_DESKTOP,
): string {
  const { outcome, rule } = judge(policy, from, verb, target, nowMs);
  return outcome === "allow" ? (rule ?? "-") : "-";
}

/** Sends calls one after the other and answers their times in microseconds. */
export async function timeCalls(node: Node, to: string, calls: number, now: () => number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < calls; i++) {
    const before = now();
    await node.call({ name: "jobs", node: to }, tuple(atom("start"), i));
    times.push((now() - before) * 1000);
  }
  return times;
}
