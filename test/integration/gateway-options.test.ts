import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkGateway, createGateway } from "../../src/create-gateway.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayOptions, GatewayPairOption } from "../../src/gateway/options.ts";
import { lookUp, names, register } from "../attack/epmd-client.ts";
import { freePort } from "../interop/erlang-node.ts";
import { failure } from "../interop/rig.ts";

const COOKIE = "cookie-of-these-tests";
const INSIDE = "inside@127.0.0.1";
const OUTSIDE = "outside@127.0.0.1";

const HOME = mkdtempSync(join(tmpdir(), "sallyport-options-"));
const KEYS = { dir: join(HOME, "keys") };
afterAll(() => rmSync(HOME, { recursive: true, force: true }));

const QUIC = { identity: KEYS, listen: undefined };
const KEYED = { identity: { dir: join(HOME, "inside-keys") } };
const QUIC_INSIDE = { listen: { [OUTSIDE]: "quic://127.0.0.1:0" } };
const DIALLED = { addresses: { [OUTSIDE]: "tcp://127.0.0.1:9" } };

function pair(over: { inside?: object; outside?: object } = {}): GatewayPairOption {
  return {
    inside: { node: INSIDE, address: "tcp://127.0.0.1:9", cookie: COOKIE, ...over.inside },
    outside: { nodes: [OUTSIDE], listen: "tcp://127.0.0.1:0", cookie: COOKIE, ...over.outside },
  } as GatewayPairOption;
}

function of(pairs: readonly GatewayPairOption[], more: Partial<GatewayOptions> = {}): GatewayOptions {
  return { pairs, dangerous: { plaintext: true }, ...more };
}

async function withGateway(options: GatewayOptions, use: (gateway: Gateway) => Promise<void>): Promise<void> {
  const gateway = await createGateway(options);
  try {
    await use(gateway);
  } finally {
    await gateway.close();
  }
}

describe("a gateway is not made with", () => {
  it.each<[string, () => GatewayOptions, RegExp]>([
    ["no pairs", () => of([]), /without pairs|no pairs/],
    ["a pair without outside nodes", () => of([pair({ outside: { nodes: [] } })]), /no outside nodes/],
    ["a pair that neither side may dial", () => of([pair({ outside: { listen: undefined } })]), /neither side/],
    ["an inside node that is nowhere", () => of([pair({ inside: { address: undefined } })]), /nothing says where/],
    ["nothing that proves the outside", () => of([pair({ outside: { cookie: undefined } })]), /nothing proves/],
    [
      "an address of a node that is not of the pair",
      () => of([pair({ outside: { addresses: { "other@127.0.0.1": "tcp://127.0.0.1:9" } } })]),
      /other@127.0.0.1 has an address/,
    ],
    [
      "an address that differs in case from the node",
      () => of([pair({ outside: { addresses: { "OUTSIDE@127.0.0.1": "tcp://127.0.0.1:9" } } })]),
      /OUTSIDE@127.0.0.1 has an address/,
    ],
    [
      "TLS to dial and no certificate",
      () => of([pair({ outside: { addresses: { [OUTSIDE]: "tls://127.0.0.1:9" } } })]),
      /no certificate/,
    ],
    [
      "TLS to dial the inside and no certificate",
      () => of([pair({ inside: { address: "tls://127.0.0.1:9" } })]),
      /no certificate/,
    ],
    [
      "two outside nodes of one policy",
      () => ({
        ...of([
          {
            ...pair({ outside: { nodes: [OUTSIDE, "outside2@127.0.0.1"] } }),
            filter: { policies: { outside: { version: 1, node: OUTSIDE, rules: [] } as never } },
          },
        ]),
      }),
      /one policy cannot be that of 2 outside nodes/,
    ],
    [
      "two inside nodes of one name at one port mapper",
      () =>
        of([pair(), pair({ inside: { node: "inside@127.0.0.2" }, outside: { nodes: ["outside2@127.0.0.1"] } })], {
          epmd: { outside: "127.0.0.1:0" },
        }),
      /two nodes are called inside/,
    ],
    [
      "two outside nodes of one name at one port mapper",
      () =>
        of(
          [
            pair({
              outside: {
                nodes: [OUTSIDE, "outside@127.0.0.2"],
                addresses: { [OUTSIDE]: "tcp://127.0.0.1:9", "outside@127.0.0.2": "tcp://127.0.0.1:9" },
              },
            }),
          ],
          { epmd: { inside: "127.0.0.1:0" } },
        ),
      /two nodes are called outside/,
    ],
    [
      "QUIC to the inside and no key there",
      () => of([pair({ inside: { address: "quic://127.0.0.1:9" } })]),
      /prove keys, and the inside of/,
    ],
    [
      "a QUIC listener for the inside and no cookie there",
      () =>
        of([
          pair({
            inside: { ...KEYED, cookie: undefined, address: "tls://127.0.0.1:9", ...QUIC_INSIDE },
            outside: DIALLED,
          }),
        ]),
      /prove the cookie, and the inside of/,
    ],
    [
      "nothing that proves the inside",
      () => of([pair({ inside: { cookie: undefined } })]),
      /nothing proves the inside node/,
    ],
    [
      "plain TCP to an inside node that has nothing but a key",
      () => of([pair({ inside: { ...KEYED, cookie: undefined } })]),
      /over plain TCP nothing but a cookie proves/,
    ],
    [
      "plain TCP from an inside node that has nothing but a key",
      () => of([pair({ inside: { ...KEYED, cookie: undefined, address: "tls://127.0.0.1:9" }, outside: DIALLED })]),
      /over plain TCP nothing but a cookie proves/,
    ],
    [
      "an inside listener for a node that has no address",
      () => of([pair({ inside: { listen: { "other@127.0.0.1": "tcp://127.0.0.1:0" } }, outside: DIALLED })]),
      /inside.listen has other@127.0.0.1/,
    ],
    [
      "one key directory for both sides",
      () => of([pair({ inside: { identity: KEYS }, outside: { identity: { dir: `${KEYS.dir}/${OUTSIDE}` } } })]),
      /have the key directory/,
    ],
    [
      "settings of QUIC inside and nothing over it",
      () => of([pair({ inside: { ...KEYED, quic: {} } })]),
      /inside.quic is set/,
    ],
    ["QUIC and no key", () => of([pair({ outside: { listen: "quic://127.0.0.1:0" } })]), /prove keys/],
    [
      "QUIC to dial and no cookie",
      () =>
        of([
          pair({
            outside: { cookie: undefined, identity: KEYS, addresses: { [OUTSIDE]: "quic://127.0.0.1:9" } },
          }),
        ]),
      /prove the cookie/,
    ],
    [
      "settings of QUIC and nothing over it",
      () => of([pair({ outside: { identity: KEYS, quic: { visible: true } } })]),
      /nothing there runs over QUIC/,
    ],
    [
      "to be visible over QUIC to a node of the other side",
      () =>
        of([
          pair({
            outside: { ...QUIC, listen: "quic://127.0.0.1:0", quic: { visible: [OUTSIDE, "inside@127.0.0.1"] } },
          }),
        ]),
      /outside.quic.visible names inside@127.0.0.1, which is no node on that side/,
    ],
    [
      "to be visible inside over QUIC to a node outside",
      () => of([pair({ inside: { ...KEYED, address: "quic://127.0.0.1:9", quic: { visible: [OUTSIDE] } } })]),
      /inside.quic.visible names outside@127.0.0.1/,
    ],
  ])("%s", async (_, options, message) => {
    const error = await failure(createGateway(options()).then((gateway) => gateway.close()));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "GATEWAY_PAIR_INVALID" });
    expect(error.message).toMatch(message);
    expect(error.advice).toBeTruthy();
  });

  it.each<[string, GatewayPairOption, string]>([
    [
      "a QUIC listener for strangers",
      pair({ outside: { ...QUIC, listen: "quic://0.0.0.0:0" } }),
      "QUIC_PUBLIC_ADDRESS",
    ],
    [
      "a public address to dial over QUIC",
      pair({ outside: { ...QUIC, addresses: { [OUTSIDE]: "quic://203.0.113.7:4433" } } }),
      "QUIC_PUBLIC_ADDRESS",
    ],
    [
      "a name that barrel_p2p does not take",
      pair({ inside: { node: "inside@::1" }, outside: { ...QUIC, listen: "quic://127.0.0.1:0" } }),
      "BARREL_NAME_UNUSABLE",
    ],
    [
      "an outside name that barrel_p2p does not take inside",
      pair({
        inside: { ...KEYED, address: "quic://127.0.0.1:9" },
        outside: { nodes: ["outside@::1"] },
      }),
      "BARREL_NAME_UNUSABLE",
    ],
  ])("%s, as a check finds too", (_, option, reason) => {
    const check = (more: object): void =>
      checkGateway(of([{ ...option, outside: { ...option.outside, ...more } } as GatewayPairOption]));
    expect(() => check({})).toThrow(expect.objectContaining({ code: "ERR_CONFIG", reason }));
    if (reason === "QUIC_PUBLIC_ADDRESS") expect(() => check({ quic: { allowPublic: true } })).not.toThrow();
  });

  it("not a host name to dial over QUIC: what it means is judged when it is dialled", () => {
    const addresses = { [OUTSIDE]: "quic://node7.example:4433" };
    expect(() => checkGateway(of([pair({ outside: { ...QUIC, addresses } })]))).not.toThrow();
  });

  it("anything bound before: what was is free again", async () => {
    const port = await freePort();
    const two = [
      pair({ outside: { listen: `tcp://127.0.0.1:${port}` } }),
      pair({ inside: { node: "x@127.0.0.1" }, outside: { nodes: [] } }),
    ];
    await failure(createGateway(of(two)));
    await withGateway(of([pair({ outside: { listen: `tcp://127.0.0.1:${port}` } })]), async ({ endpoints }) => {
      expect(endpoints[0]?.endpoint).toBe(`tcp://127.0.0.1:${port}`);
    });
  });
});

describe("the port mapper of the outside", () => {
  it("finds inside nodes and no others, registers nobody, and lists no more than that", async () => {
    const port = await freePort();
    const addresses = { [OUTSIDE]: "tcp://127.0.0.1:9" };
    const options = of([pair({ outside: { addresses } })], { epmd: { outside: `127.0.0.1:${port}` } });
    await withGateway(options, async ({ endpoints }) => {
      const at = Number(
        endpoints
          .find(({ from }) => from === "outside")
          ?.endpoint.split(":")
          .at(-1),
      );
      expect(await lookUp(port, "inside")).toEqual({ found: true, port: at });
      // The outside nodes are found by the inside ones alone, who have no port mapper here.
      for (const name of ["outside", "other", "INSIDE", "inside@127.0.0.1", ""]) {
        expect(await lookUp(port, name)).toEqual({ found: false });
      }
      for (const name of ["inside", "outside", "other"]) expect(await register(port, name, 4_711)).toBe(false);
      expect(await names(port)).toBe(`name inside at port ${at}\n`);
      expect(await lookUp(port, "inside")).toEqual({ found: true, port: at });
    });
    expect(await refuses(port)).toBe(true);
  });
});

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
