import { describe, expect, it } from "vitest";
import { parseHealthAddress } from "./health-address.ts";

describe("where health listens", () => {
  it.each([
    ["9180", "127.0.0.1", 9180],
    ["0", "127.0.0.1", 0],
    ["0.0.0.0:9180", "0.0.0.0", 9180],
    ["localhost:65535", "localhost", 65_535],
    ["[::]:9180", "::", 9180],
  ])("%s", (text, host, ports) => {
    expect(parseHealthAddress(text)).toEqual({ host, ports });
  });

  it.each(["", ":9180", "65536", "0.0.0.0", "http://0.0.0.0:9180", "::1:9180", "host:9180/", "a b:1", "9180\n"])(
    "refuses %j",
    (text) => {
      expect(() => parseHealthAddress(text)).toThrow(
        expect.objectContaining({ code: "ERR_CONFIG", reason: "HEALTH_LISTEN_INVALID" }),
      );
    },
  );
});
