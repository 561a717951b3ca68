import { SallyportError } from "../base/errors.ts";
import type { Control } from "../wire/control-types.ts";
import type { Refusal } from "./verdict.ts";

/** The option that lets requests for input pass. */
export const SHELL_RULE = 'leaders: "shell"';

/** True for what inbox rules are about. */
export function isMessage(control: Control): boolean {
  return control.kind === "reg-send" || control.kind === "send";
}

/** The `inbox` rule that would let such a message in, as it stands in a configuration file. */
export function ruleFor(why: Refusal, control: Control): ((target: string, head: string) => string) | undefined {
  if (!isMessage(control) || (why !== "unasked" && why !== "operation")) return undefined;
  return (target, head) => {
    const to = control.kind === "reg-send" ? JSON.stringify(target) : '{ "revealed": true }';
    return `inbox: { "to": ${to}, "shape": ${shapeOf(head)} }`;
  };
}

function shapeOf(head: string): string {
  const cut = head.lastIndexOf("/");
  if (cut < 0) return '"any"';
  const arity = Number(head.slice(cut + 1));
  const first = cut === 0 ? '"any"' : JSON.stringify({ atom: head.slice(0, cut) });
  const rest = new Array<string>(Math.min(Math.max(arity - 1, 0), 8)).fill('"any"');
  return `{ "tuple": [${(arity === 0 ? [] : [first, ...rest]).join(", ")}] }`;
}

/** The worker tries without end. */
export function tooManyRefusals(limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "GATEWAY_REFUSALS",
    `more than ${limit} messages of the worker were refused in ten seconds`,
    {
      detail: { limit, option: "maxRefusals" },
      advice: "look at the refused events for what the worker tries; raise maxRefusals of the gateway if it is honest",
    },
  );
}
