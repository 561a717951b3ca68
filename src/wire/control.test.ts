import { describe, expect, it } from "vitest";
import { ByteWriter } from "../base/byte-writer.ts";
import { AtomTable } from "../term/atom-table.ts";
import { encodeInto } from "../term/encode.ts";
import { TermDecoder } from "../term/term-decoder.ts";
import { Atom, ImproperList, Pid, Reference, type Term, tuple } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { InboundAtomCache } from "./atom-cache.ts";
import { ControlDecoder } from "./control.ts";
import { ControlEncoder, encodeControlInto, encodeControlTermInto } from "./control-encoder.ts";
import { type Control, hasPayload } from "./control-types.ts";
import { Packet, PacketParser } from "./packet.ts";

const BEAM = new Pid("b@h", 85, 0, 7);
const ME = new Pid("js@h", 100, 1, 0xffff_ffff);
const REF = new Reference("b@h", 7, [1, 2, 3]);
const JS = new Pid("js@127.0.0.1", 100, 0, 0x01020304);
const JS_REF = new Reference("js@127.0.0.1", 0x01020304, [1, 2, 3]);

function a(release: number, id: number, creation = 0x6b00d47b): Pid {
  return new Pid(`a${release}@127.0.0.1`, id, 0, creation);
}

/** The external form of a term, without the version byte. */
function external(term: Term): Buffer {
  const writer = new ByteWriter();
  encodeInto(writer, term);
  return writer.take();
}

function decode(term: Term, options: { altact?: boolean } = {}): Control {
  const bytes = external(term);
  const decoder = new ControlDecoder({ style: "header", ...options });
  const control = decoder.decode(bytes, 0, bytes.length);
  expect(decoder.position).toBe(bytes.length);
  return control;
}

interface Vector {
  readonly title: string;
  readonly hex: string;
  readonly control: Control;
  readonly payload?: Term;
}

const VECTORS: readonly Vector[] = [
  {
    title: "SEND_SENDER of OTP 25 (V6)",
    hex: "0000004270836803611658770d613235403132372e302e302e3100000055000000006b00d47b58770c6a73403132372e302e302e310000006400000000010203048377026869",
    control: { kind: "send", from: a(25, 85), to: JS },
    payload: new Atom("hi"),
  },
  {
    title: "REG_SEND of OTP 27 (V7)",
    hex: "0000002e70836804610658770d613237403132372e302e302e3100000058000000006b00d47b770077037372768377026869",
    control: { kind: "reg-send", from: a(27, 88), name: "srv" },
    payload: new Atom("hi"),
  },
  {
    title: "LINK of OTP 27 (V8)",
    hex: "0000003d70836803610158770d613237403132372e302e302e3100000058000000006b00d47b58770c6a73403132372e302e302e31000000640000000001020304",
    control: { kind: "link", from: a(27, 88), to: JS },
  },
  {
    title: "UNLINK_ID of OTP 27 (V8)",
    hex: "0000003f708368046123610358770d613237403132372e302e302e3100000058000000006b00d47b58770c6a73403132372e302e302e31000000640000000001020304",
    control: { kind: "unlink-id", id: 3n, from: a(27, 88), to: JS },
  },
  {
    title: "MONITOR_P of OTP 25 (V9)",
    hex: "0000004970836804611358770d613235403132372e302e302e3100000055000000006b00d47b77037372765a0003770d613235403132372e302e302e316b00d47b0000e1aa757800019f6b0988",
    control: {
      kind: "monitor",
      from: a(25, 85),
      target: "srv",
      ref: new Reference("a25@127.0.0.1", 0x6b00d47b, [0xe1aa, 0x75780001, 0x9f6b0988]),
    },
  },
  {
    title: "PAYLOAD_MONITOR_P_EXIT (V10)",
    hex: "0000005370836804611c77066e6f7375636858770c6a73403132372e302e302e310000006400000000010203045a0003770c6a73403132372e302e302e31010203040000000100000002000000038377066e6f70726f63",
    control: { kind: "monitor-exit", target: "nosuch", to: JS, ref: JS_REF, reason: "payload" },
    payload: new Atom("noproc"),
  },
  {
    title: "SPAWN_REQUEST of OTP 27 (V11)",
    hex: "0000008370836806611d5a0003770d613237403132372e302e302e316b00d47b0001112b75780001b1376cff58770d613237403132372e302e302e3100000058000000006b00d47b58770d613237403132372e302e302e310000004b000000006b00d47b680377016d77016661016c0000000177076d6f6e69746f726a836c000000017701616a",
    control: {
      kind: "spawn-request",
      ref: new Reference("a27@127.0.0.1", 0x6b00d47b, [0x1112b, 0x75780001, 0xb1376cff]),
      from: a(27, 88),
      groupLeader: a(27, 75),
      module: "m",
      function: "f",
      arity: 1,
      options: [new Atom("monitor")],
    },
    payload: [new Atom("a")],
  },
  {
    title: "SPAWN_REPLY of OTP 27 (V11)",
    hex: "0000006070836805611f5a0003770c6a73403132372e302e302e310102030400000001000000020000000358770c6a73403132372e302e302e31000000640000000001020304610258770d613237403132372e302e302e31000001c8000000006b00d47b",
    control: { kind: "spawn-reply", ref: JS_REF, to: JS, flags: 2, result: a(27, 456) },
  },
];

const V12 =
  "000000c3708368046125610458770d613239403132372e302e302e3100000059000000006b00db535a0003770c6a73403132372e302e302e31010203040000000100000002000000038368026c000000017705616c6961735a0003770c6a73403132372e302e302e310102030400000001000000020000000368026119680258770c6a73403132372e302e302e310000006400000000010203046c000000017705616c6961735a0003770c6a73403132372e302e302e3101020304000000010000000200000003";

describe("control messages, captured", () => {
  for (const vector of VECTORS) {
    it(`decodes and encodes ${vector.title}`, () => {
      const frame = Buffer.from(vector.hex, "hex");
      const terms = new TermDecoder();
      const decoder = new ControlDecoder({ style: "pass-through", terms });
      const parser = new PacketParser("pass-through", new InboundAtomCache(new AtomTable()));
      const packet = new Packet();
      parser.parse(packet, frame, 4, frame.length);
      const control = decoder.decode(frame, packet.at, frame.length);
      expect(control).toEqual(vector.control);
      const payloadAt = parser.payloadStart(packet, decoder.position, hasPayload(control));
      if (vector.payload !== undefined) expect(terms.decodeAt(frame, payloadAt, frame.length)).toEqual(vector.payload);
      expect(hasPayload(control)).toBe(vector.payload !== undefined);

      const writer = new ByteWriter();
      encodeControlInto(writer, control, { style: "pass-through", exitPayload: true });
      if (vector.payload !== undefined) {
        writer.u8(0x83);
        encodeInto(writer, vector.payload);
      }
      expect(writer.take().toString("hex")).toBe(vector.hex.slice(8));
    });
  }

  it("decodes the alias send of OTP 29 (V12) only when ALTACT_SIG is on", () => {
    const frame = Buffer.from(V12, "hex");
    const on = new ControlDecoder({ style: "pass-through", altact: true });
    expect(on.decode(frame, 5, frame.length)).toEqual({
      kind: "alias-send",
      from: a(29, 89, 0x6b00db53),
      alias: JS_REF,
    });
    const off = new ControlDecoder({ style: "pass-through" });
    expect(failureOf(() => off.decode(frame, 5, frame.length))).toBe("ERR_PEER_MISBEHAVED CONTROL_UNKNOWN_OP");
  });

  it("decodes sends through the atom cache (V13), and the head of fragments (V14)", () => {
    const frames = [
      "834404f99900090d613237403132372e302e302e31570c6a73403132372e302e302e31620568656c6c6fa505776f726c646803611658520000000058000000006b00d47b585201000000640000000000000001680252025203",
      "834404711100095762a56803611658520000000058000000006b00d47b585201000000640000000000000001680252025203",
      // Only the second and the third slot are cached; `big` (03 626967) is new in segment 0, slot 5c.
      "83450000000000002c03000000000000000203710809575c036269676803611658520000000058000000006b00d47b585201000000640000000000000001680252026d000111700707",
    ].map((text) => Buffer.from(text, "hex"));
    const atoms = new AtomTable();
    const terms = new TermDecoder({ atoms });
    const decoder = new ControlDecoder({ style: "header", terms });
    const parser = new PacketParser("header", new InboundAtomCache(atoms));
    const packet = new Packet();
    const me = new Pid("js@127.0.0.1", 100, 0, 1);
    frames.forEach((frame, i) => {
      parser.parse(packet, frame, 0, frame.length);
      const control = decoder.decode(frame, packet.at, frame.length, packet.atomRefs);
      expect(control).toEqual({ kind: "send", from: a(27, 88), to: me });
      const payloadAt = parser.payloadStart(packet, decoder.position, true);
      if (i < 2) {
        expect(terms.decodeAt(frame, payloadAt, frame.length)).toEqual(tuple(new Atom("hello"), new Atom("world")));
        parser.payloadEnd(packet, terms.position);
      } else {
        expect([packet.kind, packet.seqId, packet.fragId]).toEqual(["fragment-first", 0x2c03n, 2n]);
        expect(frame.subarray(payloadAt, payloadAt + 9).toString("hex")).toBe("680252026d00011170");
      }
    });
  });
});

const TOKEN = tuple(1, 2, 3, BEAM, 4);
const EMPTY = new Atom("");
const NAME = new Atom("srv");
const MFA = tuple(new Atom("m"), new Atom("f"), 2);
const REASON = tuple(new Atom("shutdown"), 1);

const EACH_OP: readonly [readonly Term[], Control][] = [
  [[1, BEAM, ME], { kind: "link", from: BEAM, to: ME }],
  [[2, EMPTY, ME], { kind: "send", from: undefined, to: ME }],
  [[3, BEAM, ME, REASON], { kind: "exit", from: BEAM, to: ME, reason: { term: REASON } }],
  [[4, BEAM, ME], { kind: "unlink", from: BEAM, to: ME }],
  [[6, BEAM, EMPTY, NAME], { kind: "reg-send", from: BEAM, name: "srv" }],
  [[6, BEAM, EMPTY, true], { kind: "reg-send", from: BEAM, name: "true" }],
  [[7, BEAM, ME], { kind: "group-leader", leader: BEAM, to: ME }],
  [[8, BEAM, ME, undefined], { kind: "exit2", from: BEAM, to: ME, reason: { term: undefined } }],
  [[12, EMPTY, ME, TOKEN], { kind: "send", from: undefined, to: ME }],
  [[13, BEAM, ME, TOKEN, REASON], { kind: "exit", from: BEAM, to: ME, reason: { term: REASON } }],
  [[16, BEAM, EMPTY, NAME, TOKEN], { kind: "reg-send", from: BEAM, name: "srv" }],
  [[18, BEAM, ME, TOKEN, REASON], { kind: "exit2", from: BEAM, to: ME, reason: { term: REASON } }],
  [[19, BEAM, ME, REF], { kind: "monitor", from: BEAM, target: ME, ref: REF }],
  [[19, BEAM, NAME, REF], { kind: "monitor", from: BEAM, target: "srv", ref: REF }],
  [[20, BEAM, NAME, REF], { kind: "demonitor", from: BEAM, target: "srv", ref: REF }],
  [[21, ME, BEAM, REF, 1], { kind: "monitor-exit", target: ME, to: BEAM, ref: REF, reason: { term: 1 } }],
  [[22, BEAM, ME], { kind: "send", from: BEAM, to: ME }],
  [[23, BEAM, ME, 42], { kind: "send", from: BEAM, to: ME }],
  [[24, BEAM, ME], { kind: "exit", from: BEAM, to: ME, reason: "payload" }],
  [[25, BEAM, ME, TOKEN], { kind: "exit", from: BEAM, to: ME, reason: "payload" }],
  [[26, BEAM, ME], { kind: "exit2", from: BEAM, to: ME, reason: "payload" }],
  [[27, BEAM, ME, TOKEN], { kind: "exit2", from: BEAM, to: ME, reason: "payload" }],
  [[28, NAME, ME, REF], { kind: "monitor-exit", target: "srv", to: ME, ref: REF, reason: "payload" }],
  [
    [29, REF, BEAM, BEAM, MFA, []],
    {
      kind: "spawn-request",
      ref: REF,
      from: BEAM,
      groupLeader: BEAM,
      module: "m",
      function: "f",
      arity: 2,
      options: [],
    },
  ],
  [
    [30, REF, BEAM, ME, MFA, [NAME], TOKEN],
    {
      kind: "spawn-request",
      ref: REF,
      from: BEAM,
      groupLeader: ME,
      module: "m",
      function: "f",
      arity: 2,
      options: [NAME],
    },
  ],
  [[31, REF, ME, 3, BEAM], { kind: "spawn-reply", ref: REF, to: ME, flags: 3, result: BEAM }],
  [[32, REF, ME, 0, NAME, TOKEN], { kind: "spawn-reply", ref: REF, to: ME, flags: 0, result: "srv" }],
  [[33, BEAM, REF], { kind: "alias-send", from: BEAM, alias: REF }],
  [[34, BEAM, REF, TOKEN], { kind: "alias-send", from: BEAM, alias: REF }],
  [[35, 2n ** 64n - 1n, BEAM, ME], { kind: "unlink-id", id: 2n ** 64n - 1n, from: BEAM, to: ME }],
  [[36, 1, BEAM, ME], { kind: "unlink-id-ack", id: 1n, from: BEAM, to: ME }],
];

const ALTACT: readonly [readonly Term[], Control][] = [
  [[37, 0, BEAM, ME], { kind: "send", from: BEAM, to: ME }],
  [[37, 1, BEAM, ME], { kind: "send", from: BEAM, to: ME }],
  [[37, 9, BEAM, NAME], { kind: "reg-send", from: BEAM, name: "srv" }],
  [[37, 5, BEAM, REF], { kind: "alias-send", from: BEAM, alias: REF }],
  [[37, 17, BEAM, ME], { kind: "exit2", from: BEAM, to: ME, reason: "payload" }],
  [[37, 6, BEAM, REF, TOKEN], { kind: "alias-send", from: BEAM, alias: REF }],
  [[37, 19, BEAM, ME, TOKEN], { kind: "exit2", from: BEAM, to: ME, reason: "payload" }],
];

/** Operations that are written under the number they were read from. */
const WRITTEN = new Set([1, 2, 3, 4, 6, 7, 8, 19, 20, 21, 22, 24, 26, 28, 29, 31, 33, 35, 36]);

describe("control messages, every operation", () => {
  it("decodes each operation to its kind, trace tokens dropped", () => {
    for (const [elements, control] of EACH_OP) expect(decode(tuple(...elements))).toEqual(control);
    for (const [elements, control] of ALTACT) expect(decode(tuple(...elements), { altact: true })).toEqual(control);
  });

  it("drops a trace token of 4096 bytes, and ends the connection for a longer one, in every operation that has one", () => {
    const bounds = [4096, 4097].map((bytes) => Buffer.alloc(bytes - 5));
    let traced = 0;
    for (const [elements, control] of [...EACH_OP, ...ALTACT]) {
      if (!elements.includes(TOKEN)) continue;
      const [kept, refused] = bounds.map((token) => elements.map((element) => (element === TOKEN ? token : element)));
      expect(decode(tuple(...(kept ?? [])), { altact: true })).toEqual(control);
      expect(failureOf(() => decode(tuple(...(refused ?? [])), { altact: true }))).toBe(
        "ERR_LIMIT TRACE_TOKEN_TOO_LARGE",
      );
      traced++;
    }
    expect(traced).toBeGreaterThanOrEqual(10);
  });

  it("encodes each kind back to the operation it came from", () => {
    let written = 0;
    for (const [elements, control] of EACH_OP) {
      if (!WRITTEN.has(elements[0] as number)) continue;
      const writer = new ByteWriter();
      encodeControlTermInto(writer, control, true);
      expect(writer.take().toString("hex")).toBe(external(tuple(...elements)).toString("hex"));
      written++;
    }
    expect(written).toBe(21);
  });

  it("begins frames as the style demands", () => {
    const control: Control = { kind: "link", from: BEAM, to: ME };
    const writer = new ByteWriter();
    encodeControlInto(writer, control, { style: "header", exitPayload: true });
    expect(writer.take().toString("hex")).toMatch(/^8344006803610158/);
    encodeControlInto(writer, control, { style: "pass-through", exitPayload: true });
    expect(writer.take().toString("hex")).toMatch(/^70836803610158/);
  });

  it("leaves the writer as it was when an element cannot be encoded", () => {
    const writer = new ByteWriter();
    writer.u8(1);
    const control: Control = { kind: "reg-send", from: ME, name: "x".repeat(256) };
    const encoder = new ControlEncoder({ style: "header", exitPayload: true });
    for (const run of [
      () => encoder.encodeInto(writer, control),
      () => encodeControlTermInto(writer, control, true),
      () => encodeControlTermInto(writer, { kind: "exit", from: BEAM, to: ME, reason: "payload" }, false),
    ]) {
      expect(failureOf(run)).toMatch(/^ERR_API_MISUSE /);
      expect(writer.length).toBe(1);
    }
  });

  it("does not write a payload exit where EXIT_PAYLOAD is missing", () => {
    for (const control of [
      { kind: "exit", from: BEAM, to: ME, reason: "payload" },
      { kind: "exit2", from: BEAM, to: ME, reason: "payload" },
      { kind: "monitor-exit", target: "x", to: ME, ref: REF, reason: "payload" },
    ] as const) {
      expect(failureOf(() => encodeControlTermInto(new ByteWriter(), control, false))).toBe(
        "ERR_API_MISUSE CONTROL_NEEDS_EXIT_PAYLOAD",
      );
    }
    encodeControlTermInto(new ByteWriter(), { kind: "exit", from: BEAM, to: ME, reason: { term: 1 } }, false);
  });

  it("refuses every wrong arity", () => {
    for (const [elements] of [...EACH_OP, ...ALTACT]) {
      for (const wrong of [elements.slice(0, -1), [...elements, TOKEN]]) {
        expect(failureOf(() => decode(tuple(...wrong), { altact: true }))).toBe(
          "ERR_PEER_MISBEHAVED CONTROL_BAD_ARITY",
        );
      }
    }
  });

  it("refuses every element of a wrong type, lists of targets among them", () => {
    let refused = 0;
    for (const [elements] of [...EACH_OP, ...ALTACT]) {
      for (let i = 1; i < elements.length; i++) {
        const old = elements[i];
        // What may be anything: reasons and tokens.
        if (old === TOKEN || old === 42 || old === REASON || ([8, 21].includes(elements[0] as number) && i > 2))
          continue;
        for (const wrong of [-1, 2n ** 64n, [ME], new ImproperList([ME], ME), tuple(ME), new Map(), 1.5]) {
          if (Array.isArray(wrong) && Array.isArray(old)) continue;
          const changed = elements.map((element, n) => (n === i ? wrong : element));
          expect(failureOf(() => decode(tuple(...changed), { altact: true }))).toBe(
            "ERR_PEER_MISBEHAVED CONTROL_BAD_FIELD",
          );
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(400);
    const bad: readonly (readonly Term[])[] = [
      [35, 0, BEAM, ME],
      [31, REF, ME, 4, BEAM],
      [29, REF, BEAM, BEAM, tuple(new Atom("m"), new Atom("f"), 256), []],
      [29, REF, BEAM, BEAM, tuple(new Atom("m"), 1, 2), []],
      [29, REF, BEAM, BEAM, tuple(1, new Atom("m"), 2), []],
      [29, REF, BEAM, BEAM, tuple(new Atom("m"), new Atom("f"), 1, 1), []],
      [37, 12, BEAM, ME],
      [37, 20, BEAM, REF],
      [37, 24, BEAM, NAME],
      [37, 32, BEAM, ME],
    ];
    for (const elements of bad) {
      expect(failureOf(() => decode(tuple(...elements), { altact: true }))).toBe(
        "ERR_PEER_MISBEHAVED CONTROL_BAD_FIELD",
      );
    }
  });

  it("refuses NODE_LINK and every number that is no operation", () => {
    const known = new Set([...EACH_OP, ...ALTACT].map(([elements]) => elements[0]));
    for (let number = 0; number < 256; number++) {
      if (known.has(number)) continue;
      for (const elements of [[number], [number, BEAM, ME], [number, BEAM, ME, REF]]) {
        expect(failureOf(() => decode(tuple(...elements), { altact: true }))).toBe(
          "ERR_PEER_MISBEHAVED CONTROL_UNKNOWN_OP",
        );
      }
    }
    expect(failureOf(() => decode(tuple(37, 0, BEAM, ME)))).toBe("ERR_PEER_MISBEHAVED CONTROL_UNKNOWN_OP");
  });

  it("refuses what is not a tuple with a small number in front, and a missing or surplus version byte", () => {
    const malformed = "ERR_PEER_MISBEHAVED CONTROL_MALFORMED";
    for (const term of [tuple(), 1, [1, BEAM, ME], tuple(256, BEAM, ME), tuple(NAME, BEAM, ME)]) {
      expect(failureOf(() => decode(term))).toBe(malformed);
    }
    const bytes = external(tuple(1, BEAM, ME));
    const passThrough = new ControlDecoder({ style: "pass-through" });
    expect(failureOf(() => passThrough.decode(bytes, 0, bytes.length))).toBe(malformed);
    const versioned = Buffer.concat([Buffer.from([0x83]), bytes]);
    expect(failureOf(() => decode2(versioned))).toBe(malformed);
    expect(passThrough.decode(versioned, 0, versioned.length).kind).toBe("link");
    expect(failureOf(() => passThrough.decode(versioned, 0, 0))).toBe(malformed);
  });
});

function decode2(bytes: Buffer): Control {
  return new ControlDecoder({ style: "header" }).decode(bytes, 0, bytes.length);
}

describe("budget", () => {
  it("is a new one for each message, also for a send that is already known", () => {
    const terms = new TermDecoder({ limits: { maxAtoms: 3 } });
    const decoder = new ControlDecoder({ style: "header", terms });
    for (const bytes of [external(tuple(1, BEAM, ME)), external(tuple(22, BEAM, ME))]) {
      for (let n = 0; n < 5; n++) {
        expect(decoder.decode(bytes, 0, bytes.length)).toMatchObject({ from: BEAM, to: ME });
        const payload = external(NAME);
        expect(terms.decodeAt(payload, 0, payload.length)).toEqual(NAME);
      }
    }
  });
});

describe("recent sends", () => {
  const sends = [0, 1, 2, 3, 4, 5].map((id) => external(tuple(22, BEAM, new Pid("js@h", id, 0, 1))));

  it("gives the same object for the same bytes, wherever they stand", () => {
    const decoder = new ControlDecoder({ style: "header" });
    for (const elements of [
      [22, BEAM, ME],
      [6, BEAM, EMPTY, NAME],
      [2, EMPTY, ME],
    ] as const) {
      const bytes = external(tuple(...elements));
      const first = decoder.decode(bytes, 0, bytes.length);
      const moved = Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("payload")]);
      expect(decoder.decode(moved, 2, moved.length)).toBe(first);
      expect(decoder.position).toBe(2 + bytes.length);
    }
  });

  it("is not pushed out by the answers of calls, each of which has an alias of its own", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const get = (bytes: Buffer) => decoder.decode(bytes, 0, bytes.length);
    const send = sends[0] as Buffer;
    const first = get(send);
    for (let n = 0; n < 8; n++) {
      const ref = new Reference("js@h", 1, [n, 2, 3]);
      const answer = external(tuple(33, BEAM, ref));
      expect(get(answer)).toEqual({ kind: "alias-send", from: BEAM, alias: ref });
      expect(decoder.position).toBe(answer.length);
    }
    expect(get(send)).toBe(first);
  });

  it("keeps four, drops the one used longest ago, and never mixes them up", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const get = (i: number) => decoder.decode(sends[i]!, 0, sends[i]!.length);
    const firsts = [0, 1, 2, 3].map(get);
    expect(get(0)).toBe(firsts[0]);
    get(4);
    expect(get(0)).toBe(firsts[0]);
    expect(get(1)).not.toBe(firsts[1]);
    for (let n = 0; n < 200; n++) {
      const i = (n * 7 + (n >> 2)) % 6;
      expect(get(i)).toMatchObject({ to: { id: i } });
      expect(decoder.position).toBe(sends[i]!.length);
    }
  });

  it("keeps sends of any length apart while entries change hands, and those above 1 KiB not at all", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const node = (n: number) => new Pid(`${"\u{1f600}".repeat(n)}@h`, n, 0, 1);
    const long = [235, 1, 60, 120, 2, 253, 30, 100].map((n) => external(tuple(22, node(n), node(1))));
    for (let n = 0; n < 60; n++) {
      const bytes = long[(n * 3 + (n >> 3)) % long.length]!;
      const fresh = new ControlDecoder({ style: "header" }).decode(bytes, 0, bytes.length);
      const control = decoder.decode(bytes, 0, bytes.length);
      expect(control).toEqual(fresh);
      expect(decoder.position).toBe(bytes.length);
      if (bytes.length > 1024) expect(decoder.decode(bytes, 0, bytes.length)).not.toBe(control);
      else expect(decoder.decode(bytes, 0, bytes.length)).toBe(control);
    }
    expect(long.filter((bytes) => bytes.length > 1024)).toHaveLength(1);
  });

  it("does not take a send from bytes beyond the end of the frame", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const bytes = sends[0]!;
    decoder.decode(bytes, 0, bytes.length);
    expect(failureOf(() => decoder.decode(bytes, 0, bytes.length - 1))).toBe("ERR_PEER_MISBEHAVED TERM_TRUNCATED");
  });

  it("does not survive a change of the bytes it was made from", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const bytes = Buffer.from(sends[0]!);
    decoder.decode(bytes, 0, bytes.length);
    sends[1]!.copy(bytes);
    expect(decoder.decode(bytes, 0, bytes.length)).toMatchObject({ to: { id: 1 } });
  });

  it("is not used where the atoms come from a header", () => {
    const decoder = new ControlDecoder({ style: "header" });
    const bytes = Buffer.from(
      "6803611658520000000055000000000000000758520000000064000000000000000 1".replace(" ", ""),
      "hex",
    );
    const first = decoder.decode(bytes, 0, bytes.length, [new Atom("b@h")]);
    const second = decoder.decode(bytes, 0, bytes.length, [new Atom("c@h")]);
    expect([first, second]).toMatchObject([{ from: { node: "b@h" } }, { from: { node: "c@h" } }]);
    expect(failureOf(() => decoder.decode(bytes, 0, bytes.length))).toBe("ERR_PEER_MISBEHAVED TERM_ATOM_REF_INVALID");
  });
});

describe("ControlEncoder", () => {
  it("writes the same bytes again for the same objects, and others for others", () => {
    for (const style of ["header", "pass-through"] as const) {
      const encoder = new ControlEncoder({ style, exitPayload: true });
      const pids = Array.from({ length: 12 }, (_, id) => new Pid("js@h", id, 0, 1));
      const targets = [...pids, REF, "srv", "other"];
      for (let n = 0; n < 100; n++) {
        const target = targets[(n * 5 + (n >> 3)) % targets.length]!;
        const from = pids[n % 2]!;
        const control: Control =
          typeof target === "string"
            ? { kind: "reg-send", from, name: target }
            : target instanceof Pid
              ? { kind: "send", from, to: target }
              : { kind: "alias-send", from, alias: target };
        const plain = new ByteWriter();
        encodeControlInto(plain, control, encoder.encoding);
        const kept = new ByteWriter();
        encoder.encodeInto(kept, control);
        encoder.sendInto(kept, from, target);
        const wanted = plain.take().toString("hex");
        expect(kept.take().toString("hex")).toBe(wanted + wanted);
      }
      const rest = new ByteWriter();
      encoder.encodeInto(rest, { kind: "send", from: undefined, to: ME });
      expect(rest.take().toString("hex")).toContain("6803610277005877");
    }
  });
});
