import { FrameError } from "./engine-frames.ts";

/** Longest text taken from the engine, characters: a certificate of 16 KiB in Base64 is the longest. */
const MAX_TEXT_CHARS = 32 * 1024;

/** The fields of a JSON body that came from the engine, each checked when it is read. The engine may be an attacker's. */
export class JsonBody {
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @throws {FrameError} when the body is no JSON object */
  constructor(body: Buffer) {
    this.#fields = parseObject(body);
  }

  /** @throws {FrameError} */
  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string" || value.length > MAX_TEXT_CHARS) throw new FrameError(`no text ${name}`);
    return value;
  }

  /** A whole number from 0 on. @throws {FrameError} */
  count(name: string): number {
    const value = this.#fields[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
      throw new FrameError(`no count ${name}`);
    return value;
  }

  /** @throws {FrameError} */
  port(name: string): number {
    const value = this.count(name);
    if (value > 65_535) throw new FrameError(`no port ${name}`);
    return value;
  }

  /** @throws {FrameError} */
  flag(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value !== "boolean") throw new FrameError(`no flag ${name}`);
    return value;
  }
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw new FrameError("a body that is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FrameError("a body that is no object");
  return { ...value };
}
