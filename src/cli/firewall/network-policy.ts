import { parseAddressRange, rangeHolds } from "../../base/address-range.ts";
import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { type Cidr, type FirewallPlan, isIpv6, type OpenPort } from "./plan.ts";

/** A label of pods. */
export interface PodLabel {
  readonly key: string;
  readonly value: string;
}

export interface NetworkPolicyParts {
  readonly namespace: string | undefined;
  /** Of the pods that the policy is about. */
  readonly labels: readonly PodLabel[];
  /** Of pods that are let in besides, in the same namespace. */
  readonly fromLabels: readonly PodLabel[];
}

const EVERYWHERE: readonly Cidr[] = ["0.0.0.0/0", "::/0"];

/** Longest name of an object in Kubernetes. */
const MAX_NAME_CHARS = 63;

/** `key=value` of a label, as Kubernetes takes it: `[prefix/]name` and a value of at most 63 characters. */
export function podLabel(text: string): PodLabel | undefined {
  const word = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
  const match = new RegExp(`^((?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?${word})=(${word})?$`).exec(text);
  return match?.[1] === undefined ? undefined : { key: match[1], value: match[2] ?? "" };
}

/** Name of an object in Kubernetes (RFC 1123) made of a node's name: `shop@db1` is `sallyport-shop-db1`. */
export function objectName(name: string): string {
  const words = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return `sallyport-${words}`.slice(0, MAX_NAME_CHARS).replace(/-+$/, "");
}

/** A NetworkPolicy of Kubernetes as YAML. @throws {SallyportError} ERR_CONFIG FIREWALL_LABELS_MISSING */
export function networkPolicyText(plan: FirewallPlan, { namespace, labels, fromLabels }: NetworkPolicyParts): string {
  if (labels.length === 0) {
    throw new SallyportError("ERR_CONFIG", "FIREWALL_LABELS_MISSING", "nothing says which pods the policy is about", {
      advice: "give the labels of the node's pods: --label app=worker",
    });
  }
  const { name, ports, found, warnings } = plan;
  const blocks = ipBlocks(plan);
  // A rule without `from` would let everybody in.
  const hasRule = ports.length > 0 && blocks.length + fromLabels.length > 0;
  const lines = [
    `# Who may reach ${name}. Apply with: kubectl apply -f FILE`,
    ...warnings.map((text) => `# warning: ${text}`),
    ...found.map(([host, addresses]) => `# ${host}: ${addresses.length === 0 ? "not found" : addresses.join(", ")}`),
    "apiVersion: networking.k8s.io/v1",
    "kind: NetworkPolicy",
    "metadata:",
    `  name: ${objectName(name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${namespace}`]),
    "spec:",
    "  podSelector:",
    "    matchLabels:",
    ...labels.map(({ key, value }) => `      ${quoted(key)}: ${quoted(value)}`),
    "  policyTypes:",
    "    - Ingress",
    ...(hasRule
      ? ["  ingress:", "    - from:", ...blocks, ...podsFrom(fromLabels), "      ports:"]
      : ["  ingress: []"]),
    ...(hasRule ? ports.flatMap(portLines) : []),
  ];
  return `${lines.join("\n")}\n`;
}

function ipBlocks({ allowed, refused }: FirewallPlan): readonly string[] {
  return (allowed ?? EVERYWHERE).flatMap((cidr) => {
    if (refused.some((other) => holds(other, cidr))) return [];
    const except = refused.filter((other) => holds(cidr, other));
    return [
      "        - ipBlock:",
      `            cidr: ${quoted(cidr)}`,
      ...(except.length === 0 ? [] : ["            except:", ...except.map((one) => `              - ${quoted(one)}`)]),
    ];
  });
}

/** Whether all of `inner` is in `outer`. */
function holds(outer: Cidr, inner: Cidr): boolean {
  const [one, other] = [parseAddressRange(outer), parseAddressRange(inner)];
  if (one === undefined || other === undefined || isIpv6(outer) !== isIpv6(inner)) return false;
  return one.bits <= other.bits && rangeHolds(one, other.octets);
}

function podsFrom(labels: readonly PodLabel[]): readonly string[] {
  if (labels.length === 0) return [];
  return [
    "        - podSelector:",
    "            matchLabels:",
    ...labels.map(({ key, value }) => `              ${quoted(key)}: ${quoted(value)}`),
  ];
}

function portLines({ what, transport, first, last }: OpenPort): readonly string[] {
  return [
    `        # ${what}`,
    `        - protocol: ${transport.toUpperCase()}`,
    `          port: ${first}`,
    ...(first === last ? [] : [`          endPort: ${last}`]),
  ];
}

/** Text of JSON is text of YAML. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Reads a namespace. @throws {SallyportError} ERR_CONFIG FIREWALL_NAMESPACE */
export function checkedNamespace(text: string | undefined): string | undefined {
  if (text === undefined || /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw new SallyportError("ERR_CONFIG", "FIREWALL_NAMESPACE", `"${quotePeerText(text)}" is no name of a namespace`, {
    advice: "use lower-case letters, digits and -, at most 63",
  });
}
