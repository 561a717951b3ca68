import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { closedDuringHandshake } from "../dist/connection-failures.ts";
import { type EndedAttempt, explainSilentEnd } from "./silent-end.ts";

const ATTEMPT: EndedAttempt = {
  role: "acceptor",
  own: parseNodeName("a@127.0.0.1"),
  info: undefined,
  ownTls: undefined,
  hasAnswered: true,
  isOverQuic: false,
  judge: () => ({ matched: true, presented: [], byCommonName: false }) as never,
  nowMs: 0,
};

describe("a dialler that leaves when it has heard this node's name", () => {
  it("most likely meant another node, but over QUIC, where the name was proven before", () => {
    const error = closedDuringHandshake("identity", undefined);
    expect(explainSilentEnd(error, ATTEMPT).detail).toMatchObject({ diagnosis: "PEER_NAME_MISMATCH" });
    expect(explainSilentEnd(error, { ...ATTEMPT, isOverQuic: true })).toBe(error);
  });
});
