import { expiryText } from "../health/expiry-text.ts";
import type { GatewayOutput } from "./gateway-events.ts";
import { type Colours, printable } from "./terminal.ts";

type Of<E extends GatewayOutput["event"]> = Extract<GatewayOutput, { readonly event: E }>;

/** A word in nine columns and a sentence, both plain, and how they are coloured. */
interface Line {
  readonly word: string;
  readonly text: string;
  readonly paint: (text: string) => string;
  /** The sentence is coloured too: nobody should overlook it. */
  readonly isLoud?: boolean;
}

/** An output for people: time, word, sentence; several lines where there is more to say. */
export function outputLines(output: GatewayOutput, atMs: number, colours: Colours): string {
  const time = colours.dim(new Date(atMs).toISOString().slice(11, 19));
  return linesOf(output, colours)
    .map(({ word, text, paint, isLoud }) => {
      const sentence = printable(text);
      return `${time} ${paint(word.padEnd(9))} ${isLoud === true ? paint(sentence) : sentence}`;
    })
    .join("\n");
}

function linesOf(output: GatewayOutput, c: Colours): readonly Line[] {
  const loud = (text: string): string => c.red(c.bold(text));
  switch (output.event) {
    case "listening":
      return listening(output, c);
    case "up": {
      const { pair, outside, inside, address } = output;
      const dialler = output.dialledBy === "outside" ? outside : inside;
      return [
        {
          word: "up",
          text: `${pair}: ${outside} and ${inside}, dialled by ${dialler} from ${address}`,
          paint: c.green,
        },
      ];
    }
    case "down": {
      const { pair, dialler, target, message } = output;
      return [{ word: "down", text: `${pair}: ${dialler ?? "somebody"} and ${target}: ${message}`, paint: c.yellow }];
    }
    case "refused": {
      const who = `${output.dialler ?? "somebody"} from ${output.address} to ${output.target}`;
      return [{ word: "refused", text: `${output.pair}: ${who}: ${output.message}; ${output.advice}`, paint: c.red }];
    }
    case "denied":
      return denied(output, c);
    case "command": {
      const { pair, from, to, verb, target } = output;
      return [{ word: "command", text: `${pair}: ${verb} of ${target} on ${to} by ${from}`, paint: c.cyan }];
    }
    case "filling": {
      const { pair, limit, size, most } = output;
      return [{ word: "filling", text: `${pair}: ${size} rows of ${most} (${limit}) are in use`, paint: c.yellow }];
    }
    case "more": {
      const { pair, count, kind } = output;
      return [{ word: output.of, text: `${pair}: ${count} more in a minute: ${kind}`, paint: c.dim }];
    }
    case "duty": {
      const { inside, findings } = output;
      if (findings.length === 0)
        return [{ word: "duty", text: `${inside}: nothing stands open any more`, paint: c.green }];
      return findings.map(({ message, advice }) => ({
        word: "DUTY",
        text: `${message}; ${advice}`,
        paint: loud,
        isLoud: true,
      }));
    }
    case "expiry": {
      const isOver = output.withinDays === 0;
      return [{ word: isOver ? "expired" : "expires", text: expiryText(output), paint: isOver ? c.red : c.yellow }];
    }
    case "observed": {
      const text = `${output.pair}: what is refused passes all the same, until ${output.until}`;
      return [{ word: "OBSERVED", text, paint: loud, isLoud: true }];
    }
    case "enforced": {
      const text = `${output.pair}: the observation is over, what is refused does not pass any more`;
      return [{ word: "ENFORCED", text, paint: loud, isLoud: true }];
    }
    case "policy":
      return [{ word: "policy", text: policyRead(output), paint: output.ok ? c.green : c.red }];
    case "audited": {
      const { count, verb, target, peer, node, rule, decision } = output;
      const more = count > 1 ? `${count} more like the last of them: ` : "";
      const text = `${more}${verb} of ${target} on ${node} by ${peer} let through (${rule}, decision ${decision})`;
      return [{ word: "audited", text, paint: c.yellow }];
    }
    case "warning":
      return output.reason === "DANGEROUS_PLAINTEXT"
        ? [{ word: "PLAINTEXT", text: output.message, paint: loud, isLoud: true }]
        : [{ word: "warning", text: output.message, paint: c.yellow }];
    case "reload":
      return [{ word: "reload", text: reloaded(output), paint: output.ok ? c.green : c.red }];
    case "draining":
      return [{ word: "draining", text: draining(output), paint: c.yellow }];
    case "stopped": {
      const { reason, ended, cut } = output;
      return [
        { word: "stopped", text: `${reason}; ${sessionsText(ended)} ended by themselves, ${cut} cut`, paint: c.dim },
      ];
    }
  }
}

function listening({ file, endpoints, epmd, health }: Of<"listening">, { green, dim }: Colours): readonly Line[] {
  const lines: Line[] = [{ word: "listening", text: `as ${file} says`, paint: green }];
  for (const { pair, from, target, endpoint } of endpoints) {
    lines.push({ word: "", text: `${pair}: ${from} nodes dial ${target} at ${endpoint}`, paint: dim });
  }
  for (const [side, address] of Object.entries(epmd)) {
    lines.push({ word: "", text: `port mapper for ${side} nodes at ${address}`, paint: dim });
  }
  if (health !== undefined) lines.push({ word: "", text: `health at ${health}`, paint: dim });
  return lines;
}

/** What was refused, and below it what to write so that it passes. */
function denied(output: Of<"denied">, { red, yellow, dim }: Colours): readonly Line[] {
  const { pair, from, to, operation, target, head, why, rule, decision, observed, advice } = output;
  const what = `${operation} of ${target === "" ? "it" : target}${head === "" ? "" : ` with ${head}`}`;
  const by = decision === null ? why : `${rule ?? why}, decision ${decision}`;
  const text = `${pair}: ${from} to ${to}: ${what} (${by})`;
  const first = observed
    ? { word: "observed", text: `${text}; it passed`, paint: yellow }
    : { word: "denied", text, paint: red };
  return advice === null ? [first] : [first, { word: "", text: `to allow it, ${advice}`, paint: dim }];
}

function policyRead({ pair, side, ok, generation, message, reason }: Of<"policy">): string {
  const whose = `${pair}: policy of the ${side} node`;
  if (ok) return `${whose}, generation ${generation}`;
  return `${whose} refused, generation ${generation} stays in force: ${withoutCode(message ?? reason ?? "")}`;
}

function reloaded(output: Of<"reload">): string {
  if (!output.ok) return `refused, all stays as it was: ${output.message}; ${output.advice}`;
  return reloadText({ ...output });
}

/** What a reload has changed: `changed desk; unchanged shop; 0 sessions ended`. */
export function reloadText(result: Readonly<Record<string, unknown>>): string {
  const parts = ["started", "closed", "restarted", "changed", "unchanged"].flatMap((what) => {
    const names = result[what];
    return Array.isArray(names) && names.length > 0 ? `${what} ${names.join(", ")}` : [];
  });
  return [...parts, `${sessionsText(Number(result["ended"]))} ended`].join("; ");
}

function draining({ sessions, timeoutMs, handOver }: Of<"draining">): string {
  const next = handOver ? "ports and files are free for another gateway" : "no new connections";
  return `${next}; ${sessionsText(sessions)} may go on for ${timeoutMs / 1_000} s`;
}

/** `1 session`, `2 sessions`. */
export function sessionsText(count: number): string {
  return `${count} ${count === 1 ? "session" : "sessions"}`;
}

function withoutCode(message: string): string {
  return message.replace(/^\[ERR_[A-Z_]+\] /, "");
}
