import { describe, expect, it } from "vitest";
import type { PeerEntry, PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom, type Term, tuple } from "../term/types.ts";
import { REFUSED, ScriptedNode } from "../testkit/scripted-peer.ts";
import { genCast } from "./gen.ts";

const a = (name: string) => new Atom(name);

/** A policy with one peer, `p@h`, as `p`. */
function policyOf(rules: readonly RuleEntry[], peer: Partial<PeerEntry> = {}): PolicyDocument {
  return {
    version: 1,
    node: "n@h",
    peers: { p: { names: ["p@h"], assurance: "cookie", ...peer } },
    rules,
  };
}

/** A node with this policy, a service `s` that echoes and keeps what it hears, and the peer. */
async function make(
  rules: readonly RuleEntry[],
  peer: Partial<PeerEntry> = {},
  guardLimits: ConstructorParameters<typeof ScriptedNode>[0] = {},
) {
  const world = new ScriptedNode({ policy: policyOf(rules, peer), ...guardLimits });
  const heard: Term[] = [];
  const hear = (term: Term) => void heard.push(term);
  const service = world.node.register("s", {
    call: (request) => {
      heard.push(request);
      return request;
    },
    cast: hear,
    info: hear,
  });
  const p = await world.connect();
  return { world, node: world.node, p, heard, service };
}

const kindsOf = (answers: readonly { readonly kind: string }[]) => answers.map(({ kind }) => kind);

describe("a grant with a shape", () => {
  const rules: RuleEntry[] = [
    { id: "r", from: "p", allow: ["call", "cast", "send"], to: "s", shape: { tuple: ["add", "integer"] } },
  ];

  it("lets through what has it: the request of a call, the message of a cast, a message whole", async () => {
    const { world, p, heard } = await make(rules);
    const good = tuple(a("add"), 1);
    p.call("s", good);
    p.send("s", genCast(good));
    p.send("s", good);
    p.call("s", tuple(a("add"), "text"));
    p.send("s", genCast(a("add")));
    p.send("s", tuple(a("add"), 1, 2));
    expect(kindsOf(await p.answers()).sort()).toEqual(["alias-send", "monitor-exit"]);
    expect(heard).toEqual([good, good, good]);
    expect(world.refusals()).toEqual(["call s deny-default", "cast s deny-default", "send s deny-default"]);
  });

  it("gives the place of each answered call back", async () => {
    const { p } = await make(rules, {}, { guardLimits: { maxInflightPerPeer: 2 } });
    for (let i = 0; i < 6; i++) {
      p.call("s", tuple(a("add"), i));
      expect(kindsOf(await p.answers())).toEqual(["alias-send"]);
    }
  });
});
