import { randomBytes } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Raw } from "../attack/client.ts";
import { GOOD, KeyRig } from "../attack/key-rig.ts";
import { UNIVERSAL } from "../attack/native-bends.ts";
import { dial, selfOf } from "../attack/native-client.ts";
import { ALPN, framed, HELLO } from "../attack/native-frames.ts";

// Quantity: names, half-open connections and bad proofs by the thousand, and an honest peer amid them.

/** Names by default; the list of attacks asks for 1,000,000. */
const NAMES = Number(process.env["SALLYPORT_ATTACK_NAMES"] ?? 1_000);
const AT_ONCE = 16;
const MIB = 1024 * 1024;

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict" });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const port = (): number => rig.victim.ports[0] ?? 0;
const used = async (): Promise<number> => (await rig.victim.ask<{ used: number }>("memory")).used;

async function each(count: number, one: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

const tlsFrom = (localAddress: string): Promise<Raw> =>
  Raw.tls(port(), { ...rig.certificate, ALPNProtocols: [ALPN], localAddress });

/** Half of them are no names, the other half are names that are new each time. */
function nameOf(i: number): Buffer {
  return i % 2 === 0 ? randomBytes(200) : Buffer.from(`n${i}-${randomBytes(40).toString("hex")}@127.0.0.1`);
}

describe("floods from strangers", () => {
  it(
    `${NAMES} names leave the memory flat and nothing on the disk`,
    async () => {
      const files = rig.files();
      const batch = async (): Promise<number> => {
        const stranger = selfOf("stranger@127.0.0.1");
        await each(NAMES / 2, async (i) => {
          const raw = await tlsFrom(`127.0.0.${2 + (i % 8)}`);
          await dial(raw, stranger, { hello: { name: nameOf(i) } });
          raw.destroy();
        });
        return used();
      };
      const first = await batch();
      const second = await batch();
      // Whatever the first half filled has a bound by then: the second half adds next to nothing to it.
      expect(second - first).toBeLessThan(4 * MIB);
      expect(rig.files()).toEqual(files);
      await rig.honestSession();
    },
    60_000 + NAMES * 20,
  );

  it("AU-40: bad proofs from other addresses do not keep an honest peer out", async () => {
    let going = true;
    const flood = Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        while (going) {
          const raw = await tlsFrom(`127.0.0.${2 + i}`);
          await dial(raw, rig.evil, { proof: () => ({ signature: UNIVERSAL }) });
          raw.destroy();
        }
      }),
    );
    for (let i = 0; i < 10; i++) {
      (await rig.honestSession()).destroy();
      await rig.dropAttackers();
    }
    going = false;
    await flood;
  });

  it("AU-39, AU-41: 2,000 half-open connections from many addresses: bounded memory, and an honest peer gets in", async () => {
    const before = await used();
    const half = framed(HELLO, Buffer.alloc(4_000)).subarray(0, 4_000);
    const sockets: Socket[] = [];
    await each(2_000, async (i) => {
      const localAddress = `127.0.${1 + Math.floor(i / 40)}.${1 + (i % 40)}`;
      // Every tenth goes through TLS and sends most of a message of the largest size.
      if (i % 10 !== 0) {
        const socket = connectTcp({ port: port(), host: "127.0.0.1", localAddress });
        socket.on("error", () => undefined);
        sockets.push(socket);
        await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
        return;
      }
      const raw = await tlsFrom(localAddress).catch(() => undefined);
      raw?.write(half);
      if (raw !== undefined) sockets.push(raw.socket);
    });
    await rig.honestSession();
    // From an address that the victim has never seen, too.
    await rig.honestSession(GOOD, "127.0.200.1");
    const open = sockets.filter((socket) => !socket.destroyed).length;
    expect(open).toBeGreaterThan(500);
    expect((await used()) - before).toBeLessThan(64 * MIB);
    for (const socket of sockets) socket.destroy();
  });

  it("AU-41: one address holds no more than its places", async () => {
    const sockets = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = connectTcp({ port: port(), host: "127.0.0.1", localAddress: "127.0.0.77" });
        socket.on("error", () => undefined);
        await new Promise((resolve) => socket.once("connect", resolve));
        return socket;
      }),
    );
    await rig.honestSession();
    await rig.victim.ask("health");
    const open = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
    expect(open).toBeLessThanOrEqual(64);
    for (const socket of sockets) socket.destroy();
  });

  it("AU-41: refused connections that the other side keeps open hold their places", async () => {
    const sockets: Socket[] = [];
    let secured = 0;
    await each(200, async () => {
      const options = { ...rig.certificate, ALPNProtocols: [ALPN], rejectUnauthorized: false, allowHalfOpen: true };
      const tcp = connectTcp({ port: port(), host: "127.0.0.1", localAddress: "127.0.0.78", allowHalfOpen: true });
      tcp.on("error", () => undefined);
      const socket = connectTls({ ...options, socket: tcp });
      socket.on("error", () => undefined);
      sockets.push(tcp, socket);
      await new Promise((resolve) => socket.once("secureConnect", resolve).once("close", resolve));
      if (socket.destroyed) return;
      secured++;
      socket.write(framed(HELLO, Buffer.from([2, 2])));
      await new Promise((resolve) => socket.once("data", resolve).once("close", resolve));
    });
    expect(secured).toBeGreaterThan(0);
    expect(secured).toBeLessThanOrEqual(64);
    await rig.honestSession();
    for (const socket of sockets) socket.destroy();
  });
});
