import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "../../testkit/certificates.ts";
import type { DemoFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { whileWaiting } from "../progress.ts";
import { asSallyportError, failureDocument } from "../report.ts";
import type { Cleanup } from "./cleanup.ts";
import { closedAddress } from "./closed-address.ts";
import { Desktop } from "./desktop.ts";
import { ErlangMachine, hasErlang, startEpmd } from "./erlang-machine.ts";
import { loadRunPolicy, MACHINE_NAMES, type MachineName, type RunPolicy } from "./example-policies.ts";
import { type KeyPairs, makeKeyPairs } from "./key-pairs.ts";
import { BOB_COLO, EC2_NODE, MY_DESKTOP, type Setting } from "./machine.ts";
import type { MachineStart } from "./machine-commands.ts";
import { layOut, SallyportMachine } from "./sallyport-machine.ts";
import type { Story } from "./story.ts";

/** How long a machine has to end when the demo is over, in milliseconds. */
const CLOSE_MS = 500;

/** The three machines at work. */
export interface Fleet {
  readonly setting: Setting;
  readonly policies: Readonly<Record<MachineName, RunPolicy>>;
  readonly desktop: Desktop;
  readonly ec2: ErlangMachine | SallyportMachine;
  readonly bob: SallyportMachine;
  /** With what bob_colo was started: whoever takes the machine over has all of it. */
  readonly bobStart: MachineStart;
}

/** Starts what is not my_desktop yet; on the way the story hears of it. */
export async function startFleet(
  world: CommandWorld,
  flags: DemoFlags,
  story: Story,
  cleanup: Cleanup,
): Promise<Fleet> {
  const directory = mkdtempSync(join(tmpdir(), "sallyport-demo-"));
  await cleanup.add(async () => rmSync(directory, { recursive: true, force: true }));
  story.step("Keys, certificates and policies of this run");
  const authority = await createTestAuthority(world, join(directory, "tls"), { commonName: "Sallyport demo" });
  const cookie = world.random.bytes(24).toString("hex");
  const epmdPort = await epmdFor(world, flags, directory, story, cleanup);
  const setting: Setting = { world, directory, authority, cookie, epmdPort };
  const byKey = epmdPort === undefined ? [MY_DESKTOP, EC2_NODE, BOB_COLO] : [MY_DESKTOP, BOB_COLO];
  const keys = makeKeyPairs(world, directory, byKey);
  const policies = runPolicies(world, keys, story);

  story.step("Three machines, three processes");
  const nowhere = await closedAddress(world);
  const bobStart = await layOut(setting, BOB_COLO, policies.bob_colo.policy.document, partsOf(keys, BOB_COLO, nowhere));
  const bob = SallyportMachine.start(setting, bobStart, "honest");
  await cleanup.add(() => bob.stop());
  const ec2 = await startEc2(setting, policies, partsOf(keys, EC2_NODE, nowhere), cleanup, bob);
  const bobIs = await bob.ready();
  const ec2Is = await whileWaiting(world.terminal, "starting ec2_node", ec2.ready());
  const desktop = await startDesktop(setting, policies.my_desktop, keys, { ec2, bob });
  await cleanup.add(() => desktop.node.close({ timeoutMs: CLOSE_MS }));
  story.say(`my_desktop: Sallyport, this process; ${desktop.node.endpoints.length} listeners: it only dials`);
  story.say(`ec2_node:   ${ec2Is}`);
  story.say(`bob_colo:   ${bobIs}, on ${bob.endpoint}`);
  return { setting, policies, desktop, ec2, bob, bobStart };
}

/** Undefined when a Sallyport process is to play ec2_node. */
async function epmdFor(
  world: CommandWorld,
  flags: DemoFlags,
  directory: string,
  story: Story,
  cleanup: Cleanup,
): Promise<number | undefined> {
  if (flags.peer === "erlang" || (flags.peer === "auto" && hasErlang(world))) {
    try {
      const epmd = await startEpmd(world, directory);
      await cleanup.add(() => epmd.stop());
      return epmd.port;
    } catch (error) {
      if (flags.peer === "erlang") throw error;
      story.say(`Erlang is installed but did not start: ${failureDocument(asSallyportError(error)).message}`);
    }
  }
  const why = flags.peer === "sallyport" ? "As asked" : "There is no Erlang (erl) that works on this machine";
  story.say(`${why}: a Sallyport process plays ec2_node.`);
  return undefined;
}

function runPolicies(world: CommandWorld, keys: KeyPairs, story: Story): Fleet["policies"] {
  const nowMs = world.clock.wallMs();
  const policies = Object.fromEntries(
    MACHINE_NAMES.map((name) => [name, loadRunPolicy(name, keys.fingerprints, nowMs)]),
  ) as Record<MachineName, RunPolicy>;
  for (const { file, from, to, keyed, tests } of Object.values(policies)) {
    const by = keyed.length === 0 ? "" : `, key of ${keyed.join(" and ")} added`;
    story.say(`${file}: ${from} is ${to} here${by}; its ${tests} tests pass`);
  }
  return policies;
}

/** my_desktop listens nowhere. Without an address of its own, who looks for it would try whatever has the default port. */
function partsOf(keys: KeyPairs, name: string, nowhere: string): Pick<MachineStart, "keyDirectory" | "resolve"> {
  return { keyDirectory: keys.directories[name] ?? "", resolve: { [MY_DESKTOP]: nowhere } };
}

async function startEc2(
  setting: Setting,
  policies: Fleet["policies"],
  parts: Pick<MachineStart, "keyDirectory" | "resolve">,
  cleanup: Cleanup,
  bob: SallyportMachine,
): Promise<ErlangMachine | SallyportMachine> {
  if (setting.epmdPort !== undefined) {
    const erlang = await ErlangMachine.start(setting);
    await cleanup.add(() => erlang.stop());
    return erlang;
  }
  await whileWaiting(setting.world.terminal, "starting bob_colo", bob.ready());
  const resolve = { ...parts.resolve, [BOB_COLO]: bob.endpoint };
  const start = await layOut(setting, EC2_NODE, policies.ec2_node.policy.document, { ...parts, resolve });
  const machine = SallyportMachine.start(setting, start, "honest");
  await cleanup.add(() => machine.stop());
  return machine;
}

async function startDesktop(
  { world, directory, authority, cookie, epmdPort }: Setting,
  { policy }: RunPolicy,
  keys: KeyPairs,
  { ec2, bob }: Pick<Fleet, "ec2" | "bob">,
): Promise<Desktop> {
  const { certFile, keyFile } = await authority.issue(MY_DESKTOP);
  return Desktop.start(
    {
      name: MY_DESKTOP,
      cookie,
      tls: { certFile, keyFile, caFile: authority.caFile },
      identity: { dir: keys.directories[MY_DESKTOP] ?? join(directory, "keys"), trust: "strict" },
      resolve: { [BOB_COLO]: bob.endpoint, ...("endpoint" in ec2 ? { [EC2_NODE]: ec2.endpoint } : {}) },
      ...(epmdPort === undefined ? { epmd: "off" as const } : { epmd: "lookup" as const, epmdPort }),
    },
    policy,
    () => world.clock.wallMs(),
  );
}
