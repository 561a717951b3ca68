import { expect, it } from "vitest";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, type Rig, useRig } from "./rig.ts";

const SERVERS = "[rex, global_name_server, net_kernel, pg, kernel_sup]";

/** Two BEAM nodes with `pg` scopes, connected to each other, and a Sallyport node connected to both. */
async function cluster(rig: Rig, visible: boolean) {
  const [one, two, node] = await Promise.all([
    rig.erlang("one"),
    rig.erlang("two"),
    rig.sallyport("sally", { visible }),
  ]);
  for (const beam of [one, two]) await beam.erl("{ok, P} = pg:start(pg), P");
  const before = await Promise.all([one, two].map((beam) => beam.erl(`[whereis(N) || N <- ${SERVERS}]`)));
  expect(await one.erl("net_adm:ping('two@127.0.0.1')")).toBe("pong");
  for (const beam of [one, two]) await node.ping(beam.name);
  return { one, two, node, before };
}

for (const visible of [true, false]) {
  const kind = visible ? "visible" : "hidden";
  describeWithErlang(`a ${kind} Sallyport node in a cluster`, () => {
    const t = useRig("tls", (rig) => cluster(rig, visible));

    it(`is ${visible ? "" : "not "}among nodes()`, async () => {
      const expected = visible ? "['sally@127.0.0.1','two@127.0.0.1']" : "['two@127.0.0.1']";
      await eventually(async () => expect(await t.one.erl("lists:sort(nodes())")).toBe(expected));
      expect(await t.one.erl("lists:member('sally@127.0.0.1', nodes(connected))")).toBe("true");
    });

    it("breaks neither global nor pg nor rpc of the others", async () => {
      expect(await t.one.erl("global:register_name(thing, whereis(init))")).toBe("yes");
      await eventually(async () => expect(await t.two.erl("node(global:whereis_name(thing))")).toBe("'one@127.0.0.1'"));
      expect(await t.two.erl("global:trans({lock, self()}, fun() -> done end)")).toBe("done");
      expect(await t.one.erl("pg:join(group, whereis(init))")).toBe("ok");
      await eventually(async () =>
        expect(await t.two.erl("[node(P) || P <- pg:get_members(group)]")).toBe("['one@127.0.0.1']"),
      );
      expect(await t.two.erl("rpc:call('one@127.0.0.1', erlang, node, [])")).toBe("'one@127.0.0.1'");
    });

    it("may come and go without any system process of the others ending", async () => {
      for (let round = 0; round < 3; round++) {
        t.node.disconnect("one@127.0.0.1");
        await t.node.ping("one@127.0.0.1");
      }
      await t.node.close();
      await eventually(async () => expect(await t.one.erl("nodes(connected)")).toBe("['two@127.0.0.1']"));
      expect(await t.two.erl("pg:leave(group, whereis(init))")).toBe("not_joined");
      const after = await Promise.all([t.one, t.two].map((beam) => beam.erl(`[whereis(N) || N <- ${SERVERS}]`)));
      expect(after).toEqual(t.before);
      for (const beam of [t.one, t.two])
        expect(beam.output).not.toMatch(/crash|terminating|corrupted|Invalid distribution/i);
    });
  });
}
