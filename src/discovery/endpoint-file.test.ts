import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import {
  formatEndpointFile,
  MAX_ENDPOINT_FILE_BYTES,
  MAX_FILE_ENDPOINTS,
  parseEndpointFile,
  WAYS_TO_QUIC,
} from "./endpoint-file.ts";

const B = parseNodeName("b@Host");
const parse = (text: string, schemes: readonly DialAddress["scheme"][] = ["tls"]) =>
  parseEndpointFile(Buffer.from(text), B, schemes);
const good = { sallyport: 1, node: "b@host", endpoints: ["tls://192.0.2.7:9100"], creation: 5, startedMs: 6 };

describe("endpoint files", () => {
  it("come back as they were written, at most eight endpoints of the longest names in a file of the largest size", () => {
    const endpoints: DialAddress[] = [
      { scheme: "tls", host: "::1", port: 65_535 },
      ...Array.from({ length: 9 }, (_, i): DialAddress => ({ scheme: "tls", host: "h".repeat(253), port: i + 10_000 })),
    ];
    const name = parseNodeName(`b@${"h".repeat(253)}`);
    const text = formatEndpointFile({ name, creation: 2 ** 32 - 1, endpoints }, 1e12);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_ENDPOINT_FILE_BYTES);
    expect(parseEndpointFile(Buffer.from(text), name, ["tls"])).toEqual(endpoints.slice(0, MAX_FILE_ENDPOINTS));
  });

  it("may write the host of the name in another case", () => {
    expect(parse(JSON.stringify(good))).toEqual([{ scheme: "tls", host: "192.0.2.7", port: 9100 }]);
  });

  it.each([
    ["", "not JSON"],
    ["{", "not JSON"],
    ["\u0000\u0001", "not JSON"],
    ["[]", "no object"],
    ["null", "no object"],
    ["1", "no object"],
    [JSON.stringify({ ...good, sallyport: 2 }), "version 1"],
    [JSON.stringify({ ...good, extra: 1 }), 'unknown key "extra"'],
    [JSON.stringify({ ...good, creation: "5" }), "creation"],
    [JSON.stringify({ ...good, startedMs: -1 }), "startedMs"],
    [JSON.stringify({ ...good, node: "c@host" }), 'about "c@host"'],
    [JSON.stringify({ ...good, node: { toString: 1 } }), "about"],
    [JSON.stringify({ ...good, node: "\u001b[2Jb@host" }), "about"],
    [JSON.stringify({ ...good, endpoints: [] }), "no endpoints"],
    [JSON.stringify({ ...good, endpoints: "tls://h:1" }), "no endpoints"],
    [JSON.stringify({ ...good, endpoints: Array(9).fill("tls://h:1") }), "more than 8"],
    [JSON.stringify({ ...good, endpoints: ["tls://h:1", "tls://h:0"] }), "endpoint that is none"],
    [JSON.stringify({ ...good, endpoints: [{ toString: 1 }] }), "endpoint that is none"],
    [JSON.stringify({ ...good, endpoints: ["file:///etc/passwd"] }), "endpoint that is none"],
    [JSON.stringify({ ...good, endpoints: ["tcp://h:1"] }), "no endpoint that is dialled here (tls)"],
  ])("count for nothing when they hold %s", (text, why) => {
    const answer = parse(text);
    expect(answer).toContain(why);
    expect(answer).toMatch(/^[\x20-\x7e]*$/);
  });

  it("give the endpoints of the schemes that this node dials", () => {
    const both = JSON.stringify({ ...good, endpoints: ["tcp://h:1", "tls://h:2"] });
    expect(parse(both)).toEqual([{ scheme: "tls", host: "h", port: 2 }]);
    expect(parse(both, ["tls", "tcp"])).toHaveLength(2);
    const quic = JSON.stringify({ ...good, endpoints: ["quic://h:1"] });
    expect(parse(quic, ["tls", "quic"])).toEqual([{ scheme: "quic", host: "h", port: 1 }]);
    expect(parse(quic)).toBe(`its file has no endpoint that is dialled here (tls); ${WAYS_TO_QUIC}`);
    expect(parse(JSON.stringify({ ...good, endpoints: ["tcp://h:1"] }))).not.toContain("QUIC");
  });

  it("never throw and never give anything but addresses, whatever stands in them", () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom("b@host", 1, "tls://h:1", ["tls://h:1"], ["tcp://h:1"]));
    const keys = ["sallyport", "node", "endpoints", "creation", "startedMs"] as const;
    fc.assert(
      fc.property(fc.record(Object.fromEntries(keys.map((key) => [key, value]))), (fields) => {
        const answer = parse(JSON.stringify({ ...good, ...fields }));
        if (typeof answer !== "string") for (const { scheme } of answer) expect(scheme).toBe("tls");
      }),
    );
  });
});
