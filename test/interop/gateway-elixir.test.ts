import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { DIRECT, GatewayEnds, INSIDE } from "./gateway-ends.ts";
import { describeWithElixir } from "./need-erlang.ts";
import { useRig } from "./rig.ts";

const SOURCE = readFileSync(new URL("erlang/gateway_ops.ex", import.meta.url), "utf8");
/** Names of the operations, in their order. */
const NAMES = [...SOURCE.matchAll(/^ {6}(\w+): (?:fn|&)/gm)].map(([, name = ""]) => name);
/** Those that read from a leader, which is not for the default rules. */
const READING = ["io_gets", "iex_of_far"];

/** Of a run that went wrong in itself. */
const FAILED = /^\{:ended|hangs|:nothing|not_quiet|UndefinedFunction/;

describeWithElixir("Elixir operations through a gateway with the default rules", () => {
  const t = useRig("tcp", async (rig) => {
    const ends = await GatewayEnds.start(rig, "elixir", true);
    const { outside, inside, direct = inside } = ends;
    const nodes = [outside, inside, direct];
    await Promise.all([ends.load("gateway_ops", nodes), ends.loadElixir("gateway_ops.ex", nodes)]);
    await Promise.all([inside, direct].map((node) => node.elixir("GatewayOps.setup()")));
    return { ends, through: await ends.through() };
  });

  it("are all run", async () => {
    expect(await t.ends.outside.elixir("GatewayOps.names()")).toBe(`[${NAMES.map((name) => `:${name}`).join(", ")}]`);
    expect(NAMES.length).toBeGreaterThanOrEqual(70);
  });

  const same = async (name: string): Promise<void> => {
    const { outside } = t.ends;
    const [direct, filtered] = await Promise.all([
      outside.elixir(`GatewayOps.run(:${name}, :"${DIRECT}")`),
      outside.elixir(`GatewayOps.run(:${name}, :"${INSIDE}")`),
    ]);
    expect(direct).not.toMatch(FAILED);
    expect(filtered).toBe(direct);
  };

  it.each(NAMES.filter((name) => !READING.includes(name)))("have the outcome that they have without: %s", same);

  it("leave every table empty, and refuse only late answers and log events", async () => {
    await t.through.empty();
    const unexpected = t.through.denied
      .filter(
        ({ operation, target }) =>
          !["alias-send", "monitor-exit", "demonitor"].includes(operation) && target !== "logger_proxy",
      )
      .map(({ by, why, operation, target, head }) => `${by} ${why} ${operation} ${target} ${head}`);
    expect(unexpected).toEqual([]);
  });

  it("do not read what somebody types", async () => {
    const before = t.through.denied.length;
    expect(await t.ends.outside.elixir(`GatewayOps.run(:io_gets, :"${INSIDE}")`)).toBe("{{:error, :enotsup}, []}");
    expect(t.through.denied.slice(before)).toMatchObject([{ why: "io-request", rule: 'leaders: "shell"' }]);
  });

  it("have it too when they read from a leader that is a shell, but for IEx, which links its leader", async () => {
    await t.through.close();
    const through = await t.ends.through({ filter: { leaders: "shell" } });
    await same("io_gets");
    const iex = (far: string) => t.ends.outside.elixir(`GatewayOps.run(:iex_of_far, :"${far}")`);
    expect([await iex(DIRECT), await iex(INSIDE)]).toEqual([":said", ":noconnection"]);
    expect(through.denied).toMatchObject([{ by: "worker", why: "operation", operation: "link", rule: undefined }]);
    await through.empty();
  });
});
