import { X509Certificate } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { createTlsDialer, type TlsDialer } from "../../src/carrier/tls.ts";
import type { TlsMaterial } from "../../src/carrier/tls-material.ts";
import {
  authority,
  cleanUps,
  client,
  clock,
  Ear,
  isOpen,
  material,
  type Rig,
  serve,
  server,
  useTlsRig,
} from "./tls-rig.ts";

useTlsRig();

const der = (pem: string): Buffer => new X509Certificate(pem).raw;

let laterServer: TlsMaterial;
let laterClient: TlsMaterial;
beforeAll(async () => {
  laterServer = material(await authority.issue("server@localhost"), authority.caPem);
  laterClient = material(await authority.issue("client@localhost"), authority.caPem);
});

/** Bytes that the relay passes on at once: a handshake takes some forty steps. */
const STEP_BYTES = 100;

/** Once the listener has accepted: passes everything on in small pieces, both ways, and calls `before` ahead of each. */
async function relay(rig: Rig, accepted: Promise<unknown>, before: (piece: number) => void): Promise<number> {
  let pieces = 0;
  const pass = async (from: Socket, to: Socket): Promise<void> => {
    await accepted;
    for await (const chunk of from) {
      for (let at = 0; at < (chunk as Buffer).length; at += STEP_BYTES) {
        before(pieces++);
        const piece = (chunk as Buffer).subarray(at, at + STEP_BYTES);
        // Each piece is on its way, and most likely read, before the next.
        await new Promise<void>((resolve) => to.write(piece, () => setImmediate(resolve)));
      }
    }
  };
  const between = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: rig.listener.port, noDelay: true });
    cleanUps.push(
      () => near.destroy(),
      () => far.destroy(),
    );
    near.setNoDelay();
    pass(near, far).catch(() => undefined);
    pass(far, near).catch(() => undefined);
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => between.close());
  return (between.address() as AddressInfo).port;
}

/** One connection through a relay that calls `swap` ahead of piece number `at`; the number of pieces when it stood. */
async function connectWhile(at: number, swap: (rig: Rig, dialer: TlsDialer) => void) {
  const rig = await serve();
  const dialer = createTlsDialer({ clock }, client);
  const accepted = rig.nextAccepted();
  let pieces = 0;
  const port = await relay(rig, accepted, (piece) => {
    pieces = piece + 1;
    if (piece === at) swap(rig, dialer);
  });
  const ear = new Ear();
  const carrier = dialer.dial({ scheme: "tls", host: "127.0.0.1", port }, "localhost", ear);
  cleanUps.push(() => carrier.destroy());
  const far = (await accepted).ear;
  await Promise.all([ear.until(isOpen), far.until(isOpen)]);
  return { near: ear.info, far: far.info, pieces, rig };
}

describe("replacing the certificate while handshakes run", () => {
  it("leaves both sides with the same two certificates, wherever in the handshake it falls", async () => {
    const { pieces } = await connectWhile(-1, () => undefined);
    expect(pieces).toBeGreaterThan(20);
    for (let at = 0; at < pieces; at += 2) {
      const { near, far, rig } = await connectWhile(at, (rig, dialer) => {
        rig.listener.replaceMaterial(laterServer);
        dialer.replaceMaterial(laterClient);
      });
      // What each binds as its own is what the other saw, and what it showed: that of the beginning.
      expect(near?.ownCertDer?.equals(far?.peerCertDer ?? Buffer.alloc(0)), `dialler, piece ${at}`).toBe(true);
      expect(far?.ownCertDer?.equals(near?.peerCertDer ?? Buffer.alloc(0)), `acceptor, piece ${at}`).toBe(true);
      expect(near?.ownCertDer?.equals(der(client.certPem))).toBe(true);
      expect(far?.ownCertDer?.equals(der(server.certPem))).toBe(true);
      expect([near?.chainTrusted, far?.chainTrusted]).toEqual([true, true]);
      const later = tlsConnect({ host: "127.0.0.1", port: rig.listener.port, rejectUnauthorized: false });
      later.on("error", () => undefined);
      await new Promise<void>((resolve) => later.once("secureConnect", resolve));
      expect(later.getPeerX509Certificate()?.raw.equals(der(laterServer.certPem))).toBe(true);
      later.destroy();
    }
  });

  it("leaves a connection that was accepted and has not begun TLS in agreement, too", async () => {
    const rig = await serve();
    const socket = connect({ host: "127.0.0.1", port: rig.listener.port });
    cleanUps.push(() => socket.destroy());
    const far = (await rig.nextAccepted()).ear;
    rig.listener.replaceMaterial(laterServer);
    const secure = tlsConnect({ socket, cert: client.certPem, key: client.keyPem, rejectUnauthorized: false });
    await new Promise<void>((resolve) => secure.once("secureConnect", resolve));
    await far.until(isOpen);
    expect(far.info?.ownCertDer?.equals(secure.getPeerX509Certificate()?.raw ?? Buffer.alloc(0))).toBe(true);
  });

  it("counts for the dialler from its next dial", async () => {
    const rig = await serve();
    const dialer = createTlsDialer({ clock }, client);
    const shown: (Buffer | undefined)[] = [];
    for (const next of [laterClient, client]) {
      const carrier = dialer.dial(
        { scheme: "tls", host: "127.0.0.1", port: rig.listener.port },
        "localhost",
        new Ear(),
      );
      cleanUps.push(() => carrier.destroy());
      // Between the dial and its handshake.
      dialer.replaceMaterial(next);
      shown.push((await (await rig.nextAccepted()).ear.until(isOpen)).info?.peerCertDer);
    }
    expect(shown.map((cert) => cert?.equals(der(client.certPem)))).toEqual([true, false]);
    expect(shown[1]?.equals(der(laterClient.certPem))).toBe(true);
  });
});
