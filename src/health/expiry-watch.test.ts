import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { type CertificateExpiry, DAY_MS, ExpiryWatch, MAX_TOLD_CERTIFICATES } from "./expiry-watch.ts";
import type { CertificateRole, WatchedCertificate } from "./watched-certificates.ts";

const HOUR_MS = 3_600_000;

/** A watch with what it has told: `ROLE ID MARK`. */
function world() {
  const clock = new VirtualClock();
  const told: string[] = [];
  const tell = ({ role, fingerprint, withinDays }: CertificateExpiry): void => {
    told.push(`${role} ${fingerprint} ${withinDays}`);
  };
  const watch = new ExpiryWatch({ clock, tell });
  const certificate = (id: string, days: number, role: CertificateRole = "own", isNeeded = role !== "peer") => {
    const nowMs = clock.wallMs();
    const life = { subject: "a@h", fingerprint: id, notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + days * DAY_MS };
    return { ...life, role, of: "a@h", isNeeded } satisfies WatchedCertificate;
  };
  const passed = (ms: number): string[] => {
    told.length = 0;
    clock.advance(ms);
    return [...told];
  };
  return { clock, told, watch, certificate, passed };
}

describe("the end of a certificate", () => {
  it("is told once at 30, 14, 7 and 1 days, at the moment, and daily from then on", () => {
    const { watch, certificate, told, passed } = world();
    watch.set("own", [certificate("A", 40)]);
    watch.start();
    expect(told).toEqual([]);
    const days = Array.from({ length: 43 }, () => passed(DAY_MS));
    const byDay = Object.fromEntries(days.flatMap((said, i) => (said.length === 0 ? [] : [[i + 1, said]])));
    expect(byDay).toEqual({
      10: ["own A 30"],
      26: ["own A 14"],
      33: ["own A 7"],
      39: ["own A 1"],
      40: ["own A 0"],
      41: ["own A 0"],
      42: ["own A 0"],
      43: ["own A 0"],
    });
  });

  it("is told at the mark and not before", () => {
    const { watch, certificate, passed } = world();
    watch.set("own", [certificate("A", 31)]);
    watch.start();
    expect(passed(DAY_MS - 1)).toEqual([]);
    expect(passed(1)).toEqual(["own A 30"]);
  });

  it("is told for the nearest mark alone when it is new", () => {
    const { watch, certificate, told } = world();
    watch.set("own", [certificate("A", 5)]);
    expect(told).toEqual([]);
    watch.start();
    expect(told).toEqual(["own A 7"]);
  });

  it("is told within a minute when the clock jumps", () => {
    const { clock, watch, certificate, passed } = world();
    watch.set("own", [certificate("A", 400)]);
    watch.start();
    expect(passed(10 * HOUR_MS)).toEqual([]);
    clock.setWallMs(clock.wallMs() + 390 * DAY_MS);
    expect(passed(60_000)).toEqual(["own A 14"]);
  });

  it("starts anew with another certificate, and goes on when the old one comes back", () => {
    const { watch, certificate, told, passed } = world();
    const old = certificate("A", 20);
    watch.set("own", [old]);
    watch.start();
    expect(told).toEqual(["own A 30"]);
    watch.set("own", [certificate("B", 35)]);
    expect(passed(6 * DAY_MS)).toEqual(["own B 30"]);
    told.length = 0;
    watch.set("own", [old]);
    expect(told).toEqual(["own A 14"]);
  });

  it("is no news when a peer comes again with the same certificate", () => {
    const { watch, certificate, told } = world();
    watch.start();
    const shown = certificate("P", 3, "peer");
    for (const session of [{}, {}, {}]) {
      watch.set(session, [shown]);
      watch.set(session, []);
    }
    expect(told).toEqual(["peer P 7"]);
  });

  it("is remembered of so many certificates, and no more", () => {
    const { watch, certificate, told } = world();
    watch.start();
    for (let i = 0; i <= MAX_TOLD_CERTIFICATES; i++) {
      watch.set("peer", [certificate(`P${i}`, 3, "peer")]);
    }
    told.length = 0;
    watch.set("peer", [certificate("P1", 3, "peer")]);
    expect(told).toEqual([]);
    watch.set("peer", [certificate("P0", 3, "peer")]);
    expect(told).toEqual(["peer P0 7"]);
  });

  it("keeps no timer without certificates, and none when it has stopped", () => {
    const { clock, watch, certificate, passed } = world();
    watch.start();
    expect(clock.pendingTimers).toBe(0);
    watch.set("own", [certificate("A", 31)]);
    expect(clock.pendingTimers).toBe(1);
    watch.stop();
    expect(clock.pendingTimers).toBe(0);
    expect(passed(40 * DAY_MS)).toEqual([]);
  });
});

describe("what is wrong with dates", () => {
  const reasons = (watch: ExpiryWatch) =>
    watch.problems().map(({ reason, isGrave }) => `${reason}${isGrave ? "!" : ""}`);

  it.each<readonly [string, CertificateRole, boolean, number, readonly string[]]>([
    ["nothing with 15 days left", "own", true, 15, []],
    ["the last 14 days", "own", true, 14, ["CERT_EXPIRING"]],
    ["the end", "own", true, 0, ["CERT_EXPIRED!"]],
    ["the end of an intermediate", "chain", true, -1, ["CERT_EXPIRED!"]],
    ["the end of the root", "ca", true, 0, ["CERT_EXPIRED!"]],
    ["the last days of a CA that others vouch by", "ca", false, 3, ["CA_EXPIRING"]],
    ["the last days of a peer", "peer", false, 3, ["PEER_CERT_EXPIRING"]],
    ["the end of a peer", "peer", false, -3, ["PEER_CERT_EXPIRING"]],
  ])("%s", (_, role, isNeeded, days, expected) => {
    const { watch, certificate } = world();
    const others = role === "ca" ? [certificate("other", 400, "ca", false)] : [];
    watch.set("own", [certificate("A", days, role, isNeeded), ...others]);
    expect(reasons(watch)).toEqual(expected);
  });

  it("a certificate that is not valid yet", () => {
    const { clock, watch, certificate } = world();
    watch.set("own", [certificate("A", 90)]);
    clock.setWallMs(clock.wallMs() + -2 * DAY_MS);
    expect(reasons(watch)).toEqual(["CERT_NOT_YET_VALID!"]);
  });

  it("the end of all trusted CAs, though none of them is known to be needed", () => {
    const { watch, certificate } = world();
    watch.set("own", [certificate("A", 90), certificate("B", -1, "ca", false), certificate("C", -2, "ca", false)]);
    expect(reasons(watch)).toEqual(["CERT_EXPIRED!", "CA_EXPIRING"]);
  });

  it("is told with days and seconds left, the first to end first", () => {
    const { watch, certificate } = world();
    watch.set("own", [certificate("A", 90), certificate("B", 2.5, "ca")]);
    watch.set("more", [certificate("A", 90)]);
    expect(
      watch.states().map(({ role, fingerprint, daysLeft, secondsLeft }) => [role, fingerprint, daysLeft, secondsLeft]),
    ).toEqual([
      ["ca", "B", 2, 216_000],
      ["own", "A", 90, 7_776_000],
    ]);
  });
});
