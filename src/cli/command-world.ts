import type { Clock } from "../base/clock.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { ReadFiles } from "../base/read-files.ts";
import type { SocketFiles } from "../control/socket-place.ts";
import type { SettingsWorld } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

/** Everything a command needs of the machine; made once by `main`. */
export interface CommandWorld extends SettingsWorld {
  readonly clock: Clock;
  readonly files: SocketFiles & ReadFiles;
  readonly identityCrypto: IdentityCrypto;
  readonly terminal: Terminal;
  /** Path of this program, for commands that start a second one. */
  readonly program: string;
  /** Calls back on SIGINT and SIGTERM, and on SIGHUP in a terminal, with the signal's name, until the returned function is called. */
  onStopSignal(stop: (signal: string) => void): () => void;
  /**
   * Calls back on SIGHUP, until the returned function is called. In a terminal SIGHUP says that the terminal has gone: then it
   * is a stop signal instead.
   */
  onReloadSignal(reload: () => void): () => void;
  /** Ends the process at once. */
  exitNow(code: number): never;
}
