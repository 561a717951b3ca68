import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { NativeEnd, nativeChannel, nativeTestNode, runNative } from "../testkit/native-end.ts";
import { decodeNative, encodeNative } from "../wire/native-handshake.ts";
import type { NativeTools } from "./native-types.ts";

const crypto = new RealIdentityCrypto();
const B = parseNodeName("b@h");
const K = { key: Buffer.alloc(32, 7), cookieBytes: 20 };
const WAYS: readonly (readonly [string, Partial<NativeTools>])[] = [
  ["keys", {}],
  ["keys and cookie", { cookieFor: () => K }],
  ["cookie only", { cookieFor: () => K, cookieOnly: () => true, hasCookieOnly: true }],
];

function pair(tools: Partial<NativeTools>) {
  const channel = nativeChannel(1);
  const answers = { arbitration: "alive" } as const;
  const acceptor = new NativeEnd(answers).accept(nativeTestNode("b@h", 2, crypto, tools), channel.acceptor);
  const dialler = new NativeEnd().dial(nativeTestNode("a@h", 1, crypto, tools), B, channel.dialler);
  return { dialler, acceptor };
}
const onlyOurErrors = (...ends: readonly NativeEnd[]): void => {
  for (const end of ends)
    if (end.error !== undefined) expect(isSallyportError(end.error), String(end.error)).toBe(true);
};

describe.each(WAYS)("a handshake by %s", (_name, tools) => {
  const clean = pair(tools);
  runNative(clean.dialler, clean.acceptor);

  it("with any one byte of any message changed never ends with two views", () => {
    expect(clean.acceptor.session).toBeDefined();
    const script = [
      ...clean.dialler.sent.map((m, i) => ({ from: "dialler" as const, i, length: m.length })),
      ...clean.acceptor.sent.map((m, i) => ({ from: "acceptor" as const, i, length: m.length })),
    ];
    let runs = 0;
    for (const { from, i, length } of script) {
      for (let at = 0; at < length; at++) {
        const { dialler, acceptor } = pair(tools);
        const count = { dialler: 0, acceptor: 0 };
        runNative(dialler, acceptor, (m, who) => {
          if (who !== from || count[who]++ !== i) return [m];
          const changed = Buffer.from(m);
          changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
          return [changed];
        });
        runs++;
        onlyOurErrors(dialler, acceptor);
        // The last message alone may fail to arrive: then one side stands, and the other has refused.
        if (dialler.session === undefined || acceptor.session === undefined) {
          const isLast = from === "dialler" && i === clean.dialler.sent.length - 1;
          expect(dialler.session === undefined || isLast, `${from} ${i} ${at}`).toBe(true);
          expect(acceptor.session).toBeUndefined();
          continue;
        }
        throw new Error(`both came up with byte ${at} of message ${i} of the ${from} changed`);
      }
    }
    expect(runs).toBeGreaterThan(200);
  });

  it("with any message cut or longer never comes up", () => {
    const lengths = [...clean.dialler.sent, ...clean.acceptor.sent];
    for (const from of ["dialler", "acceptor"] as const) {
      const sent = clean[from].sent;
      for (let i = 0; i < sent.length; i++) {
        for (const change of [-1, +1, -(sent[i]?.length ?? 0)]) {
          const { dialler, acceptor } = pair(tools);
          const count = { dialler: 0, acceptor: 0 };
          runNative(dialler, acceptor, (m, who) => {
            if (who !== from || count[who]++ !== i) return [m];
            return [change > 0 ? Buffer.concat([m, Buffer.alloc(change)]) : m.subarray(0, m.length + change)];
          });
          onlyOurErrors(dialler, acceptor);
          expect(acceptor.session).toBeUndefined();
        }
      }
    }
    expect(lengths.length).toBeGreaterThan(4);
  });

  it("takes arbitrary messages at any point with nothing but a SallyportError", () => {
    fc.assert(
      fc.property(
        fc.nat(5),
        fc.boolean(),
        fc.integer({ min: 0, max: 16 }),
        fc.uint8Array({ maxLength: 300 }),
        (position, toDialler, type, bytes) => {
          const { dialler, acceptor } = pair(tools);
          let seen = 0;
          runNative(dialler, acceptor, (m, from) => {
            const isHere = (from === "acceptor") === toDialler && seen++ === position;
            return isHere ? [Buffer.from([type, ...bytes]), m] : [m];
          });
          onlyOurErrors(dialler, acceptor);
          if (seen > position) expect(acceptor.session).toBeUndefined();
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("the decoder", () => {
  it("takes only what the encoder makes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 16 }), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
        const message = Buffer.from([type, ...bytes]);
        try {
          const decoded = decodeNative(message, 0, message.length);
          expect(encodeNative(decoded)).toEqual(message);
        } catch (error) {
          expect(isSallyportError(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
