import { describe, expect, it } from "vitest";
import { formatIpAddress, parseIpAddress } from "./ip-address.ts";

const hex = (text: string): string | undefined => parseIpAddress(text)?.toString("hex");

describe("parseIpAddress", () => {
  it.each([
    ["127.0.0.1", "7f000001"],
    ["255.255.255.255", "ffffffff"],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["0:0:0:0:0:0:0:1", "00000000000000000000000000000001"],
    ["2001:DB8::a:0:b", "20010db8000000000000000a0000000b"],
    ["1:2:3:4:5:6:7::", "00010002000300040005000600070000"],
    ["::2:3:4:5:6:7:8", "00000002000300040005000600070008"],
    ["::ffff:1.2.3.4", "00000000000000000000ffff01020304"],
    ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221"],
  ])("reads %s", (text, expected) => {
    expect(hex(text)).toBe(expected);
  });

  it.each([
    "",
    ".",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "0x7f.0.0.1",
    "127.1",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::12345",
    "::g",
    "::1%eth0",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "[::1]",
    "::1.2.3",
    `${"0:".repeat(40)}1`,
  ])("refuses %j", (text) => {
    expect(parseIpAddress(text)).toBeUndefined();
  });

  it("writes octets as text that reads back", () => {
    for (const text of ["10.0.0.1", "2001:db8:0:0:0:0:0:1"]) {
      expect(formatIpAddress(parseIpAddress(text)!)).toBe(text);
    }
    expect(formatIpAddress(Buffer.from("0a0b0c", "hex"))).toBe("0a0b0c");
  });
});
