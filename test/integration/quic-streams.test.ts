import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { PeerStream } from "../../src/node/peer-stream.ts";
import { A, B, NativeRig } from "./native-rig.ts";

// Streams of bytes beside messages, between two nodes over real QUIC.

const MIB = 1024 * 1024;
const rig = new NativeRig();

async function pair(): Promise<{ a: Node; b: Node }> {
  const common = { cookie: "cookie-of-the-stream-tests", quic: {} } as const;
  const a = await rig.node(A, "tofu", { ...common, listen: ["quic://127.0.0.1:0"] });
  a.register("echo", { call: (request) => request }, { allow: "cookie" });
  const resolve = { [A]: a.endpoints[0] as string };
  const b = await rig.node(B, "tofu", { ...common, listen: [], resolve });
  return { a, b };
}

async function digestOf(stream: PeerStream): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

const sha256 = (chunks: readonly Buffer[]): string =>
  chunks.reduce((hash, chunk) => hash.update(chunk), createHash("sha256")).digest("hex");

describe("streams of two nodes over QUIC", () => {
  it("carry megabytes both ways at once, whole and in order, while calls go on", async () => {
    const { a, b } = await pair();
    const chunks = Array.from({ length: 16 }, () => randomBytes(MIB / 2));
    const got = new Promise<{ bytes: number; sha256: string }>((resolve, reject) =>
      a.onStream(
        "upload",
        async (stream) => {
          void stream.write(Buffer.from("ready")).then(() => stream.end(), reject);
          resolve(await digestOf(stream));
        },
        { allow: "cookie" },
      ),
    );
    const stream = await b.openStream(A, "upload");
    const answer = digestOf(stream);
    const writing = (async () => {
      for (const chunk of chunks) await stream.write(chunk);
      stream.end();
    })();
    for (let n = 0; n < 20; n++) expect(await b.call({ name: "echo", node: A }, n)).toBe(n);
    await writing;
    expect(await got).toEqual({ bytes: 8 * MIB, sha256: sha256(chunks) });
    expect(await answer).toMatchObject({ bytes: 5 });
    expect(await stream.closed).toBeNull();
  });

  it("are refused where no rule opens the tag, or nobody serves it, and neither handler nor byte is reached", async () => {
    const { a, b } = await pair();
    const denied: unknown[] = [];
    a.on("denied", ({ verb, target }) => denied.push([verb, target]));
    const seen: string[] = [];
    a.onStream("vault", (stream) => void seen.push(stream.tag));
    for (const tag of ["vault", "nobody"]) {
      const stream = await b.openStream(A, tag);
      await stream.write(Buffer.from("hello")).catch(() => undefined);
      expect(await stream.closed).toMatchObject({ reason: "STREAM_REFUSED" });
    }
    expect(seen).toEqual([]);
    await expect.poll(() => denied).toContainEqual(["stream", "vault"]);
    expect(await b.call({ name: "echo", node: A }, 1)).toBe(1);
  });

  it("end with their session on both sides", async () => {
    const { a, b } = await pair();
    const served = new Promise<PeerStream>((resolve) => a.onStream("long", (it) => resolve(it), { allow: "cookie" }));
    const stream = await b.openStream(A, "long");
    await stream.write(Buffer.from("x"));
    const other = await served;
    b.disconnect(A);
    expect([await stream.closed, await other.closed].map((error) => error?.code)).toEqual(["ERR_CLOSED", "ERR_CLOSED"]);
  });
});
