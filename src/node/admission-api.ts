import type { SourcesOption } from "../carrier/source-list.ts";

/** From where and by whom connections are taken, before trust and policy are asked (docs/firewall.md). */
export interface AcceptOption extends SourcesOption {
  /** Names that may connect: `name@host`, each half a word or `*`. Default: every name. */
  readonly nodes?: readonly string[];
}

/** The lists of who may connect, as they are and as they shall be. */
export interface NodeAdmission {
  readonly option: AcceptOption;
  /**
   * Judges connections that come from now on by these lists; sessions that stand go on. Resolves when the addresses that `peers` stands
   * for have been looked up.
   * @throws {SallyportError} ERR_CONFIG SOURCE_INVALID, NAME_PATTERN, ERR_LIMIT SOURCES_TOO_MANY, NAME_PATTERNS: all stays as it was
   */
  replace(option: AcceptOption): Promise<void>;
}
