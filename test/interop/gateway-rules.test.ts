import { expect, it } from "vitest";
import { gatewayBetween, INSIDE, OUTSIDE } from "./gateway-rig.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { useRig } from "./rig.ts";

describeWithErlang("Erlang nodes through a gateway with the default rules", () => {
  const t = useRig("tcp", (rig) => gatewayBetween(rig));

  it("the outside node commands", async () => {
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
    expect(await t.outside.erl(`rpc:call('${INSIDE}', erlang, node, [])`)).toBe(`'${INSIDE}'`);
    expect(await t.outside.erl(`erpc:call('${INSIDE}', lists, seq, [1, 3])`)).toBe("[1,2,3]");
  });

  it("the inside node does not", async () => {
    expect(await t.inside.erl(`rpc:call('${OUTSIDE}', erlang, node, [])`)).toMatch(/badrpc/);
    expect(t.messages.some(({ kind }) => kind === "denied")).toBe(true);
  });
});
