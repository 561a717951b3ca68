/** What must be known of the options to find the command among the arguments. */
export interface ArgumentGrammar {
  readonly commands: readonly string[];
  /** Commands that hold others, by name. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Options whose value is the next argument, as `--name`. */
  readonly takesValue: ReadonlySet<string>;
  /** Options whose value is optional and only ever follows a `=`, with the value that stands for none. */
  readonly bareValue: Readonly<Record<string, string>>;
}

/**
 * Brings arguments into the one order the parser reads: the command first, wherever it stood, so that options may come
 * before it. A negative number (`-5`, `-1.5.`, `-16#ff`) gets a space in front, which makes it an argument and not an
 * option, and which no reader of numbers or terms minds. What follows `--` is left as it is.
 */
export function normalizeArguments(args: readonly string[], grammar: ArgumentGrammar): string[] {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  const after = end < 0 ? [] : args.slice(end);
  const out: string[] = [];
  let command: string | undefined;
  let inner: string | undefined;
  let valueNext = false;
  let others = 0;
  for (const arg of before) {
    if (valueNext) {
      out.push(/^-[\d.$]/.test(arg) ? ` ${arg}` : arg);
      valueNext = false;
    } else if (/^-[\d.$]/.test(arg)) {
      out.push(` ${arg}`);
    } else if (arg.startsWith("-") && arg !== "-") {
      const bare = Object.hasOwn(grammar.bareValue, arg) ? grammar.bareValue[arg] : undefined;
      out.push(bare === undefined ? arg : `${arg}=${bare}`);
      valueNext = grammar.takesValue.has(arg);
    } else if (command === undefined && others === 0 && grammar.commands.includes(arg)) {
      command = arg;
    } else if (inner === undefined && others === 0 && isInner(grammar, command, arg)) {
      inner = arg;
    } else {
      others++;
      out.push(arg);
    }
  }
  const head = [command, inner].filter((word) => word !== undefined);
  return [...head, ...out, ...after];
}

function isInner(grammar: ArgumentGrammar, group: string | undefined, arg: string): boolean {
  return group !== undefined && (grammar.groups.get(group)?.includes(arg) ?? false);
}

/** True when `--json` was given, read without the parser, so that its own complaints come as JSON too. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).includes("--json");
}
