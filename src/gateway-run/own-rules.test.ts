import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { UNSECURED } from "../carrier/carrier.ts";
import type { GuardedPair } from "../gateway/guarded-pair.ts";
import type { PairedNode } from "../gateway/message-filter.ts";
import type { GatewayNotice } from "../gateway/notices.ts";
import type { PairFilterOption } from "../gateway/options.ts";
import { Budgets } from "../guard/budgets.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { PairWorld } from "./gateway-world.ts";
import { OwnRules } from "./own-rules.ts";

const INSIDE = parseNodeName("desk@h");
const OUTSIDE = parseNodeName("shop@h");
const HOUR_MS = 3_600_000;
const FLAGS = 0n;

function make(option: PairFilterOption) {
  const clock = new VirtualClock();
  const notices: GatewayNotice[] = [];
  const over: GuardedPair[] = [];
  const world = {
    system: { clock, files: {} as StoreFiles, identityCrypto: new RealIdentityCrypto() },
    budgets: new Budgets(10),
    decisions: { record: () => "ID" },
    tellsCommands: false,
    said: () => undefined,
    notice: (notice: GatewayNotice) => void notices.push(notice),
  } as unknown as PairWorld;
  const rules = new OwnRules({ pair: "desk", inside: INSIDE, outside: [OUTSIDE], world }, option);
  rules.start((ended) => void over.push(...ended));
  const up = () =>
    rules.filterFor({
      outside: node(OUTSIDE),
      inside: node(INSIDE),
      dialledBy: "outside",
      flags: FLAGS,
    }) as GuardedPair;
  return { clock, notices, over, rules, up };
}

function node(name: typeof INSIDE): PairedNode {
  const info = { transport: "tcp", remoteAddress: "192.0.2.1:5", localAddress: "192.0.2.2:6", ...UNSECURED } as const;
  const key = { fingerprints: [], publicKey: undefined, spki: undefined };
  return { name, creation: 5, assurance: "cookie", info, protocol: "otp", ...key } as unknown as PairedNode;
}

const isoIn = (clock: VirtualClock, ms: number): string => new Date(clock.wallMs() + ms).toISOString();

describe("the rules of a pair at work", () => {
  it("tell once when an observation is over", () => {
    const { clock, notices, rules } = make({ observe: { until: isoIn(new VirtualClock(), HOUR_MS) } });
    clock.advance(HOUR_MS - 1);
    expect([notices, rules.observedUntil]).toEqual([[], isoIn(clock, 1)]);
    clock.advance(1);
    expect([notices, rules.observedUntil]).toEqual([[{ kind: "enforced", pair: "desk" }], null]);
    clock.advance(10 * HOUR_MS);
    expect(notices).toHaveLength(1);
  });

  it("take the rest of an option whose observation is over, and no new one that is", () => {
    const observe = { until: isoIn(new VirtualClock(), HOUR_MS) };
    const { clock, rules } = make({ observe });
    clock.advance(2 * HOUR_MS);
    expect(rules.prepare({ observe })()).toEqual({ isChanged: false, over: [] });
    expect(() => rules.prepare({ observe: { until: "2020-01-01" } })).toThrow(/is over/);
  });

  it("change nothing before they are taken, and end what cannot go on", () => {
    const { rules, up } = make({});
    const pair = up();
    const harmless = rules.prepare({ allow: { calls: [] } });
    const other = rules.prepare({ commander: "inside" });
    expect(rules.commander).toBe("outside");
    expect(harmless()).toEqual({ isChanged: true, over: [] });
    expect(other()).toEqual({ isChanged: true, over: [pair] });
    expect(rules.commander).toBe("inside");
  });

  it("end sessions when another node is protected by a policy than before", () => {
    const { rules, up } = make({});
    const pair = up();
    const policy: PolicyDocument = {
      version: 1,
      node: INSIDE,
      peers: { shop: { names: [OUTSIDE], assurance: "cookie" } },
    };
    expect(rules.prepare({ policies: { inside: policy } })()).toEqual({ isChanged: true, over: [pair] });
    expect(rules.policies()).toEqual({ inside: { file: null, generation: 1, problem: null } });
  });

  it("end a session by themselves when time takes the right to connect", () => {
    const until = isoIn(new VirtualClock(), HOUR_MS);
    const rules = [{ id: "no", from: "shop", deny: "connect", when: { after: until } }];
    const peers = { shop: { names: [OUTSIDE], assurance: "cookie" } };
    const policy = { version: 1, node: INSIDE, peers, rules } as unknown as PolicyDocument;
    const { clock, over, up } = make({ policies: { inside: policy } });
    const pair = up();
    clock.advance(HOUR_MS - 1);
    expect(over).toEqual([]);
    clock.advance(1);
    expect(over).toEqual([pair]);
  });

  it("leave no timer when they are stopped", () => {
    const { clock, rules } = make({ observe: { until: isoIn(new VirtualClock(), HOUR_MS) } });
    rules.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
