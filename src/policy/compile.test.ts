import { describe, expect, it } from "vitest";
import { checkDocument, compilePolicy, policyWithoutFile } from "./compile.ts";
import { definePolicy } from "./define-policy.ts";
import type { PolicyDocument } from "./document.ts";
import { formatPath, MAX_PROBLEMS } from "./problem.ts";

const KEY = `SHA256:${Buffer.alloc(32, 1).toString("base64").slice(0, 43)}`;
const OTHER = `SHA256:${Buffer.alloc(32, 2).toString("base64").slice(0, 43)}`;

const places = (document: unknown): readonly string[] => checkDocument(document).map(({ path }) => formatPath(path));
const base = { version: 1, node: "me@h", peers: { rented: { keys: [KEY], names: ["rented@x"] } } };
const rule = (fields: object): unknown => ({ ...base, rules: [{ id: "r", from: "rented", ...fields }] });
const grant = (fields: object): unknown => rule({ allow: "send", to: "jobs", ...fields });
const peer = (fields: object): unknown => ({ ...base, peers: { p: { names: ["p@x"], ...fields } } });
const test = (fields: object): unknown => ({
  ...base,
  tests: [{ from: "rented", verb: "send", to: "jobs", expect: "allow", ...fields }],
});

describe("checkDocument", () => {
  it("takes the smallest document, and one with every key", () => {
    expect(checkDocument({ version: 1, node: "me@h" })).toEqual([]);
    const full: PolicyDocument = {
      $schema: "./policy.schema.json",
      version: 1,
      node: "me@h",
      mode: "enforce",
      level: 2,
      domain: { name: "home", everyPeer: "pinned" },
      limits: { rate: "600/min", bytes: "1MiB/min", payload: 4096 },
      peers: {
        desk: { keys: [KEY, `spki:${KEY}`], names: ["desk@home"], assurance: "pinned", level: 3, domain: "home" },
        vault: { names: ["vault@home"], assurance: "ca", mode: "audit", until: "2027-01-15", limits: { inflight: 3 } },
      },
      rules: [
        {
          id: "r1",
          from: ["desk", "level:2", "domain:home", "*"],
          allow: ["send", "rpc"],
          to: ["jobs", "Jobs:run/1", "store:*/*", "granted-pids"],
          when: { transport: ["native", "otp", "barrel"], assurance: "ca", source: "10.0.0.0/8", after: "2027-01-01" },
          shape: { tuple: ["ok", "any"] },
          limits: { depth: 0, elements: 10, newAtoms: 0, funs: true, foreign: false },
          mode: "audit",
          until: "2027-01-15T08:00:00+01:00",
        },
        { id: "r2", from: "*", deny: ["connect", "system"] as const, to: "*" },
        { id: "r3", from: "*", deny: "connect" },
      ],
      tests: [
        { from: "desk", verb: "rpc", to: "Jobs:run/1", expect: "allow", rule: "r1" },
        { from: "unknown", verb: "connect", expect: "deny" },
        { from: "x@y", verb: "reply", to: "call#closed", expect: "deny-default" },
        { from: OTHER, verb: "send", to: "granted-pids", expect: "deny-identity", rule: "level" },
      ],
    };
    expect(checkDocument(full)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ["no object", 5, "policy"],
    ["a list", [], "policy"],
    ["another version", { ...base, version: 2 }, "version"],
    ["no node", { version: 1 }, "node"],
    ["a node name without host", { ...base, node: "me" }, "node"],
    ["an unknown key", { ...base, rulez: [] }, "rulez"],
    ["__proto__ as key", JSON.parse('{"version":1,"node":"me@h","__proto__":{}}'), "__proto__"],
    ["audit for the whole", { ...base, mode: "audit" }, "mode"],
    ["a level that is none", { ...base, level: -1 }, "level"],
    ["a domain that is none", { ...base, domain: "a b" }, "domain"],
    ["everyPeer without proof", { ...base, domain: { name: "home", everyPeer: "none" } }, "domain.everyPeer"],
    ["a bad rate", { ...base, limits: { rate: "20" } }, "limits.rate"],
    ["a rate of 0", { ...base, limits: { rate: "0/s" } }, "limits.rate"],
    ["bytes without time", { ...base, limits: { bytes: "8KiB" } }, "limits.bytes"],
    ["a bad payload", { ...base, limits: { payload: "8KB" } }, "limits.payload"],
    ["an inflight of 0", { ...base, limits: { inflight: 0 } }, "limits.inflight"],
    ["funs that are no boolean", { ...base, limits: { funs: "yes" } }, "limits.funs"],
    ["peers as a list", { ...base, peers: [] }, "peers"],
    ["an alias with a space", { ...base, peers: { "a b": { names: ["p@x"], assurance: "ca" } } }, 'peers["a b"]'],
    ["the alias unknown", { ...base, peers: { unknown: { names: ["p@x"], assurance: "ca" } } }, "peers.unknown"],
    ["an entry without names", { ...base, peers: { p: { keys: [KEY] } } }, "peers.p"],
    ["an entry of no names", { ...base, peers: { p: { keys: [KEY], names: [] } } }, "peers.p.names"],
    ["a name that is none", peer({ keys: [KEY], names: ["p"] }), "peers.p.names[0]"],
    ["this node as peer", peer({ keys: [KEY], names: ["me@H"] }), "peers.p.names[0]"],
    ["a cut key", peer({ keys: ["SHA256:abc"] }), "peers.p.keys[0]"],
    [
      "a key for which anybody signs",
      peer({ keys: [`ed25519:${Buffer.alloc(32).toString("base64")}`] }),
      "peers.p.keys[0]",
    ],
    ["no keys", peer({ keys: [] }), "peers.p.keys"],
    ["neither keys nor assurance", peer({}), "peers.p"],
    ["a name alone as pinned", peer({ assurance: "pinned" }), "peers.p"],
    ["an unknown assurance", peer({ keys: [KEY], assurance: "none" }), "peers.p.assurance"],
    ["audit of a peer without end", peer({ keys: [KEY], mode: "audit" }), "peers.p"],
    ["an end without audit", peer({ keys: [KEY], until: "2027-01-15" }), "peers.p.until"],
    ["a rule without id", { ...base, rules: [{ from: "*", allow: "send", to: "jobs" }] }, "rules[0]"],
    ["a rule of a taken name", grant({ id: "level" }), "rules[0]"],
    ["an id like that of code", grant({ id: "code:jobs" }), "rules[0]"],
    ["a rule without from", { ...base, rules: [{ id: "r", allow: "send", to: "jobs" }] }, "rules[0]"],
    ["an unknown alias", grant({ from: "rent" }), "rules[0].from"],
    ["unknown in a rule", grant({ from: "unknown" }), "rules[0].from"],
    ["a level that is no number", grant({ from: "level:x" }), "rules[0].from"],
    ["neither allow nor deny", rule({ to: "jobs" }), "rules[0]"],
    ["allow and deny", grant({ deny: "send" }), "rules[0]"],
    ["an unknown verb", grant({ allow: "sendd" }), "rules[0].allow"],
    ["no verb", grant({ allow: [] }), "rules[0].allow"],
    ["a verb twice", grant({ allow: ["send", "send"] }), "rules[0].allow[1]"],
    ["a reserved verb", grant({ allow: ["send", "pubsub"] }), "rules[0].allow[1]"],
    ["a grant of connect", grant({ allow: "connect" }), "rules[0].allow"],
    ["rpc of everything", grant({ allow: "rpc", to: "*" }), "rules[0].to"],
    ["spawn of everything", grant({ allow: ["call", "spawn"], to: ["a", "*"] }), "rules[0].to[1]"],
    ["system of everything", grant({ allow: "system", to: "*" }), "rules[0].to"],
    ["system of every pid", grant({ allow: "system", to: "any-pid" }), "rules[0].to"],
    ["all of os", grant({ allow: "rpc", to: "os:*/*" }), "rules[0].to"],
    ["all of Elixir's Code", grant({ allow: "rpc", to: ["Code:*/*"] }), "rules[0].to[0]"],
    ["all of Elixir's Code in quotes", grant({ allow: "rpc", to: "'Elixir.Code':*/*" }), "rules[0].to"],
    ["a grant of nothing", rule({ allow: "send" }), "rules[0]"],
    ["a target that is none", grant({ to: "a:b" }), "rules[0].to"],
    ["a deny of nothing", rule({ deny: "send" }), "rules[0]"],
    ["connect to something", rule({ deny: "connect", to: "*" }), "rules[0].to"],
    ["limits on a deny", rule({ deny: "send", to: "*", limits: {} }), "rules[0].limits"],
    ["a shape on a deny", rule({ deny: "send", to: "*", shape: "any" }), "rules[0].shape"],
    ["a shape on a link", grant({ allow: "link", shape: "any" }), "rules[0].shape"],
    ["a bad shape", grant({ shape: { tuple: [true] } }), "rules[0].shape.tuple[0]"],
    ["audit without end", grant({ mode: "audit" }), "rules[0]"],
    ["audit of system", grant({ allow: "system", mode: "audit", until: "2027-01-15" }), "rules[0].allow"],
    ["audit of connect", rule({ deny: "connect", mode: "audit", until: "2027-01-15" }), "rules[0].deny"],
    ["a deny that ends", rule({ deny: "send", to: "*", until: "2027-01-15" }), "rules[0].until"],
    ["30 February", grant({ until: "2027-02-30" }), "rules[0].until"],
    ["a bad range", grant({ when: { source: "10.0.0.1/8" } }), "rules[0].when.source"],
    ["an unknown transport", grant({ when: { transport: "quic" } }), "rules[0].when.transport"],
    ["a list with one", grant({ when: { transport: ["barrel", "tls"] } }), "rules[0].when.transport[1]"],
    ["an end before the start", grant({ when: { after: "2027-02-01", before: "2027-01-01" } }), "rules[0].when.before"],
    ["a test of nobody", test({ from: "rent" }), "tests[0].from"],
    ["a test of an unknown verb", test({ verb: "answer" }), "tests[0].verb"],
    ["a test of many targets", test({ to: "*" }), "tests[0].to"],
    ["a test without target", test({ to: undefined }), "tests[0]"],
    ["a test of connect with target", test({ verb: "connect" }), "tests[0].to"],
    ["a reply to nothing known", test({ verb: "reply", to: "jobs" }), "tests[0].to"],
    ["an unknown expectation", test({ expect: "denied" }), "tests[0].expect"],
    ["a test of no rule", test({ rule: "r9" }), "tests[0].rule"],
  ])("refuses %s, and says where", (_what, document, place) => {
    expect(places(document)).toEqual([place]);
  });

  it("refuses two entries that could mean the same peer, and two rules of one id", () => {
    const twoNames = { a: { keys: [KEY], names: ["p@x"] }, b: { names: ["p@X"], assurance: "ca" } };
    expect(places({ ...base, peers: twoNames })).toEqual(["peers.b.names[0]"]);
    const twoKeys = { a: { keys: [KEY], names: ["p@x"] }, b: { keys: [OTHER, KEY], names: ["q@x"] } };
    expect(places({ ...base, peers: twoKeys })).toEqual(["peers.b.keys[1]"]);
    const padded = `ed25519:${Buffer.alloc(32, 5).toString("base64")}`;
    const bare = { a: { keys: [padded], names: ["p@x"] }, b: { keys: [padded.slice(0, -1)], names: ["q@x"] } };
    expect(places({ ...base, peers: bare })).toEqual(["peers.b.keys[0]"]);
    const one = { id: "r", from: "*", allow: "send", to: "jobs" };
    expect(places({ ...base, rules: [one, one] })).toEqual(["rules[1].id"]);
  });

  it("collects all problems, up to a hundred", () => {
    expect(places({ version: 2, node: "me", x: 1 })).toEqual(["x", "version", "node"]);
    const rules = Array.from({ length: 200 }, () => ({}));
    expect(checkDocument({ ...base, rules })).toHaveLength(MAX_PROBLEMS);
  });

  it("names what cannot be data instead of throwing", () => {
    const hostile = {
      get node() {
        throw new Error("no");
      },
    };
    for (const value of [() => 1, hostile, Symbol("x"), { ...base, rules: [() => 1] }]) {
      expect(places(value)).toEqual(["policy"]);
    }
  });
});

describe("compilePolicy", () => {
  it("throws one error that names the first problems and counts all", () => {
    const broken = { version: 2, node: "me", a: 1, b: 2, c: 3, d: 4 } as unknown as PolicyDocument;
    expect(() => compilePolicy(broken)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        reason: "POLICY_INVALID",
        message: expect.stringMatching(/a: unknown key.*and 1 more/),
        detail: { problems: 6 },
      }),
    );
  });

  it("keeps a copy that nobody can change", () => {
    const document = {
      version: 1 as const,
      node: "Me@Home",
      rules: [{ id: "r", from: "*", allow: "send" as const, to: ["a"] }],
    };
    const policy = compilePolicy(document, 7);
    document.rules[0]!.to.push("b");
    expect(policy.document.rules?.[0]?.to).toEqual(["a"]);
    const targets = policy.document.rules?.[0]?.to;
    expect(() => Array.isArray(targets) && targets.push("c")).toThrow(TypeError);
    expect([policy.node, policy.generation]).toEqual(["Me@home", 7]);
  });

  it("gives a node without a file a policy that lets everybody in and grants nothing", () => {
    const identified = policyWithoutFile("me@h").identify(
      {
        name: "x@y" as never,
        assurance: "cookie",
        protocol: "otp",
        fingerprints: [],
        publicKeys: [],
        spki: undefined,
        source: undefined,
      },
      "acceptor",
    );
    if (identified.kind !== "peer") throw new Error(identified.kind);
    const target = { kind: "name", name: "jobs" } as const;
    expect(identified.authority.decide("call", target, 0).outcome).toBe("deny-default");
    const code = { rule: "code:jobs", permits: true };
    expect(identified.authority.decide("call", target, 0, code)).toMatchObject({
      outcome: "allow",
      rule: "code:jobs",
      plain: true,
    });
    expect(identified.authority.decide("system", target, 0, code).outcome).toBe("deny-default");
  });
});

describe("definePolicy", () => {
  it("returns the document, frozen, or refuses it at once", () => {
    const document = definePolicy({ version: 1, node: "me@h" });
    expect(document).toEqual({ version: 1, node: "me@h" });
    expect(Object.isFrozen(document)).toBe(true);
    expect(() => definePolicy({ version: 1, node: "me" })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "POLICY_INVALID" }),
    );
  });
});
