import { SallyportError } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { ErlangFileOption, NamedByVmArgs, NodeOptions } from "../node/options.ts";
import { putErlangFiles } from "./erlang-files.ts";
import type { ConfigWarning } from "./erlang-text.ts";
import type { Environment } from "./expand-variables.ts";
import { SettingsBook } from "./settings-book.ts";
import { ExposedFiles } from "./variable-file.ts";

/** The machine as far as Erlang's files need it. */
export interface NodeSettingsWorld {
  readonly files: Pick<StoreFiles, "facts" | "read" | "readText">;
  readonly directory: string;
  readonly hostname: string;
  /** See ErlangSource.faults. */
  readonly faults?: SallyportError[] | undefined;
}

/** Keys that Erlang's files can set; the others are taken over as they are, functions and resolvers among them. */
const SHARED = ["name", "cookie", "listen", "tls", "epmd", "visible", "tickTimeMs"] as const;

/**
 * The options of `createNode` with what `vmArgs` and `sslDistOptfile` say filled in. What the caller gives itself counts more than
 * `vmArgs`; two values for one key, in the call and in the option file that it names, are a conflict.
 * @throws {SallyportError} ERR_CONFIG CONFIG_CONFLICT, NAME_MISSING, and what `putErlangFiles` throws
 */
export function withErlangFiles(
  options: NodeOptions | NamedByVmArgs,
  world: NodeSettingsWorld,
  warnings: ConfigWarning[],
): NodeOptions {
  const { vmArgs, sslDistOptfile, name, ...rest } = options;
  if (vmArgs === undefined && sslDistOptfile === undefined && name !== undefined) return { ...rest, name };
  const book = new SettingsBook();
  for (const key of SHARED) {
    if (options[key] !== undefined)
      book.putAll(
        { [key]: options[key] },
        "api",
        (at) => `option ${at}`,
        () => false,
      );
  }
  const environments = [environmentOf(vmArgs), environmentOf(sslDistOptfile)];
  const environment: Environment = (variable) =>
    environments.map((read) => read?.(variable)).find((value) => value !== undefined);
  for (const [key, option] of [
    ["vmArgs", vmArgs],
    ["sslDistOptfile", sslDistOptfile],
  ] as const) {
    if (option === undefined) continue;
    const value = typeof option === "string" ? option : option.file;
    book.put({ path: [key], value, level: "api", place: `option ${key}`, secret: false });
  }
  const exposed = new ExposedFiles();
  const insecure = (options.dangerous?.plaintext ?? false) !== false;
  putErlangFiles(book, { ...world, environment, exposed, insecure }, warnings);
  exposed.settle(options.profile ?? "standard", warnings);
  book.drop(["vmArgs"]);
  book.drop(["sslDistOptfile"]);
  const merged = { ...rest, ...book.options() } as Partial<NodeOptions>;
  if (merged.name === undefined) throw nameMissing();
  return { ...merged, name: merged.name };
}

function environmentOf(option: ErlangFileOption | undefined): Environment | undefined {
  return typeof option === "object" ? option.environment : undefined;
}

function nameMissing(): SallyportError {
  return new SallyportError("ERR_CONFIG", "NAME_MISSING", "nothing gives the node a name", {
    stage: "name",
    advice: "set name, or write -name or -sname into the vm.args",
  });
}
