// A node with QUIC on a host of its own, of the built package: `listen NAME HOST DIR`, or `dial NAME DIR PEER ADDRESS`. Keys and
// pins go to DIR. Each message makes the dialling one ask what happened to the session, at both ends.
import { createNode } from "../../lib/index.js";

const [role, name, ...rest] = process.argv.slice(2);
const cookie = "cookie-of-the-quic-hosts";
process.on("disconnect", () => process.exit(0));
const story = [];
const make = async (options) => {
  const node = await createNode({ name, epmd: "off", cookie, quic: {}, tickTimeMs: 600_000, ...options });
  node.on("nodeup", () => story.push("up"));
  node.on("nodedown", (_peer, reason) => story.push(reason));
  return node;
};
if (role === "listen") {
  const [host, dir] = rest;
  const node = await make({ identity: { dir, trust: "tofu" }, listen: [`quic://${host}:0`] });
  node.register("story", { call: () => story.map((each) => Buffer.from(each)) }, { allow: "cookie" });
  process.send({ address: node.endpoints[0] });
} else {
  const [dir, peer, address] = rest;
  const node = await make({ identity: { dir, trust: "tofu" }, resolve: { [peer]: address } });
  process.on("message", async () => {
    const value = await node.call({ name: "story", node: peer }, 1, { timeoutMs: 45_000 }).catch((error) => [error]);
    process.send({ story: `${value.map(String)} ${story}` });
  });
  process.send({ ready: true });
}
