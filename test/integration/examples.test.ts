import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "calculator.mjs": [
    "connected to worker@localhost, assurance ca",
    "2 + 3 = 5",
    "a handler that throws: ERR_REMOTE HANDLER_ERROR",
    "a private service: ERR_DENIED POLICY_DENIED",
    "the service ended: normal",
  ],
  "functions.mjs": [
    'text:upper/1 = <<"HELLO">>',
    "os:cmd/1: ERR_DENIED POLICY_DENIED",
    "started worker@localhost",
    "it ended: normal",
  ],
  "policy.mjs": [
    "jobs: none_waiting",
    "vault: POLICY_DENIED; the owner reads: deny-default, nearest is ask (another target)",
    "with a test that says no: POLICY_TEST_FAILED, generation 1 stays",
    "with a test that says yes: generation 2",
    "vault: opened",
  ],
  "streams.mjs": [
    "4194304 bytes from h@127.0.0.1",
    "closed: null",
    "1024 bytes, and no more is wanted",
    "closed: STREAM_RESET",
    "g was told: STREAM_RESET 7",
    "closed: STREAM_REFUSED",
  ],
};

describe("the examples", () => {
  it.each(Object.keys(EXPECTED))("%s prints what it promises", async (file) => {
    const { stdout } = await run(process.execPath, [`examples/${file}`], { timeout: 30_000 });
    expect(stdout.trim().split("\n")).toEqual(EXPECTED[file]);
  });

  it("are all run here, or are parts of others", () => {
    const parts = ["services.mjs", "with-certificates.mjs"];
    const files = readdirSync("examples").filter((file) => file.endsWith(".mjs"));
    expect(files.toSorted()).toEqual([...Object.keys(EXPECTED), ...parts].toSorted());
  });
});
