import { describe, expect, it } from "vitest";
import { systemCode } from "../base/errors.ts";
import { resolveHost } from "./dial-host.ts";

/** A name service that gives these answers, one after the other. */
function naming(...answers: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const find: Parameters<typeof resolveHost>[2] = (host, _options, told) => {
    const addresses = answers[asked.push(host) - 1] ?? [];
    told(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return { asked, find };
}

const refusal = (host: string, allowPublic: boolean, ...answer: readonly string[]): Promise<string | undefined> =>
  resolveHost(host, allowPublic, naming(answer).find).then(
    (addresses) => `dials ${addresses.join(" ")}`,
    (error: unknown) => systemCode(error),
  );

describe("the addresses to dial for a host over QUIC", () => {
  it.each([
    ["a private address", ["192.168.7.7"], "192.168.7.7"],
    ["an IPv4 address as IPv6", ["::ffff:10.0.0.7"], "::ffff:10.0.0.7"],
    ["the private ones", ["2001:db8::7", "203.0.113.7", "fd00::7", "10.0.0.7"], "fd00::7 10.0.0.7"],
    ["each once", ["10.0.0.7", "10.0.0.7"], "10.0.0.7"],
    [
      "those of both families by turns, four in all",
      ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::1"],
      "10.0.0.1 fd00::1 10.0.0.2 10.0.0.3",
    ],
  ])("are %s of the name", async (_what, answer, chosen) => {
    expect(await refusal("node7.example", false, ...answer)).toBe(`dials ${chosen}`);
  });

  it.each([
    ["a public address", ["203.0.113.7"]],
    ["a public IPv4 address as IPv6", ["::ffff:203.0.113.7"]],
    ["the same in hexadecimal", ["::ffff:cb00:7107"]],
    ["public addresses only", ["2001:db8::7", "203.0.113.7"]],
    ["all addresses at once", ["0.0.0.0"]],
  ])("are never %s of the name, unless that is allowed", async (_what, answer) => {
    expect(await refusal("node7.example", false, ...answer)).toBe(`PUBLIC_ADDRESS ${answer[0]}`);
    expect(await refusal("node7.example", true, ...answer)).toBe(`dials ${answer.join(" ")}`);
  });

  it("are those of the one answer that was judged, whatever a second would say", async () => {
    const names = naming(["10.0.0.7"], ["203.0.113.7"]);
    expect(await resolveHost("node7.example", false, names.find)).toEqual(["10.0.0.7"]);
    expect(names.asked).toEqual(["node7.example"]);
  });

  it("are the host where that is an address, judged all the same", async () => {
    const names = naming();
    expect(await resolveHost("10.0.0.7", false, names.find)).toEqual(["10.0.0.7"]);
    await expect(resolveHost("203.0.113.7", false, names.find)).rejects.toMatchObject({
      code: "PUBLIC_ADDRESS 203.0.113.7",
    });
    await expect(resolveHost("::ffff:203.0.113.7", false, names.find)).rejects.toMatchObject({
      code: "PUBLIC_ADDRESS ::ffff:203.0.113.7",
    });
    expect(names.asked).toEqual([]);
  });

  it("are none with a zone, of which QUIC takes none", async () => {
    expect(await refusal("node7.example", true, "fe80::1%eth0", "10.0.0.7")).toBe("dials 10.0.0.7");
    expect(await refusal("node7.example", true, "fe80::1%eth0")).toBe("QUIC takes no IPv6 address with a zone");
  });

  it("are none that the system does not know", async () => {
    const unknown = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    await expect(resolveHost("node7.example", true, (_h, _o, told) => told(unknown, []))).rejects.toBe(unknown);
    await expect(resolveHost("node7.example", true, naming().find)).rejects.toMatchObject({ code: "ENOTFOUND" });
  });
});
