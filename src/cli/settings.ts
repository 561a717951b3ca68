import { dirname, join, resolve } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { type NodeName, parseDialTarget, sameNode, tryNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { putErlangFiles } from "../config/erlang-files.ts";
import type { ConfigWarning } from "../config/erlang-text.ts";
import type { Environment } from "../config/expand-variables.ts";
import { type ConfigOptions, type ReadConfig, readNodeConfig } from "../config/parse-config.ts";
import { type Setting, SettingsBook } from "../config/settings-book.ts";
import { ExposedFiles, variableFilesIn } from "../config/variable-file.ts";
import { quotePath } from "../identity/key-layout.ts";
import type { NodeOptions, TlsOption } from "../node/options.ts";
import { usesQuic } from "../quic-node.ts";
import type { CommonFlags } from "./common-options.ts";
import { ownerOfCertificate, throwawayName } from "./own-name.ts";
import { putConfig, putEnvironment, putFlags, variableOf } from "./settings-sources.ts";

/** What settings are read from besides the arguments. */
export interface SettingsWorld {
  readonly files: Files & Pick<StoreFiles, "facts">;
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
 * Options of a node that runs until it is stopped, from all sources (docs/erlang-config.md). Listens on 127.0.0.1 at the first
 * free port of 9100 to 9155 unless told otherwise.
 * @param warnings what the operator should hear before the node starts is added
 * @throws {SallyportError} ERR_CONFIG
 */
export function settingsOfNode(flags: CommonFlags, world: SettingsWorld, warnings: ConfigWarning[] = []): NodeOptions {
  const merged = merge(gatherSettings(flags, world, warnings), world);
  const secure = merged.tls !== undefined || merged.identity !== undefined;
  const listen = merged.listen ?? [secure ? "tls://127.0.0.1" : "tcp://127.0.0.1"];
  return { ...merged, listen, name: merged.name ?? ownName(merged.tls?.certFile, world) };
}

/** The files that a node was started from, absolute: its configuration and Erlang's own. @throws {SallyportError} ERR_CONFIG */
export function sourceFilesOf(flags: CommonFlags, world: SettingsWorld): readonly string[] {
  const config = findConfig(flags, world);
  const book = gatherSettings(flags, world, []);
  const erlang = [["vmArgs"], ["sslDistOptfile"]].map((path) => book.find(path)?.value);
  return [config?.file, ...erlang]
    .filter((path) => typeof path === "string")
    .map((path) => resolve(world.directory, path));
}

/**
 * Options of a short-lived node for one operation. From everything but the command line it takes all but the listeners and the
 * nodes to connect to.
 *
 * With an identity by key it is that node, since no other name goes with the key, and since the running node would have
 * done the operation itself. Without one, or when the running node may not be asked, it takes neither name nor identity nor
 * the policy of that name:
 * under them it would push the running node's sessions aside. For the same reason it then uses `cli.crt` and `cli.key`
 * beside the node's certificate where they exist. What is dialled over QUIC then sees a key of this life alone (`throwawayOf`), so
 * the name is one of this life too, unless the command line has one.
 * @param target the node that is dialled, as given
 * @throws {SallyportError} ERR_CONFIG, NAME_NEEDED among them
 */
export function settingsOfOneShot(
  flags: CommonFlags,
  world: SettingsWorld,
  warnings: ConfigWarning[] = [],
  target: string = "",
): NodeOptions {
  const book = gatherSettings(flags, world, warnings);
  const config = book.options() as ConfigOptions;
  const mayAsk = flags.control !== false && config.control !== false;
  const isStranger = !(mayAsk && hasOwnIdentity(book));
  const hasQuic = usesQuic(config);
  for (const key of ["listen", "advertise", "accept", "seeds", "exchange", "health"]) book.drop([key], isOfNode);
  if (isStranger) for (const key of ["name", "identity", "policy"]) book.drop([key], isOfNode);
  const hasKey = book.find(["identity", "dir"]) !== undefined;
  if (!hasKey) book.drop(["identity"]);
  if (!hasKey && flags.protocol === "native") throw nativeNeedsIdentity();
  const overQuic = isOverQuic(book, flags, target, hasQuic);
  // What the node would dial over QUIC, a command with its key dials as well.
  const asNode = hasKey && hasQuic && flags.protocol === "auto";
  if ((overQuic || asNode) && book.find(["quic", "retry"]) === undefined)
    sayQuic(book, asNode ? "listen" : "--resolve");
  if (!overQuic && !hasKey) book.drop(["quic"]);
  if (book.find(["epmd"])?.value === "register") {
    book.drop(["epmd"], isOfNode);
    if (book.find(["epmd"]) === undefined) {
      book.put({ path: ["epmd"], value: "lookup", level: "default", place: "one-shot commands", secret: false });
    }
  }
  const isOwnCertificate = ["certFile", "keyFile"].some((key) => book.find(["tls", key])?.level === "flag");
  const merged = merge(book, world);
  if (merged.identity !== undefined && merged.name === undefined) throw nameNeeded(merged.identity.dir);
  const takesOwn = merged.tls === undefined || isOwnCertificate || !isStranger;
  const tls = takesOwn ? merged.tls : cliCertificate(merged.tls, world.files);
  const certificate = overQuic && !hasKey ? undefined : tls?.certFile;
  return { ...merged, ...(tls === undefined ? {} : { tls }), name: merged.name ?? ownName(certificate, world) };
}

/** Whether this command asks for QUIC: by its protocol, by the address of the node that it dials, or since it has nothing else. */
function isOverQuic(book: SettingsBook, { protocol }: CommonFlags, target: string, hasQuic: boolean): boolean {
  if (protocol !== "auto") return protocol === "barrel";
  const winners = book.winners();
  const has = (key: string): boolean => winners.some(({ path }) => path[0] === key);
  if (hasQuic && !has("tls") && !has("dangerous")) return true;
  const dialled = dialledName(target);
  return winners.some(({ path, value, level }) => {
    const [key, text = ""] = path;
    if (key !== "resolve" || typeof value !== "string" || !value.startsWith("quic://")) return false;
    const name = tryNodeName(text);
    return level === "flag" || (name !== undefined && dialled !== undefined && sameNode(name, dialled));
  });
}

function dialledName(target: string): NodeName | undefined {
  try {
    return parseDialTarget(target).name;
  } catch {
    // The dial says what is wrong with it.
    return undefined;
  }
}

/** Whether it is about the node that runs, and not about this command. */
function isOfNode({ level }: Setting): boolean {
  return level !== "flag";
}

function hasOwnIdentity(book: SettingsBook): boolean {
  return book.winners().some((setting) => setting.path[0] === "identity" && isOfNode(setting));
}

/**
 * All that is said about a node, by configuration file, `vm.args`, environment and command line.
 * @throws {SallyportError} ERR_CONFIG what reading the sources throws, CONFIG_CONFLICT
 */
export function gatherSettings(flags: CommonFlags, world: SettingsWorld, warnings: ConfigWarning[]): SettingsBook {
  const book = new SettingsBook();
  const exposed = new ExposedFiles();
  const config = findConfig(flags, world, exposed);
  if (config !== undefined) putConfig(book, config.read);
  putEnvironment(book, world);
  putFlags(book, flags, world);
  // An identity would offer the protocol that is asked not to be spoken.
  if (flags.protocol === "otp") book.drop(["identity"]);
  if (flags.protocol === "barrel") onlyQuic(book);
  // What is found over QUIC is none of what may be dialled.
  if (flags.protocol === "native") for (const path of [["quic"], ["discovery", "barrel"]]) book.drop(path);
  putErlangFiles(book, { ...world, exposed }, warnings);
  exposed.settle(book.find(["profile"])?.value === "strict" ? "strict" : "standard", warnings);
  return book;
}

/** Addresses without a scheme are of QUIC, and hosts without an address are looked for where nodes of barrel_p2p listen. */
function onlyQuic(book: SettingsBook): void {
  const say = (path: readonly string[], value: unknown): void => sayInstead(book, path, value, "--protocol");
  sayQuic(book, "--protocol");
  say(["epmd"], "off");
  if (book.find(["discovery", "barrel", "dns"]) === undefined) say(["discovery", "barrel", "dns"], true);
  for (const { path, value } of book.winners()) {
    if (path[0] !== "resolve" || typeof value !== "string" || value === "none" || value.includes("://")) continue;
    say(path, `quic://${value}`);
  }
}

/** Asks for QUIC, with what else is said about it. */
function sayQuic(book: SettingsBook, place: string): void {
  sayInstead(book, ["quic", "retry"], book.find(["quic", "retry"])?.value ?? false, place);
}

/** What an option of the command line says, whatever else was said. */
function sayInstead(book: SettingsBook, path: readonly string[], value: unknown, place: string): void {
  book.drop(path);
  book.put({ path, value, level: "flag", place, secret: false });
}

/** A key is known under one name, so a command that uses it must know that name. */
export function nameNeeded(directory: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "NAME_NEEDED", `nothing says which node ${quotePath(directory)} belongs to`, {
    stage: "name",
    advice: "add --name local@host, or name the node's configuration with --config: a key is known under one name",
  });
}

function cliCertificate(tls: TlsOption, files: Files): TlsOption {
  const certFile = join(dirname(tls.certFile), CLI_CERT);
  const keyFile = join(dirname(tls.certFile), CLI_KEY);
  return files.exists(certFile) && files.exists(keyFile) ? { ...tls, certFile, keyFile } : tls;
}

/** The flags that say which configuration file counts. */
export type ConfigFlags = Pick<CommonFlags, "config">;

/** A configuration file that was read. */
export interface FoundConfig {
  /** Absolute path. */
  readonly file: string;
  /** Whether the command line or the environment names it; else it lies in the working directory. */
  readonly named: boolean;
  readonly options: ConfigOptions;
  /** The same, with the place of each value. */
  readonly read: ReadConfig;
}

/**
 * The configuration file that a command goes by; undefined when there is none.
 * @throws {SallyportError} ERR_CONFIG CONFIG_UNREADABLE and what `parseConfig` throws
 */
export function findConfig(flags: ConfigFlags, world: SettingsWorld, exposed?: ExposedFiles): FoundConfig | undefined {
  if (flags.config === false) return undefined;
  const named = typeof flags.config === "string" ? flags.config : variableOf("SALLYPORT_CONFIG", world.environment);
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
  const variableFile = variableFilesIn(dirname(file), world.files, exposed);
  const read = readNodeConfig(text, { file, environment: world.environment, variableFile });
  return { file, named: named !== undefined, options: read.options, read };
}

/** A policy file, with the variables that may stand in it. */
function policyOf(file: string | undefined, { environment }: SettingsWorld): Pick<NodeOptions, "policy"> {
  return file === undefined ? {} : { policy: { file, environment } };
}

type Merged = Omit<NodeOptions, "name" | "sslDistOptfile" | "vmArgs"> & { readonly name?: string };

/** What the sources say together. @throws {SallyportError} ERR_CONFIG TLS_INCOMPLETE, TLS_MISSING */
function merge(book: SettingsBook, world: SettingsWorld): Merged {
  const {
    control: _control,
    audit: _audit,
    sslDistOptfile: _optfile,
    vmArgs: _vmArgs,
    policy,
    ...merged
  } = book.options() as ConfigOptions;
  if (merged.tls !== undefined) demandWhole(merged.tls);
  // Over QUIC it is a key that proves it: of this command alone, or one that `createNode` asks for.
  const unproven = merged.tls === undefined && merged.identity === undefined && !usesQuic(merged);
  if (unproven && (merged.dangerous?.plaintext ?? false) === false) throw noCertificates();
  return { ...merged, ...policyOf(policy, world) };
}

function nativeNeedsIdentity(): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "NATIVE_NEEDS_IDENTITY",
    "with --protocol native both sides prove their keys, and this command has no key directory",
    {
      stage: "identity",
      advice: "add --key-dir with a key that NODE trusts, and --name with the name that goes with it",
    },
  );
}

function demandWhole({ certFile, keyFile, caFile }: Partial<TlsOption>): void {
  if (certFile !== undefined && keyFile !== undefined && caFile !== undefined) return;
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

function ownName(certFile: string | undefined, world: SettingsWorld): string {
  const owner = certFile === undefined ? undefined : ownerOfCertificate(world.files, certFile);
  return owner?.name ?? throwawayName(world.random.bytes(4).toString("hex"), owner?.host ?? world.hostname);
}
