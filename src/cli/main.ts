#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { RealClock } from "../system/real-clock.ts";
import { RealFiles } from "../system/real-files.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { RealRandom } from "../system/real-random.ts";
import type { CommandWorld } from "./command-world.ts";
import { wantsJson } from "./normalize-arguments.ts";
import { run } from "./run.ts";
import { Terminal } from "./terminal.ts";

/** Longest wait for the system to take the last bytes of a connection after a command is done, in milliseconds. */
const LINGER_MS = 2_000;

const args = process.argv.slice(2);
const environment = (name: string): string | undefined => process.env[name];

/** Whether somebody sits in front of it: then SIGHUP says that they closed the terminal. */
const inTerminal = process.stdin.isTTY === true;
const STOP_SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", ...(inTerminal ? (["SIGHUP"] as const) : [])];

/** The version in package.json, two folders above this file in the source tree and in the package alike. */
function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}

// Whoever read our output may have gone (`| head -1`); a node does not end because of that. A pipe's stream does not keep the
// error, so that it is kept here.
let isGone = false;
process.stdout.on("error", () => {
  isGone = true;
});
process.stderr.on("error", () => undefined);

const world: CommandWorld = {
  clock: new RealClock(),
  random: new RealRandom(),
  files: new RealFiles(),
  identityCrypto: new RealIdentityCrypto(),
  environment,
  directory: process.cwd(),
  hostname: hostname(),
  program: fileURLToPath(import.meta.url),
  terminal: new Terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    environment,
    json: wantsJson(args),
    isGone: () => isGone,
  }),
  onStopSignal(stop) {
    for (const signal of STOP_SIGNALS) process.on(signal, stop);
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, stop);
    };
  },
  onReloadSignal(reload) {
    if (inTerminal) return () => undefined;
    process.on("SIGHUP", reload);
    return () => process.off("SIGHUP", reload);
  },
  exitNow: (code) => process.exit(code),
};

process.exitCode = await run(world, args, version());
// The process ends by itself once the last bytes of its connections are with the system, or after this time at most.
setTimeout(() => process.exit(), LINGER_MS).unref();
