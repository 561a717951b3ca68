import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failureOf } from "../testkit/failure.ts";
import {
  decodeEpmdRequest,
  encodeAliveAnswer,
  encodeAliveRequest,
  encodeNamesAnswer,
  encodeNamesRequest,
  encodePortAnswer,
  encodePortPleaseRequest,
  epmdEntry,
  MAX_EPMD_REQUEST_BYTES,
} from "./epmd.ts";
import { AliveAnswerParser, NamesAnswerParser, PortAnswerParser } from "./epmd-answers.ts";

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function decode(text: string) {
  const bytes = hex(text);
  return decodeEpmdRequest(bytes, 0, bytes.length);
}

/** Feeds the bytes one by one and returns the answer, which must come with the last byte. */
function drip<A>(parser: { push(chunk: Buffer): A | undefined }, bytes: Buffer): A | undefined {
  for (let i = 0; i < bytes.length - 1; i++) expect(parser.push(bytes.subarray(i, i + 1))).toBeUndefined();
  return parser.push(bytes.subarray(bytes.length - 1));
}

const JS = epmdEntry("js", 5555, true);

describe("EPMD requests", () => {
  it("encodes and decodes the captured registration (V1)", () => {
    const request = "0010 78 15b3 48 00 0006 0006 0003 6a7378 0000".replaceAll(" ", "");
    const entry = epmdEntry("jsx", 5555, true);
    expect(encodeAliveRequest(entry).toString("hex")).toBe(request);
    expect(decode(request.slice(4))).toEqual({ kind: "alive", entry });
    const extra = { ...entry, extra: Buffer.from("xyz"), hidden: false };
    expect(decodeEpmdRequest(encodeAliveRequest(extra), 2, encodeAliveRequest(extra).length)).toEqual({
      kind: "alive",
      entry: extra,
    });
  });

  it("encodes and decodes lookups and lists", () => {
    expect(encodePortPleaseRequest("js").toString("hex")).toBe("00037a6a73");
    expect(decode("7a6a73")).toEqual({ kind: "port-please", name: "js" });
    expect(encodeNamesRequest().toString("hex")).toBe("00016e");
    expect(decode("6e")).toEqual({ kind: "names" });
    expect([decode("64").kind, decode("6b").kind, decode("736a73").kind]).toEqual(["dump", "kill", "stop"]);
  });

  it("refuses fields that forge lines, lie about lengths or make no sense", () => {
    const alive = "78 15b3 48 00 0006 0006 0003 6a7378 0000";
    const cases: readonly [string, string][] = [
      ["", "EPMD_TRUNCATED"],
      ["ff", "EPMD_UNKNOWN_REQUEST"],
      ["7a", "EPMD_BAD_NAME"],
      ["7a 6a730a", "EPMD_BAD_NAME"],
      ["7a 6a7340", "EPMD_BAD_NAME"],
      ["7a c3a4", "EPMD_BAD_NAME"],
      [`7a ${"61".repeat(256)}`, "EPMD_BAD_NAME"],
      ["6e 00", "EPMD_TRAILING_BYTES"],
      [`${alive} 00`, "EPMD_TRAILING_BYTES"],
      [alive.replace("6a7378", "6a730a"), "EPMD_BAD_NAME"],
      [alive.replace("0003 6a7378", "0000"), "EPMD_BAD_NAME"],
      [alive.replace("0003 6a7378", "0004 6a7378"), "EPMD_TRUNCATED"],
      [alive.replace(" 48 ", " 49 "), "EPMD_BAD_FIELD"],
      [alive.replace(" 00 0006", " 01 0006"), "EPMD_BAD_FIELD"],
      [alive.replace("15b3", "0000"), "EPMD_BAD_FIELD"],
      [`${alive.slice(0, -4)}0401`, "EPMD_BAD_FIELD"],
    ];
    for (const [text, reason] of cases) expect(failureOf(() => decode(text))).toBe(`ERR_PEER_MISBEHAVED ${reason}`);
    for (let length = 1; length < hex(alive).length; length++) {
      expect(failureOf(() => decodeEpmdRequest(hex(alive), 0, length))).toBe("ERR_PEER_MISBEHAVED EPMD_TRUNCATED");
    }
  });

  it("refuses to write what another EPMD might read differently", () => {
    for (const name of ["", "a@b", "a\n", "a.b", "a".repeat(256)]) {
      expect(failureOf(() => encodePortPleaseRequest(name))).toBe("ERR_CONFIG EPMD_NAME_INVALID");
      expect(failureOf(() => encodeAliveRequest({ ...JS, name }))).toBe("ERR_CONFIG EPMD_NAME_INVALID");
    }
    for (const port of [0, 65_536, 1.5, Number.NaN]) {
      expect(failureOf(() => encodeAliveRequest({ ...JS, port }))).toBe("ERR_CONFIG EPMD_PORT_INVALID");
    }
    const longest = { ...epmdEntry("a".repeat(255), 1, true), extra: Buffer.alloc(1024) };
    expect(encodeAliveRequest(longest).length - 2).toBe(MAX_EPMD_REQUEST_BYTES);
  });
});

describe("EPMD answers", () => {
  it("reads the captured answers (V1) in any split, and writes them", () => {
    const ok = hex("76 00 6b00d4d0");
    expect(drip(new AliveAnswerParser(), ok)).toEqual({ result: 0, creation: 0x6b00d4d0 });
    expect(encodeAliveAnswer({ result: 0, creation: 0x6b00d4d0 }, 6).equals(ok)).toBe(true);
    expect(new AliveAnswerParser().push(hex("76 01 00000063"))).toEqual({ result: 1, creation: 99 });
    expect(new AliveAnswerParser().push(hex("79 00 0002"))).toEqual({ result: 0, creation: 2 });
    expect(encodeAliveAnswer({ result: 0, creation: 2 }, 5).toString("hex")).toBe("79000002");

    const found = hex("77 00 15b3 48 00 0006 0006 0003 6a7378 0000");
    const answer = { found: true, entry: epmdEntry("jsx", 5555, true) } as const;
    expect(drip(new PortAnswerParser(), found)).toEqual(answer);
    expect(encodePortAnswer(answer).equals(found)).toBe(true);
    expect(new PortAnswerParser().push(hex("77 00 90e5 4d 00 0006 0005 0003 613235 0000"))).toEqual({
      found: true,
      entry: { name: "a25", port: 37093, hidden: false, highVersion: 6, lowVersion: 5, extra: Buffer.alloc(0) },
    });
    expect(drip(new PortAnswerParser(), hex("7701"))).toEqual({ found: false, result: 1 });
    expect(encodePortAnswer({ found: false, result: 1 }).toString("hex")).toBe("7701");
  });

  it("lists names and leaves out lines that are not plain entries", () => {
    const parser = new NamesAnswerParser();
    parser.push(encodeNamesAnswer(4369, [epmdEntry("a", 1, true), epmdEntry("b-2", 65_535, false)]));
    const rest = "name x\x1b at port 5\nname y at port 0\nname z at port 65536\nhello\nname q at port 7 \n";
    for (const byte of Buffer.from(rest)) parser.push(Buffer.from([byte]));
    expect(parser.end()).toEqual({
      epmdPort: 4369,
      names: [
        { name: "a", port: 1 },
        { name: "b-2", port: 65_535 },
      ],
      skipped: 5,
    });
    expect(failureOf(() => new NamesAnswerParser().end())).toBe("ERR_PEER_MISBEHAVED EPMD_TRUNCATED");
  });

  it("refuses unknown, trailing and endless answers", () => {
    const mis = (reason: string) => `ERR_PEER_MISBEHAVED ${reason}`;
    expect(failureOf(() => new AliveAnswerParser().push(hex("77")))).toBe(mis("EPMD_UNKNOWN_ANSWER"));
    expect(failureOf(() => new AliveAnswerParser().push(hex("79 00 0002 00")))).toBe(mis("EPMD_TRAILING_BYTES"));
    expect(failureOf(() => new AliveAnswerParser().push(Buffer.alloc(7)))).toBe("ERR_LIMIT EPMD_ANSWER_TOO_LONG");
    expect(failureOf(() => new PortAnswerParser().push(hex("48")))).toBe(mis("EPMD_UNKNOWN_ANSWER"));
    expect(failureOf(() => new PortAnswerParser().push(hex("7701 00")))).toBe(mis("EPMD_TRAILING_BYTES"));
    expect(failureOf(() => new PortAnswerParser().push(hex("7700 90e5 4d 00 0006 0005 ffff")))).toBe(
      mis("EPMD_BAD_NAME"),
    );
    expect(failureOf(() => new PortAnswerParser().push(hex("7700 90e5 4d 00 0006 0005 0001 61 0000 00")))).toBe(
      mis("EPMD_TRAILING_BYTES"),
    );
    const names = new NamesAnswerParser(10);
    names.push(Buffer.alloc(10));
    expect(failureOf(() => names.push(Buffer.alloc(1)))).toBe("ERR_LIMIT EPMD_ANSWER_TOO_LONG");
  });

  it("gives a value or a SallyportError for arbitrary bytes", () => {
    const heads = fc.constantFrom(
      "",
      "76",
      "79",
      "7700",
      "770000010000000600060001",
      "78",
      "7a",
      "780001480000060006000161",
    );
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 40 }), (head, tail) => {
        const bytes = Buffer.concat([hex(head), tail]);
        const runs = [
          () => new AliveAnswerParser().push(bytes),
          () => new PortAnswerParser().push(bytes),
          () => new NamesAnswerParser().push(bytes),
          () => decodeEpmdRequest(bytes, 0, bytes.length),
        ];
        for (const run of runs) failureOf(run);
      }),
      { numRuns: 500 },
    );
  });
});
