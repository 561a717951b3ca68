import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { SharedFiles, SharedRead } from "../base/shared-files.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { chainResolvers } from "./chain.ts";
import { DIRECTORY_CHECK_MS, directoryRegistrar, directoryResolver } from "./directory.ts";

const B = parseNodeName("b@h");
const PATH = "/shared/b@h.json";
const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakeDisk implements SharedFiles {
  readonly entries = new Map<string, SharedRead>();
  readonly log: string[] = [];
  /** The system's error for every call, or "hang". */
  trouble: string | undefined;
  /** Writes end when this does. */
  writing: Promise<void> | undefined;

  async read(path: string): Promise<SharedRead> {
    await this.#call(`read ${path}`);
    return this.entries.get(path) ?? "no-file";
  }
  async write(path: string, text: string): Promise<void> {
    await this.#call(`write ${path}`);
    await this.writing;
    this.entries.set(path, Buffer.from(text));
  }
  async remove(path: string): Promise<void> {
    await this.#call(`remove ${path}`);
    this.entries.delete(path);
  }
  async #call(what: string): Promise<void> {
    this.log.push(what);
    if (this.trouble === "hang") await new Promise(() => undefined);
    if (this.trouble !== undefined) throw Object.assign(new Error("x"), { code: this.trouble });
  }
}

function make() {
  const files = new FakeDisk();
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const parts = { files, clock, crypto: new RealIdentityCrypto(), directory: "/shared/" };
  const registrar = directoryRegistrar({ ...parts, warn: (reason) => warnings.push(reason) });
  const own = { name: B, creation: 7, endpoints: [{ scheme: "tls", host: "192.0.2.7", port: 9100 }] } as const;
  const resolver = directoryResolver(parts, ["tls"]);
  const resolve = async (name = "b@h") => {
    const notes: string[] = [];
    const found = await resolver.resolve(parseNodeName(name), never, (said) => notes.push(said));
    return found.length > 0 ? found : notes.join();
  };
  return { files, clock, warnings, registrar, own, resolver, resolve };
}

describe("directoryRegistrar", () => {
  it("writes a file about the node that others find, and removes it at the end", async () => {
    const { files, clock, registrar, own, resolve } = make();
    const registration = await registrar.register(own);
    expect(JSON.parse(String(files.entries.get(PATH)))).toEqual({
      sallyport: 1,
      node: "b@h",
      endpoints: ["tls://192.0.2.7:9100"],
      creation: 7,
      startedMs: clock.wallMs(),
    });
    expect(await resolve("b@H")).toEqual(own.endpoints);
    await registration.close();
    expect([files.entries.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it("writes nothing about a node that only dials", async () => {
    const { files, registrar, own } = make();
    await (await registrar.register({ ...own, endpoints: [] })).close();
    expect(files.log).toEqual([]);
  });

  it.each([
    ["gone", undefined],
    ["changed", Buffer.from("{}")],
    ["replaced by a link", "not-a-file"],
    ["blown up", "too-large"],
  ] as const)("writes it again when it is %s, at the next look", async (_, now) => {
    const { files, clock, registrar, own } = make();
    await registrar.register(own);
    const written = files.entries.get(PATH);
    if (now === undefined) files.entries.delete(PATH);
    else files.entries.set(PATH, now);
    clock.advance(DIRECTORY_CHECK_MS - 1);
    await turn();
    expect(files.entries.get(PATH)).toBe(now);
    clock.advance(1);
    await turn();
    expect(files.entries.get(PATH)).toEqual(written);
    clock.advance(DIRECTORY_CHECK_MS);
    await turn();
    expect(files.log.filter((line) => line.startsWith("write"))).toHaveLength(2);
  });

  it("warns once while it cannot write it again, and goes on trying", async () => {
    const { files, clock, registrar, own, warnings } = make();
    await registrar.register(own);
    const look = async () => {
      clock.advance(DIRECTORY_CHECK_MS);
      await turn();
    };
    files.trouble = "EROFS";
    await look();
    await look();
    expect(warnings).toEqual(["ENDPOINT_FILE_NOT_WRITTEN"]);
    files.trouble = undefined;
    files.entries.clear();
    await look();
    expect(files.entries.has(PATH)).toBe(true);
    files.trouble = "EIO";
    await look();
    expect(warnings).toHaveLength(2);
  });

  it.each([
    ["ENOENT", "ENOENT"],
    ["hang", "no answer within 5000 ms"],
  ])("fails at the start when the disk says %s", async (trouble, says) => {
    const { files, clock, registrar, own } = make();
    files.trouble = trouble;
    const registering = registrar.register(own);
    registering.catch(() => undefined);
    await turn();
    clock.advance(5_000);
    await expect(registering).rejects.toMatchObject({ code: "ERR_CONFIG", reason: "DISCOVERY_DIRECTORY" });
    await expect(registering).rejects.toThrow(says);
    expect(clock.pendingTimers).toBe(0);
  });

  it("leaves the file of a later life alone when it ends", async () => {
    const { files, registrar, own } = make();
    const old = await registrar.register(own);
    await registrar.register({ ...own, creation: 8 });
    await old.close();
    expect(files.entries.has(PATH)).toBe(true);
  });

  it("ends in time though the disk hangs, and writes nothing afterwards", async () => {
    const { files, clock, registrar, own } = make();
    const registration = await registrar.register(own);
    files.trouble = "hang";
    const closing = registration.close();
    await turn();
    clock.advance(5_000);
    await closing;
    clock.advance(10 * DIRECTORY_CHECK_MS);
    expect(clock.pendingTimers).toBe(0);
  });

  it("leaves no file behind that was just being put back when the node ended", async () => {
    const { files, clock, registrar, own } = make();
    const registration = await registrar.register(own);
    files.entries.delete(PATH);
    let written = (): void => undefined;
    files.writing = new Promise((resolve) => {
      written = resolve;
    });
    clock.advance(DIRECTORY_CHECK_MS);
    await turn();
    const closing = registration.close();
    await turn();
    written();
    await closing;
    await turn();
    expect([files.entries.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it("puts nothing back any more once the node ends", async () => {
    const { files, clock, registrar, own } = make();
    const registration = await registrar.register(own);
    files.entries.delete(PATH);
    files.log.length = 0;
    clock.advance(DIRECTORY_CHECK_MS);
    await registration.close();
    await turn();
    expect(files.log.filter((line) => line.startsWith("write"))).toEqual([]);
  });

  it("has one look at a time while the disk hangs", async () => {
    const { files, clock, registrar, own } = make();
    await registrar.register(own);
    files.trouble = "hang";
    files.log.length = 0;
    for (let i = 0; i < 5; i++) {
      clock.advance(DIRECTORY_CHECK_MS);
      await turn();
    }
    expect(files.log).toEqual([`read ${PATH}`]);
  });
});

describe("directoryResolver", () => {
  it.each([
    ["no-file", "no file about it"],
    ["no-directory", "it does not exist on this machine; is it mounted?"],
    ["not-a-file", "what stands there is no regular file"],
    ["too-large", "its file has more than 4096 bytes"],
    [Buffer.from("{}"), "its file is not of version 1"],
  ] as const)("counts %s as no answer, and says why", async (entry, says) => {
    const { files, resolve } = make();
    files.entries.set(PATH, entry);
    expect(await resolve()).toBe(says);
  });

  it("counts a disk that fails as no answer", async () => {
    const { files, resolve } = make();
    files.trouble = "EACCES";
    expect(await resolve()).toBe("its file cannot be read (EACCES)");
  });

  it("uses the hash of a name that a file system could fold or cut", async () => {
    const { files, resolve } = make();
    await resolve("B@h");
    await resolve(`b@${"h".repeat(253)}`);
    for (const line of files.log) expect(line).toMatch(/^read \/shared\/sha256-[0-9a-f]{64}\.json$/);
    expect(new Set(files.log).size).toBe(2);
  });

  it("begins no more than two reads while the disk hangs", async () => {
    const { files, clock, resolver } = make();
    files.trouble = "hang";
    const chain = chainResolvers([resolver], clock);
    for (let i = 0; i < 4; i++) {
      const resolving = chain.resolve(B, never);
      resolving.catch(() => undefined);
      await turn();
      clock.advance(1_000);
      await expect(resolving).rejects.toThrow(i < 2 ? "no answer within 1000 ms" : "earlier reads still wait");
    }
    expect(files.log).toHaveLength(2);
  });
});
