import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { type AuditFlags, auditOf } from "./audit-directory.ts";

/** What `start` does with these flags in /srv, where the configuration says `config`. */
function directory(flags: AuditFlags, config?: string): string | undefined {
  const files = new FaultyFiles();
  if (config !== undefined) files.put("/srv/sallyport.jsonc", config);
  const world = { files, random: new SeededRandom(1), environment: () => undefined, directory: "/srv", hostname: "h" };
  return auditOf(flags, world).audit?.dir;
}

describe("auditOf", () => {
  it.each<[string, AuditFlags, string | undefined, string | undefined]>([
    ["nothing says otherwise", {}, "{}", "/srv/data/audit"],
    ["there is no configuration", {}, undefined, undefined],
    ["the configuration names one", {}, '{ "audit": { "dir": "log" } }', "/srv/log"],
    ["the configuration wants none", {}, '{ "audit": false }', undefined],
    ["the command line wants none", { audit: false }, "{}", undefined],
    ["the command line names one", { auditDir: "x" }, '{ "audit": false }', "/srv/x"],
    ["there is only a key directory", { keyDir: "keys" }, undefined, "/srv/keys/audit"],
    ["another node's keys are named", { keyDir: "keys" }, "{}", "/srv/keys/audit"],
    ["the configuration's own keys are named", { keyDir: "data/keys" }, "{}", "/srv/data/audit"],
  ])("finds the place when %s", (_when, flags, config, expected) => {
    expect(directory(flags, config)).toBe(expected);
  });

  it("changes the place alone with --audit-dir: what else the configuration says of the log stays in force", () => {
    const files = new FaultyFiles();
    files.put("/srv/sallyport.jsonc", '{ "audit": { "dir": "log", "failClosed": true } }');
    const world = {
      files,
      random: new SeededRandom(1),
      environment: () => undefined,
      directory: "/srv",
      hostname: "h",
    };
    expect(auditOf({ auditDir: "x" }, world)).toEqual({ audit: { dir: "/srv/x", failClosed: true } });
    expect(auditOf({ keyDir: "keys" }, world)).toEqual({ audit: { dir: "/srv/keys/audit" } });
  });
});
