import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Cli } from "../integration/cli-process.ts";
import { describeWithErlang } from "./need-erlang.ts";

const SCRATCH = mkdtempSync(join(tmpdir(), "sallyport-demo-test-"));

/** Command lines of living processes that work in the directory of a run. */
function leftProcesses(): string[] {
  const listed = execFileSync("ps", ["-eo", "stat=,args="]).toString().split("\n");
  return listed.filter((line) => !line.startsWith("Z") && line.includes(SCRATCH) && !line.includes("vitest"));
}

afterAll(() => rmSync(SCRATCH, { recursive: true, force: true }));

describeWithErlang("the demo with a real Erlang node", () => {
  it("calls both ways, sees a process die, measures, and leaves nothing behind", async () => {
    const ran = await new Cli(SCRATCH, ["demo", "--peer", "erlang", "--json"], { TMPDIR: SCRATCH }).ended;
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { result } = JSON.parse(ran.out) as { result: { steps: { lines: string[] }[] } };
    expect(result).toMatchObject({ peer: "erlang", roundTrips: [{ calls: 200 }, { calls: 200 }] });
    const lines = result.steps.flatMap((step) => step.lines).join("\n");
    for (const seen of [
      "-> [3,2,1]",
      "-> {ok,3}",
      "{badrpc,{'EXIT',eperm}}",
      "DOWN with reason killed",
      "assurance ca",
    ]) {
      expect(lines).toContain(seen);
    }
    expect(readdirSync(SCRATCH)).toEqual([]);
    expect(leftProcesses()).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("leaves nothing behind after %s", async (signal) => {
    const demo = new Cli(SCRATCH, ["demo", "--peer", "erlang"], { TMPDIR: SCRATCH });
    await demo.says(/desktop@127\.0\.0\.1: this process/);
    const ran = await demo.kill(signal);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(`stopped by ${signal}`);
    expect(readdirSync(SCRATCH)).toEqual([]);
    expect(leftProcesses()).toEqual([]);
  });
});
