import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { IdleReaper, isInUse } from "./idle-reaper.ts";
import type { IdleOption } from "./options.ts";
import type { Session } from "./session.ts";

const NAME = parseNodeName("b@h");

/** A session that nothing needs, but for `change`; `did` is what was done to its connection. */
function session(change: Record<string, unknown> = {}) {
  const did: string[] = [];
  const {
    links = 0,
    monitorsIn = 0,
    monitorsOut = 0,
    works = 0,
    waitingBytes = 0,
    protocol = "native",
    ...more
  } = change;
  const made = {
    peer: { name: NAME, protocol },
    tables: { sizes: { links, monitorsIn, monitorsOut } },
    work: { size: works },
    inflight: { isEmpty: true },
    openCalls: 0,
    takesOutput: false,
    holdsName: true,
    isAsking: false,
    waitingBytes,
    connection: {
      messages: 0,
      askIdle: () => did.push("asked") > 0,
      end: (reason: string) => did.push(`ended ${reason}`),
      destroy: ({ reason }: { reason: string }) => did.push(`destroyed ${reason}`),
    },
    ...more,
  };
  return { session: made as unknown as Session, made, did };
}

function reaper(option: IdleOption, of: Session, wants: { kept?: boolean; dialled?: boolean } = {}) {
  const clock = new VirtualClock();
  const made = new IdleReaper({
    clock,
    option,
    sessions: () => [of],
    isKept: () => wants.kept === true,
    isDialled: () => wants.dialled === true,
  });
  return { clock, reaper: made };
}

describe("what rides on a session", () => {
  it.each([
    ["nothing", {}, false],
    ["a link", { links: 1 }, true],
    ["a monitor of the peer", { monitorsIn: 1 }, true],
    ["a monitor of this node", { monitorsOut: 1 }, true],
    ["an open call", { openCalls: 1 }, true],
    ["work for the peer", { works: 1 }, true],
    ["an unanswered call of the peer", { inflight: { isEmpty: false } }, true],
    ["bytes that have not left", { waitingBytes: 1 }, true],
    ["output of what was started on a BEAM node", { takesOutput: true, protocol: "otp" }, true],
    ["what was started on a Sallyport node", { takesOutput: true }, false],
  ] as const)("%s", (_, change, expected) => {
    const { session: made, did } = session(change);
    expect([isInUse(made), reaper({}, made).reaper.agrees(made)]).toEqual([expected, !expected]);
    reaper({ afterMs: 1_000, beam: true }, made).clock.advance(1_250);
    expect(did).toEqual(expected ? [] : ["asked"]);
  });

  it("counts also what the owner wants to keep and what somebody waits for, and everything where it is turned off", () => {
    const { session: made } = session();
    const agrees = (option: IdleOption, wants = {}) => reaper(option, made, wants).reaper.agrees(made);
    expect([agrees({}), agrees({}, { kept: true }), agrees({}, { dialled: true }), agrees(false)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("IdleReaper", () => {
  it("asks once a session was quiet for its time, a quarter of it late at most", () => {
    const { session: made, made: parts, did } = session();
    const { clock } = reaper({ afterMs: 1_000 }, made);
    clock.advance(900);
    parts.connection.messages = 1;
    clock.advance(1_000);
    expect(did).toEqual([]);
    clock.advance(350);
    expect([did, made.isAsking]).toEqual([["asked"], true]);
  });

  it("looks at 300,000 ms by default, once a minute", () => {
    const { session: made, did } = session();
    const { clock } = reaper({}, made);
    clock.advance(359_999);
    expect([did, clock.pendingTimers]).toEqual([[], 1]);
    clock.advance(1);
    expect(did).toEqual(["asked"]);
  });

  it("ends what is not answered, and not what was", () => {
    const first = session();
    const one = reaper({ afterMs: 1_000 }, first.session);
    one.clock.advance(1_250 + 5_000);
    expect(first.did).toEqual(["asked", "destroyed IDLE_UNANSWERED"]);
    const second = session();
    const two = reaper({ afterMs: 10_000 }, second.session);
    two.clock.advance(12_500);
    second.session.isAsking = false;
    two.reaper.kept(second.session);
    two.clock.advance(10_000);
    expect(second.did).toEqual(["asked"]);
    two.clock.advance(2_500);
    expect(second.did).toEqual(["asked", "asked"]);
  });

  it("asks no stranger that does not hold its name, and closes a BEAM node's session only where that was asked for", () => {
    const stranger = session({ holdsName: false });
    reaper({ afterMs: 1_000 }, stranger.session).clock.advance(10_000);
    const beam = session({ protocol: "otp" });
    reaper({ afterMs: 1_000 }, beam.session).clock.advance(10_000);
    const closed = session({ protocol: "otp" });
    reaper({ afterMs: 1_000, beam: true }, closed.session).clock.advance(1_250);
    expect([stranger.did, beam.did, closed.did]).toEqual([[], [], ["ended idle"]]);
  });

  it("has no timer when it is turned off or stopped", () => {
    const { session: made } = session();
    expect(reaper(false, made).clock.pendingTimers).toBe(0);
    const { clock, reaper: stopped } = reaper({ afterMs: 1_000 }, made);
    clock.advance(1_250);
    stopped.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
