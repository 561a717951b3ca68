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

/** The incarnation of a node that starts at this wall time with these files. */
function startAt(files: FaultyFiles, wallMs: number): bigint {
  const { keeper } = loadIdentity(
    { dir: "/keys/" },
    { name: parseNodeName("me@h"), creation: 4, flags: DEFAULT_FLAGS },
    {
      files,
      crypto,
      random: new SeededRandom(1),
      clock: new VirtualClock(wallMs),
      cookies: readCookies(undefined, files).book,
      judgeCertificate: () => ({ matched: false, presented: [] }),
      profile: "standard",
      allowShortCookie: false,
    },
  );
  return keeper.native.identity().incarnation;
}

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
