import { SallyportError } from "../base/errors.ts";
import { nearestName } from "../base/nearest-name.ts";
import { type ConfigWarning, type ErlangSource, ErlangText, shortList } from "./erlang-text.ts";
import { type Word, wordsOf } from "./vm-args-words.ts";

/** A flag of `erl` with the words behind it. */
export interface Flag {
  /** Without its `-`. */
  readonly name: string;
  readonly at: number;
  readonly text: ErlangText;
  readonly values: readonly Word[];
}

/** Reads a further file of arguments. @throws {SallyportError} ERR_CONFIG CONF_UNREADABLE */
export type ReadFile = (path: string) => string;

/** `-args_file` inside each other. */
export const MAX_ARGS_FILES = 8;

/** Words of all files of one node together. */
export const MAX_WORDS = 16_384;

/** The flags that mean something here. */
export const KNOWN_FLAGS: readonly string[] = [
  "name",
  "sname",
  "setcookie",
  "proto_dist",
  "ssl_dist_optfile",
  "ssl_dist_opt",
  "kernel",
  "hidden",
  "dist_listen",
  "no_epmd",
  "args_file",
  "extra",
];

/** Other flags of `erl` that files of arguments have. Unknown ones are shown by their place: a slip may hold a secret. */
const OTHER_FLAGS: ReadonlySet<string> = new Set(
  (
    "heart env noshell noinput nostick detached daemon pa pz path config configfd boot boot_var mode smp eval s run start_epmd " +
    "epmd_module erl_epmd_port connect_all dist_auto_connect rsh remsh instr loader hosts id init_debug root home bindir progname " +
    "shutdown_time ssl_dist sasl stdlib mnesia logger os_mon emu_type emu_flavor code_path_choice cookie proto_dist_args noaccept " +
    "pidfile user elixir mix expires nokill embedded env_check dist net_ticktime"
  ).split(" "),
);

/** The flags of a file and those it includes, and what of them means nothing here. */
export interface FlagList {
  readonly flags: readonly Flag[];
  /** Flags that are ignored. */
  readonly ignored: readonly Word[];
  /** Words that belong to no flag. */
  readonly strayWords: number;
}

/**
 * Reads a `vm.args`, following `-args_file`.
 * @throws {SallyportError} ERR_CONFIG VMARGS_SYNTAX; ERR_LIMIT VMARGS_TOO_MANY, CONFIG_TOO_LARGE; what `readFile` throws
 */
export function readFlags(text: string, source: ErlangSource, readFile: ReadFile, warnings: ConfigWarning[]): FlagList {
  const words: Word[] = [];
  gather(new ErlangText(text, source, warnings), readFile, words, 0);
  const flags: Flag[] = [];
  const ignored: Word[] = [];
  let strayWords = 0;
  let values: Word[] | undefined;
  for (const item of words) {
    const { word, at } = item;
    const isFlag = /^-./.test(word) && word !== "--";
    if (isFlag && KNOWN_FLAGS.includes(word.slice(1))) {
      values = [];
      flags.push({ name: word.slice(1), at, text: item.text, values });
    } else if (isFlag || /^\+./.test(word)) {
      ignored.push(item);
      values = [];
    } else if (word === "--") values = undefined;
    else if (values === undefined) strayWords++;
    else values.push(item);
  }
  return { flags, ignored, strayWords };
}

/** Warns once of all that is ignored. */
export function tellIgnored({ ignored, strayWords }: FlagList, file: string, warnings: ConfigWarning[]): void {
  if (ignored.length === 0 && strayWords === 0) return;
  const names = [...new Set(ignored.map(shownFlag))];
  const stray = strayWords === 0 ? [] : [`${strayWords} words without a flag`];
  const message = `${file}: ignored, since they mean nothing here: ${shortList([...stray, ...names])}`;
  warnings.push({ reason: "VMARGS_IGNORED", message });
}

function shownFlag({ word, at, text }: Word): string {
  const name = word.slice(1);
  if (word.startsWith("+")) return /^[A-Za-z]{1,8}$/.test(name) ? word : text.place(at);
  if (OTHER_FLAGS.has(name)) return word;
  const near = nearestName(name, KNOWN_FLAGS);
  return near === undefined
    ? `the flag at ${text.place(at)}`
    : `the flag at ${text.place(at)} (did you mean -${near}?)`;
}

function gather(text: ErlangText, readFile: ReadFile, into: Word[], depth: number): void {
  const words = wordsOf(text);
  for (let i = 0; i < words.length; i++) {
    const item = words[i];
    if (item === undefined) continue;
    if (item.word === "-extra") return;
    if (item.word !== "-args_file") {
      if (into.length >= MAX_WORDS) throw tooMany(text.source.file);
      into.push(item);
      continue;
    }
    const path = words[++i];
    if (path === undefined)
      throw text.fault("VMARGS_SYNTAX", item.at, "-args_file names no file", "write its path behind it");
    if (depth + 1 >= MAX_ARGS_FILES) {
      const message = `more than ${MAX_ARGS_FILES} files of arguments are inside each other`;
      throw text.fault("VMARGS_SYNTAX", item.at, message, "check that no file includes itself");
    }
    const file = text.path(text.fill(path.word, path.at, "-args_file").text);
    const inner = new ErlangText(readFile(file), { ...text.source, file }, text.warnings);
    gather(inner, readFile, into, depth + 1);
  }
}

function tooMany(file: string): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "VMARGS_TOO_MANY",
    `${file} and the files it includes have more than maxWords ${MAX_WORDS} words`,
    { advice: "check that this is a file of arguments for erl" },
  );
}
