import { describe, expect, it } from "vitest";
import { isOpenToStrangers } from "./public-address.ts";

describe("an address to listen on", () => {
  it.each(["127.0.0.1", "localhost", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.9.9", "169.254.0.5"])(
    "%s is private",
    (host) => expect(isOpenToStrangers(host)).toBe(false),
  );
  it.each([
    "100.64.0.1",
    "100.127.1.1",
    "fd00::1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "::ffff:0a00:1",
    "::ffff:127.0.0.1",
  ])("%s is private", (host) => expect(isOpenToStrangers(host)).toBe(false));
  it.each([
    "0.0.0.0",
    "::",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2001:db8::1",
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "::ffff:0.0.0.0",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "127.999.0.1",
    "node.example",
    "",
  ])("%s is open", (host) => expect(isOpenToStrangers(host)).toBe(true));
});
