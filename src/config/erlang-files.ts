import { SallyportError, systemCode } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { type ConfigWarning, type ErlangSource, ErlangText, MAX_ERLANG_FILE_CHARS } from "./erlang-text.ts";
import type { Environment } from "./expand-variables.ts";
import { LEVELS, type Level, type SettingsBook } from "./settings-book.ts";
import {
  completeSides,
  isEqual,
  type PlacedSetting,
  readSections,
  type SslDistConf,
  type SslDistSides,
} from "./ssl-dist-conf.ts";
import type { TlsSideName } from "./ssl-dist-options.ts";
import { type ExposedFiles, variableFilesIn } from "./variable-file.ts";
import { parseVmArgs } from "./vm-args.ts";

/** What the two files of Erlang are read from. */
export interface ErlangFilesWorld {
  readonly files: Pick<StoreFiles, "facts" | "read" | "readText">;
  readonly environment: Environment;
  /** Working directory: relative paths in the files start here. */
  readonly directory: string;
  /** Of this machine, for names without a host. */
  readonly hostname: string;
  /** See ErlangSource.insecure; default what the book says of `dangerous.plaintext`. */
  readonly insecure?: boolean | undefined;
  /** See ErlangSource.faults. */
  readonly faults?: SallyportError[] | undefined;
  /** Hears of files behind `\${file:...}` that others than their owner may read. */
  readonly exposed?: ExposedFiles | undefined;
}

/** Keys of `tls` that stand for both sides even where the sides differ: then they are those of the server. */
const ALWAYS_COMMON: readonly string[] = ["caFile", "certFile", "keyFile"];

/**
 * Reads the `vm.args` and the `ssl_dist.conf` that the strongest place of a book names, and puts what they say into it. The
 * option file stands on the level of what names it and is taken as a whole: of weaker levels no key of `tls` counts.
 * @throws {SallyportError} ERR_CONFIG CONF_UNREADABLE; what `parseVmArgs` and `parseSslDistConf` throw
 */
export function putErlangFiles(book: SettingsBook, given: ErlangFilesWorld, warnings: ConfigWarning[]): void {
  const { insecure = (book.find(["dangerous", "plaintext"])?.value ?? false) !== false } = given;
  const world = { ...given, insecure };
  const sides = putVmArgs(book, world, warnings);
  const named = book.find(["sslDistOptfile"]);
  const hasOptions = sides.server !== undefined || sides.client !== undefined;
  if (hasOptions && (named === undefined || isWeaker(named.level, "vm.args"))) {
    const place = book.find(["vmArgs"])?.value ?? "-ssl_dist_opt";
    putSides(book, completeSides(sides, String(place), world.faults), "vm.args");
  } else if (named !== undefined) {
    const file = String(named.value);
    const text = new ErlangText(readText(file, named.place, world), sourceOf(file, world), warnings);
    const read = readSections(text);
    text.tellNoEffect();
    // Options of a weaker level go with everything else of that level.
    if (named.level === "vm.args") joinSides(read, sides);
    putSides(book, completeSides(read, text.place(0), world.faults), named.level);
  }
}

function putVmArgs(book: SettingsBook, world: ErlangFilesWorld, warnings: ConfigWarning[]): SslDistSides {
  const named = book.find(["vmArgs"]);
  if (named === undefined) return {};
  const file = String(named.value);
  const text = readText(file, named.place, world);
  const parts = { readFile: (path: string) => readText(path, file, world), hostname: world.hostname };
  const { settings, sides } = parseVmArgs(text, sourceOf(file, world), parts, warnings);
  for (const setting of settings) book.put({ ...setting, level: "vm.args" });
  return sides;
}

function sourceOf(file: string, { environment, directory, files, ...more }: ErlangFilesWorld): ErlangSource {
  const { faults, exposed, insecure } = more;
  const variables = { environment, file: variableFilesIn(directory, files, exposed) };
  return { file, directory, variables, faults, insecure };
}

/** Adds the options of the command line to those of the file; a contradiction is an error. */
function joinSides(into: SslDistSides, from: SslDistSides): void {
  for (const side of ["server", "client"] as const) {
    const [reader, other] = [into[side], from[side]];
    if (other === undefined) continue;
    if (reader === undefined) into[side] = other;
    else reader.join(other);
  }
}

/** Puts the settings of both sides: what is the same stands for both. */
function putSides(book: SettingsBook, { server, client }: SslDistConf, level: Level): void {
  for (const [side, settings] of [
    ["server", server],
    ["client", client],
  ] as const) {
    for (const setting of settings.values()) checkAgainst(book, side, setting, level);
  }
  book.drop(["tls"], (setting) => isWeaker(setting.level, level));
  // One switch for both sides, whichever names it.
  const debug = server.get("debug") ?? client.get("debug");
  if (debug !== undefined) put(book, debug, ["tls", "debug"], level);
  for (const setting of server.values()) {
    if (setting.key === "debug") continue;
    const isCommon = ALWAYS_COMMON.includes(setting.key) || isEqual(client.get(setting.key)?.value, setting.value);
    put(book, setting, isCommon ? ["tls", setting.key] : ["tls", "server", setting.key], level);
  }
  for (const setting of client.values()) {
    if (setting.key === "debug") continue;
    if (!isEqual(server.get(setting.key)?.value, setting.value))
      put(book, setting, ["tls", "client", setting.key], level);
  }
}

function put(book: SettingsBook, { value, place, secret }: PlacedSetting, path: readonly string[], level: Level): void {
  book.put({ path, value, place, secret, level });
}

/** A key that stands beside the file on the same level must say the same. */
function checkAgainst(book: SettingsBook, side: TlsSideName, setting: PlacedSetting, level: Level): void {
  const beside = book.on(level, ["tls", side, setting.key]) ?? book.on(level, ["tls", setting.key]);
  if (beside !== undefined && !isEqual(beside.value, setting.value)) throw setting.conflict(beside.place);
}

function isWeaker(a: Level, b: Level): boolean {
  return LEVELS.indexOf(a) > LEVELS.indexOf(b);
}

/** Regular files only: a pipe would wait for a writer. */
function readText(file: string, namedBy: string, { files }: ErlangFilesWorld): string {
  try {
    const facts = files.facts(file);
    if (facts === undefined) throw unreadable(file, namedBy, "does not exist");
    if (facts.kind !== "file") throw unreadable(file, namedBy, "is no regular file");
    // A character has four bytes at most; the exact bound is that of the text.
    if (facts.bytes > MAX_ERLANG_FILE_CHARS * 4) throw unreadable(file, namedBy, "is too large");
    return files.readText(file);
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw unreadable(file, namedBy, `cannot be read (${systemCode(cause)})`);
  }
}

function unreadable(file: string, namedBy: string, what: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CONF_UNREADABLE", `${file}, named by ${namedBy}, ${what}`, {
    advice: "correct the path, or let this user read the file",
  });
}
