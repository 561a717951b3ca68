import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BeamNode } from "./erlang-node.ts";
import { DIRECT, GatewayEnds, INSIDE, OUTSIDE, type Through, type ThroughChoice } from "./gateway-ends.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { type Rig, useRig } from "./rig.ts";

const SOURCE = readFileSync(new URL("erlang/gateway_ops.erl", import.meta.url), "utf8");
/** Names of the operations, in their order. */
const NAMES = [...SOURCE.slice(0, SOURCE.indexOf("denials() -> [")).matchAll(/^ {4}\{(\w+), fun/gm)].map(
  ([, name = ""]) => name,
);
/** These end the connection, so they come last. */
const ENDING = ["connection_lost", "connected_again"];
const LASTING = NAMES.filter((name) => !ENDING.includes(name));

/** Those that differ most in what comes back. */
const HANDFUL = [
  "ping",
  "call_by_name",
  "call_that_gives_20_mb",
  "multi_call",
  "statem_call",
  "rpc_call",
  "rpc_block_call",
  "erpc_call_error",
  "spawn_opt_all",
  "spawn_child_tells_its_parent",
  "monitor_pid_that_crashes",
  "link_far_crashes",
  "unlink_and_link_again",
  "exit_reason",
  "answer_to_alias",
  "output_of_rpc",
  "file_device_of_far",
];

/** Of a run that went wrong in itself. */
const FAILED = /^\{(ended|hangs)|nothing|not_quiet/;

interface Compared {
  /** Runs an operation towards the direct node and through the gateway, and compares. */
  same(name: string): Promise<void>;
  readonly through: Through;
}

/** Puts a gateway between the nodes for the tests of the block. */
function useGateway(
  ends: () => GatewayEnds,
  choice: ThroughChoice,
  commands: "outside" | "inside" = "outside",
): Compared {
  let through: Through;
  const ofSide = (): [BeamNode, string] =>
    commands === "outside" ? [ends().outside, INSIDE] : [ends().inside, OUTSIDE];
  beforeAll(async () => {
    through = await ends().through(choice);
  });
  afterAll(() => through?.close());
  return {
    async same(name) {
      const [commander, far] = ofSide();
      const [direct, filtered] = await Promise.all([
        commander.erl(`gateway_ops:run(${name}, '${DIRECT}')`),
        commander.erl(`gateway_ops:run(${name}, '${far}')`),
      ]);
      expect(direct).not.toMatch(FAILED);
      expect(filtered).toBe(direct);
    },
    get through() {
      return through;
    },
  };
}

async function start(rig: Rig): Promise<{ ends: GatewayEnds }> {
  const ends = await GatewayEnds.start(rig, "erlang", true);
  const { outside, inside, direct = inside } = ends;
  await ends.load("gateway_ops", [outside, inside, direct]);
  await Promise.all([outside, inside, direct].map((node) => node.erl("gateway_ops:setup()")));
  return { ends };
}

/** What was refused, but for answers and ends of processes that come too late, and log events of processes that crash. */
function unexpected({ denied }: Through): unknown[] {
  const isExpected = (operation: string, target: string): boolean =>
    ["alias-send", "monitor-exit", "demonitor"].includes(operation) ||
    (operation === "reg-send" && target === "logger_proxy");
  return denied
    .filter(({ operation, target }) => !isExpected(operation, target))
    .map(({ by, why, operation, target, head }) => `${by} ${why} ${operation} ${target} ${head}`);
}

describeWithErlang("Erlang operations through a gateway with the default rules", () => {
  const t = useRig("tcp", start);

  describe("by the outside node", () => {
    const g = useGateway(() => t.ends, {});

    it("are all run", async () => {
      expect(await t.ends.outside.erl("gateway_ops:names()")).toBe(`[${NAMES.join(",")}]`);
      expect(NAMES.length).toBeGreaterThanOrEqual(150);
    });

    it.each(LASTING)("have the outcome that they have without: %s", (name) => g.same(name));

    it("leave every table empty, and refuse only late answers and log events", async () => {
      await g.through.empty();
      expect(unexpected(g.through)).toEqual([]);
    });

    it.each(ENDING)("have the outcome that they have without: %s", (name) => g.same(name));
  });

  describe("by the inside node, which commands", () => {
    const g = useGateway(() => t.ends, { filter: { commander: "inside" } }, "inside");
    // Each fifth one, and those that differ most.
    const some = LASTING.filter(
      (name, index) => (index % 5 === 0 || HANDFUL.includes(name)) && !name.includes("20_mb"),
    );

    it.each(some)("have the outcome that they have without: %s", (name) => g.same(name));

    it("leave every table empty, while the outside node may do nothing", async () => {
      await g.through.empty();
      expect(g.through.session.dialledBy).toBe("inside");
      expect(unexpected(g.through)).toEqual([]);
      expect(await t.ends.outside.erl(`rpc:call('${INSIDE}', erlang, node, [])`)).toBe("{badrpc,nodedown}");
    });
  });
});

describeWithErlang("Erlang operations through a gateway over TLS and without fragments", () => {
  const t = useRig("tls", start);
  const g = useGateway(() => t.ends, { fragments: false });

  it.each([...HANDFUL, ...ENDING])("have the outcome that they have without: %s", (name) => g.same(name));

  it("leave every table empty", () => g.through.empty());
});
