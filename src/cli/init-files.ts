import type { NodeName } from "../base/node-name.ts";

/** The `sallyport.jsonc` that `init` writes. */
export function exampleConfig(name: NodeName): string {
  return `{
  // Configuration of a Sallyport node. Comments and trailing commas are allowed; unknown keys are errors.
  // Relative paths start at this file. "\${VARIABLE}" takes a value from the environment; an unset one is an error.

  // Who this node is, to everybody. The certificate below must be for this name.
  "name": "${name}",

  // Where it accepts connections. 127.0.0.1: from this machine only. Use tls://0.0.0.0:9100 to open it to others.
  "listen": ["tls://127.0.0.1:9100"],

  // Certificates: this node's own, and the authority whose certificates it believes.
  "tls": {
    "certFile": "data/tls/node.crt",
    "keyFile": "data/tls/node.key",
    "caFile": "data/tls/ca.crt",
  },

  // Identity by key: other Sallyport nodes know this one by its key, and it knows them. "tofu" takes a key at first sight,
  // "strict" only keys that were pinned before: \`sallyport keys --help\`. Commands in this directory are done by the node
  // that runs here.
  "identity": { "dir": "data/keys", "trust": "tofu" },

  // The secret that all nodes of one network share; Erlang nodes need it. It opens no door by itself.
  "cookie": { "file": "cookie" },

  // What other nodes may do here. Who is not in this file may not even connect: \`sallyport policy --help\`. Without the line
  // every authenticated node may connect and ping, and reaches what \`allow\` of a registration grants.
  "policy": "policy.jsonc",

  // Addresses of nodes that EPMD does not know, by name; "none" for one that only dials.
  "resolve": {
    // "shop@db1.example": "203.0.113.7:9100",
  },

  // EPMD, Erlang's port directory. "lookup": ask it where other nodes are. "register": also let Erlang nodes find
  // this one by name. "off": neither.
  "epmd": "lookup",

  // Erlang nodes see this node in nodes() and include it in global only when this is true.
  "visible": false,

  // A record of every connection attempt and every refused operation, each bound to the one before. This is the default;
  // false keeps none. "grants": true also records what rules allow, for \`sallyport policy learn\`.
  // "audit": { "dir": "data/audit", "grants": false },
}
`;
}

/** The `services.mjs` that `init` writes. */
export function exampleServices(): string {
  return `// Services of this node: sallyport start --services services.mjs
//
// \`node\` is what createNode of the package "sallyport" returns, \`term\` what "sallyport/term" exports.
// A service answers those whom policy.jsonc lets reach it, and those that \`allow\` names; else nobody but this node.

export default function (node, term) {
  node.register(
    "greeter",
    {
      // gen_server:call. Erlang strings are lists of numbers, Erlang binaries are Buffers.
      call(request, ctx) {
        if (!(request instanceof term.Tuple)) return term.tuple(term.atom("error"), term.atom("badarg"));
        const who = ctx.peer === null ? "myself" : ctx.peer.name;
        return term.tuple(term.atom("ok"), Buffer.from(\`hello \${who}\`));
      },
      // gen_server:cast
      cast(message) {
        console.error("cast:", term.printTerm(message));
      },
      // every other message
      info(message) {
        console.error("message:", term.printTerm(message));
      },
    },
    // Besides those of the policy: peers in it whose certificate comes from the configured authority and names them.
    { allow: "ca" },
  );
}
`;
}
