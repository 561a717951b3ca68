// Functions for rpc and remote spawn: only what the owner registered, only for those it names.
import { createNode, printTerm } from "sallyport";
import { withCertificates } from "./with-certificates.mjs";

await withCertificates(["desktop@localhost", "worker@localhost"], async ({ tls }) => {
  const cookie = "only-for-this-example-0123456789";
  const worker = await createNode({
    name: "worker@localhost",
    cookie,
    tls: tls["worker@localhost"],
    listen: ["tls://127.0.0.1:0"],
    epmd: "off",
  });
  const allow = ["desktop@localhost"];
  worker.registerFunction({ module: "text", function: "upper", arity: 1 }, ([text]) => String(text).toUpperCase(), {
    allow,
  });
  worker.registerFunction(
    "count_to",
    async ([n], ctx) => {
      for (let i = 1; i <= n && !ctx.signal.aborted; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    { allow },
  );

  const desktop = await createNode({
    name: "desktop@localhost",
    cookie,
    tls: tls["desktop@localhost"],
    resolve: { "worker@localhost": worker.endpoints[0] },
    epmd: "off",
  });
  console.log("text:upper/1 =", printTerm(await desktop.rpc("worker@localhost", "text", "upper", ["hello"])));
  await desktop.rpc("worker@localhost", "os", "cmd", ["id"]).catch((error) => {
    console.log(`os:cmd/1: ${error.code} ${error.reason}`);
  });

  const ended = new Promise((resolve) => {
    desktop.spawnRemote("worker@localhost", "count_to", [100], { onDown: resolve }).then((pid) => {
      console.log("started", pid.node);
    });
  });
  console.log("it ended:", printTerm((await ended).reason));

  await desktop.close();
  await worker.close();
});
