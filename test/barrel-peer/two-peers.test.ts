import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeRoom, PeerProcess } from "./harness.ts";

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";
const room = makeRoom();
let a: PeerProcess;
let b: PeerProcess;
let address: string;

beforeAll(async () => {
  a = new PeerProcess(room, A);
  b = new PeerProcess(room, B, ["--listen", "127.0.0.1:0"]);
  address = `127.0.0.1:${(await b.wait({ event: "listening" }))["port"]}`;
});

afterAll(async () => {
  await Promise.all([a.stop(), b.stop()]);
  room.remove();
});

/** Brings the two up; gives the numbers of the connection on both sides. */
async function joined(): Promise<{ dialled: number; accepted: number }> {
  const [atA, atB] = [a.mark, b.mark];
  const dialled = await a.dial(B, address);
  const up = await b.wait({ event: "up", name: A }, atB);
  await a.wait({ event: "up", name: B }, atA);
  await Promise.all([a.wait({ event: "accepting" }, atA), b.wait({ event: "accepting" }, atB)]);
  return { dialled, accepted: up["connection"] as number };
}

const tagged = (tag: string): string => `0${tag.length}${Buffer.from(tag).toString("hex")}`;

describe("two peers", () => {
  it("authenticate each other, pin each other and come up visible", async () => {
    const { dialled, accepted } = await joined();
    const keyA = (await a.command("identity"))["key"];
    const keyB = (await b.command("identity"))["key"];
    const own = await a.wait({ event: "auth", connection: dialled });
    expect(own).toMatchObject({ role: "outgoing", outcome: "ok", peer: B, key: keyB });
    const other = await b.wait({ event: "auth", connection: accepted });
    expect(other).toMatchObject({ role: "incoming", outcome: "ok", peer: A, key: keyA });
    expect(await b.wait({ event: "up", connection: accepted })).toMatchObject({ flags: "0xd07df5fbd", hidden: false });
    expect((await a.command("status"))["pins"]).toEqual({ [B]: keyB });
    expect((await b.command("status"))["pins"]).toEqual({ [A]: keyA });
    expect(await a.wait({ event: "tls", connection: dialled })).toMatchObject({ alpn: "erlang-dist" });
  });

  it("announce the transport parameters of section 1", async () => {
    expect(await a.command("stats", { node: B })).toMatchObject({
      peerMaxIdleTimeout: 300_000,
      peerMaxUdpPayloadSize: 1452,
      peerInitialMaxData: 268_435_456,
      peerInitialMaxStreamDataBidiLocal: 4_194_304,
      peerInitialMaxStreamDataBidiRemote: 4_194_304,
      peerInitialMaxStreamDataUni: 4_194_304,
      peerInitialMaxStreamsBidi: 100,
      peerInitialMaxStreamsUni: 100,
      peerAckDelayExponent: 3,
      peerMaxAckDelay: 25,
      peerDisableActiveMigration: false,
      peerActiveConnIdLimit: 2,
    });
  });

  it("ping each other both ways", async () => {
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
    expect(await b.command("ping", { node: A })).toEqual({ answer: "pong" });
  });

  it("greet a visible peer as an Erlang node does", async () => {
    expect(await a.wait({ event: "received", to: { atom: "rex" } })).toMatchObject({ node: B });
    expect(await a.wait({ event: "received", to: { atom: "global_name_server" } })).toMatchObject({ node: B });
  });

  it("echo a message to the pid that sent it", async () => {
    const mark = a.mark;
    const { pid } = await a.command("identity");
    await a.command("send", {
      node: B,
      to: "echo",
      term: { tuple: ["$self", { tuple: [{ atom: "hello" }, 42, "x"] }] },
    });
    const reply = await a.wait({ event: "received", to: pid }, mark);
    const hello = { tuple: [{ atom: "hello" }, 42, "x"] };
    expect(reply["message"]).toEqual({ tuple: [{ atom: "echo" }, hello, { atom: B }] });
  });

  it("answer calls, and report a name that nobody has", async () => {
    const add = { tuple: [{ atom: "add" }, 20, 22] };
    expect(await a.command("call", { node: B, name: "calc", term: add })).toEqual({ ok: true, value: 42 });
    expect(await b.command("call", { node: A, name: "calc", term: add })).toEqual({ ok: true, value: 42 });
    expect(await a.command("call", { node: B, name: "nobody", term: 1 })).toEqual({ down: { atom: "noproc" } });
    const unknown = { ok: true, value: { tuple: [{ atom: "error" }, { atom: "bad_request" }] } };
    expect(await a.command("call", { node: B, name: "calc", term: { atom: "what" } })).toEqual(unknown);
  });

  it("fire a monitor when the process ends", async () => {
    expect(await a.command("monitor", { node: B, name: "nobody" })).toEqual({ reason: { atom: "noproc" } });
    const down = a.command("monitor", { node: B, name: "echo" });
    // A call behind the monitor on the same way makes sure that it has arrived.
    await a.command("ping", { node: B });
    await b.command("kill", { name: "echo", reason: "shutdown" });
    expect(await down).toEqual({ reason: { atom: "shutdown" } });
  });

  it("carry messages larger than one fragment, and large integers, both ways", async () => {
    const mark = b.mark;
    const term = { tuple: ["y".repeat(300_000), { integer: "123456789012345678901234567890" }] };
    await a.command("send", { node: B, to: "nowhere", term });
    const got = await b.wait({ event: "received", to: { atom: "nowhere" } }, mark);
    expect(got["message"]).toEqual(term);
  });

  it("open tagged streams both ways, refuse unknown tags with 0x100, and end with FIN", async () => {
    for (const [from, to, node] of [
      [a, b, B],
      [b, a, A],
    ] as const) {
      const [mine, theirs] = [from.mark, to.mark];
      const { stream } = await from.command("openStream", { node, tag: "echo" });
      await from.command("writeStream", { node, stream, hex: "c0ffee", fin: true });
      expect(await to.wait({ event: "stream", what: "open" }, theirs)).toMatchObject({ tag: "echo", id: stream });
      const back = await from.wait({ event: "stream", what: "data" }, mine);
      expect(back).toMatchObject({ id: stream, hex: "c0ffee" });
      const bad = await from.command("openStream", { node, tag: "nobody" });
      expect(await from.wait({ event: "stream", what: "reset" }, mine)).toMatchObject({
        id: bad["stream"],
        code: 0x100,
      });
      const uni = await from.command("openStream", { node, tag: "echo", uni: true });
      await from.command("writeStream", { node, stream: uni["stream"], hex: "01" });
      expect(await to.wait({ event: "stream", what: "reply_failed" }, theirs)).toMatchObject({ id: uni["stream"] });
    }
    const opened = a.since(0, { event: "stream", what: "reset" }).map((event) => event["id"]);
    expect(opened).toEqual([72]);
    expect(b.since(0, { event: "stream", what: "reset" }).map((event) => event["id"])).toEqual([69]);
  });

  it("keep the bytes that come after a refusal, and poison the same stream of the next connection", async () => {
    const mark = b.mark;
    const { stream } = await a.command("openStream", { node: B, tag: "nobody" });
    await b.wait({ event: "stream", what: "refused", id: stream }, mark);
    await a.command("raw", { node: B, stream, hex: tagged("sink") });
    await b.wait({ event: "stream", what: "held", id: stream }, mark);
    await a.command("close", { node: B });
    await b.wait({ event: "down", name: A }, mark);
    const { dialled } = await joined();
    await a.command("raw", { connection: dialled, stream, hex: tagged("echo") });
    expect(await b.wait({ event: "stream", what: "open", id: stream }, mark)).toMatchObject({ tag: "sink" });
    expect(await b.wait({ event: "stream", what: "data", id: stream }, mark)).toMatchObject({ hex: tagged("echo") });
  });

  it("survive a rebind of the dialler's socket", async () => {
    const before = await a.command("stats", { node: B });
    const { port } = await a.command("rebind", { node: B });
    expect(port).toBeGreaterThan(0);
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
    expect(await b.command("ping", { node: A })).toEqual({ answer: "pong" });
    expect((await a.command("stats", { node: B }))["recv"]).toBeGreaterThan(before["recv"] as number);
  });

  it("answer a second connection of the same name with `alive`, and let it replace the first", async () => {
    const [mine, mark] = [a.mark, b.mark];
    await a.dial(B, address);
    await a.wait({ event: "up", name: B }, mine);
    await a.wait({ event: "down", name: B }, mine);
    await b.wait({ event: "down", name: A }, mark);
    // It ends the first before it tells of the second.
    await b.wait({ event: "up", name: A }, mark);
    expect(b.since(mark, { event: "up", name: A })).toHaveLength(1);
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
  });

  it("close with application code 0 and no reason", async () => {
    const [mineAt, theirsAt] = [a.mark, b.mark];
    await a.command("close", { node: B });
    expect(await b.wait({ event: "down", name: A }, theirsAt)).toMatchObject({ reason: "peer" });
    expect(await b.wait({ event: "closed" }, theirsAt)).toMatchObject({ by: "peer", isApp: true, code: 0 });
    expect(await a.wait({ event: "closed" }, mineAt)).toMatchObject({ by: "own", isApp: true, code: 0 });
  });
});
