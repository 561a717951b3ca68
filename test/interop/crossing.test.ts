import { expect, it } from "vitest";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, TRANSPORTS, useRig } from "./rig.ts";

const ROUNDS = 100;

for (const transport of TRANSPORTS) {
  describeWithErlang(`nodes that dial each other at the same moment over ${transport}`, () => {
    const t = useRig(transport, async (rig) => ({ beam: await rig.erlang("middle") }));

    // The connection dialled by the greater name survives, so both orders are tried.
    for (const local of ["above", "zenith"]) {
      it(`${ROUNDS} crossing connects of ${local} and middle each end in one session that both agree on`, async () => {
        const node = await t.rig.sallyport(local);
        node.register("echo", { call: (request) => request }, { allow: "cookie" });
        let crossed = 0;
        let ups = 0;
        let downs = 0;
        node.on("refused", ({ error }) => error.reason === "OTHER_CONNECTION_WINS" && crossed++);
        node.on("nodeup", () => ups++);
        node.on("nodedown", () => downs++);
        const connect = `net_kernel:connect_node('${node.name}')`;
        for (let round = 0; round < ROUNDS; round++) {
          const theirs = t.beam.erl(connect);
          const ours = node.connect(t.beam.name);
          expect(await theirs, `round ${round}`).toBe("true");
          expect((await ours).name).toBe(t.beam.name);
          expect(node.peers()).toHaveLength(1);
          expect(await t.beam.erl(`{nodes(hidden), gen_server:call({echo,'${node.name}'}, ${round})}`)).toBe(
            `{['${node.name}'],${round}}`,
          );
          await node.ping(t.beam.name);
          if (round % 2 === 0) node.disconnect(t.beam.name);
          else await t.beam.erl(`erlang:disconnect_node('${node.name}')`);
          await eventually(async () => {
            expect(node.peers()).toHaveLength(0);
            expect(await t.beam.erl("nodes(hidden)")).toBe("[]");
          });
        }
        expect(downs).toBe(ups);
        expect(crossed).toBeGreaterThan(0);
        await node.close();
      });
    }
  });
}
