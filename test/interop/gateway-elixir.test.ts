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

  /** Whether that process of the outside node, in the form of an event, still runs. */
  const isAlive = async (target: string): Promise<boolean> => {
    const process = /^<(\d+\.\d+)>@outside@/.exec(target)?.[1];
    if (process === undefined) return true;
    const pid = `:erlang.list_to_pid(:erlang.binary_to_list("<0.${process}>"))`;
    return (await t.ends.outside.elixir(`Process.alive?(${pid})`)) !== "false";
  };

  it("leave every table empty, and refuse only late answers and log events", async () => {
    await t.through.empty();
    const unexpected: string[] = [];
    for (const { by, why, operation, target, head } of t.through.denied) {
      if (["alias-send", "monitor-exit", "demonitor"].includes(operation) || target === "logger_proxy") continue;
      // Of two linked processes that end at once the second exit comes for a dead one.
      if (operation === "exit" && why === "unasked" && !(await isAlive(target))) continue;
      unexpected.push(`${by} ${why} ${operation} ${target} ${head}`);
    }
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
