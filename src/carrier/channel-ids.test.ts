import { describe, expect, it } from "vitest";
import { ChannelIds } from "./channel-ids.ts";

describe("channel ids", () => {
  it("follow the plan of the dialling side", () => {
    const ids = new ChannelIds("dial");
    expect(ids.next("auth")).toBe(2);
    expect(ids.next("control")).toBe(0);
    expect(Array.from({ length: 16 }, () => ids.next("data"))).toEqual(Array.from({ length: 16 }, (_, i) => 4 + 4 * i));
    expect([ids.next("user"), ids.next("user"), ids.next("user-uni"), ids.next("user-uni")]).toEqual([68, 72, 70, 74]);
  });

  it("follow the plan of the accepting side", () => {
    const ids = new ChannelIds("accept");
    expect(ids.next("auth")).toBe(3);
    expect(Array.from({ length: 16 }, () => ids.next("data"))).toEqual(Array.from({ length: 16 }, (_, i) => 1 + 4 * i));
    expect([ids.next("user"), ids.next("user"), ids.next("user-uni"), ids.next("user-uni")]).toEqual([65, 69, 67, 71]);
  });

  it("run out where the plan has an end", () => {
    const ids = new ChannelIds("dial");
    ids.next("auth");
    for (let i = 0; i < 16; i++) ids.next("data");
    const exhausted = expect.objectContaining({ code: "ERR_LIMIT", reason: "CHANNELS_EXHAUSTED" });
    expect(() => ids.next("auth")).toThrow(exhausted);
    expect(() => ids.next("data")).toThrow(exhausted);
    expect(() => new ChannelIds("accept").next("control")).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CHANNEL_UNSUPPORTED" }),
    );
  });

  it("know what this side may write", () => {
    const ids = new ChannelIds("accept");
    expect([0, 2, 3, 4, 65, -1, 0.5, Number.NaN].filter((id) => ids.isWritable(id))).toEqual([]);
    ids.heard(2);
    expect(ids.isWritable(2)).toBe(false);
    ids.heard(4);
    expect([0, 4, 8].map((id) => ids.isWritable(id))).toEqual([true, true, false]);
    ids.next("auth");
    ids.next("user");
    expect([3, 65, 67, 69].map((id) => ids.isWritable(id))).toEqual([true, true, false, false]);
  });
});
