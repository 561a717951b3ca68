import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditLog } from "../../src/audit/audit-log.ts";
import { DEFAULT_AUDIT_LIMITS } from "../../src/audit/limits.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { answerOf, ask, Cli, configure, type Fields, refused, runCli, start } from "./cli-process.ts";

let home = "";
let log: AuditLog;

/** A log in `DIR/log` of small files, oldest ones removed. */
function openLog(maxFiles: number): AuditLog {
  const limits = { ...DEFAULT_AUDIT_LIMITS, maxFileBytes: 2_000, maxFiles };
  const parts = { files: new RealFiles(), crypto: new RealCrypto(), clock: new RealClock(), limits };
  const opened = new AuditLog({ ...parts, directory: join(home, "log") });
  opened.start({ node: "a@h" }, (cause) => expect(cause).toBeUndefined());
  return opened;
}

function attempts(from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const outcome = i % 2 === 0 ? "accepted" : "refused";
    log.record({
      kind: "attempt",
      outcome,
      address: `192.0.2.${i}:9100`,
      peer: i % 5 === 0 ? "b@h" : "c@h",
      peerIs: "proven",
    });
  }
}

const files = (): string[] =>
  readdirSync(join(home, "log"))
    .sort()
    .map((name) => join(home, "log", name));
const addressesOf = (records: unknown): unknown[] => (records as Fields[]).map(({ address }) => address);

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sallyport-cli-audit-"));
  log = openLog(100);
  attempts(0, 30);
});

afterAll(() => {
  log.close();
  rmSync(home, { recursive: true, force: true });
});

describe("audit tail", () => {
  it("prints the last records that pass every filter", async () => {
    const { records } = await ask(home, "audit", "tail", "log", "--outcome", "accepted", "--peer", "b@H", "-n", "2");
    expect(addressesOf(records)).toEqual(["192.0.2.10:9100", "192.0.2.20:9100"]);
    const some = await ask(
      home,
      "audit",
      "tail",
      "log",
      "--address",
      "192.0.2.0/30",
      "--kind",
      "attempt",
      "--since",
      "1h",
    );
    expect(addressesOf(some["records"])).toEqual([0, 1, 2, 3].map((i) => `192.0.2.${i}:9100`));
    expect(await ask(home, "audit", "tail", "log", "--since", "2999-01-01")).toEqual({ records: [], unreadable: 0 });
    const human = await runCli(home, ["audit", "tail", "log", "-n", "1", "--kind", "attempt"]);
    expect(human.out).toMatch(/ refused +from c@h at 192\.0\.2\.29:9100/);
  });

  it("follows a log over rotations and removed files, losing nothing, and ends at a signal", async () => {
    rmSync(join(home, "log"), { recursive: true });
    log = openLog(3);
    attempts(0, 2);
    const tail = new Cli(home, ["audit", "tail", "log", "-f", "--json", "--kind", "attempt"]);
    await tail.says(/192\.0\.2\.1:9100/);
    const before = files();
    for (let i = 2; i < 60; i += 6) {
      attempts(i, i + 6);
      await tail.says(new RegExp(`192\\.0\\.2\\.${i + 5}:9100`));
    }
    expect(files().some((name) => before.includes(name))).toBe(false);
    const { code, err } = await tail.kill("SIGINT");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(addressesOf(tail.events)).toEqual(Array.from({ length: 62 }, (_, i) => `192.0.2.${i}:9100`));
  });

  it("ends when nobody reads it any more", async () => {
    const tail = new Cli(home, ["audit", "tail", "log", "-f", "-n", "1", "--kind", "attempt"]);
    await tail.says(/192\.0\.2\./);
    tail.child.stdout.destroy();
    // It learns of it with what it cannot print.
    attempts(0, 1);
    expect((await tail.ended).code).toBe(0);
  });

  it("says which log it cannot find", async () => {
    expect(await refused(home, "audit", "tail", "none")).toMatchObject({ exit: 2, reason: "AUDIT_UNREADABLE" });
    expect(await refused(home, "audit", "tail", "none.jsonl")).toMatchObject({ exit: 2, reason: "AUDIT_UNREADABLE" });
    expect(await refused(home, "audit", "verify", "none.jsonl")).toMatchObject({ exit: 2, reason: "AUDIT_UNREADABLE" });
    expect(await refused(home, "audit", "tail")).toMatchObject({ exit: 2, reason: "AUDIT_NEEDED" });
    expect(await refused(home, "audit", "tail", "log", "--kind", "x")).toMatchObject({ exit: 2, reason: "USAGE" });
  });
});

describe("audit verify", () => {
  const verify = (...args: string[]): ReturnType<typeof answerOf> => answerOf(home, "audit", "verify", "log", ...args);

  it("accepts the log of a node that runs, and finds it changed, removed and reordered", async () => {
    const ran = join(home, "node");
    configure(ran, "a@127.0.0.1", { identity: { trust: "tofu" } });
    const { node } = await start(ran);
    const first = await ask(ran, "audit", "verify", "--whole", "--strict");
    expect(first).toMatchObject({ fault: null, begins: "first", records: 1 });
    await node.kill("SIGTERM");
    const [name = ""] = readdirSync(join(ran, "data/audit"));
    const file = join(ran, "data/audit", name);
    const text = readFileSync(file, "latin1");
    const [opened = "", closed = ""] = text.split("\n");
    const faultOf = async (changed: string): Promise<unknown> => {
      writeFileSync(file, changed);
      const { exit, error, result } = await answerOf(ran, "audit", "verify", "--head", String(first["head"]));
      expect({ exit, reason: error["reason"] }).toEqual({ exit: 1, reason: "AUDIT_FAULTY" });
      return result["fault"];
    };
    const at = { file: name, seq: 1 };
    expect(await faultOf(text.replace("a@127", "b@127"))).toEqual({ ...at, kind: "changed", line: 1, found: null });
    expect(await faultOf(`${closed}\n`)).toMatchObject({ kind: "removed", line: 1, seq: 1, found: 2 });
    expect(await faultOf(`${opened}\n${opened}\n`)).toEqual({
      kind: "reordered",
      file: name,
      line: 2,
      seq: 2,
      found: 1,
    });
    expect(await faultOf(text.slice(0, 50))).toMatchObject({ kind: "torn" });
    writeFileSync(file, text);
    expect(await ask(ran, "audit", "verify", "--head", String(first["head"]))).toMatchObject({ records: 2 });
  });

  it("names the place among the files of a rotated log", async () => {
    rmSync(join(home, "log"), { recursive: true });
    log = openLog(100);
    attempts(0, 30);
    expect((await verify()).result).toMatchObject({ fault: null, records: log.head.seq });
    const [, second = "", third = ""] = files();
    copyFileSync(second, join(home, "kept"));
    unlinkSync(second);
    const gone = await verify();
    expect(gone).toMatchObject({ exit: 1, result: { fault: { kind: "removed", line: 1 } } });
    expect(third.endsWith(String((gone.result["fault"] as Fields)["file"]))).toBe(true);
    const human = await runCli(home, ["audit", "verify", "log"]);
    expect(human).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^\d+ records \(1 to \d+\) before it are as they were/),
    });
    renameSync(join(home, "kept"), second);
    expect((await verify()).exit).toBe(0);
  });

  it("takes a gap that the log tells of for a fault with --strict alone", async () => {
    log.record({ kind: "log", event: "gap", lost: 7 });
    expect(await verify()).toMatchObject({ exit: 0, result: { lost: 7 } });
    expect(await verify("--strict")).toMatchObject({ exit: 1, result: { fault: { kind: "gap", seq: log.head.seq } } });
  });
});
