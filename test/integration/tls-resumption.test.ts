import { constants } from "node:crypto";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { describe, expect, it } from "vitest";
import { addMs, type Clock, type MonotonicMs, type Timer } from "../../src/base/clock.ts";
import { createTlsDialer, type TlsCarrierOptions, type TlsDialer } from "../../src/carrier/tls.ts";
import type { TlsDebug } from "../../src/carrier/tls-debug.ts";
import type { TlsMaterial } from "../../src/carrier/tls-material.ts";
import { MAX_RESUMPTION_MS } from "../../src/carrier/verified-chain.ts";
import { createTestAuthority } from "../../src/testkit/certificates.ts";
import { VirtualClock } from "../../src/testkit/virtual-clock.ts";
import {
  type Accepted,
  authority,
  bareClient,
  cleanUps,
  client,
  clock,
  directory,
  Ear,
  files,
  foreign,
  isClosed,
  isOpen,
  material,
  type Rig,
  random,
  secured,
  serve,
  server,
  useTlsRig,
} from "./tls-rig.ts";

useTlsRig();

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const only = (version: TlsCarrierOptions["minVersion"]): TlsCarrierOptions =>
  version === undefined ? {} : { minVersion: version, maxVersion: version };

/** The machine's clock, moved forward. */
class Later implements Clock {
  byMs = 0;
  now(): MonotonicMs {
    return addMs(clock.now(), this.byMs);
  }
  wallMs(): number {
    return clock.wallMs() + this.byMs;
  }
  at(at: MonotonicMs, run: () => void, background?: boolean): Timer {
    return clock.at(addMs(at, -this.byMs), run, background);
  }
  afterTurn(run: () => void): void {
    clock.afterTurn(run);
  }
  later(run: () => void): void {
    clock.later(run);
  }
}

interface Ends {
  readonly near: Ear;
  readonly far: Accepted;
  readonly carrier: ReturnType<TlsDialer["dial"]>;
}

/** One connection of a dialer that stays. */
async function connected(rig: Rig, dialer: TlsDialer, how: Parameters<TlsDialer["dial"]>[3] = {}): Promise<Ends> {
  const near = new Ear();
  const address = { scheme: "tls", host: "127.0.0.1", port: rig.listener.port } as const;
  const carrier = dialer.dial(address, "localhost", near, how);
  cleanUps.push(() => carrier.destroy());
  const far = await rig.nextAccepted();
  await Promise.all([
    near.until((ear) => isOpen(ear) || isClosed(ear)),
    far.ear.until((e) => isOpen(e) || isClosed(e)),
  ]);
  return { near, far, carrier };
}

/** As a session that both ends let in, and that ends in good order. */
async function stands({ near, far, carrier }: Ends): Promise<void> {
  far.carrier.sessionUp?.();
  carrier.sessionUp?.();
  // In TLS 1.3 tickets come before the first bytes.
  far.carrier.write(0, Buffer.from("x"));
  await near.until(({ received }) => received > 0);
  carrier.end();
  await Promise.all([near.until(isClosed), far.ear.until(isClosed)]);
}

/** Whether each end resumed: dialler, acceptor. */
const resumed = ({ near, far }: Ends): unknown[] => [near, far.ear].map(({ info }) => info?.resumption ?? "full");
const BOTH = ["resumed", "resumed"];
const NONE = ["full", "full"];

const dialerOf = (own: TlsMaterial = client, options: TlsCarrierOptions = {}, time: Clock = clock): TlsDialer =>
  createTlsDialer({ clock: time }, own, options);

describe.each(VERSIONS)("a %s session", (version) => {
  it("is resumed, and shows the certificates of before", async () => {
    const rig = await serve(only(version));
    const dialer = dialerOf();
    const first = await connected(rig, dialer);
    expect(resumed(first)).toEqual(NONE);
    const shown = [first.near, first.far.ear].map(({ info }) => info?.peerCertDer);
    const keys = (ends: Ends): unknown[] =>
      [ends.near, ends.far.ear].map(({ info }) => info?.exporter?.("EXPORTER-test", 16).toString("hex"));
    const before = keys(first)[0];
    await stands(first);
    const again = await connected(rig, dialer);
    expect(resumed(again)).toEqual(BOTH);
    expect([again.near, again.far.ear].map(({ info }) => info?.peerCertDer)).toEqual(shown);
    expect([again.near, again.far.ear].map(({ info }) => [info?.chainTrusted, info?.tlsVersion])).toEqual([
      [true, version],
      [true, version],
    ]);
    // Bound to this connection and no other.
    const [near, far] = keys(again);
    expect(near).toBe(far);
    expect(near).not.toBe(before);
  });

  it("is not resumed where one side says no", async () => {
    const dialer = dialerOf();
    const never = await serve({ ...only(version), reuseSessions: false });
    await stands(await connected(never, dialer));
    expect(resumed(await connected(never, dialer))).toEqual(NONE);

    const rig = await serve(only(version));
    const reluctant = dialerOf(client, { reuseSessions: false });
    await stands(await connected(rig, reluctant));
    expect(resumed(await connected(rig, reluctant))).toEqual(NONE);
  });

  it("is not resumed when it never stood, nor in a dial that wants a full handshake", async () => {
    const rig = await serve(only(version));
    const dialer = dialerOf();
    const first = await connected(rig, dialer);
    first.far.carrier.write(0, Buffer.from("x"));
    await first.near.until(({ received }) => received > 0);
    first.carrier.end();
    await first.near.until(isClosed);
    const second = await connected(rig, dialer);
    expect(resumed(second)).toEqual(NONE);
    await stands(second);
    expect(resumed(await connected(rig, dialer, { isFull: true }))).toEqual(NONE);
    expect(resumed(await connected(rig, dialer))).toEqual(BOTH);
  });

  it("is not offered under another name, nor to another port", async () => {
    const [rig, other] = [await serve(only(version)), await serve(only(version))];
    const dialer = dialerOf();
    await stands(await connected(rig, dialer, { name: "a@localhost" as never }));
    expect(resumed(await connected(rig, dialer, { name: "b@localhost" as never }))).toEqual(NONE);
    expect(resumed(await connected(other, dialer, { name: "a@localhost" as never }))).toEqual(NONE);
    expect(resumed(await connected(rig, dialer, { name: "a@localhost" as never }))).toEqual(BOTH);
  });

  it("does not outlive the material of either side", async () => {
    const rig = await serve(only(version));
    const dialer = dialerOf();
    await stands(await connected(rig, dialer));
    rig.listener.replaceMaterial(server);
    const second = await connected(rig, dialer);
    expect(resumed(second)).toEqual(NONE);
    await stands(second);
    dialer.replaceMaterial(client);
    const third = await connected(rig, dialer);
    expect(resumed(third)).toEqual(NONE);
    await stands(third);
    expect(resumed(await connected(rig, dialer))).toEqual(BOTH);
  });

  it("does not carry over an authority that is trusted no more", async () => {
    const rig = await serve(only(version));
    const dialer = dialerOf();
    await stands(await connected(rig, dialer));
    rig.listener.replaceMaterial({ ...server, caPem: foreign.caPem });
    const { far } = await connected(rig, dialer);
    expect(far.ear.info).toMatchObject({ chainTrusted: false });
    expect(far.ear.info?.resumption).toBeUndefined();
  });

  it("is not resumed an hour after its full handshake, on neither side", async () => {
    const [near, far] = [new Later(), new Later()];
    const rig = await serve({ ...only(version), clock: far });
    const dialer = dialerOf(client, {}, near);
    await stands(await connected(rig, dialer));
    far.byMs = MAX_RESUMPTION_MS - 60_000;
    expect(resumed(await connected(rig, dialer))).toEqual(BOTH);
    far.byMs = MAX_RESUMPTION_MS;
    const second = await connected(rig, dialer);
    expect(resumed(second)).toEqual(NONE);
    await stands(second);
    near.byMs = MAX_RESUMPTION_MS;
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);
  });

  it("is not resumed when a certificate of the chain has ended, on neither side", async () => {
    const day = 86_400_000;
    const issuing = new VirtualClock(Date.now() - 100 * day);
    const parts = { clock: issuing, random, files };
    // The authority itself ends first, a few minutes from now.
    const ending = await createTestAuthority(parts, join(directory, `ending-${version}`), { days: 101 });
    issuing.setWallMs(Date.now() - day / 2);
    const own = material(await ending.issue("server@localhost", { days: 300 }), ending.caPem);
    const [near, far] = [new Later(), new Later()];
    const rig = await serve({ ...only(version), clock: far }, own);
    const dialer = dialerOf(own, {}, near);
    await stands(await connected(rig, dialer));
    await stands(await connected(rig, dialer));
    // The wall clock alone: the hour is not over.
    far.wallMs = () => Date.now() + 2 * day;
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);
    far.wallMs = () => Date.now();
    const again = await connected(rig, dialer);
    await stands(again);
    near.wallMs = () => Date.now() + 2 * day;
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);
  });

  it("is not resumed when the own certificate has ended, on neither side", async () => {
    const day = 86_400_000;
    const short = async (name: string): Promise<TlsMaterial> =>
      material(await authority.issue(name, { days: 1 }), authority.caPem);
    // Each clock sees the end of the side's own certificate, and the other's lasts.
    const far = new Later();
    const rig = await serve({ ...only(version), clock: far }, await short("server@localhost"));
    const dialer = dialerOf();
    await stands(await connected(rig, dialer));
    far.wallMs = () => Date.now() + 2 * day;
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);

    const near = new Later();
    const lasting = await serve(only(version));
    const ending = dialerOf(await short("client@localhost"), {}, near);
    await stands(await connected(lasting, ending));
    near.wallMs = () => Date.now() + 2 * day;
    expect(resumed(await connected(lasting, ending))).toEqual(NONE);
  });

  it("is dropped by the dialler when it forgets it", async () => {
    const rig = await serve(only(version));
    const dialer = dialerOf();
    const first = await connected(rig, dialer);
    await stands(first);
    first.carrier.forgetSession?.();
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);
  });

  it("is closed with a reason by an acceptor that forgot it, and dropped by the dialler", async () => {
    const told: TlsDebug[] = [];
    const rig = await serve({ ...only(version), debug: (handshake) => told.push(handshake) });
    const dialer = dialerOf();
    const first = await connected(rig, dialer);
    await stands(first);
    first.far.carrier.forgetSession?.();
    const { far, near, carrier } = await connected(rig, dialer);
    await far.ear.until(isClosed);
    expect(far.ear.info).toBeUndefined();
    expect(far.ear.cause).toMatchObject({
      code: "ERR_DENIED",
      reason: "RESUMPTION_REFUSED",
      stage: "tls",
      detail: { why: "not-verified" },
    });
    expect(told.at(-1)).toMatchObject({ outcome: "failed", code: "RESUMPTION_REFUSED" });
    await near.until(isClosed);
    // As a connection does that was not let in.
    carrier.forgetSession?.();
    expect(resumed(await connected(rig, dialer))).toEqual(NONE);
  });

  it("without a certificate of the client is never resumed", async () => {
    const rig = await serve(only(version));
    const options: ConnectionOptions = { servername: "localhost", minVersion: version, maxVersion: version };
    const session = await sessionOf(rig, options);
    const again = bareClient(rig.listener.port, { ...options, session });
    const far = await rig.nextAccepted();
    await far.ear.until(isClosed);
    expect([again.isSessionReused(), far.ear.info]).toEqual([true, undefined]);
    expect(far.ear.cause).toMatchObject({ reason: "RESUMPTION_REFUSED", detail: { why: "no-certificate" } });
  });

  it("with a certificate of no authority is resumed once its peer has proven itself", async () => {
    const alone = material(await authority.selfSigned("alone@localhost"));
    const rig = await serve(only(version));
    const dialer = dialerOf(alone);
    const first = await connected(rig, dialer);
    // The acceptor has not heard who it is.
    first.carrier.sessionUp?.();
    first.far.carrier.write(0, Buffer.from("x"));
    await first.near.until(({ received }) => received > 0);
    first.carrier.end();
    await first.far.ear.until(isClosed);
    const second = await connected(rig, dialer);
    await second.far.ear.until(isClosed);
    expect(second.far.ear.cause).toMatchObject({ reason: "RESUMPTION_REFUSED", detail: { why: "not-verified" } });
    second.carrier.forgetSession?.();

    await stands(await connected(rig, dialer));
    const again = await connected(rig, dialer);
    expect(resumed(again)).toEqual(BOTH);
    expect(again.far.ear.info).toMatchObject({ chainTrusted: false, chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(again.far.ear.info?.peerChain).toHaveLength(1);
  });
});

/** What a bare client is given to resume by. */
async function sessionOf(rig: Rig, options: ConnectionOptions): Promise<Buffer> {
  const bare = bareClient(rig.listener.port, options);
  const got = new Promise<Buffer>((resolve) => bare.once("session", resolve));
  const secure = secured(bare);
  const far = await rig.nextAccepted();
  await Promise.all([far.ear.until(isOpen), secure]);
  far.carrier.write(0, Buffer.from("x"));
  const session = await got;
  bare.destroy();
  await far.ear.until(isClosed);
  return session;
}

describe("a TLS 1.2 session without tickets, as those of Erlang nodes are", () => {
  const options = (): ConnectionOptions => ({
    cert: client.certPem,
    key: client.keyPem,
    maxVersion: "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_TICKET,
  });

  it("is resumed by its id, and in full where the certificate has to be shown again", async () => {
    const rig = await serve();
    const session = await sessionOf(rig, options());
    const again = bareClient(rig.listener.port, { ...options(), session });
    const far = await (await rig.nextAccepted()).ear.until(isOpen);
    expect([again.isSessionReused(), far.info?.resumption]).toEqual([true, "resumed"]);
    const third = bareClient(rig.listener.port, { ...options(), session });
    const forgetting = await rig.nextAccepted();
    await forgetting.ear.until(isOpen);
    forgetting.carrier.forgetSession?.();
    third.destroy();
    const last = bareClient(rig.listener.port, { ...options(), session });
    const end = await (await rig.nextAccepted()).ear.until(isOpen);
    expect([last.isSessionReused(), end.info?.resumption]).toEqual([false, undefined]);
  });

  it("is not found any more with other material, though its certificate was verified under that too", async () => {
    const rig = await serve();
    const session = await sessionOf(rig, options());
    rig.listener.replaceMaterial(server);
    await sessionOf(rig, options());
    const again = bareClient(rig.listener.port, { ...options(), session });
    const far = await (await rig.nextAccepted()).ear.until(isOpen);
    expect([again.isSessionReused(), far.info?.resumption]).toEqual([false, undefined]);
  });
});

describe("tickets of TLS 1.3", () => {
  it("are used once each, and two are kept of an endpoint", async () => {
    const rig = await serve(only("TLSv1.3"));
    const dialer = dialerOf();
    await stands(await connected(rig, dialer));
    const how: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const ends = await connected(rig, dialer);
      how.push(resumed(ends)[0]);
      // Not let in: it brings none that would count.
      ends.carrier.end();
      await ends.near.until(isClosed);
    }
    expect(how).toEqual(["resumed", "resumed", "full"]);
  });

  it("are not lost on an address where nobody answers", async () => {
    const rig = await serve(only("TLSv1.3"));
    const dialer = dialerOf();
    await stands(await connected(rig, dialer));
    const { port } = rig.listener;
    await rig.listener.close();
    for (let i = 0; i < 3; i++) {
      const near = new Ear();
      dialer.dial({ scheme: "tls", host: "127.0.0.1", port }, "localhost", near);
      await near.until(isClosed);
      expect(near.cause).toMatchObject({ code: "ERR_UNREACHABLE" });
    }
    const back = await serve({ ...only("TLSv1.3"), ports: port });
    // Offered, to a listener that has other keys.
    const offering = new Ear();
    const carrier = dialer.dial({ scheme: "tls", host: "127.0.0.1", port }, "localhost", offering);
    cleanUps.push(() => carrier.destroy());
    expect(carrier.info().resumption).toBe("offered");
    await back.nextAccepted();
    await offering.until(isOpen);
    expect(offering.info?.resumption).toBeUndefined();
  });
});
