import { execFile } from "node:child_process";
import type { Ran } from "./cli-process.ts";

/** Runs lines of a shell in a directory, without colours. */
export function runScript(directory: string, script: string): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const shell = execFile("bash", ["-c", script], { cwd: directory, env }, (_error, out, err) =>
      resolve({ code: shell.exitCode, out, err }),
    );
  });
}
