import type { NodeName } from "../base/node-name.ts";
import { type InitPeer, peerEntry } from "./init-peers.ts";

/**
 * The `policy.jsonc` that `init` writes: in force, and closed to all but `peers`, which may connect and call the example
 * service.
 */
export function examplePolicy(name: NodeName, peers: readonly InitPeer[]): string {
  const entries =
    peers.length === 0
      ? '    // "desk":   { "keys": ["SHA256:..."], "names": ["desk@home.example"] },\n'
      : peers.map((peer) => `    ${peerEntry(peer)},\n`).join("");
  const aliases = peers.map(({ alias }) => `"${alias}"`);
  const greet =
    aliases.length === 0
      ? '    // { "id": "greet", "from": "desk", "allow": "call", "to": "greeter" },\n'
      : `    { "id": "greet", "from": [${aliases.join(", ")}], "allow": "call", "to": "greeter" },\n`;
  const tests =
    aliases.length === 0
      ? `    // { "from": "desk", "verb": "call", "to": "greeter", "expect": "allow", "rule": "greet" },
    // { "from": "desk", "verb": "rpc", "to": "os:cmd/1", "expect": "deny-default" },
`
      : aliases
          .map(
            (alias) => `    { "from": ${alias}, "verb": "call", "to": "greeter", "expect": "allow", "rule": "greet" },
    { "from": ${alias}, "verb": "rpc", "to": "os:cmd/1", "expect": "deny-default" },
`,
          )
          .join("");
  return `{
  // What other nodes may do to this one. What no rule grants is refused, and who is not in "peers" may not even connect.
  // A change counts within a second, if the file has no fault; else the old rules stay and \`sallyport status\` says why.
  //   sallyport policy check                  is it well-formed, and wise?
  //   sallyport policy can desk call greeter  may desk call greeter, and by which rule?
  //   sallyport policy matrix                 who may do what here?
  //   sallyport policy why ID                 why was that refused?
  "version": 1,
  "node": "${name}",

  // Who may connect, each under an alias of your choice. A key and a name together make a peer: \`sallyport keys show\` on
  // the other machine prints the line to put here. An Erlang node has no key: name it, and ask for assurance "ca" (a
  // certificate of your authority) or "cookie". This node may dial others without an entry; they can only answer then.
  // An entry with keys lets nobody in who dials over QUIC (quic://): its key does not count there. If the cookie is enough,
  // name it with assurance "cookie" and no keys; else dial it from here, or let it come over TLS.
  "peers": {
${entries}    // "erlang": { "names": ["shop@db1.example"], "assurance": "ca" },
  },

  // What they may do. Verbs: send, call, cast, rpc, spawn, monitor, link, exit, io, system. Order never matters; any deny
  // that matches wins. \`allow\` in services.mjs is a rule like these.
  "rules": [
${greet}    // { "id": "run",   "from": "desk", "allow": "rpc", "to": ["Jobs.Runner:start/2", "lists:reverse/1"] },
    // { "id": "tell",  "from": "desk", "allow": "send", "to": "inbox", "limits": { "rate": "20/s", "payload": "8KiB" } },
    // { "id": "never", "from": "*", "deny": ["exit", "link"], "to": "*" },
  ],

  // Checked at every load: a test that fails keeps the file out.
  "tests": [
    { "from": "unknown", "verb": "connect", "expect": "deny" },
${tests}  ],
}
`;
}
