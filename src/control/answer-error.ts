import { type Detail, type ErrorCode, SallyportError } from "../base/errors.ts";
import { type ControlFailure, type Fields, isStage } from "./control-protocol.ts";

const CODES: Readonly<Record<ErrorCode, true>> = {
  ERR_PEER_MISBEHAVED: true,
  ERR_PEER_INCOMPATIBLE: true,
  ERR_DENIED: true,
  ERR_UNREACHABLE: true,
  ERR_DEADLINE: true,
  ERR_LIMIT: true,
  ERR_CLOSED: true,
  ERR_REMOTE: true,
  ERR_CONFIG: true,
  ERR_API_MISUSE: true,
  ERR_INTERNAL: true,
};

/** The failure that a node told, as the error it was there. A code of a newer version counts as `ERR_INTERNAL`. */
export function errorOf(failure: ControlFailure): SallyportError {
  const code = isCode(failure.code) ? failure.code : "ERR_INTERNAL";
  return new SallyportError(code, failure.reason, failure.message, {
    detail: detailOf(failure.detail),
    ...(failure.advice === undefined ? {} : { advice: failure.advice }),
    ...(failure.stage !== undefined && isStage(failure.stage) ? { stage: failure.stage } : {}),
    ...(failure.peer === undefined ? {} : { peer: failure.peer }),
  });
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(CODES, text);
}

function detailOf(fields: Fields = {}): Detail {
  const plain: [string, string | number | boolean][] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") plain.push([name, value]);
  }
  return Object.fromEntries(plain);
}
