import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { formatEndpoint } from "./address.ts";
import { publishedEndpoints, type Registrar, registerEverywhere } from "./registrar.ts";

const published = (name: string, bound: readonly string[], advertise?: string) =>
  publishedEndpoints(parseNodeName(name), bound, advertise).map(formatEndpoint);

describe("publishedEndpoints", () => {
  it("are those that were bound, with the ports that they really have", () => {
    expect(published("a@h", ["tls://192.0.2.7:40123", "tcp://[::1]:9101"])).toEqual([
      "tls://192.0.2.7:40123",
      "tcp://[::1]:9101",
    ]);
    expect(published("a@h", [])).toEqual([]);
  });

  it("have the host of the name where all addresses were bound", () => {
    expect(published("a@db1.example", ["tls://0.0.0.0:9100", "tls://[::]:9101"])).toEqual([
      "tls://db1.example:9100",
      "tls://db1.example:9101",
    ]);
    expect(published("a@2001:db8::7", ["tls://[::]:9101"])).toEqual(["tls://[2001:db8::7]:9101"]);
  });

  it("begin with what is advertised, in the scheme of the first listener unless it names one", () => {
    expect(published("a@h", ["tcp://0.0.0.0:1", "tls://h:2"], "home.example:9100")).toEqual([
      "tcp://home.example:9100",
      "tls://h:2",
    ]);
    expect(published("a@h", ["tcp://h:1"], "tls://home.example:9100")).toEqual(["tls://home.example:9100"]);
    expect(published("a@h", [], "home.example:9100")).toEqual([]);
    expect(() => published("a@h", ["tls://h:1"], "home.example")).toThrow(
      expect.objectContaining({ reason: "ADDRESS_INVALID" }),
    );
  });
});

describe("registerEverywhere", () => {
  const own = { name: parseNodeName("a@h"), creation: 4, endpoints: [] };
  const make = () => {
    const log: string[] = [];
    const registrar = (label: string, works: boolean): Registrar => ({
      async register({ name }) {
        log.push(`${label} ${name}`);
        if (!works) throw new Error(label);
        return { close: async () => void log.push(`${label} closed`) };
      },
    });
    return { log, registrar };
  };

  it("registers at all places", async () => {
    const { log, registrar } = make();
    expect(await registerEverywhere(own, [registrar("one", true), registrar("two", true)])).toHaveLength(2);
    expect(log).toEqual(["one a@h", "two a@h"]);
  });

  it("takes the others back when one place fails", async () => {
    const { log, registrar } = make();
    const registering = registerEverywhere(own, [registrar("one", true), registrar("two", false)]);
    await expect(registering).rejects.toThrow("two");
    expect(log).toEqual(["one a@h", "two a@h", "one closed"]);
  });
});
