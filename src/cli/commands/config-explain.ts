import type { ConfigWarning } from "../../config/erlang-text.ts";
import { type ExplainedSetting, explainSettings } from "../../config/explain-settings.ts";
import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { reportResult } from "../report.ts";
import { gatherSettings } from "../settings.ts";
import { table } from "../table.ts";

/** `config explain`: every setting of a node with the place it is from. Starts nothing and reads no secret file. */
export async function configExplain(world: CommandWorld, flags: CommonFlags): Promise<void> {
  const warnings: ConfigWarning[] = [];
  const settings = explainSettings(gatherSettings(flags, world, warnings));
  reportResult(world.terminal, { settings, warnings }, human(settings, warnings, world));
}

function human(settings: readonly ExplainedSetting[], warnings: readonly ConfigWarning[], world: CommandWorld): string {
  const { colours } = world.terminal;
  const rows = settings.map(({ key, value, source, level }) => [
    key,
    shown(value),
    level === "default" ? { text: source, colour: colours.dim } : source,
  ]);
  const told = warnings.map(({ message }) => `\nwarning: ${message}`);
  return [table(["key", "value", "source"], rows, colours.dim), ...told].join("\n");
}

function shown(value: unknown): string {
  if (value === null) return "-";
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.map(shown).join(", ") : JSON.stringify(value);
}
