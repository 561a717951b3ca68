// What the two processes of the QUIC bench share.
import { join } from "node:path";

export const SERVER = "quic_server@127.0.0.1";

/** Options of a node that takes keys on first use, and proves a cookie besides its key. */
export function nodeOptions(directory, name) {
  return {
    name,
    cookie: "benchmark of nodes over quic",
    epmd: "off",
    quic: {},
    identity: { dir: join(directory, name), trust: "tofu" },
  };
}
