import { describe, expect, it } from "vitest";
import { Atom, atom, ExportFun, float, ImproperList, Pid, Reference, type Term, tuple } from "../../term/types.ts";
import { type IoStep, readIoRequest } from "./io-requests.ts";
import { answerText, costOf, textOf } from "./io-text.ts";

const PEER = { node: "w@h", creation: 7 };
const FROM = new Pid("w@h", 5, 0, 7);
const REF = new Reference("w@h", 7, [1, 2, 3]);
const a = (name: string) => atom(name);
const bytes = (text: string) => Buffer.from(text, "utf8");
const chars = (text: string) => Array.from(text, (char) => char.codePointAt(0) as number);

function read(message: Term, maxBytes = 1_000) {
  return readIoRequest(message, PEER, maxBytes);
}

function stepsOf(request: Term, maxBytes?: number): readonly IoStep[] | undefined {
  return read(tuple(a("io_request"), FROM, REF, request), maxBytes)?.steps;
}

/** The one step of a request, in few words. */
function shown(request: Term, maxBytes?: number): string {
  const [step, ...more] = stepsOf(request, maxBytes) ?? [];
  expect(more).toEqual([]);
  switch (step?.kind) {
    case "put":
      return `put ${step.bytes.toString("utf8")}${step.isCut ? " cut" : ""}`;
    case "format":
      return `format ${step.fn}/${step.args.length} ${step.encoding}`;
    case "line":
      return `line ${step.prompt.toString("utf8")} ${step.encoding}`;
    case "chars":
      return `chars ${step.prompt.toString("utf8")} ${step.count} ${step.encoding}`;
    case "tokens":
      return `tokens ${step.prompt.toString("utf8")} /${step.args.length}`;
    case "geometry":
      return `geometry ${step.what}`;
    case "refused":
      return step.why;
    default:
      return step?.kind ?? "nothing";
  }
}

const UNICODE = a("unicode");
const LATIN1 = a("latin1");
const format = (...args: readonly Term[]) => args;

describe("a request to a group leader", () => {
  it.each<[string, Term, string]>([
    ["put_chars of a binary", tuple(a("put_chars"), UNICODE, bytes("é\n")), "put é\n"],
    ["of a list", tuple(a("put_chars"), UNICODE, [chars("a"), [bytes("b"), 0xe9], []]), "put abé"],
    ["of an improper list", tuple(a("put_chars"), UNICODE, new ImproperList([97], bytes("b"))), "put ab"],
    ["in latin1", tuple(a("put_chars"), LATIN1, Buffer.from([0xe9, 0x9b])), "put é\u009b"],
    ["in the old form", tuple(a("put_chars"), Buffer.from([0xe9])), "put é"],
    ["of nothing that is text", tuple(a("put_chars"), UNICODE, a("x")), "put_chars"],
    ["of a character that is none", tuple(a("put_chars"), UNICODE, [-1]), "put_chars"],
    ["of a character above all", tuple(a("put_chars"), UNICODE, [0x110000]), "put_chars"],
    ["of a float", tuple(a("put_chars"), UNICODE, [float(97)]), "put_chars"],
    ["in no encoding", tuple(a("put_chars"), a("utf16"), bytes("a")), "enotsup"],
    ["of nothing", tuple(a("put_chars")), "enotsup"],
    [
      "a format",
      tuple(a("put_chars"), UNICODE, a("io_lib"), a("format"), format(chars("~p"), [1])),
      "format format/2 unicode",
    ],
    [
      "a format in the old form",
      tuple(a("put_chars"), a("io_lib"), a("fwrite"), format("", [])),
      "format fwrite/2 latin1",
    ],
    ["a written term", tuple(a("put_chars"), UNICODE, a("io_lib"), a("write"), format(1)), "format write/1 unicode"],
    ["a format of another arity", tuple(a("put_chars"), UNICODE, a("io_lib"), a("format"), format(1, 2, 3)), "enotsup"],
    ["another function of io_lib", tuple(a("put_chars"), UNICODE, a("io_lib"), a("fread"), format(1, 2)), "enotsup"],
    ["another module", tuple(a("put_chars"), UNICODE, a("os"), a("cmd"), format(chars("id"))), "enotsup"],
    ["a format of another module", tuple(a("put_chars"), UNICODE, a("evil"), a("format"), format(1, 2)), "enotsup"],
    ["a name of JavaScript", tuple(a("put_chars"), UNICODE, a("io_lib"), a("constructor"), format(1)), "enotsup"],
    ["arguments that are no list", tuple(a("put_chars"), UNICODE, a("io_lib"), a("write"), 1), "enotsup"],
    ["get_line", tuple(a("get_line"), UNICODE, chars("p> ")), "line p>  unicode"],
    ["get_line in the old form", tuple(a("get_line"), a("prompt")), "line prompt latin1"],
    [
      "get_line with a prompt in another form",
      tuple(a("get_line"), UNICODE, tuple(a("format"), 1, 2)),
      "line  unicode",
    ],
    ["get_chars", tuple(a("get_chars"), UNICODE, bytes(""), 3), "chars  3 unicode"],
    ["get_chars of none", tuple(a("get_chars"), UNICODE, bytes(""), 0), "enotsup"],
    ["get_chars of too many", tuple(a("get_chars"), UNICODE, bytes(""), 65_537), "enotsup"],
    [
      "get_until with erl_scan:tokens",
      tuple(a("get_until"), UNICODE, bytes("1> "), a("erl_scan"), a("tokens"), [1, [new ExportFun("m", "f", 1)]]),
      "tokens 1>  /2",
    ],
    ["in the old form", tuple(a("get_until"), bytes(""), a("erl_scan"), a("tokens"), []), "tokens  /0"],
    ["with more arguments", tuple(a("get_until"), UNICODE, "", a("erl_scan"), a("tokens"), [1, 2, 3]), "enotsup"],
    ["with another function", tuple(a("get_until"), UNICODE, "", a("erl_scan"), a("string"), [1]), "enotsup"],
    ["with another module", tuple(a("get_until"), UNICODE, "", a("os"), a("tokens"), [1]), "enotsup"],
    ["get_password", tuple(a("get_password"), UNICODE), "enotsup"],
    ["get_geometry", tuple(a("get_geometry"), a("rows")), "geometry rows"],
    ["get_geometry of something else", tuple(a("get_geometry"), a("depth")), "enotsup"],
    ["getopts", a("getopts"), "getopts"],
    ["setopts", tuple(a("setopts"), []), "setopts"],
    ["setopts of no list", tuple(a("setopts"), a("x")), "enotsup"],
    ["an atom", a("x"), "enotsup"],
    ["an empty tuple", tuple(), "enotsup"],
    ["requests of no list", tuple(a("requests"), a("x")), "enotsup"],
    ["more than 64 requests", tuple(a("requests"), Array(65).fill(a("getopts"))), "enotsup"],
  ])("%s", (_, request, expected) => {
    expect(shown(request)).toBe(expected);
  });

  it("takes the requests of a list apart, and none within another", () => {
    const inner = tuple(a("requests"), [a("getopts")]);
    expect(stepsOf(tuple(a("requests"), [a("getopts"), inner, a("x")]))).toEqual([
      { kind: "getopts" },
      { kind: "refused", why: "enotsup" },
      { kind: "refused", why: "enotsup" },
    ]);
    expect(stepsOf(tuple(a("requests"), []))).toEqual([]);
  });

  it("is cut, or refused, when it is too long", () => {
    expect(shown(tuple(a("put_chars"), UNICODE, bytes("x".repeat(20))), 10)).toBe(`put ${"x".repeat(10)} cut`);
    const long = format(chars("~p"), [Buffer.alloc(2_000)]);
    expect(shown(tuple(a("put_chars"), UNICODE, a("io_lib"), a("format"), long))).toBe("eagain");
    expect(shown(tuple(a("get_until"), UNICODE, "", a("erl_scan"), a("tokens"), long))).toBe("eagain");
  });

  it.each<[string, Term]>([
    ["another message", tuple(a("$gen_call"), FROM, REF, a("getopts"))],
    ["a tuple of another size", tuple(a("io_request"), FROM, REF)],
    ["no tuple", a("io_request")],
    ["a process of another node", tuple(a("io_request"), new Pid("x@h", 5, 0, 7), REF, a("getopts"))],
    ["a process of another life", tuple(a("io_request"), new Pid("w@h", 5, 0, 8), REF, a("getopts"))],
    ["no process", tuple(a("io_request"), a("w"), REF, a("getopts"))],
    [
      "an answer by anything but a reference or a pid",
      tuple(a("io_request"), FROM, new Atom("$gen_call"), a("getopts")),
    ],
  ])("is none: %s", (_, message) => {
    expect(read(message)).toBeUndefined();
  });
});

describe("text of a request", () => {
  it("is read up to its bound, whatever it is made of", () => {
    const cut = (data: Term) => textOf(data, "unicode", 10);
    const ten = "a".repeat(10);
    expect(cut(bytes(ten))).toEqual({ bytes: bytes(ten), isCut: false });
    expect(cut(bytes(`${ten}b`))).toEqual({ bytes: bytes(ten), isCut: true });
    expect(cut(chars(`${ten}b`))).toEqual({ bytes: bytes(ten), isCut: true });
    expect(cut(Array(5).fill(bytes("aaa")))).toEqual({ bytes: bytes(ten), isCut: true });
    expect(cut([Array(1_000).fill([])])?.isCut).toBe(true);
    expect(textOf(Buffer.alloc(8, 0xe9), "latin1", 10)?.bytes).toHaveLength(10);
    let looked = 0;
    const counted = new Proxy(Array(1_000).fill(bytes("12345678")), {
      get: (list, key) => {
        if (typeof key === "string" && /^\d+$/.test(key)) looked++;
        return Reflect.get(list, key);
      },
    });
    expect([cut(counted)?.isCut, looked]).toEqual([true, 2]);
  });

  it("is answered as characters or as a binary, and not where the encoding has no such character", () => {
    expect(answerText("é😀", "unicode", false)).toEqual([0xe9, 0x1f600]);
    expect(answerText("é😀", "unicode", true)).toEqual(bytes("é😀"));
    expect(answerText("é", "latin1", true)).toEqual(Buffer.from([0xe9]));
    expect(answerText("€", "latin1", true)).toBeUndefined();
  });

  it("costs what is in it, and is not counted beyond the bound", () => {
    expect(costOf([1, tuple(Buffer.alloc(100))], 1_000)).toBe(4 * 8 + 100);
    expect(costOf(new Map<Term, Term>([[1, 2]]), 1_000)).toBe(24);
    expect(costOf(2n ** 4_000n, 10_000)).toBe(1_009);
    const wide = [Array(100_000).fill(1)];
    expect(costOf(wide, 1_000)).toBe(1_001);
  });
});
