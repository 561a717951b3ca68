import { SallyportError } from "../../base/errors.ts";
import type { Fields } from "../../control/control-protocol.ts";
import { asObject } from "../../identity/pin-meta.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { healthText } from "../health-text.ts";
import { reportVerdict } from "../report.ts";
import type { HealthFlags } from "../running-commands.ts";
import { askRunningNode } from "../running-node.ts";

/** `health`: whether the running node can do its work, how its peers are, and its counters. Exit 1 when it cannot. */
export async function health(world: CommandWorld, flags: HealthFlags): Promise<ExitCode> {
  const { terminal } = world;
  const isProbe = flags.live === true || flags.ready === true;
  const result = await askRunningNode(world, flags, "health", isProbe ? { peers: false } : {});
  const failure = flags.live === true ? undefined : failureIn(result);
  const human = isProbe
    ? failure === undefined
      ? flags.live === true
        ? "live"
        : "ready"
      : ""
    : healthText(result, terminal.colours);
  return reportVerdict(terminal, { result, human, failure });
}

/** What keeps the node from its work; undefined when nothing does. */
function failureIn({ checks, isReady }: Fields): SallyportError | undefined {
  if (isReady !== false) return undefined;
  const failed = (Array.isArray(checks) ? checks : []).map(asObject).filter((check) => check?.["ok"] === false);
  const what = failed.map((check) => `${String(check?.["name"])} (${String(check?.["reason"])})`).join(", ");
  return new SallyportError("ERR_REMOTE", "NODE_NOT_READY", `the node cannot do its work: ${what}`, {
    advice: "see what docs/health.md says of each reason; sallyport health shows the rest",
  });
}
