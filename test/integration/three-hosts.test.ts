import { afterEach, expect, it } from "vitest";
import type { NodeOptions } from "../../src/node/options.ts";
import type { PolicyDocument } from "../../src/policy/document.ts";
import { Failed, Life } from "./lifecycle-rig.ts";
import { describeWithHosts, Hosts } from "./namespaces.ts";
import { NativeRig } from "./native-rig.ts";

const DESK = "my_desktop@desk.example";
const EC2 = "ec2_node@ec2.example";
const BOB = "bob_colo@bob.example";
const NAMES = [DESK, EC2, BOB] as const;
type Name = (typeof NAMES)[number];

const HOST = { [DESK]: "desk", [EC2]: "ec2", [BOB]: "bob" } as const;
const ADDRESS = { [DESK]: "10.77.0.1", [EC2]: "10.77.0.2", [BOB]: "10.77.0.3" } as const;
const BOBS_NEXT_ADDRESS = "10.77.0.33";
const PORT = 9100;
const HEARTBEAT = { intervalMs: 400, timeoutMs: 300 };

/** From whom to whom, and what comes of a call to `inbox`. */
const RIGHTS: readonly (readonly [Name, Name, "answered" | "refused"])[] = [
  [DESK, EC2, "answered"],
  [DESK, BOB, "answered"],
  [EC2, BOB, "answered"],
  [EC2, DESK, "refused"],
  [BOB, DESK, "refused"],
  [BOB, EC2, "refused"],
];

/** As in docs/policy.md: who may do what hangs on the keys, and on no address. */
function policyOf(own: Name, keys: Readonly<Record<Name, string>>): PolicyDocument {
  const peer = (name: Name, level?: number) => ({
    names: [name],
    keys: [keys[name]],
    assurance: "pinned" as const,
    ...(level === undefined ? {} : { level }),
  });
  switch (own) {
    case DESK:
      return {
        version: 1,
        node: DESK,
        peers: { ec2_node: peer(EC2), bob_colo: peer(BOB) },
        rules: [{ id: "no-orders", from: "*", deny: ["rpc", "spawn", "link", "exit", "io", "system"], to: "*" }],
      };
    case EC2:
      return {
        version: 1,
        node: EC2,
        level: 2,
        peers: { my_desktop: peer(DESK, 3), bob_colo: peer(BOB) },
        rules: [],
      };
    case BOB:
      return {
        version: 1,
        node: BOB,
        level: 1,
        peers: { my_desktop: peer(DESK, 3), ec2_node: peer(EC2) },
        rules: [{ id: "ec2-jobs", from: "ec2_node", allow: "call", to: "inbox" }],
      };
  }
}

describeWithHosts("three machines that trust each other by key", () => {
  const rig = new NativeRig();
  let hosts: Hosts | undefined;
  const lives = new Map<Name, Life>();
  const life = (name: Name): Life => lives.get(name)!;

  afterEach(async () => {
    await Promise.all([...lives.values()].map((each) => each.kill()));
    lives.clear();
    hosts?.remove();
    hosts = undefined;
  });

  async function start(): Promise<Hosts> {
    await rig.acquainted(...NAMES);
    const fingerprints: Partial<Record<Name, string>> = {};
    for (const name of NAMES) {
      const made = await rig.node(name, "strict", { listen: [] });
      fingerprints[name] = made.identity?.fingerprint ?? "";
      await made.close({ timeoutMs: 0 });
    }
    const keys = fingerprints as Record<Name, string>;
    const made = Hosts.make(Object.fromEntries(NAMES.map((name) => [HOST[name], ADDRESS[name]])));
    hosts = made;
    for (const name of NAMES) {
      const options: NodeOptions = {
        name,
        epmd: "off",
        identity: { dir: rig.keyDir(name) },
        listen: [`tls://0.0.0.0:${PORT}`],
        resolve: Object.fromEntries(NAMES.map((other) => [other, `${ADDRESS[other]}:${PORT}`])),
        policy: policyOf(name, keys),
        heartbeat: HEARTBEAT,
      };
      // What code allows would be a grant too: here the policy alone grants.
      lives.set(name, await Life.start({ options, allowed: null, under: made.on(HOST[name]) }));
    }
    return made;
  }

  /** What comes of each call, in the order of `RIGHTS`. */
  async function rights(): Promise<readonly (readonly [Name, Name, string])[]> {
    const found: (readonly [Name, Name, string])[] = [];
    for (const [from, to] of RIGHTS) {
      const outcome = await life(from)
        .ask("call", { to, request: 5, timeoutMs: 3_000 })
        .then(
          (answer) => (answer === 5 ? "answered" : `answered ${String(answer)}`),
          (error: unknown) => (error instanceof Failed && error.code === "ERR_DENIED" ? "refused" : String(error)),
        );
      found.push([from, to, outcome]);
    }
    return found;
  }

  const peersOf = async (name: Name): Promise<readonly string[]> =>
    (await life(name).ask<string[]>("peers")).toSorted();

  const others = (name: Name): readonly string[] => NAMES.filter((other) => other !== name).toSorted();

  /** Forgets what was heard so far. */
  function mark(): void {
    for (const each of lives.values()) each.events.length = 0;
  }

  it("keep their rights through a partition and a change of address", async () => {
    const net = await start();
    await Promise.all([life(DESK).ask("connect", { to: EC2 }), life(DESK).ask("connect", { to: BOB })]);
    await life(EC2).ask("connect", { to: BOB });
    expect(await rights()).toEqual(RIGHTS);
    for (const name of NAMES) expect(await peersOf(name)).toEqual(others(name));

    // Bob's cable is pulled: no reset, no goodbye.
    mark();
    const cutAt = performance.now();
    net.cable("bob", "down");
    const lost = [
      [DESK, BOB],
      [EC2, BOB],
      [BOB, DESK],
      [BOB, EC2],
    ] as const;
    const downOf = (at: Name, of: Name) => () =>
      life(at).events.some(({ event, peer }) => event === "nodedown" && peer === of);
    await Promise.all(lost.map(([at, of]) => life(at).until(downOf(at, of))));
    console.log(`three hosts: the partition was known on all sides after ${Math.round(performance.now() - cutAt)} ms`);
    for (const name of NAMES) for (const { reason } of life(name).events) expect(reason).toBe("HEARTBEAT_TIMEOUT");
    expect(await Promise.all(NAMES.map(peersOf))).toEqual([[EC2], [DESK], []]);
    expect(await life(DESK).ask("call", { to: EC2, request: 6 })).toBe(6);
    const cut = await life(DESK)
      .ask("connect", { to: BOB, timeoutMs: 1_000 })
      .catch((error: Failed) => error.code);
    expect(["ERR_DEADLINE", "ERR_UNREACHABLE"]).toContain(cut);

    // It heals, and both sides dial at once.
    net.cable("bob", "up");
    mark();
    await Promise.all([life(DESK).ask("connect", { to: BOB }), life(BOB).ask("connect", { to: DESK })]);
    await Promise.all([life(EC2).ask("connect", { to: BOB }), life(BOB).ask("connect", { to: EC2 })]);
    expect(await rights()).toEqual(RIGHTS);
    for (const name of NAMES) expect(await peersOf(name)).toEqual(others(name));
    expect(life(BOB).ups).toEqual(["up", "up"]);

    // Bob moves: the same key at another address.
    mark();
    net.readdress("bob", ADDRESS[BOB], BOBS_NEXT_ADDRESS);
    await Promise.all(lost.map(([at, of]) => life(at).until(downOf(at, of))));
    await life(BOB).ask("connect", { to: DESK });
    await life(BOB).ask("connect", { to: EC2 });
    expect(await rights()).toEqual(RIGHTS);
    for (const name of NAMES) expect(await peersOf(name)).toEqual(others(name));
    for (const name of [DESK, EC2] as const)
      expect(await life(name).ask<Record<string, string>>("addresses")).toMatchObject({
        [BOB]: expect.stringMatching(/^10\.77\.0\.33:/),
      });
  });
});
