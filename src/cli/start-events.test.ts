import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { eventJson, eventLine, handlerErrorEvent, refusedEvent, type StartEvent } from "./start-events.ts";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const PLAIN = pc.createColors(false);
const COLOURED = pc.createColors(true);

const EVENTS: readonly StartEvent[] = [
  { event: "nodedown", peer: "b@h", reason: "CLOSED" },
  { event: "warning", reason: "X", message: "a\u001b[2Jb" },
  refusedEvent(
    "10.0.0.1:1\u001b[2J",
    "acceptor",
    new SallyportError("ERR_DENIED", "NO", "no\u001b[2J", { advice: "do\u001b[2J" }),
  ),
  handlerErrorEvent("ID", "calc.call", new Error("bad\u001b[2J\nsecond line")),
  { event: "stopped", reason: "SIGTERM" },
];

describe("events of start", () => {
  it("carry their kind first and the time as ISO text in JSON", () => {
    const json = JSON.stringify(eventJson({ event: "nodedown", peer: "b@h", reason: "CLOSED" }, AT));
    expect(json).toBe('{"event":"nodedown","at":"2026-01-02T03:04:05.006Z","peer":"b@h","reason":"CLOSED"}');
    for (const event of EVENTS) expect(JSON.stringify(eventJson(event, AT))).not.toContain("\u001b");
  });

  it("are one line with the time for people, without controls from elsewhere", () => {
    for (const event of EVENTS) expect(eventLine(event, AT, PLAIN)).toMatch(/^03:04:05 [a-z]+ +[\x20-\x7e]+$/);
  });

  it("have our colours only where they are on", () => {
    const [first] = EVENTS;
    expect(eventLine(first!, AT, COLOURED)).toContain("\u001b[");
  });

  it("name the code, reason and advice of a refused connection", () => {
    const refused = eventJson(
      refusedEvent("h:1", "acceptor", new SallyportError("ERR_DENIED", "NO", "x", { advice: "y" })),
      AT,
    );
    expect(refused).toMatchObject({
      event: "refused",
      address: "h:1",
      role: "acceptor",
      code: "ERR_DENIED",
      reason: "NO",
      advice: "y",
    });
  });
});
