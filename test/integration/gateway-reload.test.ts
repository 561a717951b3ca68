import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { isSallyportError, type SallyportError } from "../../src/base/errors.ts";
import { checkGateway, createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { GatewayNotice } from "../../src/gateway/notices.ts";
import type { GatewayOptions, GatewayPairOption } from "../../src/gateway/options.ts";
import type { Node } from "../../src/node/api.ts";
import { createTestAuthority, type TestAuthority } from "../../src/testkit/certificates.ts";
import { freePort } from "../interop/erlang-node.ts";
import { issueParts } from "../interop/rig.ts";

const HOME = mkdtempSync(join(tmpdir(), "sp-gateway-"));
const INSIDE = "desk@127.0.0.1";
const OUTSIDE = "shop@127.0.0.1";
const COOKIE = "cookie-of-the-outside";
const INSIDE_COOKIE = "cookie-of-the-inside";
const POLICY = join(HOME, "desk.policy.jsonc");

let inside: Node;
let outside: Node;
let authority: TestAuthority;
let port: number;
let spare: number;
const open: Gateway[] = [];
const events: GatewayEvent[] = [];
const notices: GatewayNotice[] = [];

beforeAll(async () => {
  [port, spare] = [await freePort(), await freePort()];
  const plain = { epmd: "off", dangerous: { plaintext: true } } as const;
  inside = await createNode({ ...plain, name: INSIDE, cookie: INSIDE_COOKIE, listen: ["tcp://127.0.0.1:0"] });
  inside.register("calc", { call: () => 7 }, { allow: "cookie" });
  inside.register("vault", { call: () => 8 }, { allow: "cookie" });
  const resolve = { [INSIDE]: `tcp://127.0.0.1:${port}` };
  outside = await createNode({ ...plain, name: OUTSIDE, cookie: COOKIE, resolve });
  authority = await createTestAuthority(issueParts(), join(HOME, "tls"));
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()));
  await parted();
  events.length = 0;
  notices.length = 0;
});

afterAll(async () => {
  await Promise.all([inside, outside].map((node) => node.close({ timeoutMs: 0 })));
  rmSync(HOME, { recursive: true, force: true });
});

function pair(more: Partial<GatewayPairOption> = {}): GatewayPairOption {
  const address = inside.endpoints[0] ?? "";
  return {
    name: "desk",
    inside: { node: INSIDE, address, cookie: INSIDE_COOKIE },
    outside: { nodes: [OUTSIDE], listen: `tcp://127.0.0.1:${port}`, cookie: COOKIE },
    ...more,
  };
}

/** Another pair, whose node nobody dials here. */
const other = (listen: string): GatewayPairOption => ({
  name: "other",
  inside: { node: "other@127.0.0.1", address: "tcp://127.0.0.1:9", cookie: INSIDE_COOKIE },
  outside: { nodes: [OUTSIDE], listen, cookie: COOKIE },
});

const plaintext = { dangerous: { plaintext: true } } as const;
const of = (...pairs: readonly GatewayPairOption[]): GatewayOptions => ({ ...plaintext, pairs });

async function start(options: GatewayOptions): Promise<Gateway> {
  const listeners = {
    onEvent: (event: GatewayEvent) => void events.push(event),
    onNotice: (notice: GatewayNotice) => void notices.push(notice),
  };
  const gateway = await createGateway({ ...options, ...listeners });
  open.push(gateway);
  return gateway;
}

const call = (name: string): Promise<unknown> => outside.call({ name, node: INSIDE }, "x", { timeoutMs: 3_000 });
const endpoints = (gateway: Gateway) => gateway.endpoints.map(({ target, endpoint }) => `${target} ${endpoint}`);

async function failure(promise: Promise<unknown>): Promise<SallyportError> {
  try {
    await promise;
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("did not fail");
}

function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 5_000, interval: 10 });
}

/** Both nodes have heard that their session is over. */
const parted = () => eventually(() => expect([...outside.peers(), ...inside.peers()]).toEqual([]));

const downs = () => events.filter(({ kind }) => kind === "down");

describe("a gateway that is reloaded", () => {
  it("lets other rules count in the session that is up", async () => {
    const gateway = await start(of(pair()));
    expect(await call("vault")).toBe(8);
    const narrowed = pair({ filter: { allow: { calls: ["calc"] } } });
    expect(await gateway.reload(of(narrowed))).toEqual({
      started: [],
      closed: [],
      restarted: [],
      changed: ["desk"],
      unchanged: [],
      ended: 0,
    });
    expect(await failure(call("vault"))).toMatchObject({ code: "ERR_DENIED" });
    expect(await call("calc")).toBe(7);
    expect(await gateway.reload(of(narrowed))).toMatchObject({ changed: [], unchanged: ["desk"] });
    expect(downs()).toEqual([]);
    expect(gateway.status().pairs[0]?.totals).toMatchObject({ up: 1, rules: { calls: { denied: 1 } } });
  });

  it("ends the session when it could not go on under them", async () => {
    const gateway = await start(of(pair()));
    await call("calc");
    expect(await gateway.reload(of(pair({ filter: { leaders: "shell" } })))).toMatchObject({
      changed: ["desk"],
      ended: 1,
    });
    await eventually(() =>
      expect(downs()).toMatchObject([{ pair: "desk", error: { reason: "GATEWAY_RULES_CHANGED" } }]),
    );
    await parted();
    expect(await call("calc")).toBe(7);
  });

  it("starts what is new, ends what is gone and starts anew what is elsewhere, and leaves the rest alone", async () => {
    const gateway = await start(of(pair(), other(`tcp://127.0.0.1:${spare}`)));
    await call("calc");
    const moved = await gateway.reload(of(pair(), other("tcp://127.0.0.1:0")));
    expect(moved).toMatchObject({ restarted: ["other"], unchanged: ["desk"], started: [], closed: [], ended: 0 });
    expect(endpoints(gateway)).not.toContain(`other@127.0.0.1 tcp://127.0.0.1:${spare}`);
    // The port of a pair that goes is free for one that comes.
    const renamed = pair({ name: "bench" });
    expect(await gateway.reload(of(renamed))).toMatchObject({
      started: ["bench"],
      closed: ["desk", "other"],
      ended: 1,
    });
    await eventually(() => expect(downs()).toMatchObject([{ error: { reason: "GATEWAY_PAIR_REPLACED" } }]));
    expect(endpoints(gateway)).toEqual([`${INSIDE} tcp://127.0.0.1:${port}`]);
    await parted();
    expect(await call("calc")).toBe(7);
  });

  it("starts a pair anew whose cookie has changed, in its file too", async () => {
    const file = join(HOME, "outside.cookie");
    writeFileSync(file, COOKIE);
    const options = of(pair({ outside: { ...pair().outside, cookie: { file } } }));
    const gateway = await start(options);
    await call("calc");
    writeFileSync(file, "another-cookie-than-before");
    expect(await gateway.reload(options)).toMatchObject({ restarted: ["desk"], ended: 1 });
    await eventually(() => expect(downs()).toHaveLength(1));
    expect(await failure(call("calc"))).toBeDefined();
  });

  describe("with what cannot be had", () => {
    let taken: Server;

    beforeAll(async () => {
      taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    });

    afterAll(() => taken.close());

    it.each<readonly [string, string, () => GatewayOptions]>([
      [
        "a port that is taken",
        "PORT_IN_USE",
        () => of(pair({ name: "bench" }), other(`tcp://127.0.0.1:${(taken.address() as { port: number }).port}`)),
      ],
      ["no pairs", "GATEWAY_PAIR_INVALID", () => of()],
      ["two pairs of one name", "GATEWAY_PAIR_INVALID", () => of(pair(), pair())],
      [
        "a cookie file that is missing",
        "COOKIE_FILE_MISSING",
        () => of(pair({ inside: { ...pair().inside, cookie: { file: "/none" } } })),
      ],
      ["a policy that is missing", "POLICY_UNREADABLE", () => of(pair({ filter: { policies: { inside: "/none" } } }))],
      ["rules that contradict", "GATEWAY_RULES_INVALID", () => of(pair({ filter: { profile: "peer" } }))],
      ["an option of the start", "GATEWAY_RESTART_NEEDED", () => ({ ...of(pair()), tickTimeMs: 9_000 })],
    ])("%s: goes on as it was", async (_, reason, options) => {
      const gateway = await start(of(pair()));
      await call("calc");
      expect(await failure(gateway.reload(options()))).toMatchObject({ code: "ERR_CONFIG", reason });
      expect(endpoints(gateway)).toEqual([`${INSIDE} tcp://127.0.0.1:${port}`]);
      expect(await call("calc")).toBe(7);
      expect(downs()).toEqual([]);
    });
  });

  it("shows a certificate whose files have changed to new connections", async () => {
    const [certFile, keyFile] = [join(HOME, "live.crt"), join(HOME, "live.key")];
    const install = async (): Promise<void> => {
      const issued = await authority.issue(INSIDE);
      writeFileSync(certFile, readFileSync(issued.certFile));
      writeFileSync(keyFile, readFileSync(issued.keyFile), { mode: 0o600 });
    };
    await install();
    const tls = { certFile, keyFile, caFile: authority.caFile };
    const secure = of(pair({ outside: { nodes: [OUTSIDE], listen: "tls://127.0.0.1:0", cookie: COOKIE, tls } }));
    const gateway = await start(secure);
    const before = await shownAt(gateway.endpoints[0]?.endpoint ?? "");
    expect(await gateway.reload(secure)).toMatchObject({ unchanged: ["desk"] });
    await install();
    expect(await gateway.reload(secure)).toMatchObject({ changed: ["desk"], restarted: [] });
    expect(await shownAt(gateway.endpoints[0]?.endpoint ?? "")).not.toBe(before);
    expect(await gateway.reload(secure)).toMatchObject({ unchanged: ["desk"] });
  });
});

describe("a policy of a pair", () => {
  const write = (rules: readonly object[], peer: object = { names: [OUTSIDE], assurance: "cookie" }) =>
    writeFileSync(POLICY, JSON.stringify({ version: 1, node: INSIDE, peers: { shop: peer }, rules }));
  const RULE = { id: "ask", from: "shop", allow: "call", to: "calc" };
  const options = () => of(pair({ filter: { policies: { inside: POLICY } } }));

  it("is read anew when its file changes, and a broken one changes nothing", async () => {
    write([]);
    const gateway = await start(options());
    expect(await failure(call("calc"))).toMatchObject({ code: "ERR_DENIED" });
    write([RULE]);
    await eventually(() =>
      expect(notices).toContainEqual(expect.objectContaining({ kind: "policy", ok: true, generation: 2 })),
    );
    expect(await call("calc")).toBe(7);
    writeFileSync(POLICY, "{");
    await eventually(() =>
      expect(notices.at(-1)).toMatchObject({ kind: "policy", pair: "desk", side: "inside", ok: false, generation: 2 }),
    );
    expect(gateway.status().pairs[0]?.policies.inside).toMatchObject({ file: POLICY, generation: 2 });
    expect(gateway.status().pairs[0]?.policies.inside?.problem).toContain("desk.policy.jsonc:1:2");
    expect(await failure(gateway.reload(options()))).toMatchObject({ reason: "POLICY_INVALID" });
    expect(await call("calc")).toBe(7);
    write([{ ...RULE, to: "vault" }]);
    expect(await gateway.reload(options())).toMatchObject({ changed: ["desk"] });
    expect(gateway.status().pairs[0]?.policies.inside).toMatchObject({ generation: 3, problem: null });
    expect(await call("vault")).toBe(8);
    expect(downs()).toEqual([]);
  });

  it("ends the session of a node that may not connect any more", async () => {
    write([RULE]);
    await start(options());
    expect(await call("calc")).toBe(7);
    write([RULE], { names: ["web@127.0.0.1"], assurance: "cookie" });
    await eventually(() => expect(downs()).toMatchObject([{ error: { reason: "GATEWAY_RULES_CHANGED" } }]));
  });

  it("is told when a rule in audit mode lets something through", async () => {
    write([{ ...RULE, mode: "audit", until: "2999-01-01" }]);
    await start(options());
    expect(await call("calc")).toBe(7);
    const audited = { kind: "audited", count: 1, decision: { rule: "ask", verb: "call", node: INSIDE, peer: OUTSIDE } };
    await eventually(() => expect(notices.at(-1)).toMatchObject(audited));
  });
});

describe("a gateway whose audit log cannot be written", () => {
  it("says so and goes on", async () => {
    const dir = join(HOME, "a-file");
    writeFileSync(dir, "");
    const gateway = await start({ ...of(pair()), audit: { dir } });
    expect(await call("calc")).toBe(7);
    expect(notices).toContainEqual(expect.objectContaining({ kind: "warning", reason: "AUDIT_NOT_WRITTEN" }));
    expect(gateway.status().audit).toMatchObject({ isFailing: true, written: 0 });
    expect(gateway.status().audit?.waiting).toBeGreaterThan(0);
  });
});

describe("checkGateway", () => {
  it("reads everything and binds nothing", async () => {
    const options = of(pair());
    expect(() => checkGateway(options)).not.toThrow();
    await start(options);
    expect(() => checkGateway(options)).not.toThrow();
    expect(() => checkGateway(of(pair({ filter: { policies: { inside: "/none" } } })))).toThrow(/pairs\[0\], desk/);
    expect(() => checkGateway({ ...options, epmd: { inside: "nowhere" } })).toThrow(/is not an address/);
  });
});

function shownAt(endpoint: string): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port: Number(endpoint.split(":").at(-1)), rejectUnauthorized: false });
  socket.on("error", () => undefined);
  return new Promise((resolve) =>
    socket.once("secureConnect", () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    }),
  );
}
