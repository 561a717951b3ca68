import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { decodeTerm } from "../term/decode.ts";
import { ExportFun, ImproperList, type Term, tuple } from "../term/types.ts";
import { a, bytesOf, COMMANDER, cPid, cRef, GatewayTraffic, WORKER, wPid, wRef } from "../testkit/gateway-traffic.ts";
import type { Control } from "../wire/control-types.ts";
import { GatewayFilter } from "./filter.ts";
import type { FilterOptions } from "./filter-parts.ts";
import { readFormat } from "./io-format.ts";
import { judgeRequest } from "./io-requests.ts";
import { commanderProfile } from "./profile.ts";

const chars = (text: string): number[] => [...text].map((char) => char.codePointAt(0) as number);
const put = (data: Term, encoding = "unicode"): Term => tuple(a("put_chars"), a(encoding), data);
const format = (text: Term, args: Term, fn = "format"): Term =>
  tuple(a("put_chars"), a("unicode"), a("io_lib"), a(fn), [text, args]);

/** `{put_chars, unicode, io_lib, Fn, Args}` */
const ofIoLib = (fn: Term, args: Term): Term => tuple(a("put_chars"), a("unicode"), a("io_lib"), fn, args);

function nestedLists(depth: number, innermost: Term): Term {
  let term = innermost;
  for (let i = 0; i < depth; i++) term = [term];
  return term;
}

/** The request as it passes; undefined when it does not. */
function passed(request: Term, profile: "output" | "shell" = "output"): Term | undefined {
  const bytes = bytesOf(request);
  const allowed = judgeRequest(bytes, 0, bytes.length, 0, profile);
  if (allowed === undefined) return undefined;
  return decodeTerm(Buffer.concat([Buffer.from([131]), allowed.cleaned ?? bytes]));
}

describe("requests to a group leader that is no shell", () => {
  it.each<[string, Term]>([
    ["characters", put(Buffer.from("hé ✓\n\t"))],
    ["a list", put([Buffer.from("a"), chars("bc✓"), new ImproperList([100], Buffer.from("e"))])],
    ["the old form", tuple(a("put_chars"), chars("hello"))],
    ["a format", format(chars("~p ~ts~n ~4.10.0b ~w"), [[1, 2], Buffer.from("é"), 3, new Map([[a("k"), 7]])])],
    ["fwrite, with no argument", format(Buffer.from("hello~n"), [], "fwrite")],
    ["numbers as arguments", format(chars("~w ~b"), [1, 27])],
    ["io:write", ofIoLib(a("write"), [tuple(a("x"), chars("\u001b"))])],
    ["io:write of a small number, whose list is a string", ofIoLib(a("write"), [27])],
    ["getopts", a("getopts")],
    ["get_geometry", tuple(a("get_geometry"), a("columns"))],
    ["several", tuple(a("requests"), [put([65]), tuple(a("get_geometry"), a("rows"))])],
  ])("pass as they are: %s", (_, request) => {
    expect(passed(request)).toEqual(request);
  });

  it.each<[string, Term]>([
    [
      "a function of the worker's choice (WK-13)",
      tuple(a("put_chars"), a("unicode"), a("os"), a("cmd"), [chars("id")]),
    ],
    ["another function of io_lib", format(chars("x"), [], "fread")],
    ["io_lib:write with a depth", ofIoLib(a("write"), [a("x"), 5])],
    ["io_lib:write with two small numbers", ofIoLib(a("write"), [1, 2])],
    ["io_lib:write without a term", ofIoLib(a("write"), [])],
    ["get_until", tuple(a("get_until"), a("unicode"), [], a("os"), a("cmd"), [])],
    ["get_line", tuple(a("get_line"), a("unicode"), chars("password: "))],
    ["get_chars", tuple(a("get_chars"), a("unicode"), [], 1)],
    ["get_password", tuple(a("get_password"), a("unicode"))],
    ["setopts", tuple(a("setopts"), [])],
    ["65 requests", tuple(a("requests"), new Array<Term>(65).fill(a("getopts")))],
    ["requests within requests", tuple(a("requests"), [tuple(a("requests"), [])])],
    ["one bad request among good ones", tuple(a("requests"), [a("getopts"), tuple(a("setopts"), [])])],
    ["data that is no text", put([a("x")])],
    ["another encoding", put([65], "utf32")],
    ["a width from the arguments", format(chars("~*w"), [5, 1])],
    ["a precision from the arguments", format(chars("~.*f"), [5, 1.5])],
    ["a padding from the arguments", format(chars("~5..*w"), [5, 1])],
    ["a width of four digits", format(chars("~1000c"), [65])],
    ["a precision of four digits", format(chars("~.1000p"), [65])],
    ["an unknown directive", format(chars("~Q"), [1])],
    ["too few arguments", format(chars("~w~w"), [1])],
    ["a format that goes on in a binary", format(new ImproperList(chars("x"), Buffer.from("~1000c")), [])],
    ["an atom with an escape", format(chars("~a"), [a("\u001b[2J")])],
    ["nothing", tuple()],
    ["another word", a("stop")],
  ])("do not pass: %s", (_, request) => {
    expect(passed(request)).toBeUndefined();
  });

  it("a tilde written as a long integer is a tilde", () => {
    // [INTEGER_EXT 126, "*", "w"], which a BEAM never makes
    const list = Buffer.from([108, 0, 0, 0, 3, 98, 0, 0, 0, 126, 97, 42, 97, 119, 106]);
    const bytes = bytesOf(format(a("here"), [5, 1]));
    const at = bytes.indexOf(bytesOf(a("here")));
    const forged = Buffer.concat([bytes.subarray(0, at), list, bytes.subarray(at + bytesOf(a("here")).length)]);
    expect(judgeRequest(forged, 0, forged.length, 0, "output")).toBeUndefined();
  });

  it.each<[string, Term, Term]>([
    ["C0 and DEL in binaries", put(Buffer.from("a\u001b[2J\r\u0007\u007f")), put(Buffer.from("a?[2J???"))],
    ["C1 in UTF-8", put(Buffer.from("a\u009b2J")), put(Buffer.from("a??2J"))],
    ["directions of text", put(Buffer.from("a\u202eb")), put(Buffer.from("a???b"))],
    ["C1 in Latin-1", put(Buffer.from([65, 0x9b, 0xe9]), "latin1"), put(Buffer.from([65, 0x3f, 0xe9]), "latin1")],
    [
      "a character cut over two binaries",
      put([Buffer.from([0xc2]), Buffer.from([0x9b])]),
      put([Buffer.from("?"), Buffer.from("?")]),
    ],
    ["a character written too long", put(Buffer.from([0xe0, 0x82, 0x9b])), put(Buffer.from("???"))],
    ["a harmless character written too long", put(Buffer.from([0xe0, 0x81, 0x81])), put(Buffer.from("???"))],
    ["characters of a list", put([0x1b, 0x9b, 0x202e, 0x2713]), put([0x3f, 0x3f, 0x3f, 0x2713])],
    ["a string", put(chars("a\u001bb")), put(chars("a?b"))],
    ["a format", format(chars("a\u001b~w"), [27]), format(chars("a?~w"), [27])],
    [
      "text among the arguments",
      format(chars("~s~w"), [chars("\u001bx"), [27]]),
      format(chars("~s~w"), [chars("?x"), [27]]),
    ],
    [
      "bytes read as Latin-1",
      format(chars("~s~w"), [Buffer.from([0xc2, 0x9b]), [1]]),
      format(chars("~s~w"), [Buffer.from([0xc2, 0x3f]), [1]]),
    ],
    ["a character among the arguments", format(chars("~c~w"), [27, 27]), format(chars("~c~w"), [0x3f, 27])],
    [
      "the prefix of a number",
      format(chars("~x~w"), [5, chars("\u001b"), [1]]),
      format(chars("~x~w"), [5, chars("?"), [1]]),
    ],
  ])("lose their control characters: %s", (_, request, expected) => {
    expect(passed(request)).toEqual(expected);
  });
});

describe("a shell", () => {
  it("also reads lines and tokens, and keeps its control characters", () => {
    for (const request of [
      put(chars("\u001b[1m")),
      format(chars("\u001b~s"), [chars("\u001b")]),
      tuple(a("get_until"), a("unicode"), chars("1> "), a("erl_scan"), a("tokens"), [1]),
      tuple(a("get_line"), a("unicode"), chars("> ")),
      tuple(a("get_chars"), a("unicode"), [], 1),
    ]) {
      expect(passed(request, "shell")).toEqual(request);
    }
    expect(passed(tuple(a("get_until"), a("unicode"), [], a("os"), a("cmd"), []), "shell")).toBeUndefined();
    expect(passed(tuple(a("put_chars"), a("unicode"), a("os"), a("cmd"), []), "shell")).toBeUndefined();
    expect(passed(format(chars("~*w"), [1, 1]), "shell")).toBeUndefined();
  });

  it("has prompts of text only: a leader also takes a format for one", () => {
    const wide = tuple(a("format"), chars("~*c"), [1_000_000_000, 120]);
    for (const request of [
      tuple(a("get_line"), wide),
      tuple(a("get_line"), a("unicode"), wide),
      tuple(a("get_chars"), wide, 1),
      tuple(a("get_chars"), a("unicode"), wide, 1),
      tuple(a("get_until"), a("unicode"), wide, a("erl_scan"), a("tokens"), [1]),
    ]) {
      expect(passed(request, "shell")).toBeUndefined();
    }
  });
});

describe("formats", () => {
  it("tell how each argument is printed, and what is added", () => {
    expect(readFormat("a~~~n~-5.10.*c")).toBeUndefined();
    expect(readFormat("~-5.10.0s~tp~ts~2W~.*")).toBeUndefined();
    expect(readFormat("~-5.10.0s~tp~ts~2W")).toMatchObject({
      uses: ["latin1", "written", "utf8", "written", "written"],
      padding: 17,
    });
    for (const cut of ["~", "~5", "~5.", "~5..", "~t"]) expect(readFormat(cut)).toBeUndefined();
  });
});

describe("printing at the commander (L6, D10a)", () => {
  const LEADER = cPid(4);
  const toLeader: Control = { kind: "send", from: wPid(9), to: LEADER };
  const request = (what: Term): Term => tuple(a("io_request"), wPid(9), wRef(3), what);

  function world(limits = {}, options: Partial<FilterOptions> = {}) {
    const filter = new GatewayFilter(
      { commander: COMMANDER, worker: WORKER, decide: commanderProfile({}, () => "ID"), limits, ...options },
      1_000 as MonotonicMs,
    );
    const wire = new GatewayTraffic(filter);
    wire.c(
      {
        kind: "spawn-request",
        ref: cRef(1),
        from: cPid(1),
        groupLeader: LEADER,
        module: "m",
        function: "f",
        arity: 0,
        options: [],
      },
      [],
    );
    return { filter, wire };
  }

  it("is for group leaders; what may not pass is answered with enotsup", () => {
    const { wire } = world();
    expect(wire.w({ kind: "monitor", from: wPid(9), target: LEADER, ref: wRef(3) }).forward).toBeDefined();
    const clean = wire.w(toLeader, request(put([0x1b, 300]))).forward;
    expect(clean === undefined ? "" : decodeTerm(Buffer.concat([Buffer.from([131]), clean.buffer]))).toEqual(
      request(put([0x3f, 300])),
    );
    for (const bad of [tuple(a("setopts"), []), put(new ExportFun("m", "f", 1))]) {
      const { answer, forward } = wire.w(toLeader, request(bad));
      expect(forward).toBeUndefined();
      expect(answer?.control).toEqual({ kind: "send", from: LEADER, to: wPid(9) });
      const said = decodeTerm(Buffer.concat([Buffer.from([131]), answer?.buffer ?? Buffer.alloc(0)]));
      expect(said).toEqual(tuple(a("io_reply"), wRef(3), tuple(a("error"), a("enotsup"))));
    }
    expect(wire.w({ ...toLeader, to: cPid(1) } as Control, request(put([65])))).toEqual({});
    expect(wire.w(toLeader, tuple(a("io_request"), cPid(9), wRef(3), put([65])))).toEqual({});
  });

  describe("a shell that tells reserved words by a fun", () => {
    const scan = (fun: Term, text: Term = chars("> "), fn = "tokens"): Term =>
      tuple(a("get_until"), a("unicode"), text, a("erl_scan"), a(fn), [
        tuple(1, 1),
        [a("text"), tuple(a("reserved_word_fun"), fun)],
      ]);
    const word = new ExportFun("erl_scan", "reserved_word", 1);

    it("is read for with that very fun, where leaders are shells", () => {
      const { wire } = world({}, { leaders: "shell" });
      expect(wire.w(toLeader, request(scan(word))).forward).toBeDefined();
      for (const bad of [
        scan(new ExportFun("os", "cmd", 1)),
        scan(new ExportFun("erl_scan", "reserved_word", 2)),
        scan(new ExportFun("erl_scan", "string", 1)),
        scan(word, new ExportFun("init", "stop", 0)),
        scan(word, [], "other"),
        put(word),
        format(chars("~p"), [word]),
        tuple(a("requests"), [scan(word)]),
      ]) {
        const { answer, forward } = wire.w(toLeader, request(bad));
        expect([forward, answer === undefined]).toEqual([undefined, false]);
      }
      const closure = Buffer.concat([
        Buffer.from([112, 0, 0, 0, 61, 1]),
        Buffer.alloc(24),
        bytesOf(a("m")),
        bytesOf(1),
        bytesOf(1),
        bytesOf(wPid(1)),
      ]);
      closure.writeUInt32BE(closure.length - 1, 1);
      const bytes = bytesOf(request(scan(a("FUN"))));
      const at = bytes.indexOf(bytesOf(a("FUN")));
      const withClosure = [bytes.subarray(0, at), closure, bytes.subarray(at + bytesOf(a("FUN")).length)];
      expect(wire.raw(toLeader, Buffer.concat(withClosure)).forward).toBeUndefined();
    });

    it("is told what would let it read", () => {
      const { filter, wire } = world();
      for (const asked of [scan(word), tuple(a("get_line"), a("unicode"), []), scan(a("x"), [], "other")]) {
        expect(wire.w(toLeader, request(asked)).forward).toBeUndefined();
      }
      wire.w(toLeader, request(scan(new ExportFun("os", "cmd", 1))));
      expect(filter.takeEvents()).toMatchObject([
        { why: "io-request", rule: 'leaders: "shell"' },
        { why: "io-request", rule: 'leaders: "shell"' },
        { why: "io-request", rule: undefined },
        { why: "fun", rule: undefined },
      ]);
    });
  });

  it("is bounded by a rate, padding included, also when the leader is named again", () => {
    const { filter, wire } = world({ leaderBytesPerSecond: 2_000 });
    const wide = request(format(chars("~999c"), [65]));
    expect(wire.w(toLeader, wide).forward).toBeDefined();
    wire.c({ kind: "group-leader", leader: LEADER, to: wPid(9) });
    const over = wire.w(toLeader, wide);
    expect([over.forward, over.answer !== undefined]).toEqual([undefined, true]);
    expect(filter.takeEvents()).toMatchObject([{ why: "rate", rule: "leaderBytesPerSecond" }]);
    wire.now = 2_000 as MonotonicMs;
    expect(wire.w(toLeader, wide).forward).toBeDefined();
  });

  it("never lets more padding through than the rate holds, also when nothing was printed before", () => {
    const { wire } = world({ leaderBytesPerSecond: 2_000 });
    expect(wire.w(toLeader, request(format(chars("~999c~999c~999c"), [65, 65, 65]))).forward).toBeUndefined();
    expect(wire.w(toLeader, request(put(Buffer.alloc(3_000, 65)))).forward).toBeDefined();
  });

  it.each<[string, string, Term]>([
    ["indentation that the format asks for", "~1.999p", [chars("\u0007\u0007\u0007\u0007")]],
    ["text in front", `${"x".repeat(999)}~p`, [[1, 2, 3, 4]]],
    ["an argument in front", "~s~p", [Buffer.alloc(999, 120), [1, 2, 3, 4]]],
    ["tabs in front", `${"\t".repeat(125)}~p`, [[1, 2, 3, 4]]],
    ["depth", "~p", [nestedLists(60, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17])]],
    ["tags", "~999p", [tuple(a("t".repeat(250)), tuple(a("t".repeat(250)), [1, 2, 3, 4]))]],
  ])("charges what ~p makes of it: %s", (_, text, args) => {
    const bytes = bytesOf(format(chars(text), args));
    const asText = bytesOf(format(chars(text.replace("p", "w").replace(/[.\d]/g, "")), args));
    const cost = (b: Buffer): number => judgeRequest(b, 0, b.length, 0, "output")?.cost ?? 0;
    expect(cost(bytes)).toBeGreaterThan(cost(asText) + 4_000 - 1_000);
  });

  it("is learned from a call of rex and from group_leader/2 too (L7)", () => {
    for (const control of ["rex", "group-leader"]) {
      const { wire } = world();
      const leader = cPid(77);
      if (control === "rex") {
        const call = tuple(a("call"), a("m"), a("f"), [], leader);
        const from = cPid(1);
        wire.c({ kind: "reg-send", from, name: "rex" }, tuple(a("$gen_call"), tuple(from, cRef(5)), call));
      } else wire.c({ kind: "group-leader", leader, to: wPid(9) });
      expect(wire.w({ ...toLeader, to: leader } as Control, request(put([65]))).forward).toBeDefined();
    }
  });
});
