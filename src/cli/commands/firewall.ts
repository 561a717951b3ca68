import { parseDialTarget } from "../../base/node-name.ts";
import { parseAddress } from "../../discovery/address.ts";
import { expectedHosts } from "../../discovery/expected-hosts.ts";
import { systemLookup } from "../../discovery/peer-hosts.ts";
import { hostsOf } from "../../gateway-run/gateway-admission.ts";
import { pairName } from "../../gateway-run/plan-pair.ts";
import { parseListen } from "../../node/listen-option.ts";
import { EPMD_PORT } from "../../wire/epmd.ts";
import type { CommandWorld } from "../command-world.ts";
import { checkedNamespace, networkPolicyText, podLabel } from "../firewall/network-policy.ts";
import { nftablesText } from "../firewall/nftables.ts";
import { type FirewallPlan, type ListenPlace, type PlanParts, planFirewall } from "../firewall/plan.ts";
import type { FirewallFlags, NetworkPolicyFlags } from "../firewall-commands.ts";
import { readGatewayFile } from "../gateway-file.ts";
import { reportResult, warn } from "../report.ts";
import { settingsOfNode } from "../settings.ts";

/** `firewall nftables`. @throws {SallyportError} ERR_CONFIG, as `planFirewall` and what reading the configuration throws */
export async function firewallNftables(world: CommandWorld, flags: FirewallFlags): Promise<void> {
  const plan = await planFirewall(partsOf(world, flags));
  print(world, plan, nftablesText(plan));
}

/** `firewall networkpolicy`. @throws {SallyportError} ERR_CONFIG FIREWALL_LABELS_MISSING, FIREWALL_NAMESPACE, and as above */
export async function firewallNetworkPolicy(world: CommandWorld, flags: NetworkPolicyFlags): Promise<void> {
  const plan = await planFirewall(partsOf(world, flags));
  const labels = (texts: readonly string[] = []) => texts.flatMap((text) => podLabel(text) ?? []);
  const namespace = checkedNamespace(flags.namespace);
  const text = networkPolicyText(plan, { namespace, labels: labels(flags.label), fromLabels: labels(flags.fromLabel) });
  print(world, plan, text);
}

function print({ terminal }: CommandWorld, { warnings }: FirewallPlan, text: string): void {
  reportResult(terminal, { text, warnings }, text.trimEnd());
  warn(terminal, warnings);
}

function partsOf(world: CommandWorld, flags: FirewallFlags): PlanParts {
  return flags.gateway === undefined ? ofNode(world, flags) : ofGateway(world, flags.gateway);
}

function ofNode(world: CommandWorld, flags: FirewallFlags): PlanParts {
  const {
    name,
    listen = [],
    accept = {},
    seeds = [],
    resolve,
    epmd,
    epmdPort,
    dangerous,
  } = settingsOfNode(flags, world);
  const listens = listen.map((text) => placeOf("distribution", text, dangerous?.plaintext ?? false));
  const reached = listens.some(({ ports }) => ports !== undefined);
  const epmdAt: ListenPlace[] =
    epmd === "register" && reached ? [{ what: "EPMD", host: "0.0.0.0", ports: onePort(epmdPort ?? EPMD_PORT) }] : [];
  const targets = seeds.filter((text) => !text.startsWith("dns:")).map(parseDialTarget);
  return {
    name,
    listens: [...listens, ...epmdAt],
    accept,
    hosts: expectedHosts({ resolve, seeds: targets, nodes: accept.nodes ?? [] }),
    lookup: systemLookup,
  };
}

function ofGateway(world: CommandWorld, file: string): PlanParts {
  const { options } = readGatewayFile({ config: file }, world);
  const { pairs, accept, epmd, dangerous } = options;
  const listens = pairs.flatMap((pair): ListenPlace[] => {
    const { listen } = pair.outside;
    return listen === undefined ? [] : [placeOf(`pair ${pairName(pair)}`, listen, dangerous?.plaintext ?? false)];
  });
  const mapper = epmd?.outside === undefined ? undefined : parseAddress(epmd.outside, "tcp");
  const mapperAt =
    mapper === undefined ? [] : [{ what: "port mapper", host: mapper.host, ports: onePort(mapper.port) }];
  return {
    name: "gateway",
    listens: [...listens, ...mapperAt],
    accept: accept?.outside ?? {},
    hosts: hostsOf("outside", options),
    lookup: systemLookup,
  };
}

function placeOf(what: string, text: string, plaintext: boolean | "any"): ListenPlace {
  const { scheme, host, ports } = parseListen(text, plaintext, true);
  const range = typeof ports === "number" ? onePort(ports) : ports;
  return { what, transport: scheme === "quic" ? "udp" : "tcp", host, ports: range };
}

/** Port 0 is any free one. */
function onePort(port: number): ListenPlace["ports"] {
  return port === 0 ? undefined : { first: port, last: port };
}
