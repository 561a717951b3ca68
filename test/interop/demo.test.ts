import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cli } from "../integration/cli-process.ts";
import { describeWithErlang } from "./need-erlang.ts";

const SCRATCH = mkdtempSync(join(tmpdir(), "sallyport-demo-test-"));

/** Command lines of living processes that work in the directory of a run. */
function leftProcesses(): string[] {
  const listed = execFileSync("ps", ["-eo", "stat=,args="]).toString().split("\n");
  return listed.filter((line) => !line.startsWith("Z") && line.includes(SCRATCH) && !line.includes("vitest"));
}

afterAll(() => rmSync(SCRATCH, { recursive: true, force: true }));

interface Seen {
  readonly from: string;
  readonly to: string;
  readonly ok: boolean;
  readonly decision: string | null;
  readonly observed: { readonly outcome: string; readonly by: string };
}

interface DemoResult {
  readonly ec2: string;
  readonly rows: readonly Seen[];
  readonly state: { readonly before: unknown; readonly after: unknown };
  readonly why: { readonly id: string };
  readonly matrix: { readonly mutualCommand: readonly unknown[] };
}

/** Outcomes of what one machine tried on another, in order. */
function seen(rows: readonly Seen[], from: string, to: string): readonly string[] {
  const isPair = (row: Seen): boolean => row.from.startsWith(`${from}@`) && row.to.startsWith(`${to}@`);
  return rows.filter(isPair).map(({ observed }) => `${observed.outcome} ${observed.by}`);
}

describeWithErlang("the demo with a real Erlang node", () => {
  let result: Promise<DemoResult>;
  beforeAll(() => {
    result = new Cli(SCRATCH, ["demo", "--peer", "erlang", "--json"], { TMPDIR: SCRATCH }).ended.then((ran) => {
      expect(ran).toMatchObject({ code: 0, err: "" });
      return (JSON.parse(ran.out) as { result: DemoResult }).result;
    });
  });

  it("ends every attempt as it should, and leaves nothing behind", async () => {
    const { rows, ec2, state, matrix } = await result;
    expect(ec2).toBe("erlang");
    expect(rows.filter((row) => !row.ok)).toEqual([]);
    expect(seen(rows, "ec2_node", "my_desktop")).toEqual([
      "no way no listener",
      "done ec2-progress",
      "silence deny-default",
      "refused no-orders",
      "refused deny-default",
      "refused no-orders",
      "refused deny-default",
      "refused no-orders",
      "silence no-orders",
      "silence deny-default",
      "refused deny-default",
      "limited ec2-progress",
    ]);
    // A BEAM asks no policy, bob_colo does.
    expect(seen(rows, "my_desktop", "ec2_node")).toEqual(Array.from({ length: 7 }, () => "done -"));
    expect(new Set(seen(rows, "my_desktop", "bob_colo"))).toEqual(new Set(["done level", "refused deny-default"]));
    expect(seen(rows, "ec2_node", "bob_colo")).toEqual(["done ec2-jobs", "done ec2-worker", "refused deny-default"]);
    // Nothing enforces the policy of a plain Erlang node.
    expect(seen(rows, "bob_colo", "ec2_node")).toEqual(["done -", "done -"]);
    expect(state.after).toEqual(state.before);
    expect(matrix.mutualCommand).toEqual([]);
    expect(readdirSync(SCRATCH)).toEqual([]);
    expect(leftProcesses()).toEqual([]);
  });

  it("a taken machine gets nothing but refusals, silence and lost sessions", async () => {
    const { rows, why } = await result;
    const [answer, ...attacks] = seen(rows, "bob_colo", "my_desktop").slice(2);
    expect(answer).toBe("done its call");
    expect(attacks.length).toBeGreaterThan(20);
    expect(attacks.filter((outcome) => !/^(refused|silence|cut off) /.test(outcome))).toEqual([]);
    expect(attacks.filter((outcome) => outcome === "cut off FORGED_IDENTIFIER")).toHaveLength(2);
    expect(why).toMatchObject({ outcome: "deny-rule", rule: "no-orders", alias: "bob_colo", target: "os:cmd/1" });
    // Who was refused and what the owner finds by the id are one and the same.
    expect(rows.map((row) => row.decision)).toContain(why.id);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("leaves nothing behind after %s", async (signal) => {
    const demo = new Cli(SCRATCH, ["demo", "--peer", "erlang"], { TMPDIR: SCRATCH });
    await demo.says(/ec2_node: +Erlang/);
    const ran = await demo.kill(signal);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(`stopped by ${signal}`);
    expect(readdirSync(SCRATCH)).toEqual([]);
    expect(leftProcesses()).toEqual([]);
  });
});

describe("the demo without an Erlang node", () => {
  it("dials nobody on the default port to show that my_desktop has no listener", async (context) => {
    let dialled = 0;
    const server = createServer((socket) => {
      dialled++;
      socket.destroy();
    });
    const isOurs = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(9100, "127.0.0.1", () => resolve(true));
    });
    if (!isOurs) context.skip("port 9100 is in use");
    try {
      const ran = await new Cli(SCRATCH, ["demo", "--peer", "sallyport", "--json"], { TMPDIR: SCRATCH }).ended;
      expect(ran).toMatchObject({ code: 0, err: "" });
      const { rows } = (JSON.parse(ran.out) as { result: DemoResult }).result;
      expect(seen(rows, "ec2_node", "my_desktop")[0]).toBe("no way no listener");
      expect(dialled).toBe(0);
    } finally {
      server.close();
    }
  });
});
