import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { failureOf } from "../testkit/failure.ts";
import { durationArgument } from "./duration.ts";
import { formatKeyLine, parseKeyLines, wholeKey } from "./key-lines.ts";

const KEY = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

describe("key lines", () => {
  it("are read as they are written, with the host in lower case", () => {
    const line = formatKeyLine(parseNodeName("Shop@DB1.example"), wholeKey(KEY));
    expect(line).toBe(`Shop@db1.example ${KEY}`);
    const [node, ...more] = parseKeyLines(`# keys\n\n  ${line}\r\n${line}\n`, "f");
    expect(more).toEqual([]);
    expect(node).toEqual({ name: "Shop@db1.example", key: wholeKey(KEY) });
  });

  it.each([
    ["", "ERR_CONFIG KEY_LINE_INVALID"],
    ["# only a remark", "ERR_CONFIG KEY_LINE_INVALID"],
    [`no-host ${KEY}`, "ERR_CONFIG KEY_LINE_INVALID"],
    [`../../x@h ${KEY}`, "ERR_CONFIG KEY_LINE_INVALID"],
    [`a@h ${KEY} more`, "ERR_CONFIG KEY_LINE_INVALID"],
    [`a@h ${KEY}\nA@h`, "ERR_CONFIG KEY_TEXT_INVALID"],
    [`a@h ${KEY}\na@H ${OTHER}`, "ERR_CONFIG KEY_LINE_INVALID"],
    ["a@h", "ERR_CONFIG KEY_TEXT_INVALID"],
    ["a@h SHA256:If4x36FUomFia/hUBG/SJxt77UtqvkWqWId+9H+XIbk", "ERR_CONFIG KEY_NEEDED"],
    [`a@h ed25519:${Buffer.alloc(32).toString("base64")}`, "ERR_DENIED KEY_SMALL_ORDER"],
  ])("refuse %j", (text, reason) => {
    expect(failureOf(() => parseKeyLines(text, "f"))).toBe(reason);
  });
});

describe("durations", () => {
  it("are numbers with a unit", () => {
    expect(["90s", "30m", "1h", "7d"].map(durationArgument)).toEqual([90_000, 1_800_000, 3_600_000, 604_800_000]);
    for (const text of ["", "1", "h", "0s", "-1h", "1.5h", "1w", "1h2m", "9999999d"]) {
      expect(() => durationArgument(text)).toThrow();
    }
  });
});
