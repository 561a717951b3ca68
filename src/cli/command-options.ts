import { Option } from "commander";
import { type CommonFlags, collect, jsonOption } from "./common-options.ts";

export interface InitFlags {
  readonly name: string;
  /** `NAME=KEY`, or the directory of a node. */
  readonly peer?: readonly string[];
  readonly json?: boolean;
}

/** Name of a node made by `init` without `--name`. Reachable on this machine only, by Erlang nodes too. */
const DEFAULT_NAME = "my_node@127.0.0.1";

export function initOptions(): Option[] {
  return [
    new Option("--name <node>", "name of the node, local@host").default(DEFAULT_NAME),
    new Option(
      "--peer <peer>",
      "who may connect: name@host=KEY, or the directory of a node on this machine; may be repeated",
    ).argParser(collect),
    jsonOption('print {"ok":true,"result":{name, fingerprint, directory, peers, files}} on one line'),
  ];
}

export interface StartFlags extends CommonFlags {
  readonly services?: string;
  readonly demoServices?: boolean;
  readonly auditDir?: string;
  /** False for --no-audit. */
  readonly audit?: boolean;
}

export function startOptions(): Option[] {
  return [
    new Option("--services <file>", "your ES module: export default function (node, term) { node.register(...) }"),
    new Option("--audit-dir <dir>", "directory of the audit log (default: data/audit beside the configuration)"),
    new Option("--no-audit", "keep no audit log"),
    new Option("--health <port>", "answer probes over HTTP on PORT of this machine, or on HOST:PORT"),
    new Option("--demo-services", "offer echo, calc and counter, and functions sleep, demo:add/2, demo:sleep/1"),
  ];
}

export interface AttachFlags extends CommonFlags {
  readonly erlang?: boolean;
  readonly elixir?: boolean;
}

export function attachOptions(): Option[] {
  return [
    new Option("--erlang", "run the shell of Erlang").conflicts("elixir"),
    new Option("--elixir", "run IEx (default: where the node has it)"),
  ];
}

export interface DemoFlags {
  readonly json?: boolean;
  readonly peer: "auto" | "erlang" | "sallyport";
}

export function demoOptions(): Option[] {
  return [
    new Option("--peer <kind>", "what to run as ec2_node; auto: Erlang where it is installed")
      .choices(["auto", "erlang", "sallyport"])
      .default("auto"),
    jsonOption("print one JSON document: every attempt, expected and observed"),
  ];
}
