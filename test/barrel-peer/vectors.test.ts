import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type AuthResult, DialerAuth, ListenerAuth } from "./auth.mjs";
import {
  bindingOf,
  decodeMessage,
  encodeFail,
  FrameReader,
  framed,
  isNodeName,
  publicKeyOf,
  signedBytes,
  signWith,
  verifies,
} from "./auth-codec.mjs";
import { encodeMessage, FrameCutter, isDistStream, MessageReader, POOL, streamFor } from "./frames.mjs";
import { DialerHandshake, ListenerHandshake } from "./handshake.mjs";
import { atom, decodeTerm, encodeTerm, fromJson, Pid, toJson, tuple } from "./term.mjs";
import { INWARD, OUTWARD } from "./vectors.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const VECTORS = [
  ["a foreign dialler", OUTWARD],
  ["an Erlang dialler", INWARD],
] as const;
type Vector = typeof OUTWARD | typeof INWARD;

/** Plays one side of a vector over a stream that is not there; gives what it sent and how it ended. */
function replay(
  v: Vector,
  role: "dialer" | "listener",
  chunks: readonly Buffer[],
): { sent: string[]; end: AuthResult[] } {
  const sent: string[] = [];
  const end: AuthResult[] = [];
  const challenge = bytes(v.frames[role][1]);
  const own = v[role];
  const setup = {
    name: own.name,
    keys: { seed: bytes(own.seed), publicKey: bytes(own.public) },
    binding: bindingOf(bytes(v.certificate)),
    trust: { refusal: () => undefined, record: () => undefined },
    random: () => challenge.subarray(3, 35),
    wallMs: () => Number(challenge.readBigUInt64BE(35)),
    monotonicMs: () => 0,
    wire: {
      open: () => {},
      send: (frame: Buffer) => void sent.push(frame.toString("hex")),
      fin: () => void sent.push("fin"),
    },
    done: (result: AuthResult) => void end.push(result),
  };
  const machine = role === "dialer" ? new DialerAuth(setup) : new ListenerAuth(setup);
  machine.start();
  for (const chunk of chunks) machine.bytes(chunk);
  return { sent, end };
}

describe.each(VECTORS)("the captured exchange of %s", (_name, v) => {
  it("has the keys and the channel binding that follow from its seeds and its certificate", () => {
    expect(bindingOf(bytes(v.certificate)).toString("hex")).toBe(v.binding);
    for (const side of [v.dialer, v.listener]) expect(publicKeyOf(bytes(side.seed)).toString("hex")).toBe(side.public);
  });

  it("is signed over 104 bytes, and signing again gives the same bytes", () => {
    for (const [signer, asker] of [
      ["dialer", "listener"],
      ["listener", "dialer"],
    ] as const) {
      const asked = decodeMessage(bytes(v.frames[asker][1]).subarray(2));
      const key = bytes(v[signer].public);
      const signed = signedBytes(asked.nonce!, asked.timestampMs!, key, bytes(v.binding));
      expect(signed.length).toBe(104);
      if ("signed" in v) expect(signed.toString("hex")).toBe(v.signed[signer]);
      const { signature } = decodeMessage(bytes(v.frames[signer][2]).subarray(2));
      expect(signWith(bytes(v[signer].seed), signed)).toEqual(signature);
      expect(verifies(key, signed, signature!)).toBe(true);
      signed[103]! ^= 1;
      expect(verifies(key, signed, signature!)).toBe(false);
    }
  });

  it.each([
    ["dialer", "listener"],
    ["listener", "dialer"],
  ] as const)("is what the machine of the %s sends, in any cut of the other side's bytes", (role, other) => {
    const all = Buffer.concat(v.frames[other].map(bytes));
    const cuts = [[all], v.frames[other].map(bytes), Array.from(all, (byte) => Buffer.of(byte))];
    for (const chunks of cuts) {
      const { sent, end } = replay(v, role, chunks);
      expect(sent).toEqual([...v.frames[role], "fin"]);
      expect(end).toEqual([{ outcome: "ok", peer: v[other].name, peerKey: bytes(v[other].public) }]);
    }
  });

  it("goes on with the distribution handshake, byte for byte in both roles", () => {
    const [initiator, acceptor] = [v.dialer, v.listener];
    const name = bytes(v.dist.name);
    const challenge = bytes(v.dist.challenge);
    const sent: { D: string[]; L: string[] } = { D: [], L: [] };
    const ends: unknown[] = [];
    const cookie = Buffer.from("secret");
    const D = new DialerHandshake({
      name: initiator.name,
      cookie,
      flags: name.readBigUInt64BE(1),
      creation: name.readUInt32BE(9),
      target: acceptor.name,
      challenge: () => bytes(v.dist.reply).readUInt32BE(1),
      send: (message) => void sent.D.push(message.toString("hex")),
      done: (result) => void ends.push(result.outcome),
    });
    const L = new ListenerHandshake({
      name: acceptor.name,
      cookie,
      flags: challenge.readBigUInt64BE(1),
      creation: challenge.readUInt32BE(13),
      challenge: () => challenge.readUInt32BE(9),
      send: (message) => void sent.L.push(message.toString("hex")),
      done: (result) => void ends.push(result.outcome),
    });
    D.start();
    L.start();
    for (const hex of ["00000000", v.dist.name, v.dist.reply]) L.chunk(bytes(hex));
    for (const hex of [v.dist.status, "00000000", v.dist.challenge, v.dist.ack]) D.chunk(bytes(hex));
    expect(sent).toEqual({ D: [v.dist.name, v.dist.reply], L: [v.dist.status, v.dist.challenge, v.dist.ack] });
    expect(ends).toEqual(["ok", "ok"]);
  });
});

describe("the first distribution message", () => {
  const self = new Pid("ts@127.0.0.1", 100, 0, 7);
  const hello = tuple(atom("hello"), 42, "from node.js");

  it("is the captured frame in the pass-through form", () => {
    const [frame] = encodeMessage(false, 1, tuple(6, self, atom(""), atom("echo")), tuple(self, hello));
    expect(frame!.toString("hex")).toBe(OUTWARD.dist.message);
    const read = new MessageReader(false).read(bytes(OUTWARD.dist.message).subarray(4));
    expect(toJson(read?.message)).toEqual({ tuple: [{ pid: ["ts@127.0.0.1", 100, 0, 7] }, toJson(hello)] });
  });

  it("is answered by the captured first bytes", () => {
    const [frame] = encodeMessage(false, 1, tuple(2, atom(""), self), tuple(atom("echo"), hello, atom("a@127.0.0.1")));
    expect(frame!.subarray(4).toString("hex")).toMatch(/^708368036102770058770c7473403132372e302e302e31/);
  });

  it("is refused in the form that was not negotiated", () => {
    const control = tuple(6, self, atom(""), atom("echo"));
    for (const form of [true, false]) {
      const [frame] = encodeMessage(form, 1, control, hello);
      expect(() => new MessageReader(!form).read(frame!.subarray(4))).toThrow("incompatible");
    }
  });

  it("is cut at 64 KiB with FRAGMENTS, and joined again in any cut of the stream", () => {
    const frames = encodeMessage(true, 9, tuple(2, atom(""), self), Buffer.alloc(150_000, 7));
    expect(frames.map((frame) => frame.subarray(4, 6).toString("hex"))).toEqual(["8345", "8346", "8346"]);
    const stream = Buffer.concat(frames);
    const cutter = new FrameCutter();
    const reader = new MessageReader(true);
    const read: ReturnType<MessageReader["read"]>[] = [];
    for (let at = 0; at < stream.length; at += 777) {
      for (const body of cutter.push(stream.subarray(at, at + 777))) read.push(reader.read(body));
    }
    expect(read.filter((message) => message !== undefined)).toHaveLength(1);
    expect(Buffer.alloc(150_000, 7).equals(read.at(-1)?.message as Buffer)).toBe(true);
    reader.read(frames[0]!.subarray(4));
    expect(() => reader.read(frames[2]!.subarray(4))).toThrow("out of order");
    expect(() => new MessageReader(true).read(frames[1]!.subarray(4))).toThrow("out of order");
  });
});

// Whole frames of the distribution description, vectors V6 to V11.
describe("a captured frame", () => {
  it.each([
    "0000004270836803611658770d613235403132372e302e302e3100000055000000006b00d47b58770c6a73403132372e302e302e310000006400000000010203048377026869",
    "0000002e70836804610658770d613237403132372e302e302e3100000058000000006b00d47b770077037372768377026869",
    "0000003d70836803610158770d613237403132372e302e302e3100000058000000006b00d47b58770c6a73403132372e302e302e31000000640000000001020304",
    "0000003f708368046123610358770d613237403132372e302e302e3100000058000000006b00d47b58770c6a73403132372e302e302e31000000640000000001020304",
    "0000004970836804611358770d613235403132372e302e302e3100000055000000006b00d47b77037372765a0003770d613235403132372e302e302e316b00d47b0000e1aa757800019f6b0988",
    "0000005370836804611c77066e6f7375636858770c6a73403132372e302e302e310000006400000000010203045a0003770c6a73403132372e302e302e31010203040000000100000002000000038377066e6f70726f63",
    "0000008370836806611d5a0003770d613237403132372e302e302e316b00d47b0001112b75780001b1376cff58770d613237403132372e302e302e3100000058000000006b00d47b58770d613237403132372e302e302e310000004b000000006b00d47b680377016d77016661016c0000000177076d6f6e69746f726a836c000000017701616a",
    "0000006070836805611f5a0003770c6a73403132372e302e302e310102030400000001000000020000000358770c6a73403132372e302e302e31000000640000000001020304610258770d613237403132372e302e302e31000001c8000000006b00d47b",
  ])("is read and written again without a change: %s", (hex) => {
    const [body] = new FrameCutter().push(bytes(hex));
    const { control, message } = new MessageReader(false).read(body!)!;
    expect(encodeMessage(false, 1, control, message)[0]!.toString("hex")).toBe(hex);
  });
});

describe("the peer", () => {
  it("shares no code with the implementation: it imports Node and its own files", () => {
    const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".mjs"));
    const imports = files.flatMap((file) => {
      const text = readFileSync(`${import.meta.dirname}/${file}`, "utf8");
      return [...text.matchAll(/\b(?:from|import\()\s*["']([^"']+)["']/g)].map((match) => match[1]);
    });
    expect(imports.length).toBeGreaterThan(40);
    expect(imports.filter((from) => !/^(node:|\.\/[a-z0-9-]+\.mjs$)/.test(from!))).toEqual([]);
  });
});

describe("the codec", () => {
  const error = (hex: string): string | undefined => decodeMessage(bytes(hex)).error;
  const hello = OUTWARD.frames.dialer[0].slice(4);

  it("names what is wrong with a message in the words of section 3", () => {
    expect(error("")).toBe("malformed_message");
    expect(error(hello.replace(/^0102/, "0101"))).toBe("{unsupported_version,1}");
    expect(error(hello.replace(/^0102/, "0103"))).toBe("{unsupported_version,3}");
    expect(error("010200")).toBe("{unsupported_version,2}");
    expect(error(`${hello}00`)).toBe("invalid_hello_payload");
    expect(error(`01020003613b62${"00".repeat(32)}`)).toBe("invalid_node_name");
    expect(error("0200")).toBe("invalid_challenge_payload");
    expect(error("0300")).toBe("invalid_response_payload");
    expect(error("0400")).toBe("{unknown_message_type,4}");
    expect(error("05000161ff")).toBe("invalid_fail_payload");
    expect(error("09")).toBe("{unknown_message_type,9}");
    expect(decodeMessage(encodeFail("why")).reason).toEqual(Buffer.from("why"));
  });

  it("knows good names from bad ones", () => {
    for (const good of ["a@b", "a-b_c.d@1.2.3.4", `${"a".repeat(250)}@host`])
      expect(isNodeName(Buffer.from(good))).toBe(true);
    const bad = [
      "",
      "a",
      "@b",
      "a@",
      "a@b@c",
      ".a@b",
      "-a@b",
      "a@.b",
      "a@-b",
      "\u00e4@b",
      "a/b@c",
      `${"a".repeat(251)}@host`,
    ];
    for (const name of bad) expect(isNodeName(Buffer.from(name))).toBe(false);
  });

  it("holds a frame until it is whole, and gives the rest back", () => {
    const reader = new FrameReader();
    reader.push(Buffer.concat([framed(Buffer.of(4)), Buffer.of(0, 9, 1)]));
    expect(reader.next()).toEqual(Buffer.of(4));
    expect(reader.next()).toBeUndefined();
    expect(reader.rest()).toEqual(Buffer.of(0, 9, 1));
  });

  it("knows the streams of the distribution, and sends each pair on one of sixteen", () => {
    expect([0, 2, 64, 66, 1, 3, 61, 63].map(isDistStream)).toEqual(Array(8).fill(true));
    expect([68, 70, 65, 67].map(isDistStream)).toEqual(Array(4).fill(false));
    expect(POOL.dialer).toEqual([64, 60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4]);
    expect(POOL.listener.at(0)).toBe(61);
    expect(POOL.listener.at(-1)).toBe(1);
    const used = Array.from({ length: 200 }, (_, i) => streamFor("dialer", Buffer.from("from"), Buffer.of(i)));
    expect(new Set(used).size).toBe(16);
    expect(used).toEqual(Array.from({ length: 200 }, (_, i) => streamFor("dialer", Buffer.from("from"), Buffer.of(i))));
  });

  // The terms of otp-distribution, vector V16, and a few of each kind.
  it.each([
    ["6e040000000080", 2147483648],
    ["6e0901000000000000000001", { integer: "-18446744073709551616" }],
    ["468000000000000000", { float: -0 }],
    ["4d000000010320", { bits: "4d000000010320" }],
    ["7177056c6973747377036d61706102", { export: "7177056c6973747377036d61706102" }],
    ["6c0000000161016102", { improper: [[1], 2] }],
    [
      "740000000261027701627701616101",
      {
        map: [
          [2, { atom: "b" }],
          [{ atom: "a" }, 1],
        ],
      },
    ],
    ["6a", []],
    ["6b0003010203", [1, 2, 3]],
    ["62ffffffff", -1],
    ["6d00000002fffe", { hex: "fffe" }],
    ["5a0003770361406200000005000000010000000200000003", { ref: ["a@b", 5, 1, 2, 3] }],
  ])("reads and writes the term %s", (hex, json) => {
    const { term, end } = decodeTerm(bytes(hex));
    expect(end).toBe(hex.length / 2);
    expect(toJson(term)).toEqual(json);
    expect(encodeTerm(term).toString("hex")).toBe(hex);
    if (!/^(4d|71)/.test(hex)) expect(encodeTerm(fromJson(json)).toString("hex")).toBe(hex);
  });

  it("refuses terms that promise more than there is", () => {
    for (const hex of ["6cffffffff", "6dffffffff61", "69ffffffff", "790000", "5000", "74ffffffff", "6e"]) {
      expect(() => decodeTerm(bytes(hex))).toThrow();
    }
    expect(() => decodeTerm(Buffer.concat([Buffer.alloc(2_000, bytes("6801")), Buffer.of(106)]))).toThrow("deep");
  });
});
