import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { decodeLinkFrame, encodeLinkFrame, isLinkFrame, type LinkFrame } from "./link-frames.ts";

const FRAMES: readonly (readonly [LinkFrame, string])[] = [
  [{ kind: "ping", token: 0x0102_0304_0506_0708n }, "f0010102030405060708"],
  [{ kind: "pong", token: 0xffff_ffff_ffff_ffffn }, "f002ffffffffffffffff"],
  [{ kind: "bye", reason: "stopping" }, "f00301"],
  [{ kind: "bye", reason: "disconnect" }, "f00302"],
  [{ kind: "bye", reason: "idle" }, "f00303"],
  [{ kind: "refuse", reason: "auth" }, "f00406"],
  [{ kind: "idle", received: 0x0102_0304_0506_0708n }, "f0050102030405060708"],
  [{ kind: "idle", received: 0n }, "f0050000000000000000"],
  [{ kind: "keep" }, "f006"],
];
function reasonOf(bytes: Buffer): string {
  try {
    decodeLinkFrame(bytes, 0, bytes.length);
  } catch (error) {
    if (isSallyportError(error)) return `${error.code} ${error.reason}`;
    throw error;
  }
  return "taken";
}

describe("link frames", () => {
  it.each(FRAMES)("%o has its bytes", (frame, hex) => {
    expect(encodeLinkFrame(frame).toString("hex")).toBe(hex);
    const bytes = Buffer.from(`00${hex}00`, "hex");
    expect(isLinkFrame(bytes, 1)).toBe(true);
    expect(decodeLinkFrame(bytes, 1, bytes.length - 1)).toEqual(frame);
  });

  it.each(FRAMES)("%o is refused when cut anywhere or longer", (_frame, hex) => {
    const bytes = Buffer.from(hex, "hex");
    for (let end = 0; end < bytes.length; end++) {
      expect(reasonOf(bytes.subarray(0, end))).toBe("ERR_PEER_MISBEHAVED LINK_FRAME_MALFORMED");
    }
    expect(reasonOf(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe("ERR_PEER_MISBEHAVED LINK_FRAME_MALFORMED");
  });

  it.each(["f000", "f005", "f008", "f00300", "f00304", "f00400", "f0040b", "7001"])("%s is refused", (hex) => {
    expect(reasonOf(Buffer.from(hex, "hex"))).toBe("ERR_PEER_MISBEHAVED LINK_FRAME_MALFORMED");
  });
});
