import { describe, expect, it } from "vitest";
import { chainOf, sessionBytes } from "../testkit/tls-sessions.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import {
  DialledSessions,
  MAX_SESSION_ENDPOINTS,
  MAX_SESSIONS_PER_ENDPOINT,
  SessionOfDial,
} from "./dialled-sessions.ts";
import { MAX_SESSION_BYTES } from "./tls-session-data.ts";
import { MAX_RESUMPTION_MS } from "./verified-chain.ts";

const START = 1_800_000_000_000;
const chain = chainOf("a", { beginsMs: START - 1000, endsMs: START + 10 * MAX_RESUMPTION_MS });
const KEY = "h:1 h a@h";

class Scene {
  readonly clock = new VirtualClock(START);
  readonly sessions = new DialledSessions(this.clock);

  dial(key = KEY, mayOffer = true): SessionOfDial {
    return new SessionOfDial(this.sessions, this.clock, key, mayOffer);
  }

  /** One connection that stands, with what it brings. */
  stood(brings: readonly Buffer[], { key = KEY, resumes = false } = {}): SessionOfDial {
    const dial = this.dial(key);
    dial.sent();
    dial.secured(resumes ? undefined : chain);
    for (const session of brings) dial.came(session);
    dial.up();
    return dial;
  }
}

const ticket = (mark = 0): Buffer => sessionBytes(chain, "TLSv1.3", mark);
const byId = (mark = 0): Buffer => sessionBytes(chain, "TLSv1.2", mark);

describe("sessions that a dialer keeps", () => {
  it("are those of connections that stood, also when they come later", () => {
    const scene = new Scene();
    const dial = scene.dial();
    dial.secured(chain);
    dial.came(ticket(1));
    expect(scene.sessions.find(KEY)).toBeUndefined();
    dial.up();
    expect(scene.sessions.find(KEY)?.session).toEqual(ticket(1));
    dial.came(ticket(2));
    expect(scene.sessions.find(KEY)?.session).toEqual(ticket(2));
  });

  it("are used once each in TLS 1.3, as long as they last in TLS 1.2", () => {
    const scene = new Scene();
    scene.stood([ticket(1), ticket(2)]);
    for (const expected of [ticket(2), ticket(1), undefined]) {
      const dial = scene.dial();
      expect(dial.offer?.session).toEqual(expected);
      dial.sent();
    }
    scene.stood([byId()]);
    for (let i = 0; i < 3; i++) {
      const dial = scene.dial();
      expect(dial.offer?.session).toEqual(byId());
      dial.sent();
    }
    expect(scene.dial(KEY, false).offer).toBeUndefined();
    expect(scene.dial("h:2 h a@h").offer).toBeUndefined();
  });

  it("last an hour from the full handshake, however often they are resumed", () => {
    const scene = new Scene();
    scene.stood([ticket(1)]);
    scene.clock.advance(MAX_RESUMPTION_MS - 2);
    scene.stood([ticket(2)], { resumes: true });
    expect(scene.dial().offer?.session).toEqual(ticket(2));
    scene.clock.advance(2);
    expect(scene.dial().offer).toBeUndefined();
    expect(scene.sessions.endpoints).toBe(0);
  });

  it("are not offered before or after the dates of the certificates", () => {
    const scene = new Scene();
    scene.stood([byId()]);
    scene.clock.setWallMs(chain.endsMs);
    expect(scene.dial().offer).toBeUndefined();
    scene.clock.setWallMs(START);
    scene.stood([byId()]);
    scene.clock.setWallMs(chain.beginsMs - 1);
    expect(scene.dial().offer).toBeUndefined();
  });

  it("take the place of what was kept after a full handshake", () => {
    const scene = new Scene();
    scene.stood([ticket(1), ticket(2)]);
    const full = scene.dial(KEY, false);
    full.secured(chain);
    full.came(ticket(3));
    full.up();
    scene.dial().sent();
    expect(scene.dial().offer).toBeUndefined();
  });

  it("are all gone when a connection forgets, and none comes from it any more", () => {
    const scene = new Scene();
    scene.stood([byId(1)], { key: "other" });
    const dial = scene.stood([ticket(1), ticket(2)]);
    dial.forget();
    dial.came(ticket(3));
    dial.up();
    expect(scene.dial().offer).toBeUndefined();
    expect(scene.dial("other").offer?.session).toEqual(byId(1));
  });

  it("are none of another certificate than was verified, none without, none too large", () => {
    const scene = new Scene();
    const large = Buffer.alloc(MAX_SESSION_BYTES + 1);
    for (const session of [sessionBytes(chainOf("b"), "TLSv1.3"), Buffer.from("nothing"), large]) {
      scene.stood([session]);
      expect(scene.sessions.endpoints).toBe(0);
    }
  });

  it("are bounded for one endpoint, and in endpoints, the one used longest ago going first", () => {
    const scene = new Scene();
    const many = Array.from({ length: MAX_SESSIONS_PER_ENDPOINT + 3 }, (_, i) => ticket(i));
    const dial = scene.stood(many);
    for (const session of many) dial.came(session);
    for (let i = 0; i < MAX_SESSIONS_PER_ENDPOINT; i++) scene.dial().sent();
    expect(scene.dial().offer).toBeUndefined();
    for (let i = 0; i < MAX_SESSION_ENDPOINTS; i++) scene.stood([byId()], { key: `${i}` });
    scene.dial("0");
    scene.stood([byId()], { key: "one more" });
    expect(scene.sessions.endpoints).toBe(MAX_SESSION_ENDPOINTS);
    expect([scene.dial("0").offer, scene.dial("1").offer].map((offer) => offer !== undefined)).toEqual([true, false]);
  });
});
