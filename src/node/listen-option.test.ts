import { describe, expect, it } from "vitest";
import { parseListen } from "./listen-option.ts";

describe("parseListen", () => {
  it.each([
    ["tls://0.0.0.0", { first: 9100, last: 9155 }],
    ["tls://h:0", 0],
    ["tls://h:9100", 9100],
    ["tls://h:9100-9155", { first: 9100, last: 9155 }],
    ["tls://[::1]:9100-9100", 9100],
    ["tls://h:1-65535", { first: 1, last: 65_535 }],
  ])("reads the ports of %s", (text, ports) => {
    expect(parseListen(text, false, true)).toMatchObject({ scheme: "tls", ports });
  });

  it.each([
    ["tls://h:9155-9100", "PORT_RANGE_INVALID"],
    ["tls://h:0-9100", "PORT_RANGE_INVALID"],
    ["tls://h:9100-65536", "LISTEN_INVALID"],
    ["tls://h:9100-", "LISTEN_INVALID"],
    ["tls://h:-9100", "LISTEN_INVALID"],
    ["tls://h:1-2-3", "LISTEN_INVALID"],
  ])("refuses %s", (text, reason) => {
    expect(() => parseListen(text, false, true)).toThrow(expect.objectContaining({ code: "ERR_CONFIG", reason }));
  });
});
