import { describe, expect, it } from "vitest";
import { networkPolicyText, objectName, podLabel } from "./network-policy.ts";
import { nftablesText } from "./nftables.ts";
import { type FirewallPlan, type PlanParts, planFirewall } from "./plan.ts";

const DNS: Readonly<Record<string, readonly string[]>> = {
  "db1.example": ["203.0.113.7", "2001:db8::7"],
  "here.example": ["192.0.2.9"],
};

const plan = (change: Partial<PlanParts> = {}): Promise<FirewallPlan> =>
  planFirewall({
    name: "home@home.example",
    listens: [
      { what: "distribution", host: "0.0.0.0", ports: { first: 9100, last: 9155 } },
      { what: "EPMD", host: "192.0.2.9", ports: { first: 4369, last: 4369 } },
      { what: "local", host: "127.0.0.1", ports: { first: 9200, last: 9200 } },
    ],
    accept: { sources: ["203.0.113.0/24", "2001:db8::/32", "peers"], refuse: ["203.0.113.66", "198.51.100.0/24"] },
    hosts: ["db1.example", "198.51.100.1"],
    lookup: async (host) => DNS[host] ?? Promise.reject(new Error("ENOTFOUND")),
    ...change,
  });

const pods = { namespace: "prod", labels: [{ key: "app", value: "worker" }], fromLabels: [] };

/** Rules of a chain, in their order, without comments. */
const rulesOf = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("    ") && !line.startsWith("    #"))
    .map((line) => line.trim());

/** Whether the braces of a text match, and nothing stands outside of them but statements that need none. */
function isBalanced(text: string): boolean {
  let depth = 0;
  for (const char of text.replaceAll(/#.*$/gm, "").replaceAll(/"[^"]*"/g, "")) {
    if (char === "{") depth++;
    if (char === "}" && --depth < 0) return false;
  }
  return depth === 0;
}

describe("nftablesText", () => {
  it("lets the allowed sources reach the ports, and drops all else that comes to them", async () => {
    const text = nftablesText(await plan());
    expect(text).toMatchInlineSnapshot(`
      "# Who may reach home@home.example. Load with: nft -f FILE
      # db1.example: 2001:db8:0:0:0:0:0:7, 203.0.113.7
      # 198.51.100.1: 198.51.100.1

      table inet sallyport {}
      delete table inet sallyport

      table inet sallyport {
        set allowed4 {
          type ipv4_addr; flags interval; auto-merge;
          elements = { 203.0.113.0/24, 203.0.113.7/32, 198.51.100.1/32 }
        }
        set allowed6 {
          type ipv6_addr; flags interval; auto-merge;
          elements = { 2001:db8:0:0:0:0:0:0/32, 2001:db8:0:0:0:0:0:7/128 }
        }
        set refused4 {
          type ipv4_addr; flags interval; auto-merge;
          elements = { 203.0.113.66/32, 198.51.100.0/24 }
        }
        set refused6 {
          type ipv6_addr; flags interval; auto-merge;
        }
        chain input {
          type filter hook input priority filter; policy accept;
          ct state established,related accept
          iifname "lo" accept
          # distribution
          tcp dport 9100-9155 ip saddr @refused4 counter drop
          tcp dport 9100-9155 ip6 saddr @refused6 counter drop
          tcp dport 9100-9155 ip saddr @allowed4 accept
          tcp dport 9100-9155 ip6 saddr @allowed6 accept
          tcp dport 9100-9155 counter drop
          # EPMD
          ip daddr 192.0.2.9 tcp dport 4369 ip saddr @refused4 counter drop
          ip daddr 192.0.2.9 tcp dport 4369 ip saddr @allowed4 accept
          ip daddr 192.0.2.9 tcp dport 4369 counter drop
        }
      }
      "
    `);
    expect(isBalanced(text)).toBe(true);
  });

  it("refuses before it allows, drops after it, and says nothing about other ports", async () => {
    const rules = rulesOf(nftablesText(await plan())).filter((rule) => rule.includes("dport"));
    const verdictAt = (port: string, verdict: RegExp): number[] =>
      rules.flatMap((rule, i) => (rule.includes(`dport ${port} `) && verdict.test(rule) ? [i] : []));
    for (const port of ["9100-9155", "4369"]) {
      const refused = verdictAt(port, /@refused. counter drop$/);
      const allowed = verdictAt(port, /@allowed. accept$/);
      const dropped = verdictAt(port, /dport \S+ counter drop$/);
      expect(dropped).toHaveLength(1);
      expect(Math.max(...refused)).toBeLessThan(Math.min(...allowed));
      expect(Math.max(...allowed)).toBeLessThan(dropped[0] ?? 0);
    }
    expect(rules.some((rule) => rule.includes("9200"))).toBe(false);
    for (const rule of rules) expect(rule).toMatch(/(accept|drop)$/);
  });

  it("names each set that a rule looks into", async () => {
    const text = nftablesText(await plan());
    const used = new Set([...text.matchAll(/saddr @(\w+)/g)].map((match) => match[1]));
    const defined = new Set([...text.matchAll(/^ {2}set (\w+) \{$/gm)].map((match) => match[1]));
    expect([...used].filter((name) => !defined.has(name))).toEqual([]);
    expect(used.size).toBe(4);
  });

  it("opens the ports to everybody only where nothing at all is said, and warns of it", async () => {
    const open = await plan({ accept: { refuse: ["203.0.113.66"] }, hosts: [] });
    expect(open.warnings).toHaveLength(1);
    const text = nftablesText(open);
    expect(text).toMatch(/^# warning: accept\.sources is not set/m);
    expect(rulesOf(text)).toContain("tcp dport 9100-9155 accept");
    const known = rulesOf(nftablesText(await plan({ accept: {} })));
    expect(known).toContain("tcp dport 9100-9155 counter drop");
    const nobody = await plan({ accept: { sources: [] } });
    expect(nobody.warnings).toEqual(["no address is known that may connect: nobody may"]);
    expect(
      rulesOf(nftablesText(nobody)).some((rule) => rule.includes("elements") && !rule.includes("203.0.113.66")),
    ).toBe(false);
  });

  it("says what could not be found", async () => {
    const { warnings, found } = await plan({ hosts: ["gone.example"] });
    expect(warnings).toEqual(["no address was found for gone.example"]);
    expect(found).toEqual([["gone.example", []]]);
  });

  it("opens UDP for a listener on QUIC", async () => {
    const listens = [{ what: "d", transport: "udp", host: "0.0.0.0", ports: { first: 4433, last: 4433 } }] as const;
    const opened = await plan({ listens });
    expect(rulesOf(nftablesText(opened))).toContain("udp dport 4433 counter drop");
    const parts = { namespace: undefined, labels: [{ key: "app", value: "a" }], fromLabels: [] };
    expect(networkPolicyText(opened, parts)).toContain("- protocol: UDP\n          port: 4433");
  });

  it("has nothing to open for a node that listens on loopback, and asks for a port where there is none", async () => {
    const local = await plan({ listens: [{ what: "d", host: "127.0.0.1", ports: { first: 9100, last: 9100 } }] });
    expect(rulesOf(nftablesText(local)).some((rule) => rule.includes("dport"))).toBe(false);
    expect(networkPolicyText(local, pods)).toContain("  ingress: []\n");
    await expect(plan({ listens: [{ what: "d", host: "::", ports: undefined }] })).rejects.toMatchObject({
      reason: "FIREWALL_PORT_UNKNOWN",
    });
  });

  it("lets no text of the configuration out of its comments", async () => {
    const evil = "x\n} flush ruleset #";
    const made = await plan({
      name: evil,
      listens: [{ what: evil, host: "0.0.0.0", ports: { first: 1, last: 1 } }],
      hosts: [evil],
    });
    for (const text of [nftablesText(made), networkPolicyText(made, pods)]) {
      expect(
        text.split("\n").filter((line) => line.includes("flush ruleset") && !line.trimStart().startsWith("#")),
      ).toEqual([]);
    }
    await expect(plan({ accept: { sources: [evil] } })).rejects.toMatchObject({ reason: "SOURCE_INVALID" });
  });
});

describe("networkPolicyText", () => {
  it("lets the allowed sources in, without those that are refused", async () => {
    expect(
      networkPolicyText(await plan(), { ...pods, fromLabels: [{ key: "app.example/tier", value: "" }] }),
    ).toMatchInlineSnapshot(`
      "# Who may reach home@home.example. Apply with: kubectl apply -f FILE
      # db1.example: 2001:db8:0:0:0:0:0:7, 203.0.113.7
      # 198.51.100.1: 198.51.100.1
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata:
        name: sallyport-home-home-example
        namespace: prod
      spec:
        podSelector:
          matchLabels:
            "app": "worker"
        policyTypes:
          - Ingress
        ingress:
          - from:
              - ipBlock:
                  cidr: "203.0.113.0/24"
                  except:
                    - "203.0.113.66/32"
              - ipBlock:
                  cidr: "2001:db8:0:0:0:0:0:0/32"
              - ipBlock:
                  cidr: "2001:db8:0:0:0:0:0:7/128"
              - ipBlock:
                  cidr: "203.0.113.7/32"
              - podSelector:
                  matchLabels:
                    "app.example/tier": ""
            ports:
              # distribution
              - protocol: TCP
                port: 9100
                endPort: 9155
              # EPMD
              - protocol: TCP
                port: 4369
      "
    `);
  });

  it("takes a source out that is refused as a whole, and never leaves `from` empty", async () => {
    const text = networkPolicyText(
      await plan({ accept: { sources: ["203.0.113.64/26"], refuse: ["203.0.113.0/24"] } }),
      pods,
    );
    expect(text).toContain("  ingress: []\n");
    expect(text).not.toContain("ports:");
  });

  it("lets everybody in where nothing is said, but those that are refused", async () => {
    const text = networkPolicyText(await plan({ accept: { refuse: ["203.0.113.66"] }, hosts: [] }), pods);
    expect(text).toMatch(
      /cidr: "0\.0\.0\.0\/0"\n +except:\n +- "203\.0\.113\.66\/32"\n +- ipBlock:\n +cidr: "::\/0"\n/,
    );
  });

  it("needs the labels of the pods", async () => {
    const made = await plan();
    expect(() => networkPolicyText(made, { ...pods, labels: [] })).toThrow(
      expect.objectContaining({ reason: "FIREWALL_LABELS_MISSING" }),
    );
    expect(podLabel("app.kubernetes.io/name=my_app")).toEqual({ key: "app.kubernetes.io/name", value: "my_app" });
    for (const text of ["app", "=x", "a b=c", 'a="x"', "a=b\nc", "-a=b", `a=${"x".repeat(64)}`]) {
      expect(podLabel(text), text).toBeUndefined();
    }
    expect(objectName("Shop_1@db1.example")).toBe("sallyport-shop-1-db1-example");
  });
});
