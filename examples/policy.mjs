// A policy in code: one call that a rule allows, one that none does, and why; then a rule is added to the running node.
import { atom, createNode, definePolicy, printTerm } from "sallyport";
import { withCertificates } from "./with-certificates.mjs";

const WORKER = "worker@localhost";
const DESKTOP = "desktop@localhost";

const policy = definePolicy({
  version: 1,
  node: WORKER,
  peers: { desktop: { names: [DESKTOP], assurance: "ca" } },
  rules: [{ id: "ask", from: "desktop", allow: "call", to: "jobs", limits: { rate: "100/s", payload: "1KiB" } }],
  tests: [
    { from: "desktop", verb: "call", to: "jobs", expect: "allow", rule: "ask" },
    { from: "desktop", verb: "call", to: "vault", expect: "deny-default" },
    { from: "unknown", verb: "connect", expect: "deny" },
  ],
});

await withCertificates([WORKER, DESKTOP], async ({ tls }) => {
  const cookie = "only-for-this-example-0123456789";
  const worker = await createNode({
    name: WORKER,
    cookie,
    tls: tls[WORKER],
    listen: ["tls://127.0.0.1:0"],
    epmd: "off",
    policy,
  });
  // No `allow` here: the policy says who may.
  worker.register("jobs", { call: () => atom("none_waiting") });
  worker.register("vault", { call: () => atom("opened") });

  const desktop = await createNode({
    name: DESKTOP,
    cookie,
    tls: tls[DESKTOP],
    resolve: { [WORKER]: worker.endpoints[0] },
    epmd: "off",
  });
  const ask = async (name) => {
    try {
      return printTerm(await desktop.call({ name, node: WORKER }, atom("hello")));
    } catch (error) {
      // The peer learns an id and nothing else; the owner asks his node what it means.
      const { outcome, nearestMiss } = worker.why(error.detail.decision);
      return `${error.reason}; the owner reads: ${outcome}, nearest is ${nearestMiss.rule} (another ${nearestMiss.why})`;
    }
  };
  console.log("jobs:", await ask("jobs"));
  console.log("vault:", await ask("vault"));

  const open = { id: "open", from: "desktop", allow: "call", to: "vault" };
  const tests = [{ from: "desktop", verb: "call", to: "vault", expect: "allow", rule: "open" }];
  // The tests of a policy are run whenever it is taken: one that no longer holds keeps it out.
  const refused = worker.policy.replace({ ...policy, rules: [...policy.rules, open] });
  console.log(`with a test that says no: ${refused.reason}, generation ${refused.generation} stays`);
  const taken = worker.policy.replace({ ...policy, rules: [...policy.rules, open], tests });
  console.log(`with a test that says yes: generation ${taken.generation}`);
  console.log("vault:", await ask("vault"));

  await desktop.close();
  await worker.close();
});
