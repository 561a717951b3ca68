import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { checkDuty, type DutySubject, type DutyWorld } from "./duty.ts";

const INSIDE = parseNodeName("desk@desk.example");
const HERE = "192.0.2.7";

/** Port mappers and listeners, by `host:port`. */
function world(mappers: Record<string, number>, listeners: readonly string[] = []): DutyWorld & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    lookup: async (host, port, name) => {
      asked.push(`${name} ${host}:${port}`);
      return mappers[`${host}:${port}`];
    },
    accepts: async (host, port) => listeners.includes(`${host}:${port}`),
    addresses: () => [HERE],
  };
}

function subject(choice: Partial<DutySubject> = {}): DutySubject {
  const common = { inside: INSIDE, onlyDials: false, dialledAt: undefined, registeredPort: undefined, ownMappers: [] };
  return { ...common, ...choice };
}

const kinds = async (...given: Parameters<typeof checkDuty>) =>
  (await checkDuty(...given)).map(({ kind, message }) => `${kind}: ${message}`);

describe("checkDuty", () => {
  it("finds nothing where the node listens on loopback alone and only the gateway's port mapper knows it", async () => {
    const it = world({});
    const dialledAt = { host: "127.0.0.1", port: 5_000 };
    expect(await kinds(subject({ dialledAt, registeredPort: 5_001 }), it)).toEqual([]);
    expect(it.asked).toEqual(["desk 127.0.0.1:4369", "desk desk.example:4369"]);
  });

  it("finds a name in the port mapper of the machine, and the listener behind it", async () => {
    const w = world({ "127.0.0.1:4369": 6_000 }, [`${HERE}:6000`]);
    expect(await kinds(subject(), w)).toEqual([
      "in-epmd: the port mapper at 127.0.0.1:4369 tells everybody that desk@desk.example listens on port 6000",
      `reachable: desk@desk.example takes connections at ${HERE}:6000, from outside this machine and past the gateway`,
    ]);
  });

  it("does not take its own port mapper for another one", async () => {
    expect(await kinds(subject({ ownMappers: ["127.0.0.1:4369"] }), world({ "127.0.0.1:4369": 6_000 }))).toEqual([]);
  });

  it("finds a listener that takes connections from outside", async () => {
    const listeners = [`${HERE}:5001`];
    expect(await kinds(subject({ registeredPort: 5_001 }), world({}, listeners))).toHaveLength(1);
    expect(await kinds(subject({ dialledAt: { host: HERE, port: 5_001 } }), world({}, listeners))).toHaveLength(1);
    expect(await kinds(subject({ dialledAt: { host: "localhost", port: 5_001 } }), world({}, listeners))).toHaveLength(
      1,
    );
  });

  it("finds a node on another machine reachable by whoever is on the way", async () => {
    const w = world({ "desk.example:4369": 6_000 });
    expect(await kinds(subject({ dialledAt: { host: "198.51.100.1", port: 5_001 } }), w)).toEqual([
      "in-epmd: the port mapper at desk.example:4369 tells everybody that desk@desk.example listens on port 6000",
      "reachable: the gateway dials desk@desk.example at 198.51.100.1:5001, over a network that others may be on",
    ]);
  });

  it("wants no listener at all of a node that only dials out", async () => {
    const [finding] = await checkDuty(subject({ onlyDials: true, registeredPort: 5_001 }), world({}));
    expect(finding).toMatchObject({ kind: "listens", advice: expect.stringContaining("-dist_listen false") });
    expect(await checkDuty(subject({ onlyDials: true }), world({}))).toEqual([]);
  });

  it("tells a node with a key what it can do, and asks no UDP port whether it takes connections", async () => {
    const listener = world({}, [`${HERE}:5000`]);
    const dialledAt = { host: "127.0.0.1", port: 5_000 };
    const [found] = await checkDuty(subject({ dialledAt, hasKey: true }), listener);
    expect(found?.advice).toContain("tls://127.0.0.1:PORT");
    const [onlyDials] = await checkDuty(subject({ dialledAt, hasKey: true, onlyDials: true }), world({}));
    expect(onlyDials?.advice).toContain("take listen out");
    expect(await checkDuty(subject({ dialledAt: { ...dialledAt, isUdp: true }, hasKey: true }), listener)).toEqual([]);
  });
});
