import { expect, it } from "vitest";
import { describeWithErlang } from "./need-erlang.ts";
import { TRANSPORTS, useRig } from "./rig.ts";

for (const transport of TRANSPORTS) {
  describeWithErlang(`reaching each other over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
      return { beam, node };
    });

    it("a Sallyport node pings a BEAM, which counts it among its hidden nodes", async () => {
      const { peer, rttMs } = await t.node.ping("beam@127.0.0.1");
      expect(peer).toMatchObject({
        name: "beam@127.0.0.1",
        protocol: "otp",
        assurance: transport === "tls" ? "ca" : "cookie",
        fingerprint: null,
      });
      expect(peer.certificate === null).toBe(transport === "tcp");
      expect(rttMs).toBeGreaterThan(0);
      expect(await t.beam.erl("{nodes(), nodes(hidden)}")).toBe("{[],['sally@127.0.0.1']}");
    });
  });
}
