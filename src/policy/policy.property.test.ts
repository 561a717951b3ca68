import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Assurance } from "../base/assurance.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CodeRule } from "./authority.ts";
import { compilePolicy } from "./compile.ts";
import type { PeerFacts, Target } from "./decision.ts";
import type { ConditionEntry, PeerEntry, PolicyDocument, RuleEntry } from "./document.ts";
import type { Policy } from "./policy.ts";
import { VERBS, type Verb } from "./verbs.ts";

/** `SALLYPORT_POLICY_RUNS=100000` runs the full count. */
const RUNS = Number(process.env["SALLYPORT_POLICY_RUNS"] ?? 3_000);
const FEWER_RUNS = Number(process.env["SALLYPORT_POLICY_RUNS"] ?? 600);

const KEYS = [1, 2, 3, 4].map((n) => `SHA256:${Buffer.alloc(32, n).toString("base64").slice(0, 43)}`);
const SPKI = `spki:${KEYS[3]}`;
const NAMES = ["a@h", "b@h", "c@h", "d@h"];
const ASSURANCES: readonly Assurance[] = ["none", "cookie", "tofu", "ca", "pinned"];
const TIMES = ["2027-01-01", "2027-02-01", "2027-03-01"];
const NOWS = ["2026-12-31", "2027-01-01", "2027-01-15", "2027-02-15", "2027-03-01"].map((text) => Date.parse(text));

const maybe = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });
const proven = fc.constantFrom<Exclude<Assurance, "none">>("cookie", "tofu", "ca", "pinned");

/** Without what is undefined. */
function clean<T extends object>(value: object): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** Up to three entries that share no name and no key. */
const peers: fc.Arbitrary<Record<string, PeerEntry>> = fc
  .array(
    fc.record({
      keyed: fc.boolean(),
      keyless: fc.constantFrom<"ca" | "cookie">("ca", "cookie"),
      assurance: maybe(proven),
      level: maybe(fc.nat(3)),
      domain: maybe(fc.constantFrom("home", "work")),
      until: maybe(fc.constantFrom(...TIMES)),
    }),
    { maxLength: 3 },
  )
  .map((entries) =>
    Object.fromEntries(
      entries.map(({ keyed, keyless, assurance, until, ...rest }, i) => [
        `p${i}`,
        clean({
          ...rest,
          names: [NAMES[i]!],
          keys: keyed ? [i === 2 ? SPKI : KEYS[i]!] : undefined,
          assurance: keyed ? assurance : keyless,
          mode: until === undefined ? undefined : "audit",
          until,
        }) as PeerEntry,
      ]),
    ),
  );

const PROTOCOLS = ["native", "otp", "barrel"] as const;

const when: fc.Arbitrary<ConditionEntry> = fc
  .record({
    transport: maybe(
      fc.oneof(fc.constantFrom(...PROTOCOLS), fc.uniqueArray(fc.constantFrom(...PROTOCOLS), { minLength: 1 })),
    ),
    assurance: maybe(proven),
    source: maybe(fc.constantFrom("10.0.0.0/8", "2001:db8::/32")),
    after: maybe(fc.constantFrom("2027-01-01", "2027-01-10")),
    before: maybe(fc.constantFrom("2027-02-01", "2027-03-01")),
  })
  .map((entry) => clean<ConditionEntry>(entry));

const GRANT_TARGETS = ["jobs", "alerts", "worker", "Jobs:run/1", "'Jobs':run/1", "store:*/*", "granted-pids"];
const WIDE_TARGETS = [...GRANT_TARGETS, "any-pid", "*"];

function rules(aliases: readonly string[]): fc.Arbitrary<RuleEntry[]> {
  const from = fc.uniqueArray(fc.constantFrom(...aliases, "*", "level:1", "level:2", "domain:home", "domain:work"), {
    minLength: 1,
    maxLength: 2,
  });
  const common = { from, when: maybe(when), until: maybe(fc.constantFrom(...TIMES)), audit: fc.boolean() };
  const allow = fc
    .record({
      ...common,
      allow: fc.uniqueArray(
        fc.constantFrom<Verb>("send", "call", "cast", "monitor", "link", "exit", "io", "rpc", "spawn", "system"),
        { minLength: 1, maxLength: 3 },
      ),
      to: fc.uniqueArray(fc.constantFrom(...WIDE_TARGETS), { minLength: 1, maxLength: 3 }),
      limited: fc.boolean(),
    })
    .map(({ audit, until, limited, ...rule }) => {
      const isSpelledOut = rule.allow.some((verb) => ["rpc", "spawn", "system"].includes(verb));
      const system = rule.allow.includes("system");
      const to = rule.to.filter((text) => !(isSpelledOut && text === "*") && !(system && text.endsWith("-pid")));
      const kept = to.filter((text) => !(system && text === "granted-pids"));
      return {
        ...rule,
        to: kept.length === 0 ? ["jobs"] : kept,
        until,
        mode: audit && until !== undefined && !system ? ("audit" as const) : undefined,
        limits: limited ? { rate: "5/s" } : undefined,
      };
    });
  const deny = fc
    .record({
      ...common,
      deny: fc.uniqueArray(fc.constantFrom<Verb>(...VERBS), { minLength: 1, maxLength: 3 }),
      to: fc.uniqueArray(fc.constantFrom(...WIDE_TARGETS, "os:*/*"), { minLength: 1, maxLength: 2 }),
    })
    .map(({ audit, until, ...rule }) => {
      const audits = audit && until !== undefined && !rule.deny.includes("connect") && !rule.deny.includes("system");
      return {
        ...rule,
        to: rule.deny.every((verb) => verb === "connect") ? undefined : rule.to,
        until: audits ? until : undefined,
        mode: audits ? ("audit" as const) : undefined,
      };
    });
  return fc
    .array(fc.oneof({ weight: 3, arbitrary: allow }, { weight: 1, arbitrary: deny }), { maxLength: 6 })
    .map((list) => list.map((rule, i) => clean({ id: `r${i}`, ...rule }) as unknown as RuleEntry));
}

const document: fc.Arbitrary<PolicyDocument> = peers.chain((entries) =>
  fc
    .record({
      level: maybe(fc.nat(3)),
      domain: maybe(
        fc.oneof(
          fc.constant("home"),
          proven.map((everyPeer) => ({ name: "home", everyPeer })),
        ),
      ),
      rules: rules(Object.keys(entries)),
    })
    .map((rest) => clean<PolicyDocument>({ version: 1 as const, node: "me@h", peers: entries, ...rest })),
);

const facts: fc.Arbitrary<PeerFacts> = fc.record({
  name: fc.constantFrom(...NAMES) as fc.Arbitrary<NodeName>,
  assurance: fc.constantFrom(...ASSURANCES),
  protocol: fc.constantFrom(...PROTOCOLS),
  fingerprints: fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 2 }),
  publicKeys: fc.constant([]),
  spki: maybe(fc.constantFrom(SPKI, `spki:${KEYS[0]}`)),
  source: maybe(fc.constantFrom("10.1.2.3", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1")),
});

const LABELS = ["worker", "jobs", "Elixir.Jobs:run/1", "Jobs:run/1", "store:get/1", "os:cmd/1", "lists:map/2"];
const target: fc.Arbitrary<Target> = fc.oneof(
  fc.constantFrom("jobs", "alerts", "other").map((name) => ({ kind: "name" as const, name })),
  fc
    .record({ name: maybe(fc.constantFrom("jobs", "other")), granted: fc.boolean() })
    .map((pid) => ({ kind: "pid" as const, ...pid })),
  fc.constantFrom(...LABELS).map((label) => ({ kind: "function" as const, label })),
  fc.constant({ kind: "node" as const }),
);
const code: fc.Arbitrary<CodeRule | undefined> = maybe(fc.boolean().map((permits) => ({ rule: "code:jobs", permits })));
const request = fc.record({
  facts,
  role: fc.constantFrom<"acceptor" | "dialler">("acceptor", "dialler"),
  verb: fc.constantFrom<Verb>(...VERBS),
  target,
  now: fc.constantFrom(...NOWS),
  code,
});
type Request = typeof request extends fc.Arbitrary<infer R> ? R : never;

interface Answer {
  readonly outcome: string;
  readonly rule: string | null;
  readonly grants: readonly string[];
  readonly auditedDeny: string | undefined;
}

function answer(policy: Policy, asked: Request): Answer {
  const identified = policy.identify(asked.facts, asked.role, asked.now);
  if (identified.kind === "refused") {
    return { outcome: identified.outcome, rule: identified.rule, grants: [], auditedDeny: undefined };
  }
  const verdict = identified.authority.decide(asked.verb, asked.target, asked.now, asked.code);
  return {
    outcome: verdict.outcome,
    rule: verdict.rule,
    grants: verdict.grants.map(({ rule, mode }) => `${rule} ${mode}`),
    auditedDeny: verdict.auditedDeny,
  };
}

// ---- The reference: docs/policy.md word by word, over the document itself, with no index and nothing compiled.

const list = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === "string" ? [value] : value;
const atLeast = (have: string, least: string) =>
  ASSURANCES.indexOf(have as Assurance) >= ASSURANCES.indexOf(least as Assurance);

function refersTo(to: string, at: Target, denies: boolean): boolean {
  if (to === "*") return denies || at.kind === "name" || at.kind === "pid";
  if (to === "any-pid") return at.kind === "pid";
  if (to === "granted-pids") return at.kind === "pid" && at.granted;
  if (at.kind === "name") return at.name === to;
  if (at.kind === "pid") return at.name === to;
  if (at.kind === "node") return false;
  if (to === "store:*/*" || to === "os:*/*") return at.label.startsWith(to.slice(0, -3));
  if (to === "Jobs:run/1") return at.label === "Elixir.Jobs:run/1";
  if (to === "'Jobs':run/1") return at.label === "Jobs:run/1";
  return at.label === to;
}

function reference(document: PolicyDocument, asked: Request): Answer {
  const { facts, now, verb } = asked;
  const no = (outcome: string, rule: string | null = null): Answer => ({
    outcome,
    rule,
    grants: [],
    auditedDeny: undefined,
  });
  const held = [...facts.fingerprints, ...(facts.spki === undefined ? [] : [facts.spki])];
  const entries = Object.entries(document.peers ?? {});
  for (const [, entry] of entries) {
    const named = entry.names.includes(facts.name);
    const keyed = (entry.keys ?? []).some((key) => held.includes(key));
    if (keyed && !named) return no("deny-identity");
    if (named && entry.keys !== undefined && !keyed) return no("deny-identity");
    if (named && !atLeast(facts.assurance, entry.assurance ?? "tofu")) return no("deny-identity");
  }
  const [alias, entry] = entries.find(([, candidate]) => candidate.names.includes(facts.name)) ?? [
    undefined,
    undefined,
  ];
  const home = typeof document.domain === "string" ? { name: document.domain } : document.domain;
  const everyPeer = home !== undefined && "everyPeer" in home ? home.everyPeer : undefined;
  const member = entry === undefined && everyPeer !== undefined && atLeast(facts.assurance, everyPeer);
  const domain = member ? home?.name : entry?.domain;
  const mayConnect = entry !== undefined || member;
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  const about = (rule: RuleEntry) =>
    list(rule.from).some(
      (from) =>
        from === "*" ||
        from === alias ||
        from === `level:${entry?.level}` ||
        (domain !== undefined && from === `domain:${domain}`),
    );
  const conditions = (rule: RuleEntry, denies: boolean) => {
    const { transport, assurance, source, after, before } = rule.when ?? {};
    if (transport !== undefined && !list(transport).includes(facts.protocol)) return false;
    if (assurance !== undefined && !atLeast(facts.assurance, assurance)) return false;
    if (after !== undefined && now < Date.parse(after)) return false;
    if (before !== undefined && now >= Date.parse(before)) return false;
    if (source === undefined) return true;
    if (facts.source === undefined) return denies;
    const isTen = facts.source === "10.1.2.3" || facts.source === "::ffff:10.0.0.1";
    return source === "10.0.0.0/8" ? isTen : facts.source === "2001:db8::1";
  };
  const ended = (rule: RuleEntry) => rule.until !== undefined && now >= (time(rule.until) ?? 0);
  const all = document.rules ?? [];
  const denying = (what: Verb) =>
    all.filter(
      (rule) =>
        list(rule.deny).includes(what) &&
        about(rule) &&
        conditions(rule, true) &&
        (what === "connect" || list(rule.to).some((to) => refersTo(to, asked.target, true))),
    );
  const first = (found: RuleEntry[]) => found.map((rule) => rule.id).sort()[0];
  const cut = first(denying("connect"));
  if (cut !== undefined) return no("deny-rule", cut);
  if (!mayConnect && asked.role === "acceptor") return no("deny-default");
  const denied = first(denying(verb).filter((rule) => rule.mode !== "audit" || ended(rule)));
  if (denied !== undefined) return no("deny-rule", denied);
  if (["registry", "pubsub"].includes(verb) || !mayConnect) return no("deny-default");
  const auditedDeny = first(denying(verb));
  const grants: { rule: string; mode: string; plain: boolean }[] = [];
  for (const rule of all) {
    if (rule.allow === undefined || !about(rule) || !conditions(rule, false) || ended(rule)) continue;
    if (!list(rule.to).some((to) => refersTo(to, asked.target, false))) continue;
    const allowed = list(rule.allow);
    const mode = rule.mode ?? "enforce";
    if (allowed.includes(verb))
      grants.push({ rule: rule.id, mode, plain: mode === "enforce" && rule.limits === undefined });
    else if (verb === "monitor" && allowed.includes("call"))
      grants.push({ rule: rule.id, mode, plain: mode === "enforce" });
  }
  const simple = (rule: string) => grants.push({ rule, mode: "enforce", plain: true });
  const isProcess = asked.target.kind === "name" || asked.target.kind === "pid";
  const higher = entry?.level !== undefined && document.level !== undefined && entry.level > document.level;
  if (higher && isProcess && ["send", "call", "cast", "monitor", "link", "exit", "io"].includes(verb)) simple("level");
  if (higher && asked.target.kind === "function" && verb === "spawn") simple("level");
  if (domain !== undefined && domain === home?.name && verb !== "system" && verb !== "connect") simple("domain");
  if (asked.code?.permits === true && verb !== "system" && verb !== "connect") simple(asked.code.rule);
  if (verb === "connect") simple(entry === undefined ? "domain" : "peer");
  grants.sort((a, b) => Number(b.plain) - Number(a.plain) || (a.rule < b.rule ? -1 : 1));
  const audited = entry?.mode === "audit" && now < (time(entry.until) ?? 0) && verb !== "system" && verb !== "connect";
  if (audited) grants.push({ rule: "peer", mode: "audit", plain: false });
  if (grants.length === 0) return no("deny-default");
  const shown = grants.map(({ rule, mode }) => `${rule} ${auditedDeny === undefined ? mode : "audit"}`);
  return { outcome: "allow", rule: grants[0]!.rule, grants: shown, auditedDeny };
}

describe("a compiled policy", () => {
  it("decides what the plain reading of the document decides", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(document, fc.array(request, { minLength: 1, maxLength: 5 }), (written, asked) => {
        const policy = compilePolicy(written);
        for (const one of asked) {
          const got = answer(policy, one);
          seen.set(got.outcome, (seen.get(got.outcome) ?? 0) + 1);
          expect(got).toEqual(reference(written, one));
        }
      }),
      { numRuns: RUNS },
    );
    // All outcomes that need no message and no failure were met often enough to mean something.
    for (const outcome of ["allow", "deny-rule", "deny-default", "deny-identity"]) {
      expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(RUNS / 100);
    }
  }, 3_600_000);

  it("decides the same whatever the order of its rules", () => {
    fc.assert(
      fc.property(document, request, fc.nat(), (written, asked, turn) => {
        const before = [...(written.rules ?? [])];
        const at = before.length === 0 ? 0 : turn % before.length;
        const turned = [...before.slice(at), ...before.slice(0, at)].reverse();
        const verdicts = [written, { ...written, rules: turned }].map((policy) => whole(compilePolicy(policy), asked));
        expect(verdicts[1]).toEqual(verdicts[0]);
      }),
      { numRuns: FEWER_RUNS },
    );
  }, 3_600_000);

  it("never allows more with one more deny", () => {
    fc.assert(
      fc.property(document, request, rules(["*"]), (written, asked, more) => {
        const denies = more
          .filter((rule) => rule.deny !== undefined)
          .map((rule) => ({ ...rule, id: `extra-${rule.id}` }));
        const stricter = { ...written, rules: [...(written.rules ?? []), ...denies] };
        if (answer(compilePolicy(stricter), asked).outcome !== "allow") return;
        expect(answer(compilePolicy(written), asked).outcome).toBe("allow");
      }),
      { numRuns: FEWER_RUNS },
    );
  }, 3_600_000);

  it("never allows more with one grant less", () => {
    fc.assert(
      fc.property(document, request, fc.nat(), (written, asked, which) => {
        const grants = (written.rules ?? []).filter((rule) => rule.allow !== undefined);
        const gone = grants[grants.length === 0 ? 0 : which % grants.length];
        const less = { ...written, rules: (written.rules ?? []).filter((rule) => rule !== gone) };
        if (answer(compilePolicy(less), asked).outcome !== "allow") return;
        expect(answer(compilePolicy(written), asked).outcome).toBe("allow");
      }),
      { numRuns: FEWER_RUNS },
    );
  }, 3_600_000);

  it("gives the same verdict until the moment it names", () => {
    fc.assert(
      fc.property(document, request, (written, asked) => {
        const identified = compilePolicy(written).identify(asked.facts, asked.role, asked.now);
        if (identified.kind === "refused") return;
        const at = (now: number) => identified.authority.decide(asked.verb, asked.target, now, asked.code);
        const { validFromMs, validUntilMs } = at(asked.now);
        expect(validUntilMs).toBeGreaterThan(asked.now);
        const isTimed = Number.isFinite(validUntilMs);
        expect(validFromMs).toBe(isTimed ? asked.now : Number.NEGATIVE_INFINITY);
        const said = (now: number) => ({ ...at(now), validFromMs: 0, validUntilMs: 0, nearestMiss: 0 });
        expect(said(isTimed ? validUntilMs - 1 : asked.now + 1e12)).toEqual(said(asked.now));
        if (!isTimed) expect(said(0)).toEqual(said(asked.now));
      }),
      { numRuns: FEWER_RUNS },
    );
  }, 3_600_000);
});

function whole(policy: Policy, asked: Request): unknown {
  const identified = policy.identify(asked.facts, asked.role, asked.now);
  if (identified.kind === "refused") return identified;
  return identified.authority.decide(asked.verb, asked.target, asked.now, asked.code);
}
