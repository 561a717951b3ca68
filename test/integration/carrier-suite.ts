import { createHash } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { Carrier } from "../../src/carrier/carrier.ts";
import { type ChannelEar, isClosed, isOpen } from "./channel-ear.ts";

export interface CarrierEnd<C extends Carrier = Carrier> {
  readonly carrier: C;
  readonly ear: ChannelEar;
}

export interface CarrierEnds<C extends Carrier = Carrier> {
  readonly near: CarrierEnd<C>;
  readonly far: CarrierEnd<C>;
}

export interface ConnectOptions {
  readonly maxPendingBytes?: number;
}

/** How one transport is tested. */
export interface CarrierRig<C extends Carrier = Carrier> {
  readonly name: "tcp" | "tls" | "quic" | "memory" | "channelled memory";
  /** Two ends of a fresh connection; not open yet. */
  connect(options?: ConnectOptions): Promise<CarrierEnds<C>>;
  cleanUp(): void;
}

const CHANNEL = 0;

/** Two open ends that both know channel 0. */
export async function openPair<C extends Carrier>(
  rig: CarrierRig<C>,
  options?: ConnectOptions,
): Promise<CarrierEnds<C>> {
  const ends = await rig.connect(options);
  await Promise.all([ends.near.ear.until(isOpen), ends.far.ear.until(isOpen)]);
  const { near, far } = ends;
  if (rig.name === "quic" || rig.name === "channelled memory") near.carrier.open("control");
  near.carrier.write(CHANNEL, Buffer.from("?"));
  await far.ear.until((ear) => ear.count(CHANNEL) === 1);
  far.ear.forget();
  return ends;
}

function digest(chunks: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

/** What every carrier keeps, whatever is below it. */
export function carrierSuite(rig: CarrierRig): void {
  describe(`the carrier over ${rig.name}`, () => {
    afterEach(() => rig.cleanUp());

    it("opens both ends once and says what it is", async () => {
      const { near, far } = await rig.connect();
      expect(() => near.carrier.write(CHANNEL, Buffer.from("x"))).toThrow(
        expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CARRIER_NOT_OPEN" }),
      );
      await Promise.all([near.ear.until(isOpen), far.ear.until(isOpen)]);
      const transport = rig.name === "channelled memory" ? "memory" : rig.name;
      expect([near.ear.info?.transport, far.ear.info?.transport]).toEqual([transport, transport]);
      expect(near.carrier.info()).toBe(near.ear.info);
    });

    it("delivers everything in order, both ways at once", async () => {
      const { near, far } = await openPair(rig);
      const pieces = Array.from({ length: 600 }, (_, at) => Buffer.alloc((at * 37) % 4000, at));
      pieces.push(Buffer.alloc(3_000_000, 1), Buffer.from("end"));
      const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
      for (const piece of pieces) near.carrier.write(CHANNEL, piece);
      for (const piece of pieces) far.carrier.write(CHANNEL, piece);
      await Promise.all([near, far].map(({ ear }) => ear.until((each) => each.count(CHANNEL) === total)));
      const expected = digest(pieces);
      expect(digest(far.ear.received.get(CHANNEL) ?? [])).toBe(expected);
      expect(digest(near.ear.received.get(CHANNEL) ?? [])).toBe(expected);
    });

    it("answers false when congested and says drained afterwards", async () => {
      const { near, far } = await openPair(rig);
      far.carrier.pause();
      let written = 0;
      while (near.carrier.write(CHANNEL, Buffer.alloc(65_536, 3))) written += 65_536;
      written += 65_536;
      expect(near.carrier.pendingBytes()).toBeGreaterThan(0);
      far.carrier.resume();
      await near.ear.until((ear) => ear.drainedChannels.length > 0);
      await far.ear.until((ear) => ear.count(CHANNEL) === written);
      expect(near.ear.drainedChannels).toEqual([CHANNEL]);
      near.carrier.write(CHANNEL, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(CHANNEL) === written + 1);
    });

    it("hands up nothing while paused, and loses nothing", async () => {
      const { near, far } = await openPair(rig);
      far.ear.onBytes = () => far.carrier.pause();
      near.carrier.write(CHANNEL, Buffer.from("a"));
      near.carrier.flush(CHANNEL);
      await far.ear.until((ear) => ear.count(CHANNEL) > 0);
      near.carrier.write(CHANNEL, Buffer.from("bcd"));
      // The answer to what is sent the other way comes after those bytes are there.
      far.carrier.write(CHANNEL, Buffer.from("back"));
      await near.ear.until((ear) => ear.count(CHANNEL) === 4);
      expect(far.ear.text(CHANNEL)).toBe("a");
      far.ear.onBytes = () => undefined;
      far.carrier.resume();
      await far.ear.until((ear) => ear.count(CHANNEL) === 4);
      expect(far.ear.text(CHANNEL)).toBe("abcd");
    });

    it("ends in order after everything queued has arrived", async () => {
      const { near, far } = await openPair(rig);
      near.carrier.write(CHANNEL, Buffer.alloc(500_000, 5));
      near.carrier.end();
      near.carrier.end();
      await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
      expect(far.ear.count(CHANNEL)).toBe(500_000);
      expect([near.ear.cause, far.ear.cause]).toEqual([undefined, undefined]);
      expect(near.carrier.write(CHANNEL, Buffer.from("x"))).toBe(false);
    });

    it("destroys at once, and nothing throws afterwards", async () => {
      const { near, far } = await openPair(rig);
      near.carrier.destroy();
      near.carrier.destroy();
      await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
      expect(near.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "CLOSED_LOCALLY" });
      for (const { carrier } of [near, far]) {
        expect(carrier.write(CHANNEL, Buffer.from("x"))).toBe(false);
        carrier.flush(CHANNEL);
        carrier.pause();
        carrier.resume();
        carrier.reset(CHANNEL, 1);
        carrier.end();
        carrier.destroy();
        expect(carrier.pendingBytes()).toBe(0);
      }
    });

    it("is cut when more waits than allowed", async () => {
      const { near } = await openPair(rig, { maxPendingBytes: 1_000_000 });
      for (let at = 0; at < 200; at++) near.carrier.write(CHANNEL, Buffer.alloc(65_536));
      await near.ear.until(isClosed);
      expect(near.ear.cause).toMatchObject({ code: "ERR_LIMIT", reason: "WRITE_BUFFER_FULL" });
    });
  });
}
