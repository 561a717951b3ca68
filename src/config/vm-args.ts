import { nearestName } from "../base/nearest-name.ts";
import { tryNodeName } from "../base/node-name.ts";
import { attempt, type ConfigWarning, type ErlangSource, type ErlangText } from "./erlang-text.ts";
import { SideReader, type SslDistSides } from "./ssl-dist-conf.ts";
import { type Flag, type ReadFile, readFlags, tellIgnored } from "./vm-args-flags.ts";
import {
  addressOf,
  cookieOf,
  type FlagValue,
  filled,
  nodeOf,
  numberOf,
  once,
  one,
  oneOf,
  type Placed,
  wrong,
} from "./vm-args-values.ts";
import type { Word } from "./vm-args-words.ts";

/** A key of the configuration as a file of arguments sets it. */
export interface VmArgsSetting {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly secret: boolean;
  /** `file:line:column`. */
  readonly place: string;
}

/** What a `vm.args` says. */
export interface VmArgs {
  readonly settings: readonly VmArgsSetting[];
  /** Of `-ssl_dist_opt`; empty without. */
  readonly sides: SslDistSides;
}

export interface VmArgsWorld {
  /** Reads the files of `-args_file`. */
  readonly readFile: ReadFile;
  /** Of this machine, for names without a host. */
  readonly hostname: string;
}

/** Ports of a listener when the file names none. */
const FIRST_PORT = 9100;
const LAST_PORT = 9155;

/** Longest time a timer of the platform takes, in seconds. */
const MAX_TICK_SECONDS = 2_147_483;

/**
 * Reads the text of a `vm.args`. Values are never shown in errors or warnings.
 * @throws {SallyportError} ERR_CONFIG VMARGS_SYNTAX, VMARGS_VALUE, PORT_RANGE_INVALID, COOKIE_EMPTY, ENV_UNSET, VARIABLE_FILE,
 * CONFIG_CONFLICT, for `-ssl_dist_opt` as `parseSslDistConf`; ERR_LIMIT VMARGS_TOO_MANY, CONFIG_TOO_LARGE
 */
export function parseVmArgs(text: string, source: ErlangSource, world: VmArgsWorld, warnings: ConfigWarning[]): VmArgs {
  const list = readFlags(text, source, world.readFile, warnings);
  tellIgnored(list, source.file, warnings);
  const reader = new VmArgsReader(world.hostname);
  for (const flag of list.flags) attempt(source.faults, () => reader.read(flag));
  return reader.finish(source.faults);
}

class VmArgsReader {
  readonly #hostname: string;
  readonly #settings: VmArgsSetting[] = [];
  readonly #sides: SslDistSides = {};
  readonly #peerCookies = new Map<string, Placed<string>>();
  /** The files with options of `ssl`. */
  readonly #optionTexts = new Set<ErlangText>();
  readonly #kernelIgnored = new Set<string>();
  #cookie: Placed<string> | undefined;
  #name: Placed<string> | undefined;
  #protocol: Placed<string> | undefined;
  #first: Placed<number> | undefined;
  #last: Placed<number> | undefined;
  #address: Placed<string> | undefined;
  #noListener: Placed<string> | undefined;
  #lastFlag: Flag | undefined;

  constructor(hostname: string) {
    this.#hostname = hostname;
  }

  read(flag: Flag): void {
    this.#lastFlag = flag;
    switch (flag.name) {
      case "name":
      case "sname":
        this.#name = once(this.#name, flag, this.#nodeName(flag));
        return;
      case "setcookie":
        this.#readCookie(flag);
        return;
      case "proto_dist":
        this.#protocol = once(this.#protocol, flag, oneOf(flag, ["inet_tls", "inet6_tls", "inet_tcp", "inet6_tcp"]));
        return;
      case "ssl_dist_optfile":
        this.#put(flag, ["sslDistOptfile"], flag.text.path(one(flag).value));
        return;
      case "ssl_dist_opt":
        this.#readSslOptions(flag);
        return;
      case "kernel":
        this.#readKernel(flag);
        return;
      case "hidden":
        this.#put(flag, ["visible"], false);
        return;
      case "no_epmd":
        this.#put(flag, ["epmd"], "off");
        return;
      case "dist_listen":
        this.#noListener = once(this.#noListener, flag, oneOf(flag, ["true", "false"]));
    }
  }

  finish(faults: ErlangSource["faults"]): VmArgs {
    this.#finishCookie();
    if (this.#name !== undefined) this.#put(this.#name.flag, ["name"], this.#name.value, this.#name.secret);
    attempt(faults, () => this.#finishListen());
    if (this.#kernelIgnored.size > 0)
      this.#lastFlag?.text.warnings.push(kernelWarning(this.#lastFlag, this.#kernelIgnored));
    for (const text of this.#optionTexts) text.tellNoEffect();
    return { settings: this.#settings, sides: this.#sides };
  }

  #put({ at, text }: Flag, path: readonly string[], value: unknown, secret = false): void {
    this.#settings.push({ path, value, secret, place: text.place(at) });
  }

  /** `erl` takes this machine's name where none is given. */
  #nodeName(flag: Flag): FlagValue<string> {
    const { value, secret } = one(flag);
    const host = flag.name === "sname" ? (this.#hostname.split(".")[0] ?? "") : this.#hostname;
    const name = value.includes("@") ? value : `${value}@${host}`;
    if (tryNodeName(name) !== undefined) return { value: name, secret };
    throw wrong(flag, "is no name of a node", "write local@host");
  }

  #readCookie(flag: Flag): void {
    const [first, second, third] = flag.values;
    if (first === undefined || third !== undefined)
      throw wrong(flag, "takes a cookie, or a node and its cookie", "quote it");
    if (second === undefined) {
      this.#cookie = once(this.#cookie, flag, cookieOf(flag, first));
      return;
    }
    const node = filled(flag, first).value;
    if (tryNodeName(node) === undefined)
      throw wrong(flag, "does not begin with the name of a node", "write local@host");
    this.#peerCookies.set(node, once(this.#peerCookies.get(node), flag, cookieOf(flag, second)));
  }

  #finishCookie(): void {
    const fallback = this.#cookie;
    if (this.#peerCookies.size === 0) {
      if (fallback !== undefined) this.#put(fallback.flag, ["cookie"], fallback.value, true);
      return;
    }
    const peers = Object.fromEntries([...this.#peerCookies].map(([node, { value }]) => [node, value]));
    const [first] = this.#peerCookies.values();
    if (first === undefined) return;
    const value = fallback === undefined ? { peers } : { default: fallback.value, peers };
    this.#put(first.flag, ["cookie"], value, true);
  }

  #readKernel(flag: Flag): void {
    const { values } = flag;
    for (let i = 0; i < values.length; i += 2) {
      const [key, value] = [values[i], values[i + 1]];
      if (key === undefined) return;
      if (value === undefined) throw wrong(flag, "has a parameter without a value", "write -kernel NAME VALUE");
      const single: Flag = { ...flag, at: key.at, text: key.text, name: `kernel ${key.word}`, values: [value] };
      switch (key.word) {
        case "inet_dist_listen_min":
          this.#first = once(this.#first, single, numberOf(single, 0, 65_535));
          break;
        case "inet_dist_listen_max":
          this.#last = once(this.#last, single, numberOf(single, 0, 65_535));
          break;
        case "inet_dist_use_interface":
          this.#address = once(this.#address, single, addressOf(single));
          break;
        case "net_ticktime":
          this.#put(single, ["tickTimeMs"], numberOf(single, 1, MAX_TICK_SECONDS).value * 1000);
          break;
        default:
          this.#kernelIgnored.add(shownParameter(key));
      }
    }
  }

  /** Pairs of option and value, as OTP reads them. */
  #readSslOptions(flag: Flag): void {
    const { values } = flag;
    for (let i = 0; i < values.length; i += 2) {
      const [option, value] = [values[i], values[i + 1]];
      if (option === undefined) return;
      if (value === undefined)
        throw wrong(flag, "has an option without a value", "write server_NAME VALUE client_NAME VALUE");
      const side = option.word.startsWith("server_")
        ? "server"
        : option.word.startsWith("client_")
          ? "client"
          : undefined;
      attempt(option.text.source.faults, () => {
        if (side === undefined) {
          const message = "-ssl_dist_opt has a name that begins with neither server_ nor client_";
          throw option.text.fault("CONF_OPTION_UNKNOWN", option.at, message, "write for example server_certfile");
        }
        const name = option.word.slice("server_".length);
        this.#optionTexts.add(option.text);
        const reader = this.#sides[side] ?? new SideReader(side, option.text, option.at);
        this.#sides[side] = reader;
        reader.read({ name, at: option.at, value: nodeOf(name, value), text: value.text });
      });
    }
  }

  #finishListen(): void {
    const named = this.#name?.flag ?? this.#address?.flag ?? this.#first?.flag ?? this.#last?.flag;
    if (this.#noListener?.value === "false") {
      this.#put(this.#noListener.flag, ["listen"], []);
      return;
    }
    if (named === undefined) return;
    const first = this.#first?.value ?? FIRST_PORT;
    const last = this.#last?.value ?? (this.#first === undefined ? LAST_PORT : first);
    if (first > last) {
      const { text, at } = (this.#last ?? this.#first)?.flag ?? named;
      const message = `inet_dist_listen_max ${last} is below inet_dist_listen_min ${first}`;
      throw text.fault("PORT_RANGE_INVALID", at, message, "write the lower port into inet_dist_listen_min");
    }
    const protocol = this.#protocol?.value ?? "inet_tls";
    const scheme = protocol.endsWith("_tls") ? "tls" : "tcp";
    const any = protocol.startsWith("inet6") ? "::" : "0.0.0.0";
    const host = this.#address?.value ?? any;
    const shown = host.includes(":") ? `[${host}]` : host;
    const ports = first === last ? String(first) : `${first}-${last}`;
    const { flag } = this.#first ?? this.#last ?? this.#address ?? { flag: named };
    this.#put(flag, ["listen"], [`${scheme}://${shown}:${ports}`]);
  }
}

const KERNEL_PARAMETERS: readonly string[] = [
  "inet_dist_listen_min",
  "inet_dist_listen_max",
  "inet_dist_use_interface",
  "net_ticktime",
];

/** Other parameters of `kernel` that files of arguments have. */
const OTHER_PARAMETERS: ReadonlySet<string> = new Set(
  (
    "logger_level logger logger_sasl_compatible net_tickintensity net_setuptime dist_auto_connect connect_all inetrc shell_history " +
    "shell_history_path shell_history_drop prevent_overlapping_partitions start_pg global_groups sync_nodes_mandatory " +
    "sync_nodes_optional sync_nodes_timeout distributed permissions error_logger inet_dist_listen_options " +
    "inet_dist_connect_options inet_default_connect_options inet_default_listen_options raw_files standard_io_encoding"
  ).split(" "),
);

/** An unknown parameter is shown by its place. */
function shownParameter({ word, at, text }: Word): string {
  if (OTHER_PARAMETERS.has(word)) return word;
  const near = nearestName(word, KERNEL_PARAMETERS);
  return near === undefined ? `the one at ${text.place(at)}` : `the one at ${text.place(at)} (did you mean ${near}?)`;
}

function kernelWarning({ text }: Flag, names: ReadonlySet<string>): ConfigWarning {
  const shown = [...names].slice(0, 20).join(", ");
  return { reason: "VMARGS_IGNORED", message: `${text.source.file}: ignored parameters of kernel: ${shown}` };
}
