import { describe, expect, it } from "vitest";
import { keyText, LEVELS, type Level, SettingsBook } from "./settings-book.ts";

function put(book: SettingsBook, level: Level, path: readonly string[], value: unknown): void {
  book.put({ path, value, level, place: `${level} place`, secret: false });
}

describe("SettingsBook", () => {
  it("takes the strongest of all levels, in whatever order they come", () => {
    for (const order of [LEVELS, [...LEVELS].reverse()]) {
      for (let from = 0; from < LEVELS.length; from++) {
        const book = new SettingsBook();
        for (const level of order) if (LEVELS.indexOf(level) >= from) put(book, level, ["name"], `${level}@h`);
        expect(book.find(["name"])).toMatchObject({ level: LEVELS[from], place: `${LEVELS[from]} place` });
        expect(book.options()).toEqual({ name: `${LEVELS[from]}@h` });
      }
    }
  });

  it("refuses two values on one level, and takes the same one twice", () => {
    const book = new SettingsBook();
    put(book, "flag", ["listen"], ["tls://a"]);
    put(book, "flag", ["listen"], ["tls://a"]);
    expect(() => put(book, "flag", ["listen"], ["tls://b"])).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "CONFIG_CONFLICT" }),
    );
  });

  it("joins objects key by key, and takes a cookie whole", () => {
    const book = new SettingsBook();
    const place = (key: string): string => key;
    const config = {
      cookie: { default: "a", peers: {} },
      resolve: { "a@h": "1", "b@h": "2" },
      idle: {},
      limits: { maxDepth: 1 },
    };
    book.putAll(config, "config", place, () => false);
    book.putAll({ cookie: "b", resolve: { "b@h": "3" }, idle: { afterMs: 5 } }, "api", place, () => false);
    expect(book.options()).toEqual({
      cookie: "b",
      resolve: { "a@h": "1", "b@h": "3" },
      idle: { afterMs: 5 },
      limits: { maxDepth: 1 },
    });
  });

  it("hides what a weaker level says for one side of TLS", () => {
    const book = new SettingsBook();
    put(book, "config", ["tls", "client", "caFile"], "/other");
    put(book, "config", ["tls", "caFile"], "/ca");
    expect(book.options()).toEqual({ tls: { caFile: "/ca", client: { caFile: "/other" } } });
    put(book, "flag", ["tls", "caFile"], "/flag");
    expect(book.options()).toEqual({ tls: { caFile: "/flag" } });
  });

  it("is not changed by keys that every object has", () => {
    const book = new SettingsBook();
    put(book, "config", ["resolve", "__proto__"], "x");
    expect(Object.getPrototypeOf(book.options()["resolve"])).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("writes keys as the configuration file's messages do", () => {
    expect(keyText(["tls", "client", "caFile"])).toBe("tls.client.caFile");
    expect(keyText(["resolve", "a@h.example"])).toBe('resolve["a@h.example"]');
  });
});
