import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CarrierDialer, CarrierInfo } from "../carrier/carrier.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Session } from "./session.ts";
import { LAST_REDIAL_MS, MAX_REDIAL_WAIT_MS, SessionRedials } from "./session-redials.ts";

const PEER = parseNodeName("beam@h");
const ADDRESS = { scheme: "tls", host: "h", port: 1 } as const;

/** A session with a BEAM node as far as its renewal looks at it, and what became of it. */
function scene({
  shows = "newer",
  links = 0,
  hasAddress = true,
}: {
  shows?: string;
  links?: number;
  hasAddress?: boolean;
}) {
  const clock = new VirtualClock();
  const did: string[] = [];
  const sizes = { links, monitorsIn: 0, monitorsOut: 0 };
  const session = {
    peer: { name: PEER, protocol: "otp" },
    dialledAt: hasAddress ? ADDRESS : undefined,
    isAsking: false,
    isOver: false,
    holdsName: true,
    move: undefined,
    openCalls: 0,
    waitingBytes: 0,
    takesOutput: false,
    work: { size: 0 },
    inflight: { isEmpty: true },
    tables: { sizes },
    connection: { end: (_: string, cause: { reason: string }) => did.push(`end ${cause.reason}`) },
  };
  const dialer: CarrierDialer = {
    dial: (_address, _name, sink, how) => {
      did.push(how?.isFull === true ? "probe" : "probe of what was");
      const info = { chainTrusted: shows !== "untrusted", alpn: shows } as unknown as CarrierInfo;
      clock.later(() => (shows === "nothing" ? sink.closed(undefined) : sink.opened(info)));
      return { destroy: () => did.push("hang up") } as never;
    },
  };
  const redials = new SessionRedials({
    core: { clock, counters: { add: (name: string) => did.push(name) } as never },
    certificates: { isLater: (_, info) => info.alpn !== "older" },
    dialers: { tls: dialer },
    resolver: { label: "the test", resolve: async () => [] },
    isShut: () => false,
    dial: ({ name, port }) => void did.push(`dial ${name} ${port} ${session.isAsking ? "waits" : "runs"}`),
    kept: () => void did.push("kept"),
  });
  const begin = (leftMs: number): void => redials.begin(session as unknown as Session, leftMs);
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at <= ms; at += 10) {
      if (at > 0) clock.advance(addMs(clock.now(), 10) - clock.now());
      for (let quiet = 0; quiet < 10; quiet++) {
        if (clock.runTurn() > 0) quiet = 0;
        await Promise.resolve();
      }
    }
  };
  return { did, session, begin, pass };
}

const REDIALLED = ["probe", "hang up", "dial beam@h 1 waits", "sessions_redialled", "end CERTIFICATE_RENEWED"];

describe("a session with a BEAM node whose certificate ends soon", () => {
  it("ends and is dialled anew when the peer shows a newer one and nothing goes on", async () => {
    const { did, begin, pass } = scene({});
    begin(1e6);
    await pass(0);
    expect(did).toEqual(REDIALLED);
  });

  it.each(["older", "untrusted", "nothing"])("is left alone when the peer shows %s", async (shows) => {
    const { did, session, begin, pass } = scene({ shows });
    begin(1e6);
    await pass(10);
    expect([did, session.isAsking]).toEqual([["probe", "hang up"], false]);
  });

  it("is left alone where the peer cannot be dialled", async () => {
    const { did, begin, pass } = scene({ hasAddress: false });
    begin(1e6);
    await pass(10);
    expect(did).toEqual([]);
  });

  it("waits for the calls under way, holding what is sent meanwhile", async () => {
    const { did, session, begin, pass } = scene({});
    session.openCalls = 1;
    begin(1e6);
    await pass(100);
    expect([did.at(-1), session.isAsking]).toEqual(["dial beam@h 1 waits", true]);
    session.openCalls = 0;
    await pass(20);
    expect(did).toEqual(REDIALLED);
  });

  it("goes on as before when they take too long, and what was held goes out", async () => {
    const { did, session, begin, pass } = scene({});
    session.openCalls = 1;
    begin(1e6);
    await pass(MAX_REDIAL_WAIT_MS + 20);
    expect([did.at(-1), session.isAsking]).toEqual(["kept", false]);
    await pass(MAX_REDIAL_WAIT_MS);
    expect(did).not.toContain("sessions_redialled");
  });

  it("is kept by a link until the last minute, when the link would end with it", async () => {
    const early = scene({ links: 1 });
    early.begin(LAST_REDIAL_MS + 1);
    await early.pass(MAX_REDIAL_WAIT_MS + 20);
    expect(early.did.at(-1)).toBe("kept");
    const late = scene({ links: 1 });
    late.begin(LAST_REDIAL_MS);
    await late.pass(0);
    expect(late.did).toEqual(REDIALLED);
  });

  it("is renewed once at a time", async () => {
    const { did, begin, pass } = scene({});
    begin(1e6);
    begin(1e6);
    await pass(0);
    expect(did).toEqual(REDIALLED);
  });
});
