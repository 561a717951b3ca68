import { describe, expect, it } from "vitest";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { errorOf } from "./answer-error.ts";
import { failureOf, formatLine, readAnswer, readRequest } from "./control-protocol.ts";

const read = (text: string): ReturnType<typeof readRequest> => readRequest(Buffer.from(text));

describe("readRequest", () => {
  it("reads a request, with or without arguments", () => {
    expect(read('{"id":7,"op":"ping","args":{"node":"a@h"}}')).toMatchObject({
      kind: "request",
      request: { id: 7, op: "ping", args: { node: "a@h" } },
    });
    expect(read('{"id":0,"op":"status"}')).toMatchObject({ kind: "request", request: { id: 0, op: "status" } });
  });

  it.each([
    "",
    "garbage",
    "null",
    "[1]",
    '"status"',
    "{}",
    '{"op":"status"}',
    '{"id":-1,"op":"status"}',
    '{"id":1.5,"op":"status"}',
    '{"id":1e99,"op":"status"}',
    '{"id":"1","op":"status"}',
    '{"id":1,"op":"status"',
    "[".repeat(60_000),
    "\u0000\u00ff",
  ])("does not know what to do with %j", (text) => {
    expect(read(text)).toMatchObject({ kind: "fault", id: null, error: { reason: "CONTROL_REQUEST" } });
  });

  it("refuses unknown operations and arguments of another form, and says to which request", () => {
    expect(read('{"id":3,"op":"shutdown"}')).toMatchObject({
      kind: "fault",
      id: 3,
      error: { code: "ERR_API_MISUSE", reason: "CONTROL_UNKNOWN_OP" },
    });
    for (const op of ["constructor", "__proto__", "toString", "STATUS"]) {
      expect(read(`{"id":3,"op":"${op}"}`)).toMatchObject({ error: { reason: "CONTROL_UNKNOWN_OP" } });
    }
    for (const args of ["[]", "1", "null", '"x"']) {
      expect(read(`{"id":3,"op":"status","args":${args}}`)).toMatchObject({
        id: 3,
        error: { reason: "CONTROL_REQUEST" },
      });
    }
  });

  it("gives arguments without a chain of prototypes", () => {
    const found = read('{"id":3,"op":"status","args":{"__proto__":{"node":"x"}}}');
    if (found.kind !== "request") throw new Error("no request");
    expect(found.request.args["node"]).toBeUndefined();
    expect(found.request.args["toString"]).toBeUndefined();
  });

  it("shows no control characters of an unknown operation", () => {
    const found = read('{"id":3,"op":"\\u001b[31m\\n"}');
    expect(found.kind === "fault" && /[\u0000-\u001f]/.test(found.error.message)).toBe(false);
  });
});

describe("failures", () => {
  it("come out of the socket as they went in", () => {
    const error = new SallyportError("ERR_REMOTE", "TARGET_DOWN", "calc is down", {
      detail: { remoteReason: "noconnection", n: 1 },
      advice: "look",
      stage: "call",
      peer: "a@h",
    });
    const line = formatLine({ id: 4, ok: false, error: failureOf(error) });
    expect(line.at(-1)).toBe(0x0a);
    const answer = readAnswer(line.subarray(0, -1));
    if (answer?.ok !== false) throw new Error("no failure");
    const back = errorOf(answer.error);
    expect(isSallyportError(back)).toBe(true);
    const { code, reason, message, detail, advice, stage, peer } = back;
    expect({ code, reason, message, detail, advice, stage, peer }).toEqual({
      code: error.code,
      reason: error.reason,
      message: error.message,
      detail: error.detail,
      advice: error.advice,
      stage: error.stage,
      peer: error.peer,
    });
  });

  it("are errors of ours also when they were not, and unknown codes are our bug", () => {
    expect(failureOf(new TypeError("x is not a function"))).toMatchObject({
      code: "ERR_INTERNAL",
      reason: "UNEXPECTED",
    });
    const odd = errorOf({ code: "__proto__", reason: "R", message: "m", stage: "toString", detail: { a: {} } });
    expect(odd).toMatchObject({ code: "ERR_INTERNAL", stage: undefined, detail: {} });
  });
});

describe("readAnswer", () => {
  it.each(["", "[]", "{}", '{"id":1,"ok":true}', '{"ok":true,"result":{}}', '{"id":1,"ok":false,"error":{"code":1}}'])(
    "takes %j for no answer",
    (text) => {
      expect(readAnswer(Buffer.from(text))).toBeUndefined();
    },
  );
});
