import { describe, expect, it } from "vitest";
import { encodeTerm } from "../term/encode.ts";
import { TupleHead } from "../term/peek.ts";
import { atom, ImproperList, Pid, Reference, type Term, tuple } from "../term/types.ts";
import { classifyMessage } from "./classify.ts";

const pid = new Pid("a@h", 1, 0, 7);
const ref = new Reference("a@h", 7, [1, 2, 3]);
const from = tuple(pid, new ImproperList([atom("alias")], ref));
const head = new TupleHead();

function verbOf(bytes: Buffer, atomRefs?: readonly Term[]): string {
  return classifyMessage(bytes, 0, bytes.length, head, atomRefs);
}

/** A tuple of `first` in the tag `tag` and small integers. */
function tupleOf(tag: number, name: string, arity: number): Buffer {
  const size = tag === 119 || tag === 115 ? [name.length] : [0, name.length];
  return Buffer.concat([
    Buffer.from([104, arity, tag, ...size]),
    Buffer.from(name),
    Buffer.from(new Array<number[]>(arity - 1).fill([97, 1]).flat()),
  ]);
}

describe("classifyMessage", () => {
  it.each<[string, Term]>([
    ["call", tuple(atom("$gen_call"), from, 1)],
    ["cast", tuple(atom("$gen_cast"), 1)],
    ["io", tuple(atom("io_request"), pid, ref, 1)],
    ["system", tuple(atom("system"), from, atom("get_state"))],
    ["system", tuple(atom("EXIT"), pid, atom("kill"))],
    ["system", tuple(atom("DOWN"), ref, atom("process"), pid, atom("normal"))],
    ["system", tuple(atom("io_reply"), ref, 1)],
    ["send", tuple(atom("exit"), 1)],
    ["send", tuple(atom("$gen_calk"), 1)],
    ["send", tuple("EXIT", 1)],
    ["send", tuple()],
    ["send", atom("EXIT")],
    ["send", [atom("EXIT")]],
    ["send", 1],
  ])("takes for %s: %s", (verb, term) => {
    expect(verbOf(encodeTerm(term).subarray(1))).toBe(verb);
  });

  it("takes a call or cast for what it says it is, whatever follows", () => {
    for (const arity of [1, 2, 3, 4, 9]) {
      expect(verbOf(tupleOf(119, "$gen_call", arity))).toBe("call");
      expect(verbOf(tupleOf(119, "$gen_cast", arity))).toBe("cast");
    }
  });

  it.each([119, 118, 115, 100])("knows atoms in the form of tag %i", (tag) => {
    expect(verbOf(tupleOf(tag, "$gen_call", 3))).toBe("call");
    expect(verbOf(tupleOf(tag, "system", 3))).toBe("system");
    expect(verbOf(tupleOf(tag, "io_request", 4))).toBe("io");
  });

  it("knows atoms of the distribution header, and tuples of the large form", () => {
    const byRef = Buffer.from([104, 2, 82, 1, 97, 1]);
    expect(verbOf(byRef, [atom("x"), atom("$gen_cast")])).toBe("cast");
    expect(verbOf(byRef, [atom("x")])).toBe("send");
    const large = Buffer.concat([Buffer.from([105, 0, 0, 0, 3]), tupleOf(119, "$gen_call", 3).subarray(2)]);
    expect(verbOf(large)).toBe("call");
  });

  it("says send of what is cut, and never throws", () => {
    const whole = tupleOf(118, "$gen_call", 3);
    const headEnd = 5 + "$gen_call".length;
    for (let end = 0; end < headEnd; end++) expect(classifyMessage(whole, 0, end, head)).toBe("send");
    expect(classifyMessage(whole, 0, headEnd, head)).toBe("call");
  });
});
