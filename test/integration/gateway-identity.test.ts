import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkGateway, createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayOptions, GatewayPairOption } from "../../src/gateway/options.ts";
import { freePort } from "../interop/erlang-node.ts";
import { failure } from "./native-rig.ts";

const INSIDE = "desk@127.0.0.1";
const SHOP = "shop@127.0.0.1";

describe("the key directory of a gateway's pair", () => {
  let root = "";
  let port = 0;
  const gateways: Gateway[] = [];
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "sallyport-gateway-"));
    port = await freePort();
  });
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.close();
    rmSync(root, { recursive: true, force: true });
  });

  const pair = (outside: Partial<GatewayPairOption["outside"]> = {}, more: Partial<GatewayPairOption> = {}) => ({
    inside: { node: INSIDE, cookie: "the-cookie-of-the-desk", address: "tcp://127.0.0.1:1" },
    outside: { nodes: [SHOP], listen: `tls://127.0.0.1:${port}`, identity: { dir: join(root, "keys") }, ...outside },
    ...more,
  });
  const start = async (...pairs: readonly GatewayPairOption[]): Promise<Gateway> => {
    const gateway = await createGateway({ pairs });
    gateways.push(gateway);
    return gateway;
  };
  /** What a node outside hears of the gateway, which cannot reach the inside node: `PEER_BUSY` where its key is trusted. */
  const heard = async (): Promise<string> => {
    const identity = { dir: join(root, "shop"), trust: "tofu" } as const;
    const shop = await createNode({
      name: SHOP,
      epmd: "off",
      identity,
      resolve: { [INSIDE]: `tls://127.0.0.1:${port}` },
    });
    const { reason } = await failure(shop.connect(INSIDE));
    await shop.close({ timeoutMs: 0 });
    return reason;
  };
  const isHeld = (): boolean => readdirSync(join(root, "keys")).some((name) => name.startsWith("running-"));

  it("is made at the first start, held by one gateway at a time, and let go", async () => {
    const first = await start(pair());
    expect(isHeld()).toBe(true);
    expect(await heard()).toBe("REFUSED_BY_PEER");
    expect(await failure(createGateway({ pairs: [pair({ listen: "tls://127.0.0.1:0" })] }))).toMatchObject({
      reason: "ALREADY_RUNNING",
    });
    await first.close();
    expect(isHeld()).toBe(false);
    await start(pair());
  });

  it("stays in use through reloads, also where the pair is started anew", async () => {
    const gateway = await start(pair());
    const options = (one: GatewayPairOption): GatewayOptions => ({ pairs: [one] });
    expect(await gateway.reload(options(pair()))).toMatchObject({ unchanged: [INSIDE] });
    expect(await gateway.reload(options(pair({}, { fragments: false })))).toMatchObject({ restarted: [INSIDE] });
    expect(await heard()).toBe("REFUSED_BY_PEER");
    expect(isHeld()).toBe(true);
    const other = { identity: { dir: join(root, "keys"), trust: "tofu" } } as const;
    expect(await failure(gateway.reload(options(pair(other))))).toMatchObject({ reason: "GATEWAY_RESTART_NEEDED" });
    expect(await heard()).toBe("REFUSED_BY_PEER");
    await gateway.close();
    expect(isHeld()).toBe(false);
  });

  it("is let go when the pair is taken out, and when the start fails", async () => {
    const plain = { inside: pair().inside, outside: { nodes: [SHOP], listen: `tls://127.0.0.1:${port}` } };
    expect(await failure(createGateway({ pairs: [pair(), { ...plain, name: "other" }] }))).toMatchObject({
      reason: "GATEWAY_PAIR_INVALID",
    });
    expect(isHeld()).toBe(false);
    const gateway = await start(pair());
    const tcp = pair({ identity: { dir: join(root, "others") } });
    await gateway.reload({ pairs: [tcp] });
    expect(isHeld()).toBe(false);
  });

  it("belongs to one pair", async () => {
    const other = { ...pair({ listen: "tls://127.0.0.1:0" }), name: "other" };
    expect(await failure(createGateway({ pairs: [pair(), other] }))).toMatchObject({ reason: "GATEWAY_PAIR_INVALID" });
    expect(existsSync(join(root, "keys"))).toBe(false);
  });

  it("is not made by a check", () => {
    checkGateway({ pairs: [pair({ addresses: { [SHOP]: "tls://127.0.0.1:1" } })] });
    expect(existsSync(join(root, "keys"))).toBe(false);
  });
});
