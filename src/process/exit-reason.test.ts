import { describe, expect, it } from "vitest";
import { Atom, atom, Pid, Reference, type Term, tuple } from "../term/types.ts";
import { downMessage, exitMessage, handlerError, scrubReason } from "./exit-reason.ts";

describe("scrubReason", () => {
  const kept = ["normal", "shutdown", "killed", "noproc", "noconnection"];
  it.each(kept)("lets %s pass", (name) => {
    expect(scrubReason(atom(name))).toEqual(new Atom(name));
  });

  it("lets a handler error with an id pass, and only with an id", () => {
    expect(scrubReason(handlerError("01ARZ3NDEK"))).toEqual(handlerError("01ARZ3NDEK"));
    for (const id of ["", "lower", "A".repeat(27), "A B"]) {
      expect(scrubReason(handlerError(id))).toEqual(new Atom("error"));
    }
    expect(scrubReason(tuple(atom("handler_error"), "secret"))).toEqual(new Atom("error"));
  });

  const reduced: [string, Term, string][] = [
    ["kill", atom("kill"), "killed"],
    ["{shutdown, State}", tuple(atom("shutdown"), "state"), "shutdown"],
    ["another atom", atom("my_secret"), "error"],
    ["the atom undefined", undefined, "error"],
    ["{badmatch, State}", tuple(atom("badmatch"), 1), "error"],
    ["a list", [1], "error"],
    ["{noproc, MFA}", tuple(atom("noproc"), tuple(atom("m"))), "error"],
  ];
  it.each(reduced)("reduces %s", (_name, reason, expected) => {
    expect(scrubReason(reason)).toEqual(new Atom(expected));
  });
});

describe("messages", () => {
  it("have the shapes that Erlang gives them", () => {
    const pid = new Pid("a@h", 1, 0, 1);
    const ref = new Reference("b@h", 1, [1, 2, 3]);
    expect(exitMessage(pid, 5)).toEqual(tuple(atom("EXIT"), pid, 5));
    expect(downMessage(ref, { target: pid, node: "a@h", reason: 5 })).toEqual(
      tuple(atom("DOWN"), ref, atom("process"), pid, 5),
    );
    expect(downMessage(ref, { target: "nil", node: "a@h", reason: 5 })).toEqual(
      tuple(atom("DOWN"), ref, atom("process"), tuple(null, new Atom("a@h")), 5),
    );
  });
});
