import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import type { DutyFinding } from "../../src/gateway/duty.ts";
import { startErlang } from "./erlang-node.ts";
import { gatewayBetween, INSIDE, INSIDE_COOKIE } from "./gateway-rig.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, useRig } from "./rig.ts";

/** Another address of this machine, at which a node that listens everywhere is reached; the test needs one. */
function otherAddress(): string {
  const found = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return found.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "";
}

describeWithErlang("The duty check, with an Erlang node that listens", () => {
  const t = useRig("tcp", (rig) => gatewayBetween(rig));

  it("tells that it is reached past the gateway, and that all is well once it listens on loopback", async () => {
    const findings = () => t.events.flatMap((event) => (event.kind === "duty" ? [event.findings] : []));
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
    if (otherAddress() !== "") {
      await eventually(() => expect(findings().at(-1)?.map(kindOf)).toContain("reachable"));
      expect(findings().at(-1)?.[0]?.message).toContain(otherAddress());
    }
    await t.inside.kill();
    const args = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];
    const epmdPort = t.insideMapper;
    const again = await startErlang({ name: INSIDE, cookie: INSIDE_COOKIE, epmdPort, home: t.rig.home, args });
    t.rig.closes(() => again.kill());
    await eventually(async () => expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong"));
    await eventually(() => expect(findings().at(-1) ?? []).toEqual([]));
  });
});

function kindOf({ kind }: DutyFinding): string {
  return kind;
}
