import { describe, expect, it } from "vitest";
import { AtomTable } from "../term/atom-table.ts";
import { Atom } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { InboundAtomCache } from "./atom-cache.ts";
import type { FrameStyle } from "./flags.ts";
import { Packet, PacketParser } from "./packet.ts";

function parserOf(style: FrameStyle): PacketParser {
  return new PacketParser(style, new InboundAtomCache(new AtomTable()));
}

function parse(style: FrameStyle, hex: string): Packet {
  const packet = new Packet();
  const body = Buffer.from(hex.replaceAll(" ", ""), "hex");
  parserOf(style).parse(packet, body, 0, body.length);
  return packet;
}

describe("PacketParser", () => {
  it("finds the control term of each kind of frame", () => {
    expect(parse("pass-through", "70 83 6803")).toMatchObject({ kind: "message", at: 1, end: 4 });
    expect(parse("header", "83 44 00 6803")).toMatchObject({ kind: "message", at: 3, seqId: 0n, atomRefs: [] });
    expect(parse("header", "83 44 01 08 05 02 6869 6803")).toMatchObject({ at: 8, atomRefs: [new Atom("hi")] });
    expect(parse("header", "83 45 ffffffffffffffff 0000000000000003 00 68")).toMatchObject({
      kind: "fragment-first",
      seqId: 2n ** 64n - 1n,
      fragId: 3n,
      at: 19,
    });
    expect(parse("header", "83 46 0000000000000001 0000000000000002 aa")).toMatchObject({
      kind: "fragment-next",
      seqId: 1n,
      fragId: 2n,
      at: 18,
      end: 19,
    });
  });

  it("leaves nothing of the frame before in the record", () => {
    const packet = new Packet();
    const parser = parserOf("header");
    const fragment = Buffer.from("83450000000000000009000000000000000301080502686968", "hex");
    parser.parse(packet, fragment, 0, fragment.length);
    expect(packet).toMatchObject({ seqId: 9n, atomRefs: [new Atom("hi")] });
    const plain = Buffer.from("83440068", "hex");
    parser.parse(packet, plain, 0, plain.length);
    expect(packet).toMatchObject({
      kind: "message",
      seqId: 0n,
      fragId: 0n,
      atomRefs: [],
      at: 3,
      end: 4,
      buffer: plain,
    });
  });

  it("refuses the other style and unknown beginnings", () => {
    const wrong = "ERR_PEER_MISBEHAVED PACKET_WRONG_STYLE";
    for (const hex of ["83440068", "71836803", "70846803", "f0000000"]) {
      expect(failureOf(() => parse("pass-through", hex))).toBe(wrong);
    }
    for (const hex of ["70836803", "83430068", "83500068", "83470068", "84440068", "70440068", "f0000000"]) {
      expect(failureOf(() => parse("header", hex))).toBe(wrong);
    }
  });

  it("refuses every truncation of a head", () => {
    for (const [style, hex, whole] of [
      ["pass-through", "70836803", 3],
      ["header", "83440068", 3],
      ["header", "834500000000000000010000000000000003", 19],
      ["header", "834600000000000000010000000000000003", 18],
    ] as const) {
      const body = Buffer.from(`${hex}00`, "hex");
      for (let length = 0; length < whole; length++) {
        expect(failureOf(() => parserOf(style).parse(new Packet(), body, 0, length))).toMatch(
          /^ERR_PEER_MISBEHAVED (PACKET_TRUNCATED|ATOM_HEADER_TRUNCATED)$/,
        );
      }
      parserOf(style).parse(new Packet(), body, 0, whole);
    }
  });

  it("finds the payload, and refuses a missing, surplus or unmarked one", () => {
    const at = (style: FrameStyle, hex: string, controlEnd: number, expected: boolean) =>
      parserOf(style).payloadStart(parse(style, hex), controlEnd, expected);
    expect(at("pass-through", "7083 61 83 62", 3, true)).toBe(4);
    expect(at("header", "834400 61 62", 4, true)).toBe(4);
    expect(at("pass-through", "7083 61", 3, false)).toBe(3);
    const mis = (reason: string) => `ERR_PEER_MISBEHAVED ${reason}`;
    expect(failureOf(() => at("pass-through", "7083 61 84 62", 3, true))).toBe(mis("PACKET_NO_PAYLOAD"));
    expect(failureOf(() => at("pass-through", "7083 61 83", 3, true))).toBe(mis("PACKET_NO_PAYLOAD"));
    expect(failureOf(() => at("pass-through", "7083 61", 3, true))).toBe(mis("PACKET_NO_PAYLOAD"));
    expect(failureOf(() => at("header", "834400 61", 4, true))).toBe(mis("PACKET_NO_PAYLOAD"));
    expect(failureOf(() => at("header", "834400 61 62", 4, false))).toBe(mis("PACKET_TRAILING_BYTES"));
    expect(failureOf(() => at("pass-through", "7083 61 83", 3, false))).toBe(mis("PACKET_TRAILING_BYTES"));
    const fragment = "8345 0000000000000001 0000000000000002 00 61";
    expect(at("header", fragment, 20, true)).toBe(20);
    expect(failureOf(() => at("header", fragment, 20, false))).toBe(mis("PACKET_UNEXPECTED_PAYLOAD"));
    expect(failureOf(() => parserOf("header").payloadEnd(parse("header", "83440061"), 3))).toBe(
      mis("PACKET_TRAILING_BYTES"),
    );
    parserOf("header").payloadEnd(parse("header", "83440061"), 4);
  });
});

describe("InboundAtomCache", () => {
  function read(cache: InboundAtomCache, hex: string) {
    const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
    const refs = cache.readHeader(bytes, 0, bytes.length);
    expect(cache.position).toBe(bytes.length);
    return refs;
  }

  it("enters new atoms, also `undefined`, and finds them again by segment and index", () => {
    const cache = new InboundAtomCache(new AtomTable());
    expect(read(cache, "00")).toEqual([]);
    // Two atoms: half bytes 8 (new, segment 0), f (new, segment 7), 0 (short lengths).
    expect(read(cache, "02 f8 00 05 01 61 05 09 756e646566696e6564")).toEqual([new Atom("a"), undefined]);
    expect(read(cache, "02 07 00 05 05")).toEqual([undefined, new Atom("a")]);
    expect(read(cache, "01 08 05 01 62")).toEqual([new Atom("b")]);
    expect(read(cache, "02 70 00 05 05")).toEqual([new Atom("b"), undefined]);
  });

  it("reads 16-bit lengths when LongAtoms is set, for even and odd counts", () => {
    const cache = new InboundAtomCache(new AtomTable());
    expect(read(cache, "01 18 05 0001 61")).toEqual([new Atom("a")]);
    expect(read(cache, "02 88 01 06 0001 62 07 0000")).toEqual([new Atom("b"), new Atom("")]);
    // The other bits of that half byte mean nothing.
    expect(read(cache, "01 e0 06")).toEqual([new Atom("b")]);
  });

  it("refuses slots that were never set", () => {
    const cache = new InboundAtomCache(new AtomTable());
    read(cache, "01 08 05 01 61");
    for (const hex of ["01 00 06", "01 01 05"]) {
      expect(failureOf(() => read(cache, hex))).toBe("ERR_PEER_MISBEHAVED ATOM_HEADER_UNSET_SLOT");
    }
  });

  it("refuses every truncation, and atoms that are not UTF-8 or too long", () => {
    const whole = Buffer.from("03f8180501610502626306000163".replace("0163", ""), "hex");
    const full = Buffer.from("02f800050161050162", "hex");
    for (const bytes of [whole, full]) {
      for (let length = 0; length < full.length; length++) {
        const cache = new InboundAtomCache(new AtomTable());
        expect(failureOf(() => cache.readHeader(bytes, 0, length))).toBe("ERR_PEER_MISBEHAVED ATOM_HEADER_TRUNCATED");
      }
    }
    const cache = new InboundAtomCache(new AtomTable());
    read(cache, "01 08 05 01 61");
    // Cached atoms, and 16-bit lengths; the frame ends where the buffer ends, and before it.
    for (const hex of ["0200000505", "01180500016100"]) {
      const bytes = Buffer.from(hex, "hex");
      for (let length = 0; length < (hex.startsWith("02") ? 5 : 6); length++) {
        for (const buffer of [bytes, Buffer.from(bytes.subarray(0, length))]) {
          expect(failureOf(() => cache.readHeader(buffer, 0, length))).toBe(
            "ERR_PEER_MISBEHAVED ATOM_HEADER_TRUNCATED",
          );
        }
      }
    }
    expect(failureOf(() => read(cache, "01 08 05 01 ff"))).toBe("ERR_PEER_MISBEHAVED TERM_ATOM_INVALID");
    expect(failureOf(() => read(cache, `01 18 05 0100 ${"61".repeat(256)}`))).toBe(
      "ERR_PEER_MISBEHAVED TERM_ATOM_INVALID",
    );
  });
});
