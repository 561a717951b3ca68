import { describe, expect, it } from "vitest";
import type { PeerEntry, PolicyDocument, RuleEntry } from "../policy/document.ts";
import { Atom, ImproperList, type Term, type Tuple, tuple } from "../term/types.ts";
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

describe("rex", () => {
  const rules: RuleEntry[] = [
    { id: "one", from: "p", allow: "rpc", to: "m:f/1" },
    { id: "later", from: "p", allow: "rpc", to: "m:audited/0", mode: "audit", until: "2027-01-01" },
  ];

  async function makeWithFunctions() {
    const made = await make(rules);
    const ran: string[] = [];
    for (const [fn, arity] of [
      ["f", 1],
      ["f", 2],
      ["audited", 0],
    ] as const) {
      made.node.registerFunction({ module: "m", function: fn, arity }, () => void ran.push(`${fn}/${arity}`));
    }
    const ask = (fn: string, args: Term) => made.p.call("rex", tuple(a("call"), a("m"), a(fn), args, a("user")));
    return { ...made, ran, ask };
  }

  it("runs what is granted, and nothing that its argument list turns out to be", async () => {
    const { world, p, ran, ask } = await makeWithFunctions();
    ask("f", [1]);
    // On the wire a list of one element whose tail is a list of one element: the head claims one argument.
    ask("f", new ImproperList([1], [2] as unknown as Term));
    const answers = await p.answers();
    expect(ran).toEqual(["f/1"]);
    expect(answers.map(({ payload }) => (payload as Tuple).elements[1])).toEqual([
      tuple(a("badrpc"), REFUSED),
      undefined,
    ]);
    expect(world.refusals()).toEqual(["rpc m:f/1 deny-default"]);
  });

  it("records what only audit mode lets through", async () => {
    const { world, ran, ask } = await makeWithFunctions();
    ask("audited", []);
    await world.settle();
    expect([ran, world.refusals()]).toEqual([["audited/0"], ["rpc m:audited/0 allow later"]]);
  });
});

describe("a deny rule in audit mode", () => {
  it("lets through, and is the rule that the record names", async () => {
    const until = "2027-01-01";
    const { world, p, heard } = await make([
      { id: "grant", from: "p", allow: ["send", "call"], to: "s" },
      { id: "would-refuse", from: "p", deny: ["send", "monitor"], to: "s", mode: "audit", until },
    ]);
    p.send("s", 1);
    p.call("s", 2);
    await world.settle();
    expect(heard).toEqual([1, 2]);
    expect(world.refusals()).toEqual(["send s allow would-refuse", "monitor s allow would-refuse"]);
  });
});
