import { describe, expect, it } from "vitest";
import { Atom, Tuple } from "../term/types.ts";
import { ScriptedNode } from "../testkit/scripted-peer.ts";
import { callFailure } from "./remote-failure.ts";

/** What a caller is advised when the peer refuses with this id. */
function advice(id: string): string | undefined {
  const reason = new Tuple([new Atom("sallyport_denied"), Buffer.from(id, "latin1")]);
  const failure = callFailure("shop@h", "jobs", reason);
  expect(`${failure.code} ${failure.reason}`).toBe("ERR_DENIED POLICY_DENIED");
  return failure.advice;
}

describe("a call that the policy of the peer refuses", () => {
  it("names the command that explains it there", () => {
    expect(advice("V5HK7R82HXHW")).toBe(
      "on shop@h, `sallyport policy why V5HK7R82HXHW` explains it; add a rule there if it should be allowed",
    );
  });

  it.each(["", "x; rm -rf /", "$(id)", "`id`", "\u001b[2J"])("puts %j of a peer into no command", (id) => {
    expect(advice(id)).toBe("ask the owner of shop@h for a rule that allows it");
  });
});

describe("what a peer refuses", () => {
  it("is named by what was asked: a ping is no call to net_kernel", async () => {
    const world = new ScriptedNode({});
    const p = await world.connect();
    const refusedFor = async (asking: Promise<unknown>): Promise<unknown> => {
      const failure = asking.catch((error: unknown) => error);
      await world.settle();
      const asked = (await p.answers()).find(({ kind }) => kind === "monitor");
      if (asked?.kind !== "monitor") throw new Error("nothing was asked");
      const { from: to, target, ref } = asked;
      const term = new Tuple([new Atom("sallyport_denied"), Buffer.from("ID")]);
      p.write({ kind: "monitor-exit", target, to, ref, reason: { term } });
      await world.settle();
      return failure;
    };
    const says = (text: string) => ({ reason: "POLICY_DENIED", message: expect.stringContaining(text) });
    expect(await refusedFor(world.node.ping("p@h"))).toMatchObject(says("p@h refused ping"));
    expect(await refusedFor(world.node.call({ name: "srv", node: "p@h" }, 1))).toMatchObject(
      says("p@h refused a call to srv"),
    );
  });
});
