// Two nodes over QUIC: streams of bytes beside messages. Needs the optional package with the QUIC binding (docs/quic.md).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNode } from "sallyport";

const CANCELLED = 7; // a reset code of this application: any whole number but 0x100 and 0x101

const dir = mkdtempSync(join(tmpdir(), "sallyport-streams-"));
const common = { cookie: "only-for-this-example-0123456789", epmd: "off" };

const g = await createNode({
  ...common,
  name: "g@127.0.0.1",
  identity: { dir: join(dir, "g"), trust: "tofu" },
  listen: ["quic://127.0.0.1:0"],
});
const h = await createNode({
  ...common,
  name: "h@127.0.0.1",
  identity: { dir: join(dir, "h"), trust: "tofu" },
  quic: {}, // it listens nowhere, and may dial over QUIC
  resolve: { "g@127.0.0.1": g.endpoints[0] },
});

// The side that serves. Nobody may open a stream without a rule: `allow` here, or the verb `stream` in the policy.
g.onStream(
  "upload",
  async (stream) => {
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.length; // ends when the peer has said all; throws when the stream is cut
    await stream.write(Buffer.from(`${bytes} bytes from ${stream.peer.name}`)); // this direction is still open
    stream.end();
  },
  { allow: "cookie" },
);
const served = [];
g.onStream(
  "endless",
  (stream) => {
    served.push(stream.closed); // resolves, never rejects
    void stream.write(Buffer.alloc(1024));
  },
  { allow: "cookie" },
);

// The side that opens.
const upload = await h.openStream("g@127.0.0.1", "upload");
for (let i = 0; i < 64; i++) await upload.write(Buffer.alloc(65_536)); // resolves when there is room for more
upload.end();
for await (const chunk of upload) console.log(chunk.toString());
console.log("closed:", await upload.closed); // null: both sides have said all

const endless = await h.openStream("g@127.0.0.1", "endless");
for await (const chunk of endless) {
  console.log(`${chunk.length} bytes, and no more is wanted`);
  break; // leaving the loop leaves the stream open: another loop may read on
}
endless.reset(CANCELLED); // cuts both directions; what waits is lost
console.log("closed:", (await endless.closed)?.reason);
for (const { reason, detail } of await Promise.all(served)) console.log("g was told:", reason, detail.resetCode);

const unknown = await h.openStream("g@127.0.0.1", "nobody-serves-this"); // does not say yet whether it is taken
console.log("closed:", (await unknown.closed)?.reason);

await h.close();
await g.close();
rmSync(dir, { recursive: true, force: true });
