import { describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

// What a policy tells apart when the same peer comes over QUIC and over TLS.

const COOKIE = "cookie-of-the-quic-tests";
const rig = new NativeRig();

const POLICY = {
  version: 1,
  node: A,
  peers: { b: { names: [B], assurance: "cookie" } },
  rules: [
    { id: "barrel-only", from: "b", allow: "call", to: "barrel", when: { transport: "barrel" } },
    { id: "native-only", from: "b", allow: "call", to: "native", when: { transport: "native" } },
    { id: "either", from: "b", allow: "call", to: "either", when: { transport: ["native", "barrel"] } },
    { id: "everywhere", from: "b", allow: "call", to: "closed" },
    { id: "not-barrel", from: "b", deny: "call", to: "closed", when: { transport: "barrel" } },
  ],
} as const satisfies NodeOptions["policy"];

const SERVICES = ["barrel", "native", "either", "closed"] as const;

describe("rules about the transport `barrel`", () => {
  it("grant and deny to a peer over QUIC, and not to the same peer over TLS", async () => {
    const both = { cookie: COOKIE, quic: {}, tickTimeMs: 60_000 } as const;
    const listen = ["quic://127.0.0.1:0", "tls://127.0.0.1:0"];
    const a = await rig.node(A, "tofu", { ...both, listen, policy: POLICY });
    for (const name of SERVICES) a.register(name, { call: (request) => request });
    const [quic = "", tls = ""] = a.endpoints;
    const granted = async (endpoint: string): Promise<readonly string[]> => {
      const b = await rig.node(B, "tofu", { ...both, listen: [], resolve: { [A]: endpoint } });
      const out: string[] = [(await b.connect(A)).protocol];
      for (const name of SERVICES) if (await answers(b, name)) out.push(name);
      await b.close({ timeoutMs: 0 });
      return out;
    };
    expect(await granted(quic)).toEqual(["barrel", "barrel", "either"]);
    await expect.poll(() => a.peers(), { timeout: 20_000 }).toEqual([]);
    expect(await granted(tls)).toEqual(["native", "native", "either", "closed"]);
  });
});

async function answers(b: Node, name: string): Promise<boolean> {
  const { code } = await failure(b.call({ name, node: A }, 1));
  expect(["none", "ERR_DENIED"]).toContain(code);
  return code === "none";
}
