import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, hostPart, localPart, type NodeName, tryNodeName } from "../base/node-name.ts";

/** Most patterns in one list. */
export const MAX_NAME_PATTERNS = 256;

interface Pattern {
  /** Undefined matches every name. */
  readonly local: string | undefined;
  readonly host: string | undefined;
}

/** A list of `name@host`, where each half may be `*` instead. The list of no patterns matches nobody. */
export class NamePatterns {
  readonly #patterns: readonly Pattern[];

  /** @throws {SallyportError} ERR_CONFIG NAME_PATTERN; ERR_LIMIT NAME_PATTERNS */
  constructor(patterns: readonly string[]) {
    if (patterns.length > MAX_NAME_PATTERNS) {
      throw new SallyportError("ERR_LIMIT", "NAME_PATTERNS", `${patterns.length} patterns of names are too many`, {
        stage: "name",
        detail: { limit: MAX_NAME_PATTERNS, value: patterns.length },
        advice: "use * for the half that differs",
      });
    }
    this.#patterns = patterns.map(parsePattern);
  }

  get isEmpty(): boolean {
    return this.#patterns.length === 0;
  }

  matches(peer: NodeName): boolean {
    const name = canonicalName(peer);
    const local = localPart(name);
    const host = hostPart(name);
    return this.#patterns.some(
      (pattern) =>
        (pattern.local === undefined || pattern.local === local) &&
        (pattern.host === undefined || pattern.host === host),
    );
  }
}

function parsePattern(text: string): Pattern {
  const at = text.indexOf("@");
  const local = text.slice(0, at);
  const host = text.slice(at + 1);
  // With something harmless in place of the stars it must be a name.
  const name = at < 0 ? undefined : tryNodeName(`${local === "*" ? "x" : local}@${host === "*" ? "x" : host}`);
  if (name === undefined) {
    throw new SallyportError("ERR_CONFIG", "NAME_PATTERN", `"${quotePeerText(text)}" is no pattern of node names`, {
      stage: "name",
      advice: "write name@host, *@host, name@* or *@*; a half is a whole word or *",
    });
  }
  const canonical = canonicalName(name);
  return {
    local: local === "*" ? undefined : localPart(canonical),
    host: host === "*" ? undefined : hostPart(canonical),
  };
}
