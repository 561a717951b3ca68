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
  const name = parseNodeName;
  const full = { code: "ERR_LIMIT", reason: "SESSIONS_FULL" };

  it("refuses a further name, and keeps the place of those that are there", () => {
    const sessions = new Sessions(name("own@h"), 2);
    sessions.add(session("a@h"));
    expect(sessions.noRoomFor(name("b@h"), "pinned")).toBeUndefined();
    sessions.add(session("b@h"));
    expect(sessions.noRoomFor(name("c@h"), "pinned")).toMatchObject(full);
    expect(sessions.noRoomFor(name("a@H"), "none")).toBeUndefined();
  });

  it("keeps a quarter for those that are surely who they say", () => {
    const sessions = new Sessions(name("own@h"), 4);
    for (const peer of ["a@h", "b@h", "c@h"]) sessions.add(session(peer));
    for (const level of ["none", "cookie", "tofu"] as const) {
      expect(sessions.noRoomFor(name("d@h"), level)).toMatchObject(full);
    }
    for (const level of ["ca", "pinned"] as const) expect(sessions.noRoomFor(name("d@h"), level)).toBeUndefined();
  });
});
