import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { checkGateway, createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import { FLAGS, sendName } from "../attack/frames.ts";
import { freePort } from "../interop/erlang-node.ts";

const HOME = mkdtempSync(join(tmpdir(), "sp-gateway-accept-"));
const DESK = "desk@127.0.0.1";
const SHOP = "shop@127.0.0.1";
const COOKIES = { inside: "cookie-of-the-inside", outside: "cookie-of-the-outside" } as const;

/** NAMES_REQ of EPMD. */
const NAMES = Buffer.from("00016e", "hex");

const open: { close(options?: { timeoutMs?: number }): Promise<void> }[] = [];
const events: GatewayEvent[] = [];
let heard: () => void = () => undefined;

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close({ timeoutMs: 0 })));
  events.length = 0;
});
afterAll(() => rmSync(HOME, { recursive: true, force: true }));

/** One pair; the inside node is where nobody is unless `address` says otherwise. */
function optionsOf(address = "tcp://127.0.0.1:9"): GatewayOptions {
  const inside = { node: DESK, address, cookie: COOKIES.inside };
  const outside = { nodes: [SHOP], listen: "tcp://127.0.0.1:0", cookie: COOKIES.outside };
  return { pairs: [{ inside, outside }], dangerous: { plaintext: true } };
}

async function start(more: Partial<GatewayOptions>, address?: string): Promise<Gateway> {
  const gateway = await createGateway({
    ...optionsOf(address),
    ...more,
    onEvent(event) {
      events.push(event);
      heard();
    },
  });
  open.push(gateway);
  return gateway;
}

/** The first event of this kind that is there, or comes. */
async function event(kind: GatewayEvent["kind"]): Promise<GatewayEvent> {
  for (;;) {
    const found = events.find((one) => one.kind === kind);
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
}

const portOf = ({ endpoints }: Gateway): number => Number(endpoints[0]?.endpoint.split(":").at(-1));

/** Says `bytes` from one loopback address, and ends with the other end: how many bytes came. */
function say(localAddress: string, port: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress }, () => socket.write(bytes));
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.once("close", () => resolve(socket.bytesRead));
  });
}

const claim = (gateway: Gateway, from: string): Promise<number> =>
  say(from, portOf(gateway), sendName("stranger@127.0.0.1", FLAGS));

describe("accept of a gateway", () => {
  it("keeps its listener and its port mapper to the allowed sources of their side", async () => {
    const mapper = await freePort();
    const dir = join(HOME, "audit");
    const gateway = await start({
      accept: { outside: { sources: ["127.0.0.2"] }, inside: { sources: [] } },
      epmd: { outside: `127.0.0.1:${mapper}` },
      audit: { dir },
    });
    expect(await claim(gateway, "127.0.0.3")).toBe(0);
    expect(events).toEqual([]);
    await claim(gateway, "127.0.0.2");
    expect(await event("refused")).toMatchObject({ address: expect.stringMatching(/^127\.0\.0\.2:/) });
    expect(await say("127.0.0.3", mapper, NAMES)).toBe(0);
    expect(await say("127.0.0.2", mapper, NAMES)).toBeGreaterThan(4);
    expect(gateway.status().sources).toEqual({
      outside: { refusedAddress: 2, refusedShut: 0 },
      inside: { refusedAddress: 0, refusedShut: 0 },
    });
    await gateway.close();
    const log = readdirSync(dir).map((file) => readFileSync(join(dir, file), "latin1"));
    expect(log.join("")).toMatch(/"address":"127\.0\.0\.3".*"reason":"SOURCE_NOT_ALLOWED"/);
  });

  it("changes with a reload, all or nothing", async () => {
    const gateway = await start({ accept: { outside: { sources: ["127.0.0.2"] } } });
    const options = optionsOf();
    const { endpoints } = gateway;
    const renamed = options.pairs.map((pair) => ({ ...pair, name: "another" }));
    await expect(
      gateway.reload({ ...options, pairs: renamed, accept: { outside: { sources: ["x"] } } }),
    ).rejects.toMatchObject({
      reason: "SOURCE_INVALID",
    });
    expect(gateway.endpoints).toEqual(endpoints);
    expect(() => checkGateway({ ...options, accept: { inside: { refuse: ["x"] } } })).toThrow(
      expect.objectContaining({ reason: "SOURCE_INVALID" }),
    );
    expect(await claim(gateway, "127.0.0.3")).toBe(0);
    expect(events).toEqual([]);
    const { unchanged } = await gateway.reload({ ...options, accept: { outside: { refuse: ["127.0.0.2"] } } });
    expect(unchanged).toEqual([DESK]);
    expect(await claim(gateway, "127.0.0.2")).toBe(0);
    expect(events).toEqual([]);
    await claim(gateway, "127.0.0.3");
    expect(await event("refused")).toMatchObject({ address: expect.stringMatching(/^127\.0\.0\.3:/) });
  });
});

describe("audit.failClosed of a gateway", () => {
  it("ends a session whose record cannot be written, and takes no other", async () => {
    const dir = join(HOME, "closed");
    const plain = { epmd: "off", dangerous: { plaintext: true } } as const;
    const desk = await createNode({ ...plain, name: DESK, cookie: COOKIES.inside, listen: ["tcp://127.0.0.1:0"] });
    const gateway = await start({ audit: { dir, failClosed: true } }, desk.endpoints[0]);
    const resolve = { [DESK]: `tcp://127.0.0.1:${portOf(gateway)}` };
    const shop = await createNode({ ...plain, name: SHOP, cookie: COOKIES.outside, resolve });
    open.push(desk, shop);
    rmSync(dir, { recursive: true });
    writeFileSync(dir, "a file stands in the way");
    await shop.connect(DESK).catch(() => undefined);
    expect(await event("down")).toMatchObject({ error: { reason: "AUDIT_NOT_WRITTEN" } });
    expect(gateway.status().audit).toMatchObject({ isFailing: true, isClosed: true, lost: 0 });
    expect(await claim(gateway, "127.0.0.1")).toBe(0);
    expect(gateway.status().sources.outside.refusedShut).toBeGreaterThan(0);
  });

  it("goes on without it by default", async () => {
    const dir = join(HOME, "open");
    mkdirSync(HOME, { recursive: true });
    writeFileSync(dir, "a file stands in the way");
    const gateway = await start({ audit: { dir } });
    await claim(gateway, "127.0.0.1");
    expect(await event("refused")).toMatchObject({ kind: "refused" });
    expect(gateway.status().audit).toMatchObject({ isFailing: true, isClosed: false });
  });
});
