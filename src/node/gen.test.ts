import { describe, expect, it } from "vitest";
import { Atom, ImproperList, Pid, Reference, type Term, tuple } from "../term/types.ts";
import { callTag, genCall, genCast, goesTo, readGenCall, readGenCast, readReplyTo, replyRef } from "./gen.ts";

const pid = new Pid("a@h", 1, 0, 7);
const ref = new Reference("a@h", 7, [1, 2, 3]);
const a = (name: string) => new Atom(name);
const aliasTag = new ImproperList([a("alias")], ref);

describe("gen_server messages", () => {
  it("writes and reads a call with an alias, and without for peers that know none", () => {
    expect(genCall(pid, ref, true, 42)).toEqual(tuple(a("$gen_call"), tuple(pid, aliasTag), 42));
    expect(genCall(pid, ref, false, 42)).toEqual(tuple(a("$gen_call"), tuple(pid, ref), 42));
    expect(readGenCall(genCall(pid, ref, true, 42))).toEqual({
      replyTo: { pid, tag: aliasTag, alias: ref, monitor: ref },
      request: 42,
    });
    expect(readGenCall(genCall(pid, ref, false, undefined))).toEqual({
      replyTo: { pid, tag: ref, alias: undefined, monitor: ref },
      request: undefined,
    });
  });

  it("reads the nested tag of multi_call and keeps it as it came", () => {
    const tag = new ImproperList([aliasTag], 5);
    expect(readGenCall(tuple(a("$gen_call"), tuple(pid, tag), 1))?.replyTo).toEqual({
      pid,
      tag,
      alias: ref,
      monitor: ref,
    });
  });

  it("takes any term for a tag, without a monitor then", () => {
    for (const tag of [a("x"), 1, [ref], new ImproperList([a("nope")], ref), new ImproperList([a("alias"), 1], ref)]) {
      expect(readGenCall(tuple(a("$gen_call"), tuple(pid, tag), 1))?.replyTo).toEqual({
        pid,
        tag,
        alias: undefined,
        monitor: undefined,
      });
    }
  });

  it.each([
    ["no tuple", a("$gen_call")],
    ["two elements", tuple(a("$gen_call"), tuple(pid, ref))],
    ["four elements", tuple(a("$gen_call"), tuple(pid, ref), 1, 2)],
    ["another head", tuple(a("gen_call"), tuple(pid, ref), 1)],
    ["a string head", tuple("$gen_call", tuple(pid, ref), 1)],
    ["no sender", tuple(a("$gen_call"), ref, 1)],
    ["a sender of three", tuple(a("$gen_call"), tuple(pid, ref, 1), 1)],
    ["a name as sender", tuple(a("$gen_call"), tuple(a("x"), ref), 1)],
    ["a list", [a("$gen_call"), tuple(pid, ref), 1]],
  ] as const)("does not take %s for a call", (_, term) => {
    expect(readGenCall(term as Term)).toBeUndefined();
  });

  it("wraps and unwraps a cast, whatever the message", () => {
    for (const message of [undefined, null, 0, tuple()]) expect(readGenCast(genCast(message))).toEqual({ message });
    for (const other of [tuple(a("$gen_cast")), tuple(a("$gen_cast"), 1, 2), tuple(a("cast"), 1), a("$gen_cast")]) {
      expect(readGenCast(other)).toBeUndefined();
    }
  });

  it("finds the reference in a reply's tag, in the form in which it was sent only", () => {
    const nested = new ImproperList([aliasTag], 5);
    const tags: readonly Term[] = [ref, aliasTag, nested, a("x"), [ref], new ImproperList([a("alias"), 1], ref)];
    expect(tags.map((tag) => replyRef(tag, true))).toEqual([undefined, ref, ...tags.slice(2).map(() => undefined)]);
    expect(tags.map((tag) => replyRef(tag, false))).toEqual([ref, ...tags.slice(1).map(() => undefined)]);
    expect(replyRef(callTag(ref, true), true)).toBe(ref);
  });

  it("says whether an answer goes to one node in one life only", () => {
    const goes = (alias: Term, node: string, creation: number): boolean => {
      const replyTo = readReplyTo(tuple(pid, alias));
      if (replyTo === undefined) throw new Error("no place to answer to");
      return goesTo(replyTo, node, creation);
    };
    expect(goes(aliasTag, "a@h", 7)).toBe(true);
    expect(goes(aliasTag, "b@h", 7)).toBe(false);
    expect(goes(aliasTag, "a@h", 8)).toBe(false);
    expect(goes(new ImproperList([a("alias")], new Reference("b@h", 7, [1])), "a@h", 7)).toBe(false);
    expect(goes(new ImproperList([a("alias")], new Reference("a@h", 8, [1])), "a@h", 7)).toBe(false);
    expect(readReplyTo(tuple(1, ref))).toBeUndefined();
    expect(readReplyTo(tuple(pid))).toBeUndefined();
  });
});
