import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkGateway, createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { GatewayPairOption } from "../../src/gateway/options.ts";
import type { Node } from "../../src/node/api.ts";
import { freePort } from "../interop/erlang-node.ts";
import { ask, runCli } from "./cli-process.ts";
import { failure } from "./native-rig.ts";

const DESK = "desk@127.0.0.1";
const SHOP = "shop@127.0.0.1";
const CAVE = "Cave@127.0.0.1";

describe("the key directories of a gateway's inside legs", () => {
  let root = "";
  const running: (Gateway | Node)[] = [];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "sallyport-inside-"));
    events.length = 0;
  });
  afterEach(async () => {
    for (const one of running.splice(0).toReversed()) await one.close({ timeoutMs: 0 });
    rmSync(root, { recursive: true, force: true });
  });

  const kept = <T extends Gateway | Node>(one: T): T => {
    running.push(one);
    return one;
  };
  const stands = (name: string): string => join(root, "stands", name);
  const isHeld = (name: string): boolean => readdirSync(stands(name)).some((file) => file.startsWith("running-"));
  const pair = (
    inside: Partial<GatewayPairOption["inside"]> = {},
    outside: Partial<GatewayPairOption["outside"]> = {},
  ) => ({
    inside: { node: DESK, address: "tls://127.0.0.1:1", identity: { dir: join(root, "stands") }, ...inside },
    outside: { nodes: [SHOP], listen: "tls://127.0.0.1:0", identity: { dir: join(root, "outer") }, ...outside },
  });
  const events: GatewayEvent[] = [];
  const onEvent = (event: GatewayEvent): void => void (event.kind === "duty" || events.push(event));
  const start = async (one: GatewayPairOption): Promise<Gateway> =>
    kept(await createGateway({ pairs: [one], onEvent }));

  it("are one for each outside node, called as its pin is, made at the first start, held, and let go", async () => {
    const gateway = await start(pair({}, { nodes: [SHOP, CAVE] }));
    const [one, other, ...more] = readdirSync(join(root, "stands"));
    expect([one, more]).toEqual([expect.stringMatching(/^sha256-[0-9a-f]{64}$/), []]);
    expect(other).toBe(SHOP);
    expect(isHeld(SHOP)).toBe(true);
    const { keys = [] } = gateway.status().pairs[0] ?? {};
    expect(keys.map(({ side, standsFor }) => `${side} ${standsFor}`)).toEqual([
      `outside ${DESK}`,
      `inside ${SHOP}`,
      `inside ${CAVE}`,
    ]);
    expect(new Set(keys.map(({ fingerprint }) => fingerprint)).size).toBe(3);
    await gateway.close();
    expect(isHeld(SHOP)).toBe(false);
  });

  it("come and go with the names of a reload, and stay what they are", async () => {
    const gateway = await start(pair());
    const both = pair({}, { nodes: [SHOP, "cave@127.0.0.1"] });
    const before = gateway.status().pairs[0]?.keys.at(1);
    expect(await gateway.reload({ pairs: [both] })).toMatchObject({ restarted: [DESK] });
    expect(gateway.status().pairs[0]?.keys.at(1)).toEqual(before);
    expect([isHeld(SHOP), isHeld("cave@127.0.0.1")]).toEqual([true, true]);
    await gateway.reload({ pairs: [pair()] });
    expect([isHeld(SHOP), isHeld("cave@127.0.0.1")]).toEqual([true, false]);
    const trusting = pair({ identity: { dir: join(root, "stands"), trust: "tofu" } });
    expect(await failure(gateway.reload({ pairs: [trusting] }))).toMatchObject({ reason: "GATEWAY_RESTART_NEEDED" });
    expect(isHeld(SHOP)).toBe(true);
  });

  it("belong to one gateway, and let go what was taken when one of them is in use", async () => {
    await start(pair({}, { nodes: ["cave@127.0.0.1"] }));
    const second = pair({}, { nodes: [SHOP, "cave@127.0.0.1"], identity: { dir: join(root, "others") } });
    expect(await failure(createGateway({ pairs: [second] }))).toMatchObject({ reason: "ALREADY_RUNNING" });
    expect(isHeld(SHOP)).toBe(false);
  });

  it("are not made by a check", () => {
    checkGateway({ pairs: [pair({ listen: "tls://127.0.0.1:0" }, { addresses: { [SHOP]: "tls://127.0.0.1:1" } })] });
    expect(existsSync(join(root, "stands"))).toBe(false);
  });

  /** A gateway, and the two nodes that know it by the pins or invites that they have. */
  const meet = async () => {
    const ports = { desk: await freePort(), shop: await freePort(), inside: await freePort() };
    const one = pair(
      { address: `tls://127.0.0.1:${ports.desk}`, listen: { [SHOP]: `tls://127.0.0.1:${ports.inside}` } },
      { addresses: { [SHOP]: `tls://127.0.0.1:${ports.shop}` } },
    );
    const gateway = await start(one);
    const at = gateway.endpoints.find(({ from }) => from === "outside")?.endpoint ?? "";
    const node = async (name: string, port: number, peer: string, address: string) =>
      kept(
        await createNode({
          name,
          epmd: "off",
          listen: [`tls://127.0.0.1:${port}`],
          identity: { dir: join(root, name) },
          resolve: { [peer]: address },
        }),
      );
    const desk = await node(DESK, ports.desk, SHOP, `tls://127.0.0.1:${ports.inside}`);
    const shop = await node(SHOP, ports.shop, DESK, at);
    return { gateway, desk, shop, events };
  };
  /** Makes the key of a directory. */
  const make = async (dir: string, name: string): Promise<void> => {
    const node = await createNode({ name, epmd: "off", identity: { dir } });
    await node.close({ timeoutMs: 0 });
  };
  const pin = (at: string, name: string, whose: string): void => {
    mkdirSync(join(at, "trusted"), { recursive: true, mode: 0o700 });
    copyFileSync(join(whose, "node.pub"), join(at, "trusted", `${name}.pub`));
  };
  const outer = (): string => join(root, "outer");
  const own = (name: string): string => join(root, name);
  /** The gateway and the outside node know each other. */
  const pairOutside = async (): Promise<void> => {
    await make(outer(), DESK);
    await make(own(SHOP), SHOP);
    pin(outer(), SHOP, own(SHOP));
    pin(own(SHOP), DESK, outer());
  };

  it("are paired by the commands that the documentation gives", async () => {
    await pairOutside();
    await make(own(DESK), DESK);
    const args = ["--name", SHOP, "--key-dir", stands(SHOP)];
    await ask(root, "keys", "init", ...args);
    const ofDesk = readFileSync(join(own(DESK), "node.pub")).toString("base64");
    await ask(root, "trust", "add", DESK, `ed25519:${ofDesk}`, ...args);
    const { publicKey } = await ask(root, "keys", "show", ...args);
    const text = readFileSync(join(stands(SHOP), "node.pub")).toString("base64");
    expect(publicKey).toBe(`ed25519:${text}`);
    pin(own(DESK), SHOP, stands(SHOP));
    const { desk, shop, gateway } = await meet();
    expect(await shop.connect(DESK)).toMatchObject({ assurance: "pinned", protocol: "native" });
    expect(desk.peers()).toMatchObject([{ name: SHOP, assurance: "pinned" }]);
    // Both see keys of the gateway, and each another one.
    const { keys = [] } = gateway.status().pairs[0] ?? {};
    expect(shop.peers()[0]?.fingerprint).toBe(keys.find(({ side }) => side === "outside")?.fingerprint);
    expect(desk.peers()[0]?.fingerprint).toBe(keys.find(({ side }) => side === "inside")?.fingerprint);
  });

  it("are paired by invites as well", async () => {
    await pairOutside();
    await make(stands(SHOP), SHOP);
    const { out } = await runCli(root, ["keys", "invite", DESK, "--name", SHOP, "--key-dir", stands(SHOP)]);
    const { desk, gateway } = await meet();
    desk.identity?.join(out.split("\n")[0] ?? "");
    expect(await desk.connect(SHOP)).toMatchObject({ name: SHOP, assurance: "pinned", protocol: "native" });
    const sure = { outside: "pinned", inside: "pinned" };
    const session = () => gateway.status().pairs[0]?.sessions[0];
    await vi.waitFor(() => expect(session()?.assurance).toEqual(sure), { timeout: 20_000 });
    expect(existsSync(join(stands(SHOP), "trusted", `${DESK}.pub`))).toBe(true);
  });
  it("are not believed by an inside node that has pinned the outside node's own key, and both ends say so", async () => {
    await pairOutside();
    await make(stands(SHOP), SHOP);
    await make(own(DESK), DESK);
    pin(stands(SHOP), DESK, own(DESK));
    pin(own(DESK), SHOP, own(SHOP));
    const { desk, shop, events } = await meet();
    const refusals: string[] = [];
    desk.on("refused", ({ error }) => void refusals.push(error.reason));
    expect(await failure(shop.connect(DESK))).toMatchObject({ reason: "PEER_COMMIT_FAILED" });
    await vi.waitFor(() => expect(refusals.at(-1)).toBe("KEY_MISMATCH"), { timeout: 20_000 });
    const refused = { kind: "refused", endedBy: "inside", error: { reason: "REFUSED_BY_PEER" } };
    await vi.waitFor(() => expect(events.at(-1)).toMatchObject(refused), { timeout: 20_000 });
    expect(await failure(desk.connect(SHOP))).toMatchObject({ reason: "KEY_MISMATCH" });
  });
});
