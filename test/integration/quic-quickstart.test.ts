import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { freeUdpPort } from "../interop/erlang-node.ts";
import { answerOf, type Cli, type Fields, runCli, start } from "./cli-process.ts";
import { runScript } from "./run-script.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-quic-start-")));
const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
const PAGE = readFileSync(new URL("../../docs/quic-quickstart.md", import.meta.url), "utf8");
const running: Cli[] = [];

afterAll(async () => {
  await Promise.all(running.map((node) => node.kill("SIGKILL")));
  rmSync(ROOT, { recursive: true, force: true });
});

/** Fenced blocks of a language under a heading. */
function blocks(heading: string, language = ""): readonly string[] {
  const section = new RegExp(`\\n## ${heading}\\n([\\s\\S]*?)(?=\\n## |$)`).exec(PAGE)?.[1] ?? "";
  return [...section.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)]
    .filter((fence) => fence[1] === language)
    .map((fence) => fence[2] ?? "");
}

/** The commands of a block. */
const commands = (block: string): readonly string[] => [...block.matchAll(/^\$ (.*)$/gm)].map((line) => line[1] ?? "");

describe("the page about two nodes over QUIC", () => {
  it("goes as it is printed, from init to a call", { timeout: 120_000 }, async () => {
    const ports = { 9301: await freeUdpPort(), 9302: await freeUdpPort() };
    const sallyport = `sallyport() { ${JSON.stringify(process.execPath)} ${JSON.stringify(MAIN)} "$@"; }`;
    const prepare = ["Two homes", "Keys", "Policies", "Addresses"].flatMap((heading) =>
      blocks(heading).flatMap(commands),
    );
    expect(prepare.length).toBeGreaterThan(12);
    const script = prepare.join("\n").replace(/\b(9301|9302)\b/g, (port) => String(ports[port as "9301" | "9302"]));
    expect(await runScript(ROOT, `set -e\n${sallyport}\n${script}`)).toMatchObject({ code: 0, err: "" });

    const [first = [], second = [], third = []] = blocks("Start, ping, call").map(commands);
    for (const [home, words] of [first, second].map(
      ([cd = "", line = ""]) => [cd.slice(3), line.split(" ")] as const,
    )) {
      expect(words.slice(0, 2)).toEqual(["sallyport", "start"]);
      running.push((await start(join(ROOT, home), ...words.slice(2))).node);
    }
    const asked = await runScript(ROOT, `set -e\n${sallyport}\n${third.join("\n")}`);
    expect(asked).toMatchObject({ code: 0, err: "" });
    expect(asked.out).toMatch(
      /^pong from g@127\.0\.0\.1 in [\d.]+ ms \(protocol barrel, assurance pinned\)\n\{ok,3\}\n/,
    );
    const [g, h] = running.map((node) => node.events.filter(({ event }) => event === "nodeup"));
    expect(g).toMatchObject([{ peer: "h@127.0.0.1", role: "acceptor", assurance: "cookie" }]);
    expect(h).toMatchObject([{ peer: "g@127.0.0.1", role: "initiator", assurance: "pinned" }]);
  });

  it.each([
    ["Settings", ["QUIC_VISIBLE"]],
    ["Joining a barrel_p2p cluster", []],
  ] as const)("has settings that a configuration takes: %s", async (heading, warned) => {
    const home = join(ROOT, heading.split(" ", 1)[0] ?? "");
    expect((await runCli(ROOT, ["init", home, "--name", "c@127.0.0.1"])).code).toBe(0);
    const file = join(home, "sallyport.jsonc");
    const settings = blocks(heading, "jsonc").join("");
    expect(settings).toMatch(/^"/);
    const config = readFileSync(file, "utf8").replace("tls://127.0.0.1:9100", "quic://127.0.0.1:0");
    writeFileSync(file, config.replace("{", `{\n${settings}`));
    writeFileSync(join(home, "sys.config"), "[{quic,[{dist,[{nodes,[]}]}]}].\n");
    const { ok, result } = await answerOf(home, "doctor");
    const found = (result["checks"] as readonly Fields[]).filter(({ check }) => check === "config");
    expect([ok, found.map(({ code }) => code)]).toEqual([true, [null, ...warned]]);
  });
});
