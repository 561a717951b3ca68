import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { freeUdpPort } from "../interop/erlang-node.ts";
import { addressRecord, NameServer } from "./name-server.ts";
import { A, B, failure, NativeRig, portOf } from "./native-rig.ts";

// Nodes over QUIC that find each other in the places of barrel_p2p, and nowhere else.

const COOKIE = "cookie-of-the-quic-tests";
const rig = new NativeRig();

async function quicNode(name: string, discovery: NodeOptions["discovery"] & object, extra: Partial<NodeOptions> = {}) {
  const listen = ["quic://127.0.0.1:0"];
  const node = await rig.node(name, "tofu", { cookie: COOKIE, quic: {}, listen, discovery, ...extra });
  node.register("echo", { call: (request) => request }, { allow: "cookie" });
  return node;
}

/** Each calls the other, over a connection of its own. */
async function findEachOther(a: Node, b: Node): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    expect(await from.call({ name: "echo", node: to.name }, 1)).toBe(1);
    expect(from.peers()).toMatchObject([{ name: to.name, protocol: "barrel", assurance: "tofu" }]);
    const gone = new Promise((resolve) => to.on("nodedown", resolve));
    from.disconnect(to.name);
    await gone;
  }
}

function shared(): string {
  const directory = rig.place("shared");
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** A configuration of Erlang with these entries of `nodes`. */
function sysConfig(...entries: readonly string[]): string {
  const file = join(shared(), "sys.config");
  writeFileSync(file, `%% of barrel_p2p\n[{quic,[{dist,[{nodes,[${entries.join(",\n")}]}]}]}].\n`);
  return file;
}

describe("two nodes over QUIC find each other", () => {
  it("by the endpoint files that they write, and take away when they close", async () => {
    const directory = shared();
    const file = (name: string): string => join(directory, `${name}.endpoint`);
    const barrel = { directory };
    const a = await quicNode(A, { barrel });
    const b = await quicNode(B, { barrel });
    for (const node of [a, b]) expect(readFileSync(file(node.name), "utf8")).toBe(`{"127.0.0.1",${portOf(node)}}.\n`);
    await findEachOther(a, b);
    await b.close({ timeoutMs: 0 });
    expect([A, B].map((name) => existsSync(file(name)))).toEqual([true, false]);
    expect(await failure(a.connect(B))).toMatchObject({ code: "ERR_UNREACHABLE" });
  });

  it("by host names in those files, as barrel_p2p writes them", async () => {
    const directory = shared();
    // Text that is no address to a node, and that the system resolves without a name service.
    const [x, y] = ["x@127.1", "y@127.1"];
    const anywhere = { listen: ["quic://0.0.0.0:0"], quic: { allowPublic: true } };
    const a = await quicNode(x, { barrel: { directory } }, anywhere);
    expect(readFileSync(join(directory, `${x}.endpoint`), "utf8")).toBe(`{"127.1",${portOf(a)}}.\n`);
    const b = await quicNode(y, { barrel: { directory } }, { listen: [] });
    expect(await b.call({ name: "echo", node: x }, 1)).toBe(1);
    // And one that means a public address, 203.0.113.7.
    writeFileSync(join(directory, `${x}.endpoint`), '{"3405803783",4433}.\n');
    b.disconnect(x);
    await expect.poll(() => a.peers()).toEqual([]);
    expect(await failure(b.connect(x))).toMatchObject({ reason: "QUIC_PUBLIC_ADDRESS" });
  });

  it("by the nodes of an Erlang configuration", async () => {
    const [portA, portB] = [await freeUdpPort(), await freeUdpPort()];
    const nodesFile = sysConfig(
      "{'other@127.0.0.1',{{127,0,0,9},1}}",
      `{'${A}',{{127,0,0,1},${portA}}}`,
      `{'${B}',{"127.1",${portB}}}`,
    );
    const a = await quicNode(A, { barrel: { nodesFile } }, { listen: [`quic://127.0.0.1:${portA}`] });
    const b = await quicNode(B, { barrel: { nodesFile } }, { listen: [`quic://127.0.0.1:${portB}`] });
    await findEachOther(a, b);
  });

  it("by DNS, all on one port", async () => {
    const [x, y] = ["x@alpha.test", "y@beta.test"];
    const server = await NameServer.start({
      "A alpha.test": [addressRecord("alpha.test", "127.0.0.1")],
      "A beta.test": [addressRecord("beta.test", "127.0.0.2")],
    });
    rig.atEnd(() => server.stop());
    const port = await freeUdpPort();
    const barrel = { dns: { port, servers: [server.address] } };
    const a = await quicNode(x, { barrel }, { listen: [`quic://127.0.0.1:${port}`] });
    const b = await quicNode(y, { barrel }, { listen: [`quic://127.0.0.2:${port}`] });
    await findEachOther(a, b);
  });
});
