import { type Command, InvalidArgumentError, Option } from "commander";
import { addCommand, addGroup } from "./add-command.ts";
import { type CommonFlags, collect, jsonOption, nodeOptions } from "./common-options.ts";
import { podLabel } from "./firewall/network-policy.ts";

export interface FirewallFlags extends CommonFlags {
  /** Configuration of a gateway, in place of a node's. */
  readonly gateway?: string;
}

export interface NetworkPolicyFlags extends FirewallFlags {
  /** `key=value` each. */
  readonly label?: readonly string[];
  readonly fromLabel?: readonly string[];
  readonly namespace?: string;
}

/** What the commands about firewalls do, once their arguments are read. */
export interface FirewallActions {
  firewallNftables(flags: FirewallFlags): Promise<void>;
  firewallNetworkPolicy(flags: NetworkPolicyFlags): Promise<void>;
}

const JSON_RESULT = 'print {"ok":true,"result":{text, warnings}} on one line';

/** Adds `firewall` with its commands. */
export function addFirewallCommands(program: Command, actions: FirewallActions): void {
  const firewall = addGroup(
    program,
    "firewall",
    "print rules for a firewall that let the peers reach this node",
    "Prints rules made of `listen`, `accept`, `resolve` and `seeds`, and changes nothing. The node checks the same lists itself, before " +
      "a byte of TLS. See docs/firewall.md.",
  );
  const options = [
    new Option("--gateway <file>", "print those of a gateway's outside listeners, by its configuration").conflicts(
      "config",
    ),
    jsonOption(JSON_RESULT),
    ...nodeOptions(),
  ];
  addCommand(firewall, "nftables", "print rules for nft", {
    long:
      "Prints a table for nft that lets the allowed sources reach the ports of this node, drops what else comes to them, and leaves all " +
      "other ports alone. Loading it again takes the place of the table as a whole.",
    options,
    examples: ["sallyport firewall nftables > sallyport.nft && sudo nft -f sallyport.nft"],
  }).action((flags: FirewallFlags) => actions.firewallNftables(flags));
  addCommand(firewall, "networkpolicy", "print a NetworkPolicy for Kubernetes", {
    options: [
      new Option("--label <key=value>", "label of the pods of this node; may be repeated").argParser(labelArgument),
      new Option("--from-label <key=value>", "label of pods that are let in besides; may be repeated").argParser(
        labelArgument,
      ),
      new Option("--namespace <name>", "namespace of the policy"),
      ...options,
    ],
    examples: ["sallyport firewall networkpolicy --label app=worker --from-label app=shop | kubectl apply -f -"],
  }).action((flags: NetworkPolicyFlags) => actions.firewallNetworkPolicy(flags));
}

function labelArgument(text: string, previous: readonly string[] | undefined): readonly string[] {
  if (podLabel(text) !== undefined) return collect(text, previous);
  throw new InvalidArgumentError("It must be a label of Kubernetes, such as app=worker.");
}
