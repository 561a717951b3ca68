// The QUIC engine, for which `twins.example` has two addresses. Both are of this machine.
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";

const system = dns.lookup;
const TWINS = ["127.0.0.7", "127.0.0.1"].map((address) => ({ address, family: 4 }));
dns.lookup = (host, options, told) => {
  if (host === "twins.example") setImmediate(told, null, TWINS);
  else system(host, options, told);
};
syncBuiltinESMExports();
await import("../../lib/quic-engine/main.js");
