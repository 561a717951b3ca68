// A gateway in a process of its own, for a run that kills it. Its options come as the first message, and it ends when the run
// that started it is gone.
import { pathToFileURL } from "node:url";

const { createGateway } = await import(pathToFileURL(`${process.argv[2]}/create-gateway.js`).href);

process.once("disconnect", () => process.exit(0));
process.once("message", async (options) => {
  const gateway = await createGateway(options);
  process.on("message", async ({ ask, options: next }) => {
    switch (ask) {
      case "status":
        return process.send({ status: gateway.status() });
      case "reload":
        try {
          return process.send({ reload: await gateway.reload(next) });
        } catch (error) {
          return process.send({ error: String(error.stack) });
        }
      case "memory": {
        for (let i = 0; i < 3; i++) {
          globalThis.gc();
          await new Promise((done) => setTimeout(done, 20));
        }
        const { heapUsed, external, rss } = process.memoryUsage();
        return process.send({ memory: { used: heapUsed + external, rss } });
      }
    }
  });
  process.send({ endpoints: gateway.endpoints });
});
