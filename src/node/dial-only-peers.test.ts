import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { NativeNodes } from "../testkit/native-nodes.ts";
import { DialOnlyPeers, MAX_REMEMBERED_DIAL_ONLY } from "./dial-only-peers.ts";

const name = parseNodeName;
const unreachable = new SallyportError("ERR_UNREACHABLE", "PORT_CLOSED", "nothing listens there", { stage: "port" });
const told = (peers: DialOnlyPeers, peer: string, error = unreachable) => peers.explained(name(peer), error).reason;

describe("peers that only ever came by themselves", () => {
  it("are offline when they cannot be dialled, with the failure as the cause", () => {
    const peers = new DialOnlyPeers();
    peers.sessionUp(name("w@Host"), false);
    expect(peers.explained(name("w@host"), unreachable)).toMatchObject({
      code: "ERR_UNREACHABLE",
      reason: "PEER_OFFLINE",
      cause: unreachable,
      advice: expect.stringContaining("connects by itself"),
    });
    expect(told(peers, "other@host")).toBe("PORT_CLOSED");
  });

  it("are told apart from those that were ever dialled, in whichever order", () => {
    const peers = new DialOnlyPeers();
    for (const dialled of [false, true, false]) peers.sessionUp(name("x@h"), dialled);
    expect(told(peers, "x@h")).toBe("PORT_CLOSED");
  });

  it("are offline on a timeout too, and not on a refusal", () => {
    const peers = new DialOnlyPeers();
    peers.sessionUp(name("w@h"), false);
    const late = new SallyportError("ERR_DEADLINE", "CONNECT_TIMEOUT", "late");
    const refused = new SallyportError("ERR_DENIED", "KEY_UNKNOWN", "no");
    expect([told(peers, "w@h", late), told(peers, "w@h", refused)]).toEqual(["PEER_OFFLINE", "KEY_UNKNOWN"]);
  });

  it("are remembered up to a bound, the oldest forgotten first", () => {
    const peers = new DialOnlyPeers();
    for (let i = 0; i <= MAX_REMEMBERED_DIAL_ONLY; i++) peers.sessionUp(name(`w${i}@h`), false);
    expect([told(peers, "w0@h"), told(peers, "w1@h")]).toEqual(["PORT_CLOSED", "PEER_OFFLINE"]);
  });
});

describe("a node without a listener", () => {
  it("is called over the connection that it opened, and is offline without it", async () => {
    const [HUB, WORKER] = ["hub@h", "worker@h"];
    const world = new NativeNodes(1, [HUB, WORKER]);
    const hub = world.node(HUB);
    const worker = world.node(WORKER, { listens: false });
    worker.register("echo", { call: (request) => request }, { allow: "pinned" });
    const ask = () => hub.call({ name: "echo", node: WORKER }, 7).catch((error) => error.reason);
    const before = ask();
    await world.pass(5);
    // Nobody knows yet that it only dials.
    expect(await before).toBe("PORT_CLOSED");
    const connected = worker.connect(HUB);
    await world.pass(5);
    await connected;
    const during = ask();
    await world.pass(5);
    expect(await during).toBe(7);
    worker.disconnect(HUB);
    await world.pass(5);
    const after = ask();
    await world.pass(5);
    expect(await after).toBe("PEER_OFFLINE");
  });
});
