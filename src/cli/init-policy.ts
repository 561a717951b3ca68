import type { NodeName } from "../base/node-name.ts";

/** The `policy.jsonc` that `init` writes. It grants nothing. */
export function examplePolicy(name: NodeName): string {
  return `{
  // What other nodes may do to this one. What no rule grants is refused: as it stands, nobody may even connect.
  // In force once sallyport.jsonc names it: "policy": "policy.jsonc". A change counts within a second, if it has no fault.
  //   sallyport policy check policy.jsonc      is it well-formed?
  //   sallyport policy test policy.jsonc       do its tests hold?
  //   sallyport policy can desk call greeter   may desk call greeter, and by which rule?
  "version": 1,
  "node": "${name}",

  // Who may connect, each under an alias of your choice. A key and a name together make a peer: \`sallyport keys show\` on
  // the other machine prints its fingerprint. An Erlang node has no key: name it, and ask for assurance "ca" (a certificate
  // of your authority) or "cookie".
  "peers": {
    // "desk":   { "keys": ["SHA256:..."], "names": ["desk@home.example"], "assurance": "pinned" },
    // "erlang": { "names": ["shop@db1.example"], "assurance": "ca" },
  },

  // What they may do. Verbs: send, call, cast, rpc, spawn, monitor, link, exit, io, system. Order never matters; any deny
  // that matches wins. \`allow\` in services.mjs is a rule like these.
  "rules": [
    // { "id": "greet", "from": "desk", "allow": "call", "to": "greeter", "limits": { "rate": "20/s", "payload": "8KiB" } },
    // { "id": "run",   "from": "desk", "allow": "rpc", "to": ["Jobs.Runner:start/2", "lists:reverse/1"] },
    // { "id": "never", "from": "*", "deny": ["exit", "link"], "to": "*" },
  ],

  // Checked at every load: a test that fails keeps the file out.
  "tests": [
    { "from": "unknown", "verb": "connect", "expect": "deny" },
    // { "from": "desk", "verb": "call", "to": "greeter", "expect": "allow", "rule": "greet" },
    // { "from": "desk", "verb": "rpc", "to": "os:cmd/1", "expect": "deny-default" },
  ],
}
`;
}
