import { InvalidArgumentError, Option } from "commander";

/** Values of the common options, as the parser leaves them: absent means not given. */
export interface CommonFlags {
  readonly name?: string;
  readonly cookieFile?: string;
  readonly listen?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  /** `ssl_dist.conf` of Erlang. */
  readonly sslDistOptfile?: string;
  /** `vm.args` of Erlang. */
  readonly vmArgs?: string;
  /** `NODE=HOST:PORT` or `NODE=none` each. */
  readonly resolve?: readonly string[];
  readonly discoveryDir?: string;
  readonly epmd?: "lookup" | "register" | "off";
  readonly epmdPort?: number;
  readonly timeout: number;
  readonly json?: boolean;
  readonly dangerousPlaintext?: "loopback" | "any";
  /** `native` of commands that dial once only. */
  readonly protocol: "auto" | "native" | "otp" | "barrel";
  /** False for --no-config. */
  readonly config?: string | boolean;
  readonly visible?: boolean;
  readonly tickTime?: number;
  /** `PORT` or `HOST:PORT` for probes; of `start` only. */
  readonly health?: string;
  /** Key directory: identity by key. */
  readonly keyDir?: string;
  /** Policy file. */
  readonly policy?: string;
  /** Path of the control socket; false for --no-control. */
  readonly control?: string | boolean;
  /** The key that the node must show, or its fingerprint; of commands that dial once. */
  readonly peerKey?: string;
  /** Whether a key at first sight is taken; of commands that dial once. */
  readonly trust?: "strict" | "tofu";
}

/** Milliseconds for one operation, dialling included. */
export const DEFAULT_TIMEOUT_MS = 5_000;

/** Longest time a timer of the platform takes, in milliseconds. */
const MAX_TIME_MS = 0x7fff_ffff;

const PROTOCOL = new Option(
  "--protocol <protocol>",
  "how to talk to peers: otp leaves the identity out, barrel is QUIC",
)
  .choices(["auto", "otp", "barrel"])
  .default("auto");

const DIAL_PROTOCOL = new Option(
  "--protocol <protocol>",
  "how to talk to NODE: native is by key over TLS and nothing else, otp leaves the identity out, barrel is QUIC",
)
  .choices(["auto", "native", "otp", "barrel"])
  .default("auto");

/** Options of commands that run a node, in the order of `--help`. */
export function nodeOptions(protocol: Option = PROTOCOL): Option[] {
  return [
    ...configOptions(),
    new Option(
      "--name <node>",
      "name of this node, local@host (default: of the configuration, else of the certificate)",
    ),
    new Option("--cookie-file <file>", "file with the cookie of the network"),
    new Option("--tls-cert <file>", "certificate of this node, PEM"),
    new Option("--tls-key <file>", "its private key, PEM"),
    new Option("--tls-ca <file>", "certificates of the CAs to trust, PEM"),
    new Option("--ssl-dist-optfile <file>", "ssl_dist.conf of Erlang: certificates and TLS of this node"),
    new Option("--vm-args <file>", "vm.args of Erlang: name, cookie, listener and TLS of this node"),
    keyDirOption(),
    policyOption("policy file of this node: what others may do to it"),
    ...controlOptions(),
    new Option("--listen <address>", "accept connections on tls:// or quic://HOST[:PORT]; may be repeated").argParser(
      collect,
    ),
    new Option("--resolve <node=host:port>", "address of a node, none if it only dials; may be repeated").argParser(
      collect,
    ),
    new Option("--discovery-dir <dir>", "directory shared with other machines, with a file about each node"),
    new Option("--epmd <mode>", "what to do with EPMD (default: lookup)").choices(["lookup", "register", "off"]),
    new Option("--epmd-port <port>", "port of EPMD (default: 4369)").argParser(wholeNumber(1, 65_535)),
    protocol,
    new Option("--tick-time <ms>", "net_ticktime of the network (default: 60000)").argParser(
      wholeNumber(1, MAX_TIME_MS),
    ),
    new Option("--visible", "take part in nodes() and global of Erlang nodes"),
    new Option(
      "--dangerous-plaintext [scope]",
      "allow tcp:// without TLS, on loopback addresses; with =any everywhere",
    ).argParser(plaintextScope),
  ];
}

/** Which configuration file counts, for commands that run no node. */
export function configOptions(): Option[] {
  return [
    new Option("--config <file>", "configuration file (default: ./sallyport.jsonc when there is one)"),
    new Option("--no-config", "read no configuration file"),
  ];
}

export function keyDirOption(): Option {
  return new Option("--key-dir <dir>", "directory with the key of this node and those it trusts");
}

/** Which policy file counts; `says` what for. */
export function policyOption(says: string): Option {
  return new Option("--policy <file>", says);
}

export function controlOptions(): Option[] {
  return [
    new Option("--control <socket>", "control socket of the running node (default: see `sallyport status --help`)"),
    new Option("--no-control", "neither open nor use a control socket"),
  ];
}

/** Options of commands that dial a node once. */
export function oneShotOptions(): Option[] {
  return [
    ...nodeOptions(DIAL_PROTOCOL),
    new Option(
      "--peer-key <key>",
      "over QUIC without --key-dir: the key that NODE must show, SHA256:... or ed25519:...",
    ),
    new Option("--trust <mode>", "whether to take a key of NODE that nothing is known about: tofu takes it").choices([
      "strict",
      "tofu",
    ]),
  ];
}

/** How long an operation may take. */
export function timeoutOption(says: string = "longest time for the operation, connecting included"): Option {
  return new Option("--timeout <ms>", says).argParser(wholeNumber(1, MAX_TIME_MS)).default(DEFAULT_TIMEOUT_MS);
}

export function jsonOption(description: string): Option {
  return new Option("--json", description);
}

/** Options with an optional value that only ever follows `=`; see `normalizeArguments`. */
export const BARE_VALUES: Readonly<Record<string, string>> = { "--dangerous-plaintext": "loopback" };

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

function plaintextScope(text: string): "loopback" | "any" {
  if (text === "loopback" || text === "any") return text;
  throw new InvalidArgumentError("Write --dangerous-plaintext for loopback addresses, or --dangerous-plaintext=any.");
}

/** Reads milliseconds, for options that take a time. */
export function milliseconds(text: string): number {
  return wholeNumber(0, MAX_TIME_MS)(text);
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\s*\d{1,10}$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
