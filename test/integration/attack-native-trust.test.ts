import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EVIL, GOOD, KeyRig } from "../attack/key-rig.ts";
import { auth, instead, NONE } from "../attack/native-bends.ts";
import { accept, answersPing, dial, type Self, selfOf } from "../attack/native-client.ts";
import { CONFIRM, confirmFrame, HELLO, PROOF, STATUS, TOLD } from "../attack/native-frames.ts";
import type { VictimEvent } from "../attack/victim.ts";

// Who owns a name at a node that trusts on first use. It has a cookie, so whoever knows that can take a free name.

const COOKIE = "correct horse battery staple";
const ROUNDS = 6;
const RACERS = 30;

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "tofu", pinned: [GOOD], node: { cookie: COOKIE } });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const firstUse = (): string[] => {
  try {
    return readdirSync(join(rig.keyDir, "first-use")).sort();
  } catch {
    return [];
  }
};
const pinOf = (name: string): Buffer => readFileSync(join(rig.keyDir, "first-use", `${name}.pub`));
const stranger = (name: string): Self => selfOf(name, undefined, COOKIE);

describe("a name that nobody has yet", () => {
  it("AU-12: is not pinned for a listener that ends before its proof, or before its CONFIRM", async () => {
    const before = firstUse();
    for (const step of ["proof", "confirm"] as const) {
      const { raw, outcome } = await rig.dialled();
      const run = await accept(raw, rig.evil, {
        say: (at, honest) => {
          if (at !== step) return honest;
          raw.socket.end();
          return NONE;
        },
      });
      expect(run.end).toBe("closed");
      expect(await outcome).toBe("CLOSED_DURING_HANDSHAKE");
    }
    expect(firstUse()).toEqual(before);
  });

  it("AU-12: is not pinned for a dialler that knows the cookie and ends before its proof", async () => {
    const before = firstUse();
    const raw = await rig.raw();
    const run = await dial(raw, stranger("early@127.0.0.1"), {
      say: (at, honest) => {
        if (at === "hello") return honest;
        raw.socket.end();
        return NONE;
      },
    });
    expect(run.heard.map((frame) => frame[0])).toEqual([HELLO, PROOF]);
    expect(await rig.refusalOf(raw)).toBe("CLOSED_DURING_HANDSHAKE");
    expect(firstUse()).toEqual(before);
  });

  it(`AU-10: goes to one of ${RACERS} who race for it with keys of their own, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const name = `race${round}@127.0.0.1`;
      const racers = Array.from({ length: RACERS }, () => stranger(name));
      const raws = await Promise.all(racers.map(() => rig.raw()));
      const runs = await Promise.all(racers.map((self, i) => dial(raws[i] as never, self)));
      const winners = runs.flatMap((run, i) => (run.end === "up" ? [i] : []));
      expect(winners).toHaveLength(1);
      const winner = winners[0] ?? -1;
      expect(pinOf(name)).toEqual(racers[winner]?.publicKey);
      expect(await answersPing(raws[winner] as never)).toBe(true);
      for (const [i, raw] of raws.entries()) {
        if (i !== winner) expect(await rig.refusalOf(raw)).toBe("KEY_MISMATCH");
      }
      expect((await rig.sessions()).filter((peer) => peer === name)).toHaveLength(1);
      await rig.dropAttackers();
    }
  });

  it("AU-10: goes to one of two when the victim dials one while the other dials in", async () => {
    const { raw, outcome } = await rig.dialled();
    const inbound = await rig.raw();
    const other = stranger(EVIL);
    const [dialled, came] = await Promise.all([accept(raw, rig.evil), dial(inbound, other)]);
    const owner = pinOf(EVIL);
    expect(owner.equals(rig.evil.publicKey)).not.toBe(owner.equals(other.publicKey));
    const isOurs = owner.equals(rig.evil.publicKey);
    expect(isOurs ? await answersPing(raw) : await answersPing(inbound)).toBe(true);
    expect(isOurs ? came.end : dialled.end).not.toBe("up");
    await outcome;
  });

  it.each(["__proto__@h", "constructor@h", "toString@__proto__"])(
    "AU-24: may be %s, and is a name like any other",
    async (name) => {
      const raw = await rig.raw();
      const run = await dial(raw, stranger(name));
      expect(run.end).toBe("up");
      expect(await answersPing(raw)).toBe(true);
      expect(await rig.sessions()).toContain(name);
      expect(await rig.victim.ask("polluted")).toEqual({ own: [], seen: null });
    },
  );

  it.each(["a@h.", "a@..", "-a@h", "a@.h", "con@h", `${"a".repeat(253)}@h`, "A@h", "a@h", "a@H"])(
    "AU-22: %s leads to one file inside first-use or to none",
    async (name) => {
      const before = rig.files();
      const raw = await rig.raw();
      const run = await dial(raw, stranger(name));
      const made = rig.files().filter((file) => !before.includes(file));
      const hash = createHash("sha256").update(name).digest("hex");
      const isPlain = /^[a-z0-9@._-]{1,200}$/.test(name);
      const base = isPlain ? name : `sha256-${hash}`;
      const named = isPlain ? [] : [`/first-use/${base}.name`];
      const paths = [...named, `/first-use/${base}.pub`, `/meta/${base}.json`];
      if (run.end === "up") expect(made.map((file) => file.split(" ")[0])).toEqual(paths);
      else expect(made).toEqual([]);
    },
  );
});

describe("a name that has a key", () => {
  const OWNER = "owner@127.0.0.1";
  let owner: Self;
  beforeAll(async () => {
    owner = stranger(OWNER);
    const raw = await rig.raw();
    expect((await dial(raw, owner)).end).toBe("up");
    await rig.dropAttackers();
  });

  it("AU-11: is not for another key, which knows the cookie too", async () => {
    const files = rig.files();
    const raw = await rig.raw();
    const run = await dial(raw, stranger(OWNER));
    await rig.expectRefused(raw, run, auth("KEY_MISMATCH"), rig.refusalOf(raw), files);
  });

  it("AU-09: and the key is not for another name", async () => {
    const files = rig.files();
    const raw = await rig.raw();
    const run = await dial(raw, { ...owner, name: "second@127.0.0.1" });
    await rig.expectRefused(raw, run, auth("KEY_REUSED"), rig.refusalOf(raw), files);
  });

  it("AU-42: is not held by somebody who claims it and proves nothing", async () => {
    const liars = await Promise.all(Array.from({ length: 20 }, () => rig.raw()));
    for (const raw of liars)
      void dial(
        raw,
        stranger(OWNER),
        instead("proof", () => NONE),
      );
    const raw = await rig.raw();
    expect((await dial(raw, owner)).end).toBe("up");
    expect(await answersPing(raw)).toBe(true);
  });

  it("AU-47: gives its place to the same key's second connection only when that says that the first is dead", async () => {
    const first = await rig.raw();
    const life = { hello: { incarnation: (await dial(first, owner)).mine.incarnation } };
    expect(await answersPing(first)).toBe(true);
    const second = await rig.raw();
    expect((await dial(second, owner, { ...life, alive: 0 })).heard.at(-1)?.[0]).toBe(STATUS);
    expect(await rig.refusalOf(second)).toBe("PEER_GAVE_UP");
    expect(await answersPing(first)).toBe(true);
    const third = await rig.raw();
    expect((await dial(third, owner, life)).end).toBe("up");
    expect(await answersPing(third)).toBe(true);
    await first.untilClosed();
  });

  it("AU-32: an older life of it is refused while a younger one is there", async () => {
    const raw = await rig.raw();
    const young = await dial(raw, owner);
    expect(young.end).toBe("up");
    await answersPing(raw);
    const files = rig.files();
    const old = await rig.raw();
    const run = await dial(old, owner, { hello: { incarnation: young.mine.incarnation - 86_400_000n } });
    expect(await rig.refusalOf(old)).toBe("STALE_INCARNATION");
    expect(run.end).toBe(TOLD.stale);
    expect(await answersPing(raw)).toBe(true);
    expect(rig.files()).toEqual(files);
  });
});

describe("a handshake that waits with its last message", () => {
  const PARKED = instead("confirm", () => NONE);

  it("gets no session when its key was revoked meanwhile", async () => {
    const late = stranger("late@127.0.0.1");
    const parked = await rig.raw();
    const { mine, heard } = await dial(parked, late, PARKED);
    expect(heard.at(-1)?.[0]).toBe(CONFIRM);
    // Of the same life, so that the one that waits is not taken for a leftover.
    const again = { ...PARKED, hello: { incarnation: mine.incarnation } };
    mkdirSync(join(rig.keyDir, "revoked"), { recursive: true, mode: 0o700 });
    writeFileSync(join(rig.keyDir, "revoked", createHash("sha256").update(late.publicKey).digest("hex")), "");
    // Until the node has seen it.
    for (let end: unknown = "up"; end === "up"; ) {
      const raw = await rig.raw();
      end = (await dial(raw, late, again)).end;
      raw.destroy();
    }
    parked.write(confirmFrame());
    expect(await rig.refusalOf(parked)).toBe("TRUST_WITHDRAWN");
    expect(await answersPing(parked)).toBe(false);
    expect(await rig.sessions()).toEqual([]);
  });

  it("gets one when nothing happened", async () => {
    const parked = await rig.raw();
    await dial(parked, stranger("patient@127.0.0.1"), PARKED);
    parked.write(confirmFrame());
    expect(await answersPing(parked)).toBe(true);
  });
});

describe("a pin that cannot be saved", () => {
  it("AU-13: refuses the session; the node goes on with what it knew, and says once that it cannot read its pins", async () => {
    const mark = rig.mark;
    const directory = join(rig.keyDir, "first-use");
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "not a directory");
    const raw = await rig.raw();
    const run = await dial(raw, stranger("unsaved@127.0.0.1"));
    expect([run.end, await rig.refusalOf(raw)]).toEqual([TOLD.failed, "PIN_NOT_DURABLE"]);
    expect(await rig.sessions()).toEqual([]);
    const unreadable = ({ event, reason }: VictimEvent): boolean =>
      event === "warning" && reason === "TRUST_UNREADABLE";
    await rig.victim.event(unreadable, mark);
    await rig.aliveAndWell();
    rmSync(directory);
    expect(rig.victim.events.slice(mark).filter(unreadable)).toHaveLength(1);
  });
});
