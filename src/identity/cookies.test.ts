import { describe, expect, it } from "vitest";
import type { Files } from "../base/files.ts";
import { parseNodeName } from "../base/node-name.ts";
import { type CookieSetting, readCookies } from "./cookies.ts";

const LONG = "0123456789abcdef";
const name = parseNodeName;

function filesOf(contents: Readonly<Record<string, string | Buffer>>): Files {
  const unused = (): never => {
    throw new Error("not for cookies");
  };
  return {
    read(path) {
      const content = contents[path];
      if (content === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return Buffer.from(content as string);
    },
    readText: unused,
    exists: unused,
    mode: unused,
    makeDirectory: unused,
    writeAtomic: unused,
    writeNew: unused,
  };
}

const read = (setting: CookieSetting | undefined, contents: Readonly<Record<string, string | Buffer>> = {}) =>
  readCookies(setting, filesOf(contents));
const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");

describe("readCookies", () => {
  it("has no cookie when none is configured, and reads no file then", () => {
    const { book, warnings } = read(undefined);
    expect(book.cookieFor(name("a@h"))).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it.each([
    [`${LONG}\n`, LONG],
    [`${LONG}\r\n`, LONG],
    [LONG, LONG],
    [`${LONG}\n\n`, `${LONG}\n`],
    [`${LONG}\r`, `${LONG}\r`],
    [`${LONG}\n\r\n`, `${LONG}\n`],
    [` ${LONG} `, ` ${LONG} `],
  ])("drops one line end of a file: %j", (content, cookie) => {
    expect(text(read({ file: "c" }, { c: content }).book.cookieFor(name("a@h")))).toBe(cookie);
  });

  it("keeps the bytes of a file as they are, and takes text as UTF-8 without cutting line ends", () => {
    const bytes = Buffer.from([0xff, 0xfe, ...Buffer.alloc(16, 0x80)]);
    const unused = Buffer.from(read({ file: "c" }, { c: bytes }).book.cookieFor(name("a@h"))!);
    expect(unused.equals(bytes)).toBe(true);
    expect(text(read(`${LONG}\n`).book.cookieFor(name("a@h")))).toBe(`${LONG}\n`);
  });

  it.each([
    ["", {}],
    [{ file: "c" }, { c: "" }],
    [{ file: "c" }, { c: "\n" }],
    [{ file: "c" }, { c: "\r\n" }],
  ])("refuses an empty cookie: %j %j", (setting, contents) => {
    expect(() => read(setting as CookieSetting, contents as Record<string, string>)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "COOKIE_EMPTY" }),
    );
  });

  it("takes 255 bytes and refuses 256", () => {
    expect(read("c".repeat(255)).warnings).toEqual([]);
    expect(() => read("c".repeat(256))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "COOKIE_TOO_LONG" }),
    );
    expect(() => read("é".repeat(128))).toThrow(expect.objectContaining({ reason: "COOKIE_TOO_LONG" }));
  });

  it("warns below 16 bytes, once for each cookie, without showing it", () => {
    expect(read(LONG).warnings).toEqual([]);
    const { warnings } = read({ default: "fifteen-bytes-x", peers: { "a@h": "seekrit", "b@h": LONG } });
    expect(warnings.map((warning) => warning.reason)).toEqual(["COOKIE_WEAK", "COOKIE_WEAK"]);
    expect(JSON.stringify(warnings)).not.toMatch(/seekrit|fifteen/);
  });

  it("says that a file cannot be read", () => {
    expect(() => read({ file: "gone" })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "COOKIE_FILE_MISSING" }),
    );
  });

  it("gives each peer its own cookie, by name with the host's case folded, and the default to all others", () => {
    const { book } = read(
      { default: `${LONG}-default`, peers: { "a@Host": `${LONG}-a`, "b@h": { file: "f" } } },
      { f: `${LONG}-b\n` },
    );
    expect(text(book.cookieFor(name("a@hOST")))).toBe(`${LONG}-a`);
    expect(text(book.cookieFor(name("A@host")))).toBe(`${LONG}-default`);
    expect(text(book.cookieFor(name("b@h")))).toBe(`${LONG}-b`);
    expect(text(book.cookieFor(name("c@h")))).toBe(`${LONG}-default`);
  });

  it("gives a stranger no cookie when there is no default", () => {
    expect(read({ peers: { "a@h": LONG } }).book.cookieFor(name("b@h"))).toBeUndefined();
  });

  it("refuses a peer that is no node name", () => {
    expect(() => read({ peers: { a: LONG } })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "NAME_INVALID" }),
    );
  });
});
