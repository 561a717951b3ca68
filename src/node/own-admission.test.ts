import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { SourceList } from "../carrier/source-list.ts";
import { Doors } from "./doors.ts";
import { OwnAdmission } from "./own-admission.ts";

const A = parseNodeName("a@h");
const FIRST = { sources: ["192.0.2.7"], nodes: ["a@h"] };

function make() {
  const doors = new Doors();
  const sources = new SourceList();
  const asked: (readonly string[])[] = [];
  const admission = new OwnAdmission({
    doors,
    sources,
    hostsWith: (nodes) => ["table.example", ...nodes],
    peers: { replace: async (hosts) => void asked.push(hosts) },
  });
  return { doors, sources, asked, admission };
}

describe("OwnAdmission", () => {
  it.each([
    ["sources", { sources: ["x"], nodes: ["b@h"] }],
    ["names", { sources: ["192.0.2.8"], nodes: ["no pattern"] }],
  ])("changes nothing where the %s are wrong", async (_, option) => {
    const { doors, sources, admission } = make();
    await admission.replace(FIRST);
    await expect(admission.replace(option)).rejects.toMatchObject({ code: "ERR_CONFIG" });
    expect(admission.option).toEqual(FIRST);
    expect(doors.refusalOf(A, "acceptor")).toBeUndefined();
    expect(["192.0.2.7", "192.0.2.8"].filter((address) => sources.admits(address))).toEqual(["192.0.2.7"]);
  });

  it("has hosts looked up only where the list asks for peers", async () => {
    const { asked, admission } = make();
    await admission.replace({ sources: ["peers"], nodes: ["a@h"] });
    await admission.replace(FIRST);
    await admission.replace({});
    expect(asked).toEqual([["table.example", "a@h"], [], []]);
  });
});

describe("Doors", () => {
  it("asks the list about who comes in, and not about whom the node dials", () => {
    const doors = new Doors(undefined, []);
    expect(doors.refusalOf(A, "acceptor")).toMatchObject({ reason: "NODE_NOT_ALLOWED" });
    expect(doors.refusalOf(A, "dialler")).toBeUndefined();
  });
});
