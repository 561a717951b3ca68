// A process that floods a QUIC listener: `node flood.mjs JSON`. It writes events as JSON lines and ends after the flood, or with
// its stdin.
import { setTimeout as sleep } from "node:timers/promises";
import { FLOODS } from "./floods.mjs";
import { ForgedClient } from "./forged-client.mjs";
import { newKeys } from "./identity.mjs";

/** A server that has answered nothing for so long is gone; one that nobody acknowledges has nothing to say. */
const DEAF_MS = { own: 4_000, along: 4_000, never: 20_000 };
/** Sent at once, however low the rate. */
const BURST_PACKETS = 32;

/**
 * @typedef {object} Options
 * @property {string} host
 * @property {number} port
 * @property {string} flood a name of `floods.mjs`
 * @property {number} [connections] default 1; each has an own socket
 * @property {number} [rounds] default 1: so often each connection comes again after it was cut
 * @property {number} bytes octets of all rounds of a connection
 * @property {number} bytesPerSecond of all connections
 * @property {number} [datagramBytes] default 1200
 * @property {number} [stream] default 4
 * @property {"own" | "along" | "never"} [acks] default own: how what comes is acknowledged once the flood begins
 * @property {number} [step] default 1: from one packet number to the next
 * @property {number} [sources] default 1: so many local addresses, each in a network of its own
 * @property {{target: string, cookie: string}} [auth] floods as nodes `flood_N@127.0.0.1` that have the cookie
 */

/** @type {Options} */
const options = {
  connections: 1,
  rounds: 1,
  sources: 1,
  datagramBytes: 1200,
  stream: 4,
  acks: "own",
  step: 1,
  ...JSON.parse(process.argv[2] ?? "{}"),
};
const shape = FLOODS[options.flood];
if (shape === undefined) throw new Error(`no flood ${options.flood}`);

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
process.stdin.resume().on("end", () => process.exit(0));

async function connected(connection) {
  const { host, port, sources, auth } = options;
  const from = `127.0.${connection % sources}.1`;
  const client = await ForgedClient.connect({ host, port, from });
  if (auth !== undefined) {
    const name = `flood_${connection}@127.0.0.1`;
    await client.authenticate({ name, keys: newKeys(), cookie: Buffer.from(auth.cookie), target: auth.target });
  }
  emit({ event: "ready", connection });
  return client;
}

/** Until the server closes, or says nothing more, or so many octets were sent. */
async function flood(client, most) {
  const rate = options.bytesPerSecond / options.connections;
  client.acks = options.acks;
  client.step = options.step;
  const room = client.room(options.datagramBytes);
  const counter = { next: 0 };
  const startedAt = performance.now();
  let sent = 0;
  while (sent < most && client.closed === undefined && client.silentMs < DEAF_MS[options.acks]) {
    const due = Math.min(most, ((performance.now() - startedAt) / 1000) * rate);
    for (let n = 0; n < BURST_PACKETS && sent < due; n++) sent += client.packet(shape(room, counter, options.stream));
    // What has come is read in between.
    await (sent < due ? new Promise(setImmediate) : sleep(1));
  }
  return sent;
}

async function run(connection) {
  for (let round = 0, left = options.bytes; round < options.rounds && left > 0; round++) {
    const client = await connected(connection).catch((error) => {
      emit({ event: "unconnected", connection, round, why: error.message });
    });
    if (client === undefined) continue;
    const bytes = await flood(client, left);
    left -= bytes;
    // A close that is under way is still heard.
    for (let i = 0; client.closed === undefined && i < 20; i++) await sleep(50);
    const { closed, sent, silentMs } = client;
    emit({ event: "flooded", connection, round, bytes, datagrams: sent.datagrams, silentMs, closed: closed ?? null });
    client.end();
  }
}

await Promise.all(Array.from({ length: options.connections }, (_, i) => run(i)));
emit({ event: "done" });
process.exit(0);
