// Two nodes over mutual TLS: a service, calls, a refused call, a monitor.
import { Atom, createNode, printTerm, tuple } from "sallyport";
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
  worker.register(
    "calc",
    {
      call(request) {
        const [operation, a, b] = request;
        if (operation.name === "add") return a + b;
        throw new Error(`cannot ${operation.name}`);
      },
    },
    { allow: "ca" }, // whoever has a certificate of our CA may call, cast, send to and monitor it
  );
  worker.register("private", { call: () => "nobody hears this" });

  const desktop = await createNode({
    name: "desktop@localhost",
    cookie,
    tls: tls["desktop@localhost"],
    resolve: { "worker@localhost": worker.endpoints[0] },
    epmd: "off",
  });
  const peer = await desktop.connect("worker@localhost");
  console.log(`connected to ${peer.name}, assurance ${peer.assurance}`);

  const calc = { name: "calc", node: "worker@localhost" };
  console.log("2 + 3 =", printTerm(await desktop.call(calc, tuple(new Atom("add"), 2, 3))));

  for (const [what, call] of [
    ["a handler that throws", () => desktop.call(calc, tuple(new Atom("divide"), 1, 0))],
    ["a private service", () => desktop.call({ name: "private", node: "worker@localhost" }, 1)],
  ]) {
    await call().catch((error) => console.log(`${what}: ${error.code} ${error.reason}`));
  }

  const down = new Promise((resolve) => desktop.monitor(calc, resolve));
  await desktop.ping("worker@localhost"); // the monitor is set before its answer comes
  worker.unregister("calc");
  console.log("the service ended:", printTerm((await down).reason));

  await desktop.close();
  await worker.close();
});
