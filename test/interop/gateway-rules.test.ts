import { expect, it } from "vitest";
import { gatewayBetween, INSIDE, OUTSIDE } from "./gateway-rig.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, useRig } from "./rig.ts";

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

  it("all of 20,000 casts in one burst arrive, far more than may be under way at once", async () => {
    const table =
      "spawn(fun() -> ets:new(burst, [named_table, public]), ets:insert(burst, {n, 0}), receive stop -> ok end end)";
    await t.inside.erl(table);
    const cast = `rpc:cast('${INSIDE}', ets, update_counter, [burst, n, 1])`;
    await t.outside.erl(`[${cast} || _ <- lists:seq(1, 20000)], ok`);
    await eventually(async () => expect(await t.inside.erl("ets:lookup(burst, n)")).toBe("[{n,20000}]"));
    await t.inside.erl("ets:info(burst, owner) ! stop");
  });
});
