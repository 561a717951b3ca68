/** What a filter holds and has counted since its pair came up. */
export interface FilterReport {
  /** Of each table, by the name of its limit: rows now, and the most there may be. */
  readonly tables: Readonly<Record<string, { readonly size: number; readonly limit: number }>>;
  /** Messages that went on, by the side that sent them. */
  readonly forwarded: { readonly outside: number; readonly inside: number };
  /** Messages that did not, or while observed would not have: by who sent them and why (`worker:unasked`). */
  readonly denied: Readonly<Record<string, number>>;
  /** Operations that a rule let through or refused, by its id; of the default profile by the name of the option. */
  readonly rules: Readonly<Record<string, { readonly allowed: number; readonly denied: number }>>;
  /** The pair is observed: what is refused passes. */
  readonly isObserved: boolean;
}
