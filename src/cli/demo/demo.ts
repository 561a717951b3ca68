import { SallyportError } from "../../base/errors.ts";
import type { DemoFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { whileWaiting } from "../progress.ts";
import { reportVerdict } from "../report.ts";
import { betweenOf, deliveriesOf, ordersOf, reverseOf, timeCalls, unreached } from "./chapters.ts";
import { Cleanup } from "./cleanup.ts";
import { changesOf, type Desktop, stateText } from "./desktop.ts";
import { explain, showMatrix } from "./epilogue.ts";
import { startFleet } from "./fleet.ts";
import { hostileRows, takeOver } from "./hostile-chapter.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP } from "./machine.ts";
import { type RoundTrips, summarize } from "./round-trips.ts";
import type { Row } from "./rows.ts";
import { SallyportMachine } from "./sallyport-machine.ts";
import { Story } from "./story.ts";

/** Calls measured of each kind. */
const MEASURED_CALLS = 100;

interface Told {
  readonly result: Readonly<Record<string, unknown>>;
  /** What is wrong beside rows. */
  readonly faults: readonly string[];
}

/** `demo`: plays the three machines, and leaves nothing behind, whichever way it ends. */
export async function demo(world: CommandWorld, flags: DemoFlags): Promise<ExitCode> {
  const cleanup = new Cleanup();
  const story = new Story(world.terminal);
  let interrupt: (error: SallyportError) => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  const forget = world.onStopSignal((signal) => interrupt(interruptedBy(signal)));
  const telling = tell(world, flags, story, cleanup);
  try {
    const { result, faults } = await Promise.race([telling, interrupted]);
    await cleanup.run();
    story.say("All processes ended; the directory with the keys is gone.");
    return reportVerdict(world.terminal, {
      result: { ...result, rows: story.rows, steps: story.steps },
      human: "",
      failure: differs(story.wrong, faults),
    });
  } finally {
    await cleanup.run();
    // After an interruption it ends by itself, since what it works with is gone; how is of no interest.
    await telling.catch(() => undefined);
    forget();
  }
}

async function tell(world: CommandWorld, flags: DemoFlags, story: Story, cleanup: Cleanup): Promise<Told> {
  story.title("Sallyport demo: three machines that do not trust each other equally, on this one");
  const fleet = await startFleet(world, flags, story, cleanup);
  const { desktop, ec2 } = fleet;
  const { node } = desktop;
  const isErlang = !(ec2 instanceof SallyportMachine);
  story.attempts(await unreached(fleet));
  story.gap();
  for (const name of [EC2_NODE, BOB_COLO]) {
    const { protocol, assurance } = await node.connect(name);
    story.say(`my_desktop dials ${name}: protocol ${protocol}, assurance ${assurance}`);
  }

  story.step("my_desktop commands the other two");
  if (isErlang) story.say("ec2_node is plain Erlang: it asks no policy, and does what a connected node wants.");
  story.attempts(await ordersOf(fleet, "ec2_node"));
  story.attempts(await ordersOf(fleet, "bob_colo"));
  const roundTrips = await measure(world, desktop);
  story.gap();
  for (const { what, calls, p50Us, p95Us } of roundTrips) {
    story.say(`${what}: ${calls} calls, p50 ${p50Us} us, p95 ${p95Us} us`);
  }

  story.step("Neither commands my_desktop");
  if (isErlang) story.say(`Typed at ec2_node; D is '${MY_DESKTOP}', Pid a process of it that ec2_node was sent.`);
  story.attempts(await whileWaiting(world.terminal, "ec2_node tries", reverseOf(fleet, "ec2_node")));
  story.attempts(await reverseOf(fleet, "bob_colo"));
  story.attempts(await betweenOf(fleet));
  story.attempts(await deliveriesOf(fleet));

  story.step("bob_colo is taken over");
  const before = desktop.state();
  const hostile = await takeOver(fleet, cleanup);
  story.say(`Its process is killed, and process ${hostile.pid} takes its place: with the key, the certificate and the`);
  story.say(
    "cookie of bob_colo, and without a policy or any check. It writes raw messages. my_desktop dials it again.",
  );
  const attacks = await whileWaiting(world.terminal, "the attacker tries", hostileRows(fleet, hostile));
  story.attempts(attacks);
  const after = desktop.state();
  story.gap();
  story.say(`my_desktop before: ${stateText(before)}`);
  story.say(`my_desktop after:  ${stateText(after)}`);
  const changed = changesOf(before, after);

  const why = explain(story, node, attacks);
  const fleetMatrix = showMatrix(world, story, fleet);
  if (isErlang)
    story.say(
      "For ec2_node it says what a gate in front of that node would enforce. There was none: bob_colo ran code on it.",
    );
  story.step("Clean up");
  return {
    faults: [...changed.map((name) => `${name} of my_desktop was changed`), ...fleetMatrix.faults],
    result: {
      ec2: isErlang ? "erlang" : "sallyport",
      policies: Object.values(fleet.policies).map(({ policy: _, ...rest }) => rest),
      state: { before, after },
      why,
      matrix: fleetMatrix.matrix,
      roundTrips,
    },
  };
}

async function measure(world: CommandWorld, { node }: Desktop): Promise<readonly RoundTrips[]> {
  const now = (): number => world.clock.now();
  return [
    summarize("my_desktop calls ec2_node", await timeCalls(node, EC2_NODE, MEASURED_CALLS, now)),
    summarize("my_desktop calls bob_colo", await timeCalls(node, BOB_COLO, MEASURED_CALLS, now)),
  ];
}

/** The demo fails when reality is not as expected. */
function differs(wrong: readonly Row[], faults: readonly string[]): SallyportError | undefined {
  const [row] = wrong;
  const all = [
    ...(row === undefined ? [] : [`${row.from} -> ${row.to}, ${row.attempt}: ${row.observed.outcome}`]),
    ...faults,
  ];
  if (all.length === 0) return undefined;
  const others = wrong.length + faults.length - 1;
  const message = `not as expected: ${all[0]}${others > 0 ? ` (and ${others} more)` : ""}`;
  return new SallyportError("ERR_REMOTE", "DEMO_DIFFERS", message, {
    advice: "please report this with the output of the demo",
  });
}

function interruptedBy(signal: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "INTERRUPTED", `the demo was stopped by ${signal}`, {
    advice: "nothing is left behind; run it again to see the rest",
  });
}
