import { dirname, join, resolve } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { Files } from "../base/files.ts";
import { tryNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { Environment } from "../config/expand-variables.ts";
import { type ConfigOptions, parseConfig } from "../config/parse-config.ts";
import { quotePath } from "../identity/key-layout.ts";
import type { NodeOptions } from "../node/options.ts";
import type { CommonFlags } from "./common-options.ts";
import { ownerOfCertificate, throwawayName } from "./own-name.ts";

/** What settings are read from besides the arguments. */
export interface SettingsWorld {
  readonly files: Files;
  readonly random: Random;
  readonly environment: Environment;
  /** Working directory: relative paths of options start here. */
  readonly directory: string;
  readonly hostname: string;
}

/** Name of the configuration file that is read when none is named. */
export const CONFIG_FILE = "sallyport.jsonc";

/** Name of the policy file that `init` writes, and that `policy` commands look for when nothing names another. */
export const POLICY_FILE = "policy.jsonc";

/** Names of the certificate and key for one-shot commands, beside the node's own. */
export const CLI_CERT = "cli.crt";
export const CLI_KEY = "cli.key";

/**
 * Options of a node that runs until it is stopped: configuration file, then command line. Listens on 127.0.0.1 at the
 * first free port of 9100 to 9155 unless told otherwise.
 * @throws {SallyportError} ERR_CONFIG
 */
export function settingsOfNode(flags: CommonFlags, world: SettingsWorld): NodeOptions {
  const merged = merge(flags, readConfig(flags, world) ?? {}, world);
  const secure = merged.tls !== undefined || merged.identity !== undefined;
  const listen = merged.listen ?? [secure ? "tls://127.0.0.1" : "tcp://127.0.0.1"];
  return { ...merged, listen, name: merged.name ?? ownName(merged.tls?.certFile, world) };
}

/**
 * Options of a short-lived node for one operation. From a configuration file it takes all but the listeners and the nodes to connect to.
 *
 * With an identity by key it is that node, since no other name goes with the key, and since the running node would have
 * done the operation itself. Without one, or when the running node may not be asked, it takes neither name nor identity nor
 * the policy of that name:
 * under them it would push the running node's sessions aside. For the same reason it then uses `cli.crt` and `cli.key`
 * beside the node's certificate where they exist.
 * @throws {SallyportError} ERR_CONFIG, NAME_NEEDED among them
 */
export function settingsOfOneShot(flags: CommonFlags, world: SettingsWorld): NodeOptions {
  const {
    listen: _listen,
    advertise: _advertise,
    seeds: _seeds,
    exchange: _exchange,
    ...config
  } = readConfig(flags, world) ?? {};
  const epmd = config.epmd === "register" ? { epmd: "lookup" as const } : {};
  const mayAsk = flags.control !== false && config.control !== false;
  const merged = merge(
    flags,
    { ...(mayAsk && config.identity !== undefined ? config : asStranger(config, world)), ...epmd },
    world,
  );
  if (merged.identity !== undefined && merged.name === undefined) throw nameNeeded(merged.identity.dir);
  return { ...merged, name: merged.name ?? ownName(merged.tls?.certFile, world) };
}

function asStranger(
  { name: _name, identity: _identity, policy: _policy, ...config }: ConfigOptions,
  world: SettingsWorld,
): ConfigOptions {
  return config.tls === undefined ? config : { ...config, tls: cliCertificate(config.tls, world.files) };
}

/** A key is known under one name, so a command that uses it must know that name. */
export function nameNeeded(directory: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "NAME_NEEDED", `nothing says which node ${quotePath(directory)} belongs to`, {
    stage: "name",
    advice: "add --name local@host, or name the node's configuration with --config: a key is known under one name",
  });
}

function cliCertificate(tls: NonNullable<NodeOptions["tls"]>, files: Files): NonNullable<NodeOptions["tls"]> {
  const certFile = join(dirname(tls.certFile), CLI_CERT);
  const keyFile = join(dirname(tls.certFile), CLI_KEY);
  return files.exists(certFile) && files.exists(keyFile) ? { ...tls, certFile, keyFile } : tls;
}

function readConfig(flags: ConfigFlags, world: SettingsWorld): ConfigOptions | undefined {
  return findConfig(flags, world)?.options;
}

/** The flags that say which configuration file counts. */
export type ConfigFlags = Pick<CommonFlags, "config">;

/** A configuration file that was read. */
export interface FoundConfig {
  /** Absolute path. */
  readonly file: string;
  /** Whether the command line names it; else it lies in the working directory. */
  readonly named: boolean;
  readonly options: ConfigOptions;
}

/**
 * The configuration file that a command goes by; undefined when there is none.
 * @throws {SallyportError} ERR_CONFIG CONFIG_UNREADABLE and what `parseConfig` throws
 */
export function findConfig(flags: ConfigFlags, world: SettingsWorld): FoundConfig | undefined {
  if (flags.config === false) return undefined;
  const named = typeof flags.config === "string" ? flags.config : undefined;
  const file = resolve(world.directory, named ?? CONFIG_FILE);
  if (named === undefined && !world.files.exists(file)) return undefined;
  let text: string;
  try {
    text = world.files.readText(file);
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "CONFIG_UNREADABLE", `cannot read ${file} (${systemCode(cause)})`, {
      advice: "name an existing file with --config, or make one with: sallyport init",
      cause,
    });
  }
  return { file, named: named !== undefined, options: parseConfig(text, { file, environment: world.environment }) };
}

/** A policy file, with the variables that may stand in it. */
function policyOf(file: string | undefined, { environment }: SettingsWorld): Pick<NodeOptions, "policy"> {
  return file === undefined ? {} : { policy: { file, environment } };
}

type Merged = Omit<NodeOptions, "name"> & { readonly name?: string };

function merge(
  flags: CommonFlags,
  { control: _control, audit: _audit, ...all }: ConfigOptions,
  world: SettingsWorld,
): Merged {
  // An identity would offer the protocol that is asked not to be spoken.
  const { identity: _identity, ...withoutKey } = all;
  const config: typeof all = flags.protocol === "otp" ? withoutKey : all;
  const path = (file: string): string => resolve(world.directory, file);
  const plaintext = flags.dangerousPlaintext;
  const tls = mergeTls(flags, config.tls, path);
  const merged = {
    ...config,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.cookieFile === undefined ? {} : { cookie: { file: path(flags.cookieFile) } }),
    ...(flags.keyDir === undefined || flags.protocol === "otp"
      ? {}
      : { identity: { ...config.identity, dir: path(flags.keyDir) } }),
    ...policyOf(flags.policy === undefined ? config.policy : path(flags.policy), world),
    ...(flags.listen === undefined ? {} : { listen: flags.listen }),
    ...(flags.resolve === undefined
      ? {}
      : { resolve: { ...staticTable(config.resolve), ...resolveTable(flags.resolve) } }),
    ...(flags.discoveryDir === undefined
      ? {}
      : { discovery: { ...config.discovery, directory: path(flags.discoveryDir) } }),
    ...(flags.epmd === undefined ? {} : { epmd: flags.epmd }),
    ...(flags.epmdPort === undefined ? {} : { epmdPort: flags.epmdPort }),
    ...(flags.visible === undefined ? {} : { visible: flags.visible }),
    ...(flags.tickTime === undefined ? {} : { tickTimeMs: flags.tickTime }),
    ...(plaintext === undefined ? {} : { dangerous: { plaintext: plaintext === "any" ? ("any" as const) : true } }),
    ...(tls === undefined ? {} : { tls }),
  };
  const unproven = tls === undefined && merged.identity === undefined;
  if (unproven && (merged.dangerous?.plaintext ?? false) === false) throw noCertificates();
  return merged;
}

function mergeTls(
  flags: CommonFlags,
  config: NodeOptions["tls"],
  path: (file: string) => string,
): NodeOptions["tls"] | undefined {
  const given = [flags.tlsCert, flags.tlsKey, flags.tlsCa];
  if (given.every((file) => file === undefined)) return config;
  const certFile = flags.tlsCert === undefined ? config?.certFile : path(flags.tlsCert);
  const keyFile = flags.tlsKey === undefined ? config?.keyFile : path(flags.tlsKey);
  const caFile = flags.tlsCa === undefined ? config?.caFile : path(flags.tlsCa);
  if (certFile !== undefined && keyFile !== undefined && caFile !== undefined) {
    return { ...config, certFile, keyFile, caFile };
  }
  const missing = certFile === undefined ? "--tls-cert" : keyFile === undefined ? "--tls-key" : "--tls-ca";
  throw new SallyportError(
    "ERR_CONFIG",
    "TLS_INCOMPLETE",
    `certificate, key and CA belong together, and ${missing} is missing`,
    {
      stage: "tls",
      advice: `add ${missing} FILE`,
    },
  );
}

function noCertificates(): SallyportError {
  return new SallyportError("ERR_CONFIG", "TLS_MISSING", "there are no certificates to prove who this node is", {
    stage: "tls",
    advice:
      "give --tls-cert, --tls-key and --tls-ca, or a --config FILE that names them; " +
      "`sallyport init` makes a set to start with",
  });
}

function staticTable(resolvers: NodeOptions["resolve"]): Readonly<Record<string, string>> {
  return resolvers === undefined || Array.isArray(resolvers) ? {} : (resolvers as Readonly<Record<string, string>>);
}

/** `NODE=[SCHEME://]HOST:PORT` and `NODE=none` entries as a table. */
function resolveTable(entries: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries.map((entry) => {
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
    }),
  );
}

function ownName(certFile: string | undefined, world: SettingsWorld): string {
  const owner = certFile === undefined ? undefined : ownerOfCertificate(world.files, certFile);
  return owner?.name ?? throwawayName(world.random.bytes(4).toString("hex"), owner?.host ?? world.hostname);
}
