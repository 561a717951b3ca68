// The policies that are measured. The client is the peer `client` in all of them, known by its certificate or cookie.

/** Peers and rules of the realistic policy besides those of the client. */
const OTHER_PEERS = 49;
const RULES = 200;

/** What each variant is, in the order in which it is shown. */
export const VARIANTS = ["code", "all", "real", "shape", "rate"];

export const WORDS = {
  code: "no policy, allow in code",
  all: "one rule that allows all",
  real: "50 peers, 200 rules, deny rules",
  shape: "a rule with shape and payload limit",
  rate: "a rule with a rate",
};

/** The policy of `node` for one variant; undefined for `code`. `client` and `assurance` say who the client is. */
export function policyOf(variant, node, client, assurance) {
  if (variant === "code") return undefined;
  const peers = { client: { names: [client], assurance } };
  const rules = [];
  const verbs = ["send", "call", "monitor"];
  if (variant === "all") rules.push({ id: "all", from: "*", allow: verbs, to: "*" });
  if (variant === "shape") {
    rules.push({
      id: "shape",
      from: "client",
      allow: "send",
      to: "sink",
      shape: "binary",
      limits: { payload: "4MiB" },
    });
    rules.push({ id: "calls", from: "client", allow: "call", to: "sink" });
  }
  if (variant === "rate") {
    rules.push({ id: "rate", from: "client", allow: verbs, to: "sink", limits: { rate: "100000000000/s" } });
  }
  if (variant === "real") addRealistic(peers, rules, verbs);
  return { version: 1, node, peers, rules };
}

function addRealistic(peers, rules, verbs) {
  for (let i = 0; i < OTHER_PEERS; i++) peers[`peer${i}`] = { names: [`peer${i}@localhost`], assurance: "ca" };
  rules.push({ id: "client", from: "client", allow: verbs, to: ["sink", "jobs", "logs"] });
  rules.push({ id: "never-system", from: "*", deny: ["system", "exit", "link"], to: "*" });
  rules.push({ id: "never-vault", from: "client", deny: ["send", "call", "cast"], to: ["vault", "keys", "billing"] });
  for (let i = rules.length; i < RULES; i++) {
    const from = i % 7 === 0 ? "client" : `peer${i % OTHER_PEERS}`;
    const to = [`service${i}`, `service${i + 1}`];
    if (i % 5 === 0) rules.push({ id: `no${i}`, from, deny: ["cast", "monitor"], to });
    else rules.push({ id: `yes${i}`, from, allow: ["call", "cast"], to, limits: { payload: "64KiB", inflight: 32 } });
  }
}
