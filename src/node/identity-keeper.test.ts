import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { CookieBook } from "../identity/cookies.ts";
import { NodeKey } from "../identity/node-key.ts";
import { signatureInput } from "../identity/signed-text.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { loadIdentity } from "./load-identity.ts";

const crypto = new RealIdentityCrypto();
const PEER = parseNodeName("b@h");
const INPUT = signatureInput("sallyport/1 dialler proof", Buffer.from("content"), crypto);
const peerKey = new NodeKey(Buffer.alloc(32, 9), crypto);

function world() {
  const files = new FaultyFiles();
  const clock = new VirtualClock();
  const { keeper } = loadIdentity(
    { dir: "/keys" },
    { name: parseNodeName("a@h"), creation: 4, flags: 0n },
    {
      files,
      crypto,
      random: new SeededRandom(1),
      clock,
      cookies: new CookieBook(undefined, new Map()),
      judgeCertificate: () => ({ matched: false, presented: [] }),
      profile: "standard",
      allowShortCookie: false,
    },
  );
  const changes: string[] = [];
  const failures: string[] = [];
  keeper.watch({
    changed: (all) => changes.push(...all.map(({ kind }) => kind)),
    warned: ({ reason }) => failures.push(reason),
  });
  return { files, clock, keeper, changes, failures };
}

describe("the watch over the key directory", () => {
  it("finds within half a second what others changed, and stops with the node", () => {
    const { files, clock, keeper, changes } = world();
    files.put("/keys/trusted/b@h.pub", peerKey.publicKey);
    clock.advance(499);
    expect([changes, keeper.hasPin(PEER)]).toEqual([[], false]);
    clock.advance(1);
    expect([changes, keeper.hasPin(PEER)]).toEqual([["pinned"], true]);
    files.take("/keys/trusted/b@h.pub");
    clock.advance(500);
    expect(changes).toEqual(["pinned", "unpinned"]);
    keeper.stop();
    files.put("/keys/trusted/b@h.pub", peerKey.publicKey);
    clock.advance(5_000);
    expect(changes).toHaveLength(2);
  });

  it("goes on with what it read when the disk cannot be read, and says so once each time", () => {
    const { files, clock, keeper, failures } = world();
    files.put("/keys/trusted/b@h.pub", peerKey.publicKey);
    clock.advance(500);
    for (let time = 1; time <= 2; time++) {
      files.forbid("/keys/trusted", "EIO");
      clock.advance(5_000);
      expect(failures).toEqual(Array.from({ length: time }, () => "TRUST_UNREADABLE"));
      expect(keeper.hasPin(PEER)).toBe(true);
      files.permit("/keys/trusted");
      clock.advance(500);
    }
  });

  it("tells of a broken file once, also when it came while the node ran", () => {
    const { files, clock, keeper, failures } = world();
    files.put("/keys/trusted/b@h.pub", Buffer.alloc(31, 7));
    clock.advance(5_000);
    expect(failures).toEqual(["PIN_SKIPPED"]);
    keeper.reload();
    expect(failures).toEqual(["PIN_SKIPPED"]);
    files.put("/keys/trusted/b@h.pub", peerKey.publicKey);
    clock.advance(500);
    files.put("/keys/trusted/b@h.pub", Buffer.alloc(31, 7));
    clock.advance(500);
    expect(failures).toEqual(["PIN_SKIPPED", "PIN_SKIPPED"]);
  });

  it("takes a new pair with its trust, or neither", () => {
    const { files, keeper } = world();
    const before = keeper.fingerprint;
    const signed = keeper.native.identity().sign(INPUT);
    files.put("/keys/node.key", Buffer.alloc(32, 5));
    files.take("/keys/node.pub");
    files.forbid("/keys/trusted", "EIO");
    expect(() => keeper.reload()).toThrow(expect.objectContaining({ reason: "TRUST_UNREADABLE" }));
    expect([keeper.fingerprint, keeper.native.identity().sign(INPUT)]).toEqual([before, signed]);
    files.permit("/keys/trusted");
    keeper.reload();
    expect(keeper.fingerprint).toBe(new NodeKey(Buffer.alloc(32, 5), crypto).fingerprint);
  });

  it("lets a handshake end with the key it began with, and overwrites that key a minute later", () => {
    const { files, clock, keeper } = world();
    const begun = keeper.native.identity();
    files.put("/keys/node.key", Buffer.alloc(32, 5));
    files.take("/keys/node.pub");
    keeper.reload();
    clock.advance(59_999);
    expect(begun.sign(INPUT)).toHaveLength(64);
    clock.advance(1);
    expect(() => begun.sign(INPUT)).toThrow(RangeError);
    const present = keeper.native.identity();
    keeper.reload();
    expect(present.sign(INPUT)).toHaveLength(64);
    keeper.stop();
    expect(() => present.sign(INPUT)).toThrow(RangeError);
  });

  it("never makes a key pair", () => {
    const { files, keeper } = world();
    const before = keeper.fingerprint;
    for (const path of [...files.paths]) files.take(path);
    expect(() => keeper.reload()).toThrow(expect.objectContaining({ reason: "KEY_MISSING" }));
    expect(keeper.fingerprint).toBe(before);
    expect(files.paths).toEqual([]);
  });
});
