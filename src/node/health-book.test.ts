import { beforeAll, describe, expect, it } from "vitest";
import { type ErrorCode, SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { RealRandom } from "../system/real-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { readPemCertificates } from "../x509/check-key.ts";
import { issueSelfSigned } from "../x509/issue.ts";
import { EventHub } from "./event-hub.ts";
import { HealthBook } from "./health-book.ts";
import type { NodeCore } from "./node-core.ts";
import type { Session } from "./session.ts";

const PEER = parseNodeName("p@h");
let der: Buffer;

beforeAll(async () => {
  const parts = { clock: new VirtualClock(), random: new RealRandom() };
  const { certPem } = await issueSelfSigned(parts, { name: PEER, days: 3 });
  der = readPemCertificates(certPem, "it")[0] ?? Buffer.alloc(0);
});

function world() {
  const clock = new VirtualClock();
  const events = new EventHub((error) => {
    throw error;
  });
  const told: string[] = [];
  events.on("expiry", ({ role, of, withinDays }) => told.push(`${role} ${of} ${withinDays}`));
  const book = new HealthBook({ clock, events, name: parseNodeName("a@h") } as unknown as NodeCore);
  book.expiry.start();
  const session = { peer: { name: PEER }, connection: { role: "acceptor" } } as unknown as Session;
  return { clock, told, book, session };
}

describe("the certificate of a peer", () => {
  it("is told of in a later turn than its session, and gone with it", () => {
    const { clock, told, book, session } = world();
    book.sessionUp(session, der, true);
    expect(told).toEqual([]);
    clock.runTurn();
    expect(told).toEqual(["peer p@h 7"]);
    expect(book.expiry.states()).toHaveLength(1);
    book.sessionDown(session, undefined);
    expect(book.expiry.states()).toEqual([]);
  });

  it("means nothing where no CA vouches for it", () => {
    const { clock, told, book, session } = world();
    book.sessionUp(session, der, false);
    clock.runTurn();
    expect([told, book.expiry.states()]).toEqual([[], []]);
    book.sessionUp(session, undefined, true);
    expect(book.expiry.states()).toEqual([]);
  });
});

describe("the last refusal", () => {
  const failure = (code: ErrorCode, reason: string) => new SallyportError(code, reason, "no", { peer: PEER });

  it("is of who somebody is, and not of what is broken", () => {
    const { book } = world();
    book.failed("initiator", "h:1", failure("ERR_UNREACHABLE", "PORT_CLOSED"));
    book.failed("acceptor", "h:2", failure("ERR_PEER_MISBEHAVED", "NOT_A_FRAME"));
    expect(book.lastRefusal).toBeNull();
    book.failed("acceptor", "h:3", failure("ERR_DENIED", "KEY_UNTRUSTED"));
    const refused = { at: "2026-01-01T00:00:00.000Z", role: "acceptor", address: "h:3", peer: PEER };
    expect(book.lastRefusal).toEqual({ ...refused, code: "ERR_DENIED", reason: "KEY_UNTRUSTED" });
    book.failed("initiator", "h:4", failure("ERR_PEER_INCOMPATIBLE", "NO_COMMON_METHOD"));
    expect(book.lastRefusal).toMatchObject({ reason: "NO_COMMON_METHOD" });
  });
});
