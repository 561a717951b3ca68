import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

/** As much of a session as the table looks at. */
function session(name: string): Session {
  const parsed = parseNodeName(name);
  return { facts: { name: parsed, assurance: "ca" }, peer: { name: parsed } } as unknown as Session;
}

describe("the bound on sessions", () => {
  it("refuses a further name, and keeps the place of those that are there", () => {
    const sessions = new Sessions(parseNodeName("own@h"), 2);
    sessions.add(session("a@h"));
    expect(sessions.noRoomFor(parseNodeName("b@h"))).toBeUndefined();
    sessions.add(session("b@h"));
    expect(sessions.noRoomFor(parseNodeName("c@h"))).toMatchObject({ code: "ERR_LIMIT", reason: "SESSIONS_FULL" });
    expect(sessions.noRoomFor(parseNodeName("a@H"))).toBeUndefined();
  });
});
