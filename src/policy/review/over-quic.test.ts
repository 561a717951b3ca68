import { describe, expect, it } from "vitest";
import { compilePolicy } from "../compile.ts";
import type { PolicyDocument, RuleEntry } from "../document.ts";
import { formatPath } from "../problem.ts";
import { type ChosenFacts, judge } from "./judge.ts";
import { lintPolicy } from "./lint.ts";
import { buildMatrix } from "./matrix.ts";

const KEY = `SHA256:${Buffer.alloc(32, 1).toString("base64").slice(0, 43)}`;
const NOW = Date.UTC(2026, 10, 20);
const BARREL = { protocol: "barrel" } as const;

const DOCUMENT: PolicyDocument = {
  version: 1,
  node: "n@h",
  peers: {
    keyed: { names: ["keyed@h"], keys: [KEY] },
    named: { names: ["named@h"], assurance: "cookie" },
    vouched: { names: ["vouched@h"], assurance: "ca" },
  },
  rules: [
    { id: "all", from: "*", allow: "call", to: "calc" },
    { id: "sure", from: "named", allow: "call", to: "vault", when: { assurance: "pinned" } },
    { id: "tls", from: "named", allow: "cast", to: "calc", when: { transport: "native" } },
  ],
};
const POLICY = compilePolicy(DOCUMENT);

const seen = (from: string, to: string, chosen: ChosenFacts): string => {
  const { outcome, rule, refusedWhy } = judge(POLICY, from, "call", to, NOW, chosen);
  return `${outcome} ${rule ?? refusedWhy}`;
};

describe("judge, of who dials in over QUIC", () => {
  it.each<[string, string, string]>([
    ["keyed", "calc", "deny-identity over-quic"],
    [KEY, "calc", "deny-identity over-quic"],
    ["vouched", "calc", "deny-identity over-quic"],
    ["x@y", "calc", "deny-default no-entry-over-quic"],
    ["named", "calc", "allow all"],
    ["named", "vault", "deny-default undefined"],
  ])("%s calling %s: %s, however sure the question says it is", (from, to, answer) => {
    expect(seen(from, to, BARREL)).toBe(answer);
    for (const assurance of ["cookie", "pinned"] as const) {
      expect(seen(from, to, { ...BARREL, assurance })).toBe(answer);
    }
  });

  it("takes key and assurance for what they are where the node dials", () => {
    const dialled = { ...BARREL, role: "dialler" } as const;
    expect(seen("keyed", "calc", dialled)).toBe("allow all");
    expect(seen("named", "vault", { ...dialled, assurance: "pinned" })).toBe("allow sure");
    expect(seen("keyed", "calc", {})).toBe("allow all");
  });
});

describe("the matrix of who dials in over QUIC", () => {
  it("leaves out whom no key lets in, and rules that cannot hold", () => {
    const shown = (chosen: Pick<ChosenFacts, "protocol">) =>
      buildMatrix([POLICY], NOW, [], chosen).edges.map(
        ({ from, refusedWhy, entries }) => `${from} ${refusedWhy} ${entries.map(({ rule }) => rule).join(" ")}`,
      );
    expect(shown(BARREL)).toEqual(["keyed@h over-quic ", "named@h null all", "vouched@h over-quic "]);
    expect(shown({})).toEqual(["keyed@h null all", "named@h null all sure tls", "vouched@h null all"]);
  });
});

describe("what lintPolicy says of QUIC", () => {
  const says = (rules: readonly RuleEntry[], onlyQuic = false): readonly string[] =>
    lintPolicy(compilePolicy({ ...DOCUMENT, rules }), NOW, onlyQuic)
      .map(({ path, message }) => `${formatPath(path)}: ${message}`)
      .filter((text) => /QUIC/.test(text));
  const rule = (from: string, when: RuleEntry["when"]): readonly RuleEntry[] => [
    { id: "r", from, allow: "call", to: "x", ...(when === undefined ? {} : { when }) },
  ];

  it.each<[string, readonly RuleEntry[], string | undefined]>([
    ["a peer with keys", rule("keyed", { transport: "barrel" }), "rules[0].when.transport: r holds only in sessions"],
    ["more assurance", rule("named", { transport: "barrel", assurance: "tofu" }), "rules[0].when.assurance: r holds"],
    ["a peer by name", rule("named", { transport: "barrel", assurance: "cookie" }), undefined],
    ["one of several", rule("*", { transport: ["barrel"] }), undefined],
    ["two transports", rule("keyed", { transport: ["barrel", "native"] }), undefined],
    ["a deny", [{ id: "r", from: "keyed", deny: "call", to: "x", when: { transport: "barrel" } }], undefined],
  ])("names a rule about barrel that holds only where the node dials: %s", (_, rules, start) => {
    const texts = says(rules);
    expect(texts.map((text) => text.slice(0, start?.length))).toEqual(start === undefined ? [] : [start]);
  });

  it("names entries that let nobody in where the node listens on QUIC alone", () => {
    const texts = says(rule("*", undefined), true);
    expect(texts.map((text) => text.split(" is not let in")[0])).toEqual([
      "peers.keyed: keyed",
      "peers.vouched: vouched",
    ]);
    expect(says(rule("*", undefined))).toEqual([]);
  });
});
