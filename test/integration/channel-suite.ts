import { afterEach, describe, expect, it } from "vitest";
import type { ChannelledCarrier } from "../../src/carrier/channels.ts";
import { type CarrierRig, openPair } from "./carrier-suite.ts";
import { isClosed } from "./channel-ear.ts";

const UNREAD_RESET_CODE = 0x101;
/** Above the bound for one channel's unread bytes of the rigs. */
const TOO_MUCH = 20 * 1024 * 1024;

/** What every carrier with many channels keeps. */
export function channelSuite(rig: CarrierRig<ChannelledCarrier>): void {
  describe(`the channels over ${rig.name}`, () => {
    afterEach(() => rig.cleanUp());

    it("keep their bytes apart, on both sides, with the end behind the bytes", async () => {
      const { near, far } = await openPair(rig);
      const own = [near.carrier.open("auth"), ...Array.from({ length: 16 }, () => near.carrier.open("data"))];
      const theirs = [far.carrier.open("auth"), ...Array.from({ length: 16 }, () => far.carrier.open("data"))];
      expect(own.slice(0, 3)).toEqual([2, 4, 8]);
      expect(theirs.slice(0, 3)).toEqual([3, 1, 5]);
      for (const round of [0, 1, 2]) {
        for (const id of own) near.carrier.write(id, Buffer.from(`${id}.${round};`));
        for (const id of theirs) far.carrier.write(id, Buffer.from(`${id}.${round};`));
      }
      for (const id of own) near.carrier.finish(id);
      for (const id of theirs) far.carrier.finish(id);
      await Promise.all([
        far.ear.until((ear) => own.every((id) => ear.ended.has(id))),
        near.ear.until((ear) => theirs.every((id) => ear.ended.has(id))),
      ]);
      for (const id of own) expect(far.ear.text(id)).toBe(`${id}.0;${id}.1;${id}.2;`);
      for (const id of theirs) expect(near.ear.text(id)).toBe(`${id}.0;${id}.1;${id}.2;`);
      expect(near.carrier.write(own[0] ?? 0, Buffer.from("late"))).toBe(false);
    });

    it("answer on a channel of the other side, and end it in both directions", async () => {
      const { near, far } = await openPair(rig);
      const id = near.carrier.open("user");
      near.carrier.write(id, Buffer.from("ask"));
      near.carrier.finish(id);
      await far.ear.until((ear) => ear.ended.has(id));
      far.carrier.write(id, Buffer.from("answer"));
      far.carrier.finish(id);
      await near.ear.until((ear) => ear.ended.has(id));
      expect([far.ear.text(id), near.ear.text(id)]).toEqual(["ask", "answer"]);
    });

    it("end many more than may be open at once", async () => {
      const { near, far } = await openPair(rig);
      far.ear.keep = false;
      const ids = Array.from({ length: 250 }, () => near.carrier.open("user-uni"));
      for (const id of ids) {
        near.carrier.write(id, Buffer.from("x"));
        near.carrier.finish(id);
      }
      await far.ear.until((ear) => ids.every((id) => ear.ended.has(id)));
      expect(ids.every((id) => far.ear.count(id) === 1)).toBe(true);
    });

    it("refuse what nobody opened", async () => {
      const { near, far } = await openPair(rig);
      const uni = near.carrier.open("user-uni");
      near.carrier.write(uni, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(uni) === 1);
      for (const id of [uni, 999, -1, 0.5]) {
        expect(() => far.carrier.write(id, Buffer.from("x"))).toThrow(
          expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CHANNEL_NOT_OPEN" }),
        );
      }
    });

    it.each(["dialling", "accepting"])("are reset one at a time by the %s side, with a code", async (side) => {
      const { near, far } = await openPair(rig);
      const [one, other] = [near.carrier.open("data"), near.carrier.open("data")];
      near.carrier.write(one, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(one) === 1);
      const [from, to] = side === "dialling" ? [near, far] : [far, near];
      from.carrier.reset(one, 0x123);
      from.carrier.reset(one, 0x124);
      await to.ear.until((ear) => ear.resets.has(one));
      near.carrier.write(other, Buffer.from("y"));
      await far.ear.until((ear) => ear.count(other) === 1);
      expect([...to.ear.resets]).toEqual([[one, 0x123]]);
      expect([...from.ear.resets]).toEqual([]);
      expect([near.carrier.write(one, Buffer.from("z")), far.carrier.write(one, Buffer.from("z"))]).toEqual([
        false,
        false,
      ]);
      expect(near.carrier.pendingOn(one)).toBe(0);
    });

    it("tell the writer of a channel that only it writes when nobody wants more", async () => {
      const { near, far } = await openPair(rig);
      const id = near.carrier.open("user-uni");
      near.carrier.write(id, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(id) === 1);
      far.carrier.reset(id, 0x100);
      await near.ear.until((ear) => ear.resets.has(id));
      expect(near.carrier.write(id, Buffer.from("y"))).toBe(false);
    });

    it("flow while one of them is paused", async () => {
      const { near, far } = await openPair(rig);
      const [held, free] = [near.carrier.open("user"), near.carrier.open("user")];
      far.carrier.pauseChannel(held);
      near.carrier.write(held, Buffer.alloc(2_000_000, 1));
      near.carrier.finish(held);
      near.carrier.write(free, Buffer.alloc(2_000_000, 2));
      await far.ear.until((ear) => ear.count(free) === 2_000_000);
      expect(far.ear.count(held)).toBe(0);
      far.carrier.resumeChannel(held);
      await far.ear.until((ear) => ear.ended.has(held));
      expect(far.ear.count(held)).toBe(2_000_000);
    });

    it("are reset on both sides when too much waits unread, and only then", async () => {
      const { near, far } = await openPair(rig);
      const [held, free] = [near.carrier.open("user"), near.carrier.open("user")];
      far.carrier.pauseChannel(held);
      for (let sent = 0; sent < TOO_MUCH; sent += 1_000_000) near.carrier.write(held, Buffer.alloc(1_000_000));
      await Promise.all([near, far].map(({ ear }) => ear.until((each) => each.resets.has(held))));
      expect([near.ear.resets.get(held), far.ear.resets.get(held)]).toEqual([UNREAD_RESET_CODE, UNREAD_RESET_CODE]);
      expect(far.ear.count(held)).toBe(0);
      near.carrier.write(free, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(free) === 1);
      expect(near.carrier.pendingBytes()).toBeLessThan(TOO_MUCH);
    });

    it("are lost together, once", async () => {
      const { near, far } = await openPair(rig);
      const id = near.carrier.open("user");
      near.carrier.write(id, Buffer.from("x"));
      await far.ear.until((ear) => ear.count(id) === 1);
      far.carrier.destroy();
      await Promise.all([near.ear.until(isClosed), far.ear.until(isClosed)]);
      expect(near.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "CONNECTION_RESET" });
      near.carrier.finish(id);
      near.carrier.pauseChannel(id);
      near.carrier.resumeChannel(id);
      expect([near.carrier.pendingOn(id), near.carrier.write(id, Buffer.from("y"))]).toEqual([0, false]);
    });
  });
}
