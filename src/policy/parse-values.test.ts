import { describe, expect, it } from "vitest";
import { parseAddress, parseAddressRange, rangeHolds } from "../base/address-range.ts";
import { parseByteRate, parseRate, parseSize, parseTime } from "./parse-values.ts";

describe("values of a policy", () => {
  it("reads rates and sizes", () => {
    expect(parseRate("20/s")).toEqual({ count: 20, perMs: 1_000 });
    expect(parseRate("600/min")).toEqual({ count: 600, perMs: 60_000 });
    expect(parseRate("5/h")).toEqual({ count: 5, perMs: 3_600_000 });
    expect(parseSize("8KiB")).toBe(8_192);
    expect(parseSize("512B")).toBe(512);
    expect(parseByteRate("1MiB/min")).toEqual({ count: 1_048_576, perMs: 60_000 });
    for (const text of ["20", "0/s", "-1/s", "1.5/s", "20/d", "20/S", " 20/s", "s", "/s"])
      expect(parseRate(text)).toBeUndefined();
    for (const text of ["8KB", "8", "0KiB", "KiB", "999999999999GiB"]) expect(parseSize(text)).toBeUndefined();
    for (const text of ["8KiB", "8/s", "8KiB/d", "/s"]) expect(parseByteRate(text)).toBeUndefined();
  });

  it("reads dates in UTC and times in their zone, and none that does not exist", () => {
    expect(parseTime("2027-01-15")).toBe(Date.UTC(2027, 0, 15));
    expect(parseTime("2028-02-29")).toBe(Date.UTC(2028, 1, 29));
    expect(parseTime("2027-01-15T08:30:15.5Z")).toBe(Date.UTC(2027, 0, 15, 8, 30, 15, 500));
    expect(parseTime("2027-01-15T08:00+01:30")).toBe(Date.UTC(2027, 0, 15, 6, 30));
    expect(parseTime("2027-01-15T22:00:00-05:00")).toBe(Date.UTC(2027, 0, 16, 3));
    for (const text of [
      "2027-02-29",
      "2027-13-01",
      "2027-00-10",
      "2027-01-15T08:00:00",
      "2027-01-15T24:00:00Z",
      "tomorrow",
      "",
    ]) {
      expect(parseTime(text), text).toBeUndefined();
    }
  });

  it.each<[string, string, boolean]>([
    ["203.0.113.0/24", "203.0.113.255", true],
    ["203.0.113.0/24", "203.0.114.0", false],
    ["203.0.113.7", "203.0.113.7", true],
    ["203.0.113.7", "203.0.113.6", false],
    ["0.0.0.0/0", "255.1.2.3", true],
    ["0.0.0.0/0", "::1", false],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["::/0", "fe80::1%eth0", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
  ])("%s and %s: %s", (text, address, expected) => {
    const range = parseAddressRange(text);
    const octets = parseAddress(address);
    if (range === undefined || octets === undefined) throw new Error("not parsed");
    expect(rangeHolds(range, octets)).toBe(expected);
  });

  it.each([
    "10.0.0.1/8",
    "10.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "010.0.0.0/8",
    "1.2.3.4.5",
    "::1::",
    "1:2:3:4:5:6:7:8:9",
    "g::",
    "host",
    "",
    "1:2:3:4:5:6:7::8",
  ])("%j is no range", (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  });
});
