import { beforeEach, describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { BarrelNodes } from "../testkit/barrel-nodes.ts";
import type { PeerStream } from "./api.ts";
import type { SallyportNode } from "./node.ts";

const A = "a@h.example";
const B = "b@h.example";
let nodes = new BarrelNodes();
let a: SallyportNode;
let b: SallyportNode;

beforeEach(async () => {
  nodes = new BarrelNodes();
  nodes.pin(A, B, 2);
  nodes.pin(B, A, 1);
  a = nodes.node(A);
  b = nodes.node(B);
  const up = a.connect(B);
  await nodes.settle();
  await nodes.pass(250);
  await up;
});

/** All that comes on a stream, or the reason of the error that cut it. */
async function readAll(stream: PeerStream): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (error) {
    return isSallyportError(error) ? error.reason : String(error);
  }
  return Buffer.concat(chunks).toString();
}

async function settled<T>(promise: Promise<T>): Promise<T> {
  await nodes.settle();
  await nodes.pass(250);
  return promise;
}

describe("tagged streams between nodes", () => {
  it("carry bytes both ways to whoever serves their tag and is allowed", async () => {
    b.onStream(
      "upper",
      async (stream) => {
        expect(stream.peer.name).toBe(A);
        await stream.write(Buffer.from((await readAll(stream)).toUpperCase()));
        stream.end();
      },
      { allow: "cookie" },
    );
    const stream = await settled(a.openStream(B, "upper"));
    const answer = readAll(stream);
    await stream.write(Buffer.from("hello, "));
    await stream.write(Buffer.from("world"));
    stream.end();
    expect(await settled(answer)).toBe("HELLO, WORLD");
    expect(await stream.closed).toBeNull();
  });

  it("are private without a rule: no handler sees a byte, and the refusal is recorded", async () => {
    const seen: string[] = [];
    const denied: unknown[] = [];
    b.on("denied", (decision) => void denied.push([decision.verb, decision.target]));
    b.onStream("vault", (stream) => void seen.push(stream.tag));
    b.onStream("high", (stream) => void seen.push(stream.tag), { allow: "pinned" });
    for (const tag of ["vault", "high", "unknown"]) {
      const stream = await settled(a.openStream(B, tag));
      const answer = readAll(stream);
      expect(await settled(answer)).toBe("STREAM_REFUSED");
      expect((await stream.closed)?.reason).toBe("STREAM_REFUSED");
    }
    expect(seen).toEqual([]);
    expect(denied).toEqual([
      ["stream", "vault"],
      ["stream", "high"],
      ["stream", "unknown"],
    ]);
  });

  it("wait for a reader that is slower, and let a call pass meanwhile", async () => {
    let go: () => void = () => {};
    const later = new Promise<void>((resolve) => {
      go = resolve;
    });
    let got = 0;
    b.onStream(
      "slow",
      async (stream) => {
        await later;
        for await (const chunk of stream) got += chunk.length;
      },
      { allow: "cookie" },
    );
    b.register("echo", { call: (request) => request }, { allow: "cookie" });
    const stream = await settled(a.openStream(B, "slow"));
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 64; i++) {
        await stream.write(Buffer.alloc(64 * 1024));
        written += 64 * 1024;
      }
      stream.end();
    })();
    await nodes.settle();
    await nodes.pass(500);
    expect(written).toBeLessThan(2 * 1024 * 1024);
    expect(String(await settled(a.call({ name: "echo", node: B }, "still here")))).toBe("still here");
    go();
    await settled(writing);
    await nodes.pass(500);
    expect([written, got]).toEqual([4 * 1024 * 1024, 4 * 1024 * 1024]);
  });

  it("are cut when their handler throws, and when the session ends", async () => {
    const failures: string[] = [];
    b.on("handlerError", ({ where }) => void failures.push(where));
    b.onStream("bad", () => Promise.reject(new Error("no")), { allow: "cookie" });
    const bad = await settled(a.openStream(B, "bad"));
    expect((await settled(bad.closed))?.reason).toBe("STREAM_OWNER_GONE");
    expect(failures).toEqual(["stream bad"]);
    b.onStream("long", () => {}, { allow: "cookie" });
    const long = await settled(a.openStream(B, "long"));
    a.disconnect(B);
    expect((await settled(long.closed))?.reason).toBe("SESSION_CLOSED");
    await expect(long.write(Buffer.from("x"))).rejects.toThrow(/is over/);
  });

  it("have one handler for a tag, which can be taken back", async () => {
    const stop = b.onStream("one", (stream) => stream.end(), { allow: "cookie" });
    expect(() => b.onStream("one", () => {})).toThrow(/served already/);
    expect(() => b.onStream("barrel_p2p:x", () => {})).toThrow(/is no tag/);
    stop();
    const stream = await settled(a.openStream(B, "one"));
    expect((await settled(stream.closed))?.reason).toBe("STREAM_REFUSED");
    b.onStream("one", (opened) => opened.end(), { allow: "cookie" })();
  });

  it("can be read in one place only", async () => {
    b.onStream("open", () => {}, { allow: "cookie" });
    const stream = await settled(a.openStream(B, "open"));
    const first = readAll(stream);
    await nodes.settle();
    expect(await readAll(stream)).toBe("STREAM_READ_TWICE");
    stream.reset();
    expect(await settled(first)).toBe("STREAM_RESET");
  });
});

describe("a policy on streams", () => {
  const C = "c@h.example";
  const policyOf = (to: string): PolicyDocument => ({
    version: 1,
    node: C,
    peers: { a: { names: [A], assurance: "cookie" } },
    rules: [{ id: "up", from: "a", allow: "stream", to }],
  });

  it("grants by tag, and cuts what it does not grant any more", async () => {
    nodes.pin(A, C, 3);
    nodes.pin(C, A, 1);
    await nodes.pass(1_000);
    const c = nodes.node(C, { policy: policyOf("uploads") });
    const got: string[] = [];
    for (const tag of ["uploads", "other"]) {
      c.onStream(tag, async (stream) => {
        for await (const chunk of stream) got.push(`${tag} ${chunk}`);
      });
    }
    const uploads = await settled(a.openStream(C, "uploads"));
    const other = await settled(a.openStream(C, "other"));
    await uploads.write(Buffer.from("one"));
    expect((await settled(other.closed))?.reason).toBe("STREAM_REFUSED");
    expect(got).toEqual(["uploads one"]);
    c.policy?.replace(policyOf("elsewhere"));
    expect((await settled(uploads.closed))?.reason).toBe("STREAM_OWNER_GONE");
  });
});
