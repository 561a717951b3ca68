import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../base/byte-writer.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";
import { tryNodeName } from "../base/node-name.ts";
import { AtomTable } from "../term/atom-table.ts";
import { TermDecoder } from "../term/term-decoder.ts";
import { Pid, Reference } from "../term/types.ts";
import { InboundAtomCache } from "./atom-cache.ts";
import { ControlDecoder } from "./control.ts";
import { encodeControlTermInto } from "./control-encoder.ts";
import { type Control, hasPayload } from "./control-types.ts";
import { Reassembler } from "./fragments.ts";
import { decodeFromAcceptor, decodeFromInitiator, encodeHandshake } from "./handshake.ts";
import { Packet, PacketParser } from "./packet.ts";

const SEND =
  "70836803611658770d613235403132372e302e302e3100000055000000006b00d47b58770c6a73403132372e302e302e310000006400000000010203048377026869";

/** Runs; anything but a SallyportError passes on. */
function value<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    if (error.code === "ERR_INTERNAL" || error.code === "ERR_API_MISUSE") throw error;
    return undefined;
  }
}

/** Everything that happens to one frame body up to its payload. */
function takeApart(body: Buffer, style: "pass-through" | "header", altact: boolean): void {
  const atoms = new AtomTable();
  const terms = new TermDecoder({ atoms });
  const parser = new PacketParser(style, new InboundAtomCache(atoms));
  const decoder = new ControlDecoder({ style, altact, terms });
  const reassembler = new Reassembler<Control>();
  const packet = new Packet();
  value(() => {
    parser.parse(packet, body, 0, body.length);
    if (packet.kind === "fragment-next") {
      reassembler.next(packet.seqId, packet.fragId, body, packet.at, packet.end);
      return;
    }
    const control = decoder.decode(body, packet.at, packet.end, packet.atomRefs);
    expect(decoder.position).toBeLessThanOrEqual(packet.end);
    const at = parser.payloadStart(packet, decoder.position, hasPayload(control));
    expect(at).toBeLessThanOrEqual(packet.end);
    if (packet.kind === "fragment-first") {
      reassembler.first(packet.seqId, packet.fragId, control, body, at, packet.end, 0 as MonotonicMs);
    }
  });
}

const style = fc.constantFrom("pass-through" as const, "header" as const);

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const atomText = fc.string({ unit: "grapheme", maxLength: 20 });
const pid = fc
  .tuple(atomText, u32, u32, u32)
  .map(([node, id, serial, creation]) => new Pid(node, id, serial, creation));
const ref = fc
  .tuple(atomText, u32, fc.array(u32, { maxLength: 5 }))
  .map(([node, creation, words]) => new Reference(node, creation, words));
const reason = fc.oneof(fc.constant("payload" as const), fc.record({ term: fc.integer() }));
const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const target = fc.oneof(pid, atomText);

function kind<const K extends Control["kind"]>(name: K): fc.Arbitrary<K> {
  return fc.constant(name);
}

const control: fc.Arbitrary<Control> = fc.oneof(
  fc.record({ kind: kind("link"), from: pid, to: pid }),
  fc.record({ kind: kind("unlink"), from: pid, to: pid }),
  fc.record({ kind: kind("unlink-id"), id, from: pid, to: pid }),
  fc.record({ kind: kind("unlink-id-ack"), id, from: pid, to: pid }),
  fc.record({ kind: kind("send"), from: fc.option(pid, { nil: undefined }), to: pid }),
  fc.record({ kind: kind("reg-send"), from: pid, name: atomText }),
  fc.record({ kind: kind("alias-send"), from: pid, alias: ref }),
  fc.record({ kind: kind("group-leader"), leader: pid, to: pid }),
  fc.record({ kind: kind("exit"), from: pid, to: pid, reason }),
  fc.record({ kind: kind("exit2"), from: pid, to: pid, reason }),
  fc.record({ kind: kind("monitor"), from: pid, target, ref }),
  fc.record({ kind: kind("demonitor"), from: pid, target, ref }),
  fc.record({ kind: kind("monitor-exit"), target, to: pid, ref, reason }),
  fc.record({
    kind: kind("spawn-request"),
    ref,
    from: pid,
    groupLeader: pid,
    module: atomText,
    function: atomText,
    arity: fc.integer({ min: 0, max: 255 }),
    options: fc.array(fc.integer({ min: -5, max: 500 })),
  }),
  fc.record({ kind: kind("spawn-reply"), ref, to: pid, flags: fc.integer({ min: 0, max: 3 }), result: target }),
);

describe("wire, any input", () => {
  it("takes arbitrary frame bodies apart or refuses them with a SallyportError", () => {
    const heads = fc.constantFrom(
      "",
      "7083",
      "708368",
      "834400",
      "83440068",
      "8344",
      "8345",
      "8346",
      "70836803611658",
      "70836804612561",
    );
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 80 }), style, fc.boolean(), (head, tail, frameStyle, altact) => {
        takeApart(Buffer.concat([Buffer.from(head, "hex"), tail]), frameStyle, altact);
      }),
      { numRuns: 1000 },
    );
  });

  it("does so for real messages with bytes changed or cut", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 });
    fc.assert(
      fc.property(control, style, changes, fc.nat(), fc.boolean(), (message, frameStyle, list, cut, altact) => {
        const writer = new ByteWriter();
        for (const byte of frameStyle === "header" ? [0x83, 0x44, 0] : [0x70, 0x83]) writer.u8(byte);
        encodeControlTermInto(writer, message, true);
        const body = writer.take();
        for (const [at, byte] of list) body[at % body.length] = byte;
        takeApart(cut % 3 === 0 ? body.subarray(0, cut % body.length) : body, frameStyle, altact);
      }),
      { numRuns: 1000 },
    );
  });

  it("decodes every control message to what was encoded", () => {
    const decoder = new ControlDecoder({ style: "header" });
    fc.assert(
      fc.property(control, (message) => {
        const writer = new ByteWriter();
        encodeControlTermInto(writer, message, true);
        const bytes = writer.take();
        // Twice: the second comes from the recent ones where those are kept.
        for (let n = 0; n < 2; n++) {
          expect(decoder.decode(bytes, 0, bytes.length)).toEqual(message);
          expect(decoder.position).toBe(bytes.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("refuses every truncation of a captured send", () => {
    const body = Buffer.from(SEND, "hex");
    const decoder = new ControlDecoder({ style: "pass-through" });
    for (let end = 1; end < body.length - 5; end++) expect(value(() => decoder.decode(body, 1, end))).toBeUndefined();
    expect(decoder.decode(body, 1, body.length - 5).kind).toBe("send");
  });

  it("gives a handshake message or a SallyportError for arbitrary bytes, and encodes what it gave", () => {
    const heads = fc.constantFrom(
      "4e",
      "73",
      "72",
      "61",
      "63",
      "6e",
      "",
      "736e616d65643a",
      "4e0000000d07df5fbc010203040003614062",
    );
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 40 }), (head, tail) => {
        const bytes = Buffer.concat([Buffer.from(head, "hex"), tail]);
        for (const decode of [decodeFromInitiator, decodeFromAcceptor]) {
          const message = value(() => decode(bytes, 0, bytes.length));
          if (message === undefined) continue;
          const again = encodeHandshake(message);
          expect(bytes.subarray(0, again.length).equals(again)).toBe(true);
          if ("name" in message) expect(tryNodeName(message.name)).toBe(message.name);
        }
      }),
      { numRuns: 500 },
    );
  });
});
