import { addressText, type Cidr, type FirewallPlan, isIpv6, type OpenPort } from "./plan.ts";

const TABLE = "inet sallyport";

/**
 * Rules for nft: a table of its own that takes the place of an earlier one as a whole. Other ports and other tables are left alone, and so
 * are connections that stand.
 */
export function nftablesText(plan: FirewallPlan): string {
  const { name, ports, allowed, refused, found, warnings } = plan;
  const lines = [
    `# Who may reach ${name}. Load with: nft -f FILE`,
    ...warnings.map((text) => `# warning: ${text}`),
    ...found.map(([host, addresses]) => `# ${host}: ${addresses.length === 0 ? "not found" : addresses.join(", ")}`),
    "",
    // Made first, so that there is one to delete.
    `table ${TABLE} {}`,
    `delete table ${TABLE}`,
    "",
    `table ${TABLE} {`,
    ...setLines("allowed", allowed ?? []),
    ...setLines("refused", refused),
    "  chain input {",
    "    type filter hook input priority filter; policy accept;",
    "    ct state established,related accept",
    '    iifname "lo" accept',
    ...ports.flatMap((port) => portLines(port, allowed !== undefined)),
    "  }",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function setLines(name: string, cidrs: readonly Cidr[]): readonly string[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = cidrs.filter((cidr) => isIpv6(cidr) === (family === 6));
    return [
      `  set ${name}${family} {`,
      `    type ipv${family}_addr; flags interval; auto-merge;`,
      ...(own.length === 0 ? [] : [`    elements = { ${own.join(", ")} }`]),
      "  }",
    ];
  });
}

/** Refused first, then allowed, then nobody else; without a list of who is allowed, everybody else. */
function portLines({ what, transport, host, first, last }: OpenPort, isBounded: boolean): readonly string[] {
  const ports = `${transport} dport ${first === last ? first : `${first}-${last}`}`;
  const families = host === undefined ? [4, 6] : [host.length === 4 ? 4 : 6];
  const to = host === undefined ? "" : `${families[0] === 4 ? "ip" : "ip6"} daddr ${addressText(host)} `;
  const ip = (family: number): string => (family === 4 ? "ip" : "ip6");
  const from = (set: string, verdict: string): readonly string[] =>
    families.map((family) => `    ${to}${ports} ${ip(family)} saddr @${set}${family} ${verdict}`);
  return [
    `    # ${what}`,
    ...from("refused", "counter drop"),
    ...(isBounded ? [...from("allowed", "accept"), `    ${to}${ports} counter drop`] : [`    ${to}${ports} accept`]),
  ];
}
