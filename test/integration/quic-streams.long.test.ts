import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { PeerStream } from "../../src/node/peer-stream.ts";
import { A, B, NativeRig } from "./native-rig.ts";

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
/** As many as QUIC lets one side have open at once beside the session's own. */
const STREAMS = 82;
const rig = new NativeRig();

async function digestOf(stream: PeerStream): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

describe("very many streams of two nodes over QUIC, of which nobody reads one", () => {
  it("hold bounded memory and no call up, and come whole when they are read", async () => {
    const common = { cookie: "cookie-of-the-stream-tests", quic: {} } as const;
    const a = await rig.node(A, "tofu", { ...common, listen: ["quic://127.0.0.1:0"] });
    const b = await rig.node(B, "tofu", { ...common, listen: [], resolve: { [A]: a.endpoints[0] as string } });
    a.register("echo", { call: (request) => request }, { allow: "cookie" });
    const arrived: PeerStream[] = [];
    a.onStream("late", (stream) => void arrived.push(stream), { allow: "cookie" });

    const sent = randomBytes(3 * MIB);
    let written = 0;
    const pour = async (stream: PeerStream): Promise<void> => {
      for (let at = 0; at < sent.length; at += PIECE) {
        await stream.write(sent.subarray(at, at + PIECE));
        written += PIECE;
      }
      stream.end();
    };
    const streams: PeerStream[] = [];
    for (let n = 0; n < STREAMS; n++) streams.push(await b.openStream(A, "late"));
    const writing = Promise.all(streams.map(pour));
    await expect.poll(() => arrived.length, { timeout: 45_000 }).toBe(STREAMS);
    let held = -1;
    while (held !== written) {
      held = written;
      for (let n = 0; n < 100; n++) expect(await b.call({ name: "echo", node: A }, n)).toBe(n);
    }
    // Unread, the first window, and a piece on top of each; and what all windows together may grow by.
    expect(held).toBeLessThanOrEqual(STREAMS * (256 * 1024 + 128 * 1024 + 2 * PIECE) + 24 * MIB);
    const digests = arrived.map(digestOf);
    for (const stream of arrived) stream.end();
    await writing;
    expect(new Set(await Promise.all(digests))).toEqual(new Set([createHash("sha256").update(sent).digest("hex")]));
    expect(await Promise.all(streams.map(async (stream) => [await digestOf(stream), await stream.closed][1]))).toEqual(
      streams.map(() => null),
    );
  });
});
