import { tried } from "./chapters.ts";
import type { Cleanup } from "./cleanup.ts";
import { until } from "./desktop.ts";
import type { Fleet } from "./fleet.ts";
import { ANSWERS, callHostile, forgedAttempts, rawAttempts } from "./hostile-rows.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP } from "./machine.ts";
import { type Expected, type Row, rowOf } from "./rows.ts";
import { SallyportMachine } from "./sallyport-machine.ts";

/** Replaces bob_colo by somebody who has all that it had. my_desktop dials the same address again. */
export async function takeOver(
  { bob, bobStart, setting, desktop }: Fleet,
  cleanup: Cleanup,
): Promise<SallyportMachine> {
  await bob.kill();
  const hostile = SallyportMachine.start(setting, { ...bobStart, listen: bob.endpoint }, "hostile");
  await cleanup.add(() => hostile.stop());
  await hostile.ready();
  desktop.node.disconnect(BOB_COLO);
  await desktop.node.connect(BOB_COLO);
  return hostile;
}

/** What the attacker in bob's place tries; the session is dialled again after each attempt that cost it. */
export async function hostileRows(fleet: Fleet, hostile: SallyportMachine): Promise<readonly Row[]> {
  const { desktop } = fleet;
  const ec2 = desktop.node.peers().find((peer) => peer.name === EC2_NODE);
  const { id, serial, creation } = desktop.vault.pid;
  const knowledge = {
    victim: [MY_DESKTOP, id, serial, creation],
    third: [EC2_NODE, 100, 0, ec2?.incarnation ?? 1],
  } as const;
  const rows: Row[] = [];
  // From the first call the attacker knows the process that makes them.
  const [honest, ...dishonest] = ANSWERS;
  if (honest !== undefined) rows.push(await answered(fleet, hostile, honest));
  rows.push(...(await tried(fleet, BOB_COLO, rawAttempts(hostile, knowledge))));
  for (const line of dishonest) rows.push(await answered(fleet, hostile, line));
  for (const attempt of forgedAttempts(hostile, knowledge)) {
    rows.push(...(await tried(fleet, BOB_COLO, [attempt])));
    await desktop.node.connect(BOB_COLO);
    await callHostile(hostile, desktop, "honest");
  }
  return rows;
}

/** A call of my_desktop that the attacker answers in its way. */
async function answered(
  { desktop }: Fleet,
  hostile: SallyportMachine,
  [mode, shown, text]: (typeof ANSWERS)[number],
): Promise<Row> {
  const late = desktop.counter("late_replies");
  const wasDropped = (): boolean => desktop.counter("late_replies") > late;
  const answer = await callHostile(hostile, desktop, mode);
  if (mode === "twice") await until(wasDropped);
  const asExpected = answer.text === text && wasDropped() === (mode === "twice");
  const expected = EXPECTED[mode];
  const observed: Expected = asExpected ? expected : { outcome: "unclear", by: answer.text };
  const seen = mode === "twice" ? `the first: ${answer.text}` : answer.text;
  return rowOf({ from: BOB_COLO, to: MY_DESKTOP, attempt: shown, expected }, { observed, decision: null }, seen);
}

const EXPECTED: Readonly<Record<(typeof ANSWERS)[number][0], Expected>> = {
  honest: { outcome: "done", by: "its call" },
  fun: { outcome: "refused", by: "ANSWER_REFUSED" },
  foreign: { outcome: "refused", by: "ANSWER_REFUSED" },
  twice: { outcome: "silence", by: "late_replies" },
};
