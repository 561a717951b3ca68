import type { MonotonicMs } from "../../src/base/clock.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "../../src/dist/limits.ts";
import { Receiver } from "../../src/dist/receive.ts";
import { Deframer, type PrefixBytes } from "../../src/wire/deframer.ts";
import type { FrameStyle } from "../../src/wire/flags.ts";
import { atom, type Bytes, bin, genCall, int, list, map, pid, ref, tuple } from "../attack/etf.ts";
import { firstFragment, message, nextFragment, op, type Style } from "../attack/frames.ts";
import { TERMS } from "./corpus.ts";
import { diceOf } from "./dice.ts";
import { refusal, type Target } from "./harness.ts";
import { framed, mutate, mutateFrames, splitBytes } from "./mutate.ts";

/** Frames cut from bytes, as one text: what every splitting of the same bytes must give again. */
function cut(pieces: readonly Buffer[], prefix: PrefixBytes): { text: string; refused: string | undefined } {
  const deframer = new Deframer({ prefix, maxFrameBytes: 4096 });
  let text = "";
  let fed = 0;
  let found = 0;
  const sink = {
    frame(buffer: Buffer, start: number, end: number): void {
      found++;
      text += `f${buffer.toString("hex", start, end)} `;
    },
    tick(): void {
      found++;
      text += "t ";
    },
  };
  const refused = refusal(() => {
    for (const piece of pieces) {
      fed += piece.length;
      deframer.receive(Buffer.from(piece), sink);
      if (deframer.partialBytes > fed) throw new Error("holds more than came");
      if (deframer.partialBytes > 4096 + prefix) throw new Error("holds more than one frame");
    }
  });
  if (found > fed) throw new Error("more frames than bytes");
  if (refused !== undefined && deframer.partialBytes !== 0) throw new Error("keeps bytes after a refusal");
  return { text, refused };
}

/** However a stream is cut into chunks, the same frames or the same refusal come out. */
export const deframerTarget: Target = {
  name: "deframer",
  make(dice) {
    const bodies: Buffer[] = [];
    for (let left = 1 + dice.below(6); left > 0; left--)
      bodies.push(dice.oneIn(4) ? Buffer.alloc(0) : dice.pick(TERMS));
    const stream = framed(bodies, dice.oneIn(2) ? 2 : 4);
    return dice.oneIn(3) ? stream : mutate(dice, stream, TERMS);
  },
  run(bytes) {
    const dice = diceOf(bytes);
    const prefix = dice.pick([2, 4, 4] as const);
    const whole = cut([bytes], prefix);
    const split = cut(splitBytes(dice, bytes, dice.oneIn(8) ? bytes.length + 1 : 12), prefix);
    if (whole.text !== split.text || whole.refused !== split.refused)
      throw new Error(`whole: ${whole.text} ${whole.refused}, split: ${split.text} ${split.refused}`);
    return whole.refused;
  },
};

export const EVIL = "evil@attack.example";
export const VICTIM = "victim@home.example";
const me = pid(EVIL, 100, 0, 77);
const it = pid(VICTIM, 5, 0, 99);
const r = ref(EVIL, 77, 1, 2, 3);
const mine = ref(VICTIM, 99, 4, 5, 6, 7, 8);

/** A message of every kind, and its payload. */
export function everyMessage(
  from: Bytes,
  to: Bytes,
  service: string,
  own: Bytes,
  theirs: Bytes,
): (readonly [Bytes, Bytes?])[] {
  const token = tuple(int(0), int(1), int(2), from, int(3));
  const reason = tuple(atom("shutdown"), bin("why"));
  return [
    [op.link(from, to)],
    [op.send(to), atom("hello")],
    [op.exit(from, to, reason)],
    [op.unlink(from, to)],
    [op.nodeLink()],
    [op.regSend(from, service), genCall(from, own, tuple(atom("echo"), list(int(1), int(300), bin("x"))))],
    [op.regSend(from, service), tuple(atom("$gen_cast"), map([atom("__proto__"), int(1)], [int(1), bin("y")]))],
    [op.regSend(from, "net_kernel"), genCall(from, own, tuple(atom("is_auth"), atom(EVIL)))],
    [
      op.regSend(from, "rex"),
      genCall(from, own, tuple(atom("call"), atom("math"), atom("add"), list(int(1), int(2)), from)),
    ],
    [op.groupLeader(from, to)],
    [op.exit2(from, to, reason)],
    [op.sendTraced(to, token), int(1)],
    [op.regSendTraced(from, service, token), int(1)],
    [op.monitor(from, atom(service), own)],
    [op.monitor(from, to, own)],
    [op.demonitor(from, atom(service), own)],
    [op.monitorExit(from, to, theirs, reason)],
    [op.sendSender(from, to), tuple(atom("system"), tuple(from, own), atom("get_state"))],
    [op.payloadExit(from, to), reason],
    [op.payloadExit2(from, to), atom("kill")],
    [op.payloadMonitorExit(from, to, theirs), reason],
    [op.spawnRequest(own, from, from, ["sallyport_fn", "worker", 1], "monitor", "link"), list(int(1))],
    [
      op.spawnRequest(own, from, from, ["erpc", "execute_call", 4], "monitor"),
      list(own, atom("math"), atom("add"), list(int(1), int(2))),
    ],
    [op.spawnReply(theirs, to, 3, from)],
    [op.spawnReply(theirs, to, 0, atom("eperm"))],
    [op.aliasSend(from, theirs), tuple(theirs, atom("forged"))],
    [op.unlinkId(1, from, to)],
    [op.unlinkIdAck(1, from, to)],
    [op.altact(4, from, theirs), int(1)],
  ];
}

/** Frames of those messages, and with headers also fragments and atom caches. */
export function everyFrame(style: Style, messages: readonly (readonly [Bytes, Bytes?])[]): Buffer[] {
  const frames = messages.map(([control, payload]) => message(style, control, payload));
  frames.push(Buffer.alloc(0));
  for (const term of TERMS)
    if (term.length < 400) frames.push(message(style, messages[6]?.[0] ?? Buffer.alloc(0), term));
  return frames;
}

const BIG = bin(Buffer.alloc(900, 7));

/** One message in several fragments, in order. */
export function fragmentsOf(control: Bytes, payload: Bytes, seq: bigint, pieces: number): Buffer[] {
  const size = Math.ceil(payload.length / pieces);
  const frames: Buffer[] = [];
  for (let i = 0; i < pieces; i++) {
    const part = payload.subarray(i * size, (i + 1) * size);
    const id = BigInt(pieces - i);
    frames.push(i === 0 ? firstFragment(seq, id, control, part) : nextFragment(seq, id, part));
  }
  return frames;
}

/** Header that enters two atoms into the cache, and one that uses them (otp-distribution V13 is its model). */
const CACHE_FRAMES: readonly Buffer[] = [
  "8344029901000468656c6c05770461616161" + "680361026851",
  "834402110100056803610252005201",
  "834404f99900090d613237403132372e302e302e31570c6a73403132372e302e302e31620568656c6c6fa505776f726c646803611658520000000058000000006b00d47b585201000000640000000000000001680252025203",
  "834404711100095762a56803611658520000000058000000006b00d47b585201000000640000000000000001680252025203",
].map((hex) => Buffer.from(hex, "hex"));

const limits: DistLimits = {
  ...DEFAULT_DIST_LIMITS,
  maxFrameBytes: 64 * 1024,
  maxMessageBytes: 128 * 1024,
  maxReassemblyBytes: 32 * 1024,
  maxReassemblySequences: 4,
};

function receiveTarget(style: FrameStyle): Target {
  const written: Style = style === "header" ? "headers" : "plain";
  const messages = everyMessage(me, it, "echo", r, mine);
  const frames = everyFrame(written, messages);
  if (style === "header") {
    frames.push(
      ...CACHE_FRAMES,
      ...fragmentsOf(op.regSend(me, "echo"), BIG, 5n, 3),
      ...fragmentsOf(op.send(it), BIG, 6n, 2),
    );
  }
  const whole = fragmentsOf(op.regSend(me, "echo"), BIG, 9n, 4);
  return {
    name: `receive-${style}`,
    make(dice) {
      const chosen: Buffer[] = [];
      for (let left = 1 + dice.below(4); left > 0; left--) chosen.push(dice.pick(frames));
      if (style === "header" && dice.oneIn(3)) chosen.splice(dice.below(chosen.length), 0, ...whole);
      return mutateFrames(dice, chosen, frames);
    },
    run(bytes) {
      let delivered = 0;
      let decoded = 0;
      const receiver = new Receiver(style, limits, {
        wanted: (control) => control.kind !== "send",
        refused: () => undefined,
        message(_control, buffer, start, end) {
          delivered++;
          if (start === end) return;
          receiver.terms.decodeAt(buffer, start, end);
          decoded += end - start;
        },
      });
      const deframer = new Deframer({ prefix: 4, maxFrameBytes: limits.maxFrameBytes });
      const sink = {
        frame: (buffer: Buffer, start: number, end: number): void =>
          receiver.frame(buffer, start, end, 0 as MonotonicMs),
        tick: (): void => undefined,
      };
      const refused = refusal(() => {
        for (const piece of splitBytes(diceOf(bytes), bytes, 4)) deframer.receive(Buffer.from(piece), sink);
        if (receiver.heldBytes > limits.maxReassemblyBytes) throw new Error("holds more than maxReassemblyBytes");
        if (receiver.heldBytes > bytes.length) throw new Error("holds more than came");
        receiver.expire(1e9 as MonotonicMs);
      });
      if (delivered * 3 > bytes.length || decoded > bytes.length) throw new Error("more messages than bytes");
      receiver.clear();
      return refused;
    },
  };
}

export const receivePlainTarget: Target = receiveTarget("pass-through");
export const receiveHeaderTarget: Target = receiveTarget("header");
