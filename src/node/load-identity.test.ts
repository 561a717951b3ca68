import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { readCookies } from "../identity/cookies.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { loadIdentity } from "./load-identity.ts";

const crypto = new RealIdentityCrypto();

/** What a start at this wall time makes of these files. */
function load(files: FaultyFiles, wallMs: number, profile: "standard" | "strict" = "standard") {
  return loadIdentity(
    { dir: "/keys/" },
    { name: parseNodeName("me@h"), creation: 4, flags: DEFAULT_FLAGS },
    {
      files,
      crypto,
      random: new SeededRandom(1),
      clock: new VirtualClock(wallMs),
      cookies: readCookies(undefined, files).book,
      judgeCertificate: () => ({ matched: false, presented: [] }),
      profile,
      allowShortCookie: false,
    },
  );
}

/** The incarnation of a node that starts at this wall time with these files. */
const startAt = (files: FaultyFiles, wallMs: number): bigint =>
  load(files, wallMs).keeper.native.identity().incarnation;

describe("a start", () => {
  const reasons = ({ warnings }: ReturnType<typeof load>): string[] => warnings.map(({ reason }) => reason);

  it("with pins that others may change is a warning, and refused in profile strict", () => {
    const files = new FaultyFiles();
    load(files, 5_000);
    files.makeDirectory("/keys/trusted", 0o700);
    expect(reasons(load(files, 5_000, "strict"))).toEqual([]);
    files.pretend("/keys/trusted", { mode: 0o777 });
    expect(reasons(load(files, 5_000))).toEqual(["KEY_PERMISSIONS"]);
    expect(() => load(files, 5_000, "strict")).toThrow(expect.objectContaining({ reason: "KEY_PERMISSIONS" }));
  });

  it("where nothing can be written goes by the clock, with a warning", () => {
    const files = new FaultyFiles();
    load(files, 5_000);
    files.failAt(0, "EROFS");
    const loaded = load(files, 9_000);
    expect(reasons(loaded)).toEqual(["INCARNATION_NOT_SAVED"]);
    expect(loaded.keeper.native.identity().incarnation).toBe(9_000n);
  });
});

describe("the number of a life", () => {
  it("is the time of day, and rises also when the clock was set back or stands", () => {
    const files = new FaultyFiles();
    expect(startAt(files, 1_800_000_000_000)).toBe(1_800_000_000_000n);
    expect(startAt(files, 1_700_000_000_000)).toBe(1_800_000_000_001n);
    expect(startAt(files, 1_700_000_000_000)).toBe(1_800_000_000_002n);
    expect(startAt(files, 1_900_000_000_000)).toBe(1_900_000_000_000n);
  });

  it("is on disk before it is used, and a file that holds none stops the start", () => {
    const files = new FaultyFiles();
    startAt(files, 5_000);
    expect(files.readText("/keys/incarnation")).toBe("5000\n");
    files.put("/keys/incarnation", "soon");
    const unreadable = expect.objectContaining({ code: "ERR_CONFIG", reason: "INCARNATION_UNREADABLE" });
    expect(() => startAt(files, 6_000)).toThrow(unreadable);
  });
});
