import { connect as connectTcp } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Peer, Raw, trap } from "../attack/client.ts";
import { u32 } from "../attack/etf.ts";
import { challenge, challengeReply, digest, FLAGS, message, op, sendName, status } from "../attack/frames.ts";
import { COOKIE, EVIL, Rig, type Transport, VICTIM } from "../attack/rig.ts";

// What somebody can do who has not authenticated yet. Each attack must end with a typed reason, and with nothing else.

const LIMITS = { maxTlsHandshakeMs: 1_000, maxHandshakeMs: 1_500 };

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({ limits: LIMITS });
});
afterEach(async () => {
  await rig.dropAttackers();
  await rig.aliveAndWell();
});
afterAll(() => rig.stopWell());

const GARBAGE = Buffer.from("GET / HTTP/1.1\r\nHost: victim\r\n\r\n");
const TRANSPORTS: readonly Transport[] = ["tcp", "tls"];
const prefixOf = (transport: Transport): 2 | 4 => (transport === "tcp" ? 2 : 4);

/** Runs an attack and gives the refusal it ended with. */
async function refusedBy(attack: () => Promise<Raw>): Promise<{ reason: unknown; code: unknown; address: unknown }> {
  const mark = rig.mark;
  const before = (await rig.victim.counters())["connections_refused"] ?? 0;
  const raw = await attack();
  await raw.untilClosed();
  const { reason, code, address } = await rig.victim.refused(mark);
  expect((await rig.victim.counters())["connections_refused"]).toBe(before + 1);
  expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  return { reason, code, address };
}

describe("before TLS", () => {
  it("plain bytes on a TLS port are refused by reason", async () => {
    const { reason } = await refusedBy(async () => {
      const raw = await Raw.tcp(rig.port("tls"));
      raw.write(GARBAGE);
      return raw;
    });
    expect(reason).toBe("NOT_A_TLS_PEER");
  });

  it("a TLS hello that is cut off, then the end", async () => {
    const { code } = await refusedBy(async () => {
      const raw = await Raw.tcp(rig.port("tls"));
      raw.write(Buffer.from("16030100c8010000c40303", "hex"));
      raw.socket.end();
      return raw;
    });
    expect(code).toBe("ERR_CLOSED");
  });

  it("a TLS record that claims more than a record may have", async () => {
    const { code } = await refusedBy(async () => {
      const raw = await Raw.tcp(rig.port("tls"));
      raw.write(Buffer.concat([Buffer.from("160301ffff", "hex"), Buffer.alloc(70_000, 1)]));
      return raw;
    });
    expect(code).toMatch(/^ERR_(PEER_MISBEHAVED|PEER_INCOMPATIBLE|DENIED|CLOSED)$/);
  });

  it("silence ends at the deadline of TLS", async () => {
    const { reason } = await refusedBy(() => Raw.tcp(rig.port("tls")));
    expect(reason).toBe("HANDSHAKE_TIMEOUT");
  });

  it("a hello that comes byte by byte ends at the same deadline", async () => {
    const started = performance.now();
    const { reason } = await refusedBy(async () => {
      const raw = await Raw.tcp(rig.port("tls"));
      dribble(raw, Buffer.from(`16030100c8010000c40303${"00".repeat(80)}`, "hex"));
      return raw;
    });
    expect(reason).toBe("HANDSHAKE_TIMEOUT");
    expect(performance.now() - started).toBeLessThan(LIMITS.maxTlsHandshakeMs + 3_000);
  });

  it("no certificate", async () => {
    // Judged with the name, so that an honest peer hears `not_allowed` and not a closed door.
    const { reason } = await refusedBy(async () => {
      const raw = await Raw.tls(rig.port("tls"), {});
      const peer = new Peer(raw, { name: EVIL, cookie: COOKIE });
      void peer.untilChallenge(4, { name: EVIL, cookie: COOKIE }).catch(() => undefined);
      return raw;
    });
    expect(reason).toBe("CLIENT_CERT_REQUIRED");
  });
});

/** One byte after the other, slowly, until the victim has enough of it. */
function dribble(raw: Raw, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (raw.closed || at >= bytes.length) clearInterval(timer);
    else raw.write(bytes.subarray(at, ++at));
  }, 50);
}

/** Stages of the handshake, and how to get there. */
type Stage = "name" | "challenge";

async function at(stage: Stage, transport: Transport): Promise<Raw> {
  const raw = await rig.raw(transport);
  if (stage === "name") return raw;
  const peer = new Peer(raw, { name: EVIL, cookie: COOKIE });
  await peer.untilChallenge(prefixOf(transport), { name: EVIL, cookie: COOKIE });
  return raw;
}

describe.each(TRANSPORTS)("in the handshake over %s", (transport) => {
  const prefix = prefixOf(transport);

  describe.each(["name", "challenge"] as const)("when the victim waits for the %s", (stage) => {
    const attack = (write: (raw: Raw) => void | Promise<void>) => async (): Promise<Raw> => {
      const raw = await at(stage, transport);
      await write(raw);
      return raw;
    };

    it("garbage", async () => {
      const { reason } = await refusedBy(attack((raw) => raw.write(GARBAGE)));
      expect(reason).toBe("NOT_A_DIST_PEER");
    });

    it("the greatest length", async () => {
      const { reason } = await refusedBy(attack((raw) => raw.write(Buffer.alloc(prefix, 255))));
      expect(reason).toBe("NOT_A_DIST_PEER");
    });

    it("a length just above the limit", async () => {
      const { reason } = await refusedBy(
        attack((raw) => raw.write(Buffer.from(prefix === 2 ? "1001" : "00001001", "hex"))),
      );
      expect(reason).toBe("NOT_A_DIST_PEER");
    });

    it("a length of zero", async () => {
      const { reason } = await refusedBy(attack((raw) => raw.write(Buffer.alloc(prefix))));
      expect(reason).toBe("FRAME_TOO_EARLY");
    });

    it("a message of unknown kind", async () => {
      const { reason } = await refusedBy(attack((raw) => raw.frame(Buffer.from("zzz"), prefix)));
      expect(reason).toBe("HANDSHAKE_UNKNOWN_MESSAGE");
    });

    it("a frame of the session before its time", async () => {
      const early = message("headers", op.nodeLink());
      const { reason, code } = await refusedBy(attack((raw) => raw.frame(early, prefix)));
      expect(code).toBe("ERR_PEER_MISBEHAVED");
      expect(reason).toBe("HANDSHAKE_UNKNOWN_MESSAGE");
    });

    it("half a frame, then the end", async () => {
      const half = prefix === 2 ? "0020" : "00000020";
      const { reason } = await refusedBy(
        attack((raw) => {
          raw.write(Buffer.from(`${half}4e0000`, "hex"));
          raw.socket.end();
        }),
      );
      expect(reason).toBe("CLOSED_DURING_HANDSHAKE");
    });

    it("a reset", async () => {
      // One that is reset before it was accepted has no address any more under which it could be told.
      const accepted = async (): Promise<void> => {
        for (let i = 0; i < 2; i++) await rig.victim.counters();
      };
      const { code } = await refusedBy(
        attack(async (raw) => {
          await accepted();
          if (transport === "tcp") raw.socket.resetAndDestroy();
          else raw.destroy();
        }),
      );
      expect(code).toBe("ERR_CLOSED");
    });
  });

  it("silence and one byte after the other, at each stage: the deadline is absolute", async () => {
    const long = Buffer.concat([prefix === 2 ? Buffer.from("0200", "hex") : u32(0x200), Buffer.alloc(0x200, 0x4e)]);
    const head = Buffer.from(prefix === 2 ? "00ff" : "000000ff", "hex");
    const slow: ((raw: Raw) => void)[] = [() => undefined, (raw) => dribble(raw, long), (raw) => dribble(raw, head)];
    const waits = (["name", "challenge"] as const).flatMap((stage) =>
      slow.map(async (write) => {
        const raw = await at(stage, transport);
        const address = `127.0.0.1:${raw.socket.localPort}`;
        write(raw);
        const told = await rig.victim.event((event) => event.event === "refused" && event["address"] === address);
        expect([told["code"], told["reason"]]).toEqual(["ERR_DEADLINE", "HANDSHAKE_TIMEOUT"]);
        await raw.untilClosed();
      }),
    );
    const started = performance.now();
    await Promise.all(waits);
    expect(performance.now() - started).toBeLessThan(LIMITS.maxHandshakeMs + 3_000);
  });

  it("a wrong cookie, and nothing of it in any event", async () => {
    const wrong = "some other cookie of the attacker";
    const proofs: Buffer[] = [];
    const mark = rig.mark;
    const { reason, code } = await refusedBy(async () => {
      const raw = await rig.raw(transport);
      const asked = await new Peer(raw, { name: EVIL, cookie: wrong }).untilChallenge(prefix, {
        name: EVIL,
        cookie: wrong,
      });
      const value = asked.readUInt32BE(9);
      proofs.push(digest(wrong, value), digest(COOKIE, value));
      raw.frame(challengeReply(1, digest(wrong, value)), prefix);
      return raw;
    });
    expect([code, reason]).toEqual(["ERR_DENIED", "SECRET_MISMATCH"]);
    const told = JSON.stringify(rig.victim.events.slice(mark)) + rig.victim.stderr;
    for (const secret of [
      wrong,
      COOKIE,
      ...proofs.flatMap((proof) => [proof.toString("hex"), proof.toString("base64")]),
    ])
      expect(told).not.toContain(secret);
  });

  it("a second reply after a wrong one", async () => {
    const { reason } = await refusedBy(async () => {
      const raw = await rig.raw(transport);
      const claim = { name: EVIL, cookie: COOKIE };
      const asked = await new Peer(raw, claim).untilChallenge(prefix, claim);
      raw.frame(challengeReply(1, Buffer.alloc(16)), prefix);
      raw.frame(challengeReply(1, digest(COOKIE, asked.readUInt32BE(9))), prefix);
      return raw;
    });
    expect(reason).toBe("SECRET_MISMATCH");
  });

  it("the victim's own name", async () => {
    for (const name of [VICTIM, "victim@LOCALHOST"]) {
      const { reason } = await refusedBy(async () => {
        // Over TLS the certificate would say no first, so the attacker has one that fits.
        const raw = await rig.raw(transport, VICTIM);
        raw.frame(sendName(name), prefix);
        return raw;
      });
      expect(reason).toBe("SELF_CONNECT");
    }
  });

  it.each([
    ["a path", "../../x@h"],
    ["a line break", "x\ny@h"],
    ["an escape", "x\x1b[2J@h"],
    ["a NUL", "x\0@h"],
    ["a space", "x y@h"],
    ["a byte beyond ASCII", "\xe9@h"],
    ["two @", "a@b@c"],
    ["no local part", "@h"],
    ["no host", "a@"],
    ["no @", "abc"],
    ["a backslash", "a\\b@h"],
    ["300 bytes", `${"x".repeat(298)}@h`],
    ["nothing", ""],
  ])("a name with %s", async (_, name) => {
    const mark = rig.mark;
    const { reason } = await refusedBy(async () => {
      const raw = await rig.raw(transport);
      raw.frame(sendName(Buffer.from(name, "latin1")), prefix);
      return raw;
    });
    expect(reason).toBe("HANDSHAKE_BAD_NAME");
    const told = await rig.victim.refused(mark);
    for (const text of [told["message"], told["advice"]]) expect(String(text)).toMatch(/^[\x20-\x7e]*$/);
  });

  it.each([
    ["no flags", 0n, "FLAGS_MISSING"],
    ["a mandatory flag less", FLAGS & ~0x4_0000n & ~0x400_0000n, "FLAGS_MISSING"],
    ["a wish for a name", FLAGS | 0x2_0000_0000n, "NAME_ME_REFUSED"],
  ])("%s", async (_, flags, expected) => {
    const { reason, code } = await refusedBy(async () => {
      const raw = await rig.raw(transport);
      raw.frame(sendName(EVIL, flags), prefix);
      return raw;
    });
    expect([code, reason]).toEqual(["ERR_PEER_INCOMPATIBLE", expected]);
  });

  it("an old name message, and a name twice", async () => {
    const old = await refusedBy(async () => {
      const raw = await rig.raw(transport);
      raw.frame(Buffer.from("6e000500000000786140", "hex"), prefix);
      return raw;
    });
    expect(old.code).toMatch(/^ERR_PEER/);
    const twice = await refusedBy(async () => {
      const raw = await at("challenge", transport);
      raw.frame(sendName(EVIL), prefix);
      return raw;
    });
    expect(twice.reason).toBe("HANDSHAKE_UNEXPECTED");
  });
});

describe("identity", () => {
  it("a certificate for one name does not open another (TL-03)", async () => {
    const { reason } = await refusedBy(async () => {
      const raw = await rig.raw("tls", "evil@other.example");
      raw.frame(sendName("bank@localhost"), 4);
      return raw;
    });
    expect(reason).toBe("CERT_NAME_MISMATCH");
  });

  it("an unproven claim of a live name does not touch the live session (HS-06 to HS-08)", async () => {
    const mark = rig.mark;
    const raw = await rig.raw("tcp");
    raw.frame(sendName("good@localhost"), 2);
    expect((await raw.readFrame(2)).toString("latin1")).toBe("salive");
    raw.frame(status("true"), 2);
    await raw.readFrame(2);
    raw.frame(challengeReply(1, Buffer.alloc(16, 3)), 2);
    await raw.untilClosed();
    expect((await rig.victim.refused(mark))["reason"]).toBe("SECRET_MISMATCH");
    expect(rig.victim.events.slice(mark).filter(({ event }) => event === "nodedown")).toEqual([]);
  });
});

describe("reflection over plain TCP", () => {
  it("a challenge that the victim has open itself is never answered (HS-09)", async () => {
    const { port, next, close } = await trap();
    const mirror = await Rig.start({ limits: LIMITS, resolve: { "mirror@localhost": `tcp://127.0.0.1:${port}` } });
    try {
      const mark = mirror.mark;
      const dialled = mirror.victim.ask("connect", { node: "mirror@localhost" }).then(
        () => "up",
        (error: Error) => error.message,
      );
      const server2 = await next();
      await server2.readFrame(2);
      const client = await Raw.tcp(mirror.port("tcp"));
      const asked = await new Peer(client, { name: "mirror@localhost", cookie: "" }).untilChallengeOrStatus();
      // The victim is dialling that very name, so it may answer the inbound claim with nok; another name does it as well.
      const open = asked ?? (await challengeFor(mirror.port("tcp"), "other@localhost"));
      server2.frame(status("ok"), 2);
      server2.frame(challenge("mirror@localhost", open.readUInt32BE(9)), 2);
      await server2.untilClosed();
      const refused = await mirror.victim.event(({ event, role }) => event === "refused" && role === "initiator", mark);
      expect(refused["reason"]).toBe("CHALLENGE_REFLECTED");
      expect(await dialled).toContain("ERR_PEER_MISBEHAVED");
      expect(mirror.victim.events.slice(mark).some(({ event }) => event === "nodeup")).toBe(false);
      client.destroy();
      await mirror.aliveAndWell();
    } finally {
      close();
      await mirror.stop();
    }
  });
});

/** Opens a connection as `name` and leaves it with the victim's challenge unanswered. */
async function challengeFor(port: number, name: string): Promise<Buffer> {
  const raw = await Raw.tcp(port);
  return new Peer(raw, { name, cookie: "" }).untilChallenge(2, { name, cookie: "" });
}

describe("half-open connections", () => {
  it("300 silent ones do not keep an honest peer out for two seconds (TL-05)", async () => {
    const flood: Raw[] = [];
    for (let i = 0; i < 300; i++)
      flood.push(await Raw.tcp(rig.port(i % 2 === 0 ? "tls" : "tcp"), `127.0.0.${2 + (i % 6)}`));
    const started = performance.now();
    const other = await rig.goodPeer("goodtoo@localhost", "tls");
    await other.connect(VICTIM, { timeoutMs: 2_000 });
    expect(performance.now() - started).toBeLessThan(2_000);
    await other.close({ timeoutMs: 0 });
    for (const raw of flood) await raw.untilClosed();
  });

  it("one address holds no more than its share", async () => {
    const mark = rig.mark;
    const before = (await rig.victim.counters())["accept_refused_source"] ?? 0;
    const flood: Raw[] = [];
    for (let i = 0; i < 80; i++) {
      const socket = connectTcp({ port: rig.port("tcp"), host: "127.0.0.1", localAddress: "127.0.0.9" });
      flood.push(new Raw(socket));
    }
    for (const raw of flood) await raw.untilClosed();
    // Asked first: its answer comes behind the events of what happened before.
    const { accept_refused_source: refused } = await rig.victim.counters();
    const told = rig.victim.events.slice(mark).filter(({ address }) => String(address).startsWith("127.0.0.9:"));
    // The others were cut before anything was made for them.
    expect(told).toHaveLength(64);
    expect(refused).toBe(before + 16);
  });
});
