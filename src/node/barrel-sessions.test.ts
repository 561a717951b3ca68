import { afterEach, describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { BarrelNodes } from "../testkit/barrel-nodes.ts";
import type { Node, Peer } from "./api.ts";

const A = "a@h.example";
const B = "b@h.example";
let nodes = new BarrelNodes();
afterEach(() => {
  nodes = new BarrelNodes();
});

/** Connects, and says with what reason it fails. */
async function connect(from: Node, to: string): Promise<Peer | string> {
  const result = from.connect(to).then(
    (peer) => peer,
    (error: unknown) => (isSallyportError(error) ? error.reason : String(error)),
  );
  await nodes.settle();
  await nodes.pass(500);
  return result;
}

const last = (events: readonly string[]): string | undefined => events.at(-1);

/** Reasons of connections that did not become sessions. */
function refusals(node: Node): string[] {
  const reasons: string[] = [];
  node.on("refused", ({ error }) => void reasons.push(error.reason));
  return reasons;
}

describe("sessions over barrel's protocol", () => {
  it("are pinned when dialled and cookie when accepted, with the same pins as native ones", async () => {
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    b.register("echo", { call: (request) => request }, { allow: "cookie" });
    a.register("echo", { call: (request) => request }, { allow: "pinned" });
    const peer = await connect(a, B);
    expect(peer).toMatchObject({ name: B, protocol: "barrel", assurance: "pinned" });
    expect((peer as Peer).publicKey).toEqual(nodes.keyOf(2));
    expect(b.peers()).toMatchObject([{ name: A, protocol: "barrel", assurance: "cookie" }]);
    expect(b.peers()[0]?.publicKey).toEqual(nodes.keyOf(1));
    const answer = a.call({ name: "echo", node: B }, "hello", { timeoutMs: 1000 });
    await nodes.settle();
    expect(String(await answer)).toBe("hello");
    const back = b.call({ name: "echo", node: A }, "hello", { timeoutMs: 1000 });
    await nodes.settle();
    expect(String(await back)).toBe("hello");
  });

  it("do not open to an inbound peer what asks for more than the cookie, whatever its pin", async () => {
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    b.register("vault", { call: (request) => request }, { allow: "tofu" });
    await connect(a, B);
    const answer = a.call({ name: "vault", node: B }, "open", { timeoutMs: 1000 }).catch((error: unknown) => error);
    await nodes.settle();
    await nodes.pass(1000);
    expect(await answer).toMatchObject({ code: "ERR_DENIED" });
  });

  it("are refused to keys that are not trusted, on either side, before Erlang's handshake", async () => {
    nodes.pin(A, B, 2);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    const refusedAtB = refusals(b);
    expect(await connect(a, B)).toBe("REFUSED_BY_PEER");
    expect(refusedAtB).toEqual(["KEY_UNTRUSTED"]);
    nodes = new BarrelNodes();
    nodes.pin(A, B, 9);
    nodes.pin(B, A, 1);
    const [c] = [nodes.node(A), nodes.node(B)];
    expect(await connect(c, B)).toBe("KEY_MISMATCH");
  });

  it("are refused to whoever answers under another name than the dialled one", async () => {
    nodes.pin(A, B, 2);
    nodes.pin("c@h.example", A, 1);
    const a = nodes.node(A, { redirect: { [B]: "c@h.example" } });
    nodes.node("c@h.example");
    expect(await connect(a, B)).toBe("PEER_NAME_MISMATCH");
  });

  it("pin nothing before the cookie was proven", async () => {
    const a = nodes.node(A, { trust: "tofu", cookie: "a cookie of somebody else entirely" });
    const b = nodes.node(B, { trust: "tofu" });
    const refusedAtB = refusals(b);
    expect(await connect(a, B)).toBe("SECRET_MISMATCH");
    expect(last(refusedAtB)).toBe("SECRET_MISMATCH");
    expect([nodes.pins(A, "first-use"), nodes.pins(B, "first-use")]).toEqual([[], []]);
    expect(b.identity?.waiting?.() ?? []).toEqual([]);
  });

  it("pin on first use once it was, on the side that dialled, and refuse another key from then on", async () => {
    const a = nodes.node(A, { trust: "tofu" });
    const b = nodes.node(B, { trust: "tofu" });
    expect(await connect(a, B)).toMatchObject({ assurance: "tofu", protocol: "barrel" });
    expect(b.peers()).toMatchObject([{ name: A, assurance: "cookie" }]);
    expect(nodes.pins(A, "first-use")).toEqual([`/${A}/first-use/${B}.pub`]);
    // Whoever came in is remembered, and reserves no name.
    expect(nodes.pins(B, "first-use")).toEqual([]);
    a.disconnect(B);
    await nodes.pass(500);
    nodes.node(B, { trust: "tofu", seedByte: 77, dir: "/thief" });
    expect(await connect(a, B)).toBe("KEY_MISMATCH");
  });

  it("end when the pin cannot be written, with a name for it on the side that could not", async () => {
    const a = nodes.node(A, { trust: "tofu" });
    const b = nodes.node(B, { trust: "tofu" });
    const refusedAtA = refusals(a);
    const lost = new Promise((resolve) => b.on("nodedown", (_peer, why) => resolve(why)));
    nodes.files.failAt(0);
    expect(await connect(a, B)).toBe("PIN_NOT_DURABLE");
    expect(refusedAtA).toEqual(["PIN_NOT_DURABLE"]);
    // Its side stood: whoever accepts has nothing to wait for.
    expect(await lost).toBe("CLOSED");
    expect([a.peers(), b.peers(), nodes.pins(A, "first-use")]).toEqual([[], [], []]);
  });

  it("go by the cookie alone where both sides list each other, and no pin says otherwise", async () => {
    const a = nodes.node(A, { cookieOnly: [B] });
    const b = nodes.node(B, { cookieOnly: [A] });
    expect(await connect(a, B)).toMatchObject({ assurance: "cookie", publicKey: null, protocol: "barrel" });
    expect(b.peers()).toMatchObject([{ assurance: "cookie", publicKey: null }]);
    nodes = new BarrelNodes();
    const c = nodes.node(A);
    nodes.node(B, { cookieOnly: [A] });
    expect(await connect(c, B)).toBe("METHOD_MISMATCH");
    nodes = new BarrelNodes();
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const d = nodes.node(A, { cookieOnly: [B] });
    nodes.node(B, { cookieOnly: [A] });
    expect(await connect(d, B)).toMatchObject({ assurance: "pinned" });
  });

  it("end when the key is revoked", async () => {
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    await connect(a, B);
    nodes.files.remove(`/${B}/trusted/${A}.pub`);
    await nodes.pass(2_000);
    expect(b.peers()).toEqual([]);
  });

  it("are counted under barrel's own names", async () => {
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    await connect(a, B);
    const counters = (node: Node): unknown[] =>
      node
        .metrics()
        .flatMap((m) => (m.kind === "counter" && m.name.startsWith("barrel") ? [[m.name, m.labels, m.value]] : []));
    expect(counters(a)).toEqual([["barrel_p2p.dist.auth.attempts", { role: "outgoing", outcome: "ok" }, 1]]);
    expect(counters(b)).toEqual([["barrel_p2p.dist.auth.attempts", { role: "incoming", outcome: "ok" }, 1]]);
    expect(a.metrics().some((m) => m.name === "barrel_p2p.dist.auth.duration_ms")).toBe(true);
  });

  it("that do not come are counted as failed, by role", async () => {
    nodes.pin(A, B, 2);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    expect(await connect(a, B)).toBe("REFUSED_BY_PEER");
    const attempts = (node: Node): unknown[] =>
      node
        .metrics()
        .flatMap((m) => (m.name === "barrel_p2p.dist.auth.attempts" ? [[m.labels, "value" in m && m.value]] : []));
    expect(attempts(a)).toEqual([[{ role: "outgoing", outcome: "fail" }, 1]]);
    expect(attempts(b)).toEqual([[{ role: "incoming", outcome: "fail" }, 1]]);
  });

  it("cross without harm: of two dials one session comes", async () => {
    nodes.pin(A, B, 2);
    nodes.pin(B, A, 1);
    const [a, b] = [nodes.node(A), nodes.node(B)];
    const both = [a.connect(B), b.connect(A)];
    await nodes.settle();
    await nodes.pass(3_000);
    const peers = await Promise.all(both);
    expect(peers.map((peer) => peer.name)).toEqual([B, A]);
    expect([a.peers().length, b.peers().length]).toEqual([1, 1]);
  });
});
