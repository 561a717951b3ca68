import { resolve } from "node:path";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { tryNodeName } from "../base/node-name.ts";
import type { Environment } from "../config/expand-variables.ts";
import type { ReadConfig } from "../config/parse-config.ts";
import { keyText, type SettingsBook } from "../config/settings-book.ts";
import type { CommonFlags } from "./common-options.ts";

/** Where flags and variables are resolved. */
export interface SourcesWorld {
  readonly environment: Environment;
  /** Working directory: relative paths start here. */
  readonly directory: string;
}

/** Strings of these keys are secrets. */
const SECRET_KEYS = /^(?:cookie$|tls\.(?:server\.|client\.)?passphrase$)/;

/** Puts what a configuration file says. */
export function putConfig(book: SettingsBook, { options, places, fromFiles }: ReadConfig): void {
  const placeOf = (key: string): string => places.get(key) ?? "the configuration file";
  book.putAll(options, "config", placeOf, (key, value) => {
    return fromFiles.has(key) || [...fromFiles].some((inner) => inner.startsWith(`${key}.`)) || isSecret(key, value);
  });
}

/** A cookie or passphrase that stands there itself, and not the name of its file. */
function isSecret(key: string, value: unknown): boolean {
  return SECRET_KEYS.test(key) && !(typeof value === "object" && value !== null && "file" in value);
}

/** Puts what the command line says. @throws {SallyportError} ERR_CONFIG RESOLVE_INVALID */
export function putFlags(book: SettingsBook, flags: CommonFlags, { directory }: SourcesWorld): void {
  const put = (option: string, path: readonly string[], value: unknown): void => {
    if (value !== undefined) book.put({ path, value, level: "flag", place: `--${option}`, secret: false });
  };
  const file = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(directory, path);
  const cookie = file(flags.cookieFile);
  put("name", ["name"], flags.name);
  put("cookie-file", ["cookie"], cookie === undefined ? undefined : { file: cookie });
  put("tls-cert", ["tls", "certFile"], file(flags.tlsCert));
  put("tls-key", ["tls", "keyFile"], file(flags.tlsKey));
  put("tls-ca", ["tls", "caFile"], file(flags.tlsCa));
  put("ssl-dist-optfile", ["sslDistOptfile"], file(flags.sslDistOptfile));
  put("vm-args", ["vmArgs"], file(flags.vmArgs));
  put("key-dir", ["identity", "dir"], file(flags.keyDir));
  put("trust", ["identity", "trust"], flags.trust);
  put("policy", ["policy"], file(flags.policy));
  put("listen", ["listen"], flags.listen);
  for (const entry of flags.resolve ?? []) {
    const [name, address] = resolveEntry(entry);
    book.drop(["resolve", name], ({ level }) => level === "flag");
    put("resolve", ["resolve", name], address);
  }
  put("discovery-dir", ["discovery", "directory"], file(flags.discoveryDir));
  put("epmd", ["epmd"], flags.epmd);
  put("epmd-port", ["epmdPort"], flags.epmdPort);
  put("visible", ["visible"], flags.visible);
  put("health", ["health", "listen"], flags.health);
  put("tick-time", ["tickTimeMs"], flags.tickTime);
  const plaintext = flags.dangerousPlaintext;
  put("dangerous-plaintext", ["dangerous", "plaintext"], plaintext === "loopback" ? true : plaintext);
}

/** `NODE=[SCHEME://]HOST:PORT` or `NODE=none`. */
function resolveEntry(entry: string): readonly [string, string] {
  const equals = entry.indexOf("=");
  const name = entry.slice(0, equals);
  if (equals > 0 && tryNodeName(name) !== undefined) return [name, entry.slice(equals + 1)];
  throw new SallyportError(
    "ERR_CONFIG",
    "RESOLVE_INVALID",
    `--resolve "${quotePeerText(entry)}" is not NODE=HOST:PORT or NODE=none`,
    {
      stage: "resolve",
      advice: "write for example --resolve worker@db1=203.0.113.7:9100",
    },
  );
}

interface Variable {
  readonly path: readonly string[];
  /** Undefined when the text is wrong; `expected` then says what is right. */
  readonly read: (text: string, directory: string) => unknown;
  readonly expected: string;
  readonly secret?: true;
}

const AS_TEXT = { read: (text: string): unknown => text, expected: "a text" };
const AS_FILE = { read: (text: string, directory: string): unknown => resolve(directory, text), expected: "a path" };

/** The variables of the environment that count. Nothing dangerous is among them: it needs to be seen in a command or a file. */
export const ENVIRONMENT: Readonly<Record<string, Variable>> = {
  SALLYPORT_NAME: { path: ["name"], ...AS_TEXT },
  SALLYPORT_COOKIE: { path: ["cookie"], ...AS_TEXT, secret: true },
  SALLYPORT_COOKIE_FILE: {
    path: ["cookie"],
    read: (text, directory) => ({ file: resolve(directory, text) }),
    expected: "a path",
  },
  SALLYPORT_LISTEN: {
    path: ["listen"],
    read: (text) => text.split(",").map((address) => address.trim()),
    expected: "addresses separated by commas",
  },
  SALLYPORT_ADVERTISE: { path: ["advertise"], ...AS_TEXT },
  SALLYPORT_TLS_CERT: { path: ["tls", "certFile"], ...AS_FILE },
  SALLYPORT_TLS_KEY: { path: ["tls", "keyFile"], ...AS_FILE },
  SALLYPORT_TLS_CA: { path: ["tls", "caFile"], ...AS_FILE },
  SALLYPORT_SSL_DIST_OPTFILE: { path: ["sslDistOptfile"], ...AS_FILE },
  SALLYPORT_VM_ARGS: { path: ["vmArgs"], ...AS_FILE },
  SALLYPORT_POLICY: { path: ["policy"], ...AS_FILE },
  SALLYPORT_DISCOVERY_DIR: { path: ["discovery", "directory"], ...AS_FILE },
  SALLYPORT_EPMD: {
    path: ["epmd"],
    read: (text) => (["lookup", "register", "off"].includes(text) ? text : undefined),
    expected: "lookup, register or off",
  },
  SALLYPORT_EPMD_PORT: { path: ["epmdPort"], ...wholeNumber(65_535) },
  SALLYPORT_HEALTH: { path: ["health", "listen"], ...AS_TEXT },
  SALLYPORT_TICK_TIME: { path: ["tickTimeMs"], ...wholeNumber(0x7fff_ffff) },
};

function wholeNumber(max: number): Pick<Variable, "read" | "expected"> {
  return {
    read: (text) => (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) <= max ? Number(text) : undefined),
    expected: `a whole number from 1 to ${max}`,
  };
}

/** Puts what the environment says. @throws {SallyportError} ERR_CONFIG ENV_UNSET for an empty variable, ENV_VALUE */
export function putEnvironment(book: SettingsBook, { environment, directory }: SourcesWorld): void {
  for (const [name, { path, read, expected, secret }] of Object.entries(ENVIRONMENT)) {
    const text = variableOf(name, environment);
    if (text === undefined) continue;
    const value = read(text, directory);
    if (value === undefined) {
      throw new SallyportError("ERR_CONFIG", "ENV_VALUE", `${name} for ${keyText(path)} is not ${expected}`, {
        advice: `set it to ${expected}, or unset it`,
      });
    }
    book.put({ path, value, level: "environment", place: name, secret: secret === true });
  }
}

/** A variable that names a setting; empty is no way to say nothing. @throws {SallyportError} ERR_CONFIG ENV_UNSET */
export function variableOf(name: string, environment: Environment): string | undefined {
  const text = environment(name);
  if (text !== "") return text;
  throw new SallyportError("ERR_CONFIG", "ENV_UNSET", `${name} is set and empty`, {
    advice: "give it a value, or unset it; an empty setting is never taken for none",
  });
}
