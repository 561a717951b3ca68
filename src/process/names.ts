import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { LocalProcess } from "./local-process.ts";

/** Longest name, in characters: the limit of an Erlang atom. */
const MAX_NAME_CHARS = 255;

/**
 * Names that a BEAM gives a meaning to, or that this node answers itself. A service of the user under one of them would
 * be reached by peers that mean something else.
 */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  "application_controller",
  "auth",
  "code_server",
  "dist_util",
  "erl_epmd",
  "erl_prim_loader",
  "error_logger",
  "file_server_2",
  "global_group",
  "global_name_server",
  "inet_db",
  "init",
  "inet_gethost_native",
  "logger",
  "net_kernel",
  "net_sup",
  "pg",
  "pg2",
  "proxy",
  "rex",
  "socket_registry",
  "standard_error",
  "standard_error_sup",
  "undefined",
  "user",
  "user_drv",
]);

/** Beginnings that are reserved as well. */
export const RESERVED_PREFIXES: readonly string[] = ["erts_", "kernel_", "logger_", "sallyport_"];

/** True when users may not register `name`. */
export function isReservedName(name: string): boolean {
  return RESERVED_NAMES.has(name) || RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Registered names of this node. A process has at most one, and loses it when it ends. */
export class NameRegistry<Meta, Tag> {
  readonly #byName: Map<string, LocalProcess<Meta, Tag>> = new Map();
  #generation = 0;

  /** Goes up with each change: something looked up under an older value must be looked up again. */
  get generation(): number {
    return this.#generation;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** The process that has `name` now. */
  whereis(name: string): LocalProcess<Meta, Tag> | undefined {
    return this.#byName.get(name);
  }

  /** All names in use, in the order of registration. */
  names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  /**
   * Gives `process` a name.
   * @throws {SallyportError} ERR_API_MISUSE PROCESS_NAME_INVALID (not 1 to 255 characters of well-formed text),
   * NAME_RESERVED, NAME_TAKEN, PROCESS_NAMED (it has a name already), PROCESS_DEAD
   */
  register(name: string, process: LocalProcess<Meta, Tag>): void {
    if (isReservedName(name)) {
      throw misuse("NAME_RESERVED", `"${quotePeerText(name)}" is a reserved name`, "choose another name");
    }
    this.registerReserved(name, process);
  }

  /** As `register`, for the node's own services: reserved names are allowed. */
  registerReserved(name: string, process: LocalProcess<Meta, Tag>): void {
    // With the u flag a surrogate matches only when it stands alone.
    if (
      name.length === 0 ||
      name.length > 2 * MAX_NAME_CHARS ||
      [...name].length > MAX_NAME_CHARS ||
      /\p{Cs}/u.test(name)
    ) {
      throw misuse(
        "PROCESS_NAME_INVALID",
        `"${quotePeerText(name)}" cannot be a name: a name has 1 to ${MAX_NAME_CHARS} characters`,
        "choose a shorter name of ordinary text",
      );
    }
    if (this.#byName.has(name)) {
      throw misuse(
        "NAME_TAKEN",
        `"${quotePeerText(name)}" is registered already`,
        "unregister the other process first",
      );
    }
    if (!process.alive) {
      throw misuse("PROCESS_DEAD", `the process to name "${quotePeerText(name)}" has ended`, "register before it ends");
    }
    if (process.name !== undefined) {
      throw misuse(
        "PROCESS_NAMED",
        `the process to name "${quotePeerText(name)}" has the name "${quotePeerText(process.name)}"`,
        "a process has one name; unregister it first",
      );
    }
    this.#byName.set(name, process);
    process.rename(name);
    this.#generation++;
  }

  /** Frees `name`; returns the process that had it. */
  unregister(name: string): LocalProcess<Meta, Tag> | undefined {
    const process = this.#byName.get(name);
    if (process === undefined) return undefined;
    this.#byName.delete(name);
    process.rename(undefined);
    this.#generation++;
    return process;
  }
}

function misuse(reason: string, message: string, advice: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", reason, message, { advice });
}
