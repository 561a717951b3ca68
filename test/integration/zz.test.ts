import { expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { A, B, NativeRig } from "./native-rig.ts";
const rig = new NativeRig();
async function pair(): Promise<{ a: Node; b: Node }> {
  const common = { cookie: "cookie-of-the-stream-tests", quic: {} } as const;
  const a = await rig.node(A, "tofu", { ...common, listen: ["quic://127.0.0.1:0"] });
  const resolve = { [A]: a.endpoints[0] as string };
  const b = await rig.node(B, "tofu", { ...common, listen: [], resolve });
  for (const n of [a, b]) {
    n.register("echo", { call: (request) => request }, { allow: "cookie" });
    n.onStream("echo", async (s) => { try { for await (const c of s) await s.write(c); s.end(); } catch {} }, { allow: "cookie" });
    n.onStream("cut", (s) => s.reset(7), { allow: "cookie" });
  }
  await b.connect(A);
  await expect.poll(() => a.peers().length).toBe(1);
  return { a, b };
}
const kinds = {
  openReset: async (x: Node, to: string) => { const s = await x.openStream(to, "echo"); s.reset(9); },
  writeReset: async (x: Node, to: string) => { const s = await x.openStream(to, "echo"); await s.write(Buffer.from("hi")); await new Promise((r) => setImmediate(r)); s.reset(9); },
  refused: async (x: Node, to: string) => { const s = await x.openStream(to, "nobody"); await s.closed; },
  cut: async (x: Node, to: string) => { const s = await x.openStream(to, "cut"); const e = await s.closed; expect(e?.detail["resetCode"]).toBe(7); },
  normal: async (x: Node, to: string) => { const s = await x.openStream(to, "echo"); s.end(); await s.closed; },
};
for (const side of ["a", "b"] as const)
  for (const [name, act] of Object.entries(kinds))
    it(`${name} by ${side}`, async () => {
      const { a, b } = await pair();
      const [x, y] = side === "a" ? [a, b] : [b, a];
      const t = Date.now();
      for (let i = 0; i < 250; i++) await act(x, y.name);
      const s = await x.openStream(y.name, "echo");
      await s.write(Buffer.from("hello")); s.end();
      let got = ""; for await (const c of s) got += c;
      expect(got).toBe("hello");
      console.log(name, side, Date.now() - t);
    }, 15000);
