// A peer that got in, with a key or with a cookie, and sends whatever it likes: nothing is checked on this side, and all that
// comes back is kept. Made from docs/protocol.md alone; shares nothing with src/.
import { randomBytes } from "node:crypto";
import { type Claim, Peer, Raw, type TlsFrom } from "./client.ts";
import { atom, type Bytes, genCall, pid, type Value as ReadValue, read, ref, show, tuple } from "./etf.ts";
import { message, op, type Style } from "./frames.ts";
import { accept, dial, FLAGS, type Run, type Self } from "./native-client.ts";
import { ALPN, pingFrame } from "./native-frames.ts";

export type Value = ReadValue;

const LINK_FRAME = 0xf0;
const PONG = 2;

/** One message of the victim. */
export interface Message {
  /** The operation: 22 SEND_SENDER, 24 PAYLOAD_EXIT, 28 PAYLOAD_MONITOR_P_EXIT, 31 SPAWN_REPLY and so on; -1 for a link frame. */
  readonly op: number;
  /** Elements of the control tuple. */
  readonly control: readonly Value[];
  readonly payload: Value | undefined;
  /** `{28,...} {sallyport_denied,...}` */
  readonly text: string;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** How often it says that it is there, as an honest peer would. */
const TICK_MS = 5_000;
/** An answer that takes longer does not come. */
const HEARS_MS = 8_000;

/** A session with the victim in hostile hands. */
export class Attacker {
  readonly raw: Raw;
  readonly name: string;
  readonly creation: number;
  readonly victimName: string;
  readonly victimCreation: number;
  readonly protocol: "native" | "otp";
  readonly heard: Message[] = [];
  readonly #style: Style;
  readonly #ticking: ReturnType<typeof setInterval>;
  #waiting: (() => void)[] = [];
  #pongs: Buffer[] = [];
  #next = 0;

  private constructor(
    raw: Raw,
    who: {
      readonly name: string;
      readonly creation: number;
      readonly protocol: "native" | "otp";
      readonly style: Style;
    },
    victim: { readonly name: string; readonly creation: number },
  ) {
    this.raw = raw;
    this.name = who.name;
    this.creation = who.creation;
    this.protocol = who.protocol;
    this.#style = who.style;
    this.victimName = victim.name;
    this.victimCreation = victim.creation;
    this.#ticking = setInterval(() => raw.write(Buffer.alloc(4)), TICK_MS).unref();
    void this.#listen();
  }

  /** Dials over TLS and goes through the native handshake. Throws with how it ended when it is refused. */
  static async native(port: number, victimName: string, self: Self, tls: TlsFrom): Promise<Attacker> {
    const { raw, run } = await tryNative(port, self, tls);
    if (run.end !== "up") throw new Error(`the victim ended the handshake of ${self.name}: ${run.end}`);
    return Attacker.#of(raw, self, run, victimName);
  }

  /** Takes a dial of the victim, as the node that it dialled. */
  static async nativeAnswer(raw: Raw, victimName: string, self: Self): Promise<Attacker> {
    const run = await accept(raw, self);
    if (run.end !== "up") throw new Error(`the victim ended its dial to ${self.name}: ${run.end}`);
    return Attacker.#of(raw, self, run, victimName);
  }

  /** Dials as a BEAM does, with the cookie. `raw` is a connection over TCP (2) or TLS (4). */
  static async otp(raw: Raw, prefix: 2 | 4, victimName: string, claim: Claim): Promise<Attacker> {
    const peer = await Peer.dial(raw, prefix, claim);
    const who = { name: claim.name, creation: peer.creation, protocol: "otp", style: peer.style } as const;
    return new Attacker(raw, who, { name: victimName, creation: peer.victimCreation });
  }

  static #of(raw: Raw, self: Self, run: Run, victimName: string): Attacker {
    const creation = run.theirs?.creation ?? 0;
    const who = { name: self.name, creation: run.mine.creation, protocol: "native", style: "headers" } as const;
    return new Attacker(raw, who, { name: victimName, creation });
  }

  get closed(): boolean {
    return this.raw.closed;
  }

  /** A pid of its own. */
  pid(id = 100): Bytes {
    return pid(this.name, id, 0, this.creation);
  }

  /** A pid of the victim. */
  theirPid(id: { readonly id: number; readonly serial: number }): Bytes {
    return pid(this.victimName, id.id, id.serial, this.victimCreation);
  }

  ref(): Bytes {
    return ref(this.name, this.creation, ++this.#next, 0, 7, 0, 9);
  }

  /** Some reference of the victim that it has made for nobody. */
  theirRef(): Bytes {
    return ref(this.victimName, this.victimCreation, 1, 2, 3, 4, 5);
  }

  send(control: Bytes, payload?: Bytes): void {
    this.raw.frame(message(this.#style, control, payload), 4);
  }

  /** The bytes of one message, to be sent many times in one write. */
  framed(control: Bytes, payload?: Bytes): Bytes {
    const body = message(this.#style, control, payload);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    return Buffer.concat([head, body]);
  }

  regSend(name: string, payload: Bytes): void {
    this.send(op.regSend(this.pid(), name), payload);
  }

  /** Sends a `$gen_call` to a name, with the monitor that a BEAM sends before it; gives the reference. */
  call(name: string, request: Bytes, isMonitored = true): Bytes {
    const reference = this.ref();
    if (isMonitored) this.send(op.monitor(this.pid(), atom(name), reference));
    this.regSend(name, genCall(this.pid(), reference, request));
    return reference;
  }

  cast(name: string, request: Bytes): void {
    this.regSend(name, tuple(atom("$gen_cast"), request));
  }

  monitor(target: Bytes): Bytes {
    const reference = this.ref();
    this.send(op.monitor(this.pid(), target, reference));
    return reference;
  }

  spawn(mfa: readonly [string, string, number], args: Bytes, ...options: readonly string[]): Bytes {
    const reference = this.ref();
    this.send(op.spawnRequest(reference, this.pid(), this.pid(), mfa, ...options), args);
    return reference;
  }

  /** `erpc:call`, as a BEAM makes it. */
  rpc(module: string, fn: string, args: Bytes): Bytes {
    return this.spawn(["erpc", "execute_call", 4], callArguments(this.ref(), module, fn, args), "monitor");
  }

  /** The first message from `from` on for which `match` holds. Rejects when the connection ends first, or it takes too long. */
  async hears(match: (message: Message) => boolean, from = 0): Promise<Message> {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, HEARS_MS);
    try {
      for (;;) {
        const found = this.heard.slice(from).find(match);
        if (found !== undefined) return found;
        if (this.closed) throw new Error("closed by the victim");
        if (isLate) throw new Error(`heard only ${JSON.stringify(this.said(from).slice(0, 20))}`);
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** Everything sent so far was worked off; false when the victim closed the connection instead. */
  async settles(): Promise<boolean> {
    if (this.protocol === "otp") {
      const mark = this.heard.length;
      const asked = show(read(this.call("net_kernel", tuple(atom("is_auth"), atom(this.name)), false), 0).value);
      const isAnswer = ({ op: what, text }: Message): boolean => (what === 22 || what === 33) && text.includes(asked);
      return this.hears(isAnswer, mark).then(
        () => true,
        () => false,
      );
    }
    const token = randomBytes(8);
    this.raw.write(pingFrame(token));
    for (;;) {
      if (this.#pongs.some((pong) => pong.equals(token))) return true;
      if (this.closed) return false;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** What the victim said since the mark, as text. */
  said(mark = 0): readonly string[] {
    return this.heard.slice(mark).map(({ text }) => text);
  }

  destroy(): void {
    this.raw.destroy();
  }

  async #listen(): Promise<void> {
    for (;;) {
      const frame = await this.raw.readFrame(4).catch(() => undefined);
      if (frame === undefined) break;
      if (frame[0] === LINK_FRAME && this.protocol === "native") this.#linkFrame(frame);
      else this.heard.push(parsed(frame, this.#style));
      this.#wake();
    }
    clearInterval(this.#ticking);
    this.#wake();
  }

  #linkFrame(frame: Buffer): void {
    if (frame[1] === PONG) this.#pongs.push(Buffer.from(frame.subarray(2)));
    else this.heard.push({ op: -1, control: [], payload: undefined, text: `link frame ${frame.toString("hex")}` });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Dials with a key and says how it ended, whatever that is. */
export async function tryNative(
  port: number,
  self: Self,
  tls: TlsFrom,
): Promise<{ readonly raw: Raw; readonly run: Run }> {
  const raw = await Raw.tls(port, { ALPNProtocols: [ALPN], ...tls });
  return { raw, run: await dial(raw, self, { hello: { flags: FLAGS } }) };
}

/** Arguments of `erpc:execute_call/4`. */
export function callArguments(result: Bytes, module: string, fn: string, args: Bytes): Bytes {
  return Buffer.concat([Buffer.from([108, 0, 0, 0, 4]), result, atom(module), atom(fn), args, Buffer.from([106])]);
}

function parsed(frame: Buffer, style: Style): Message {
  const isFragment = style === "headers" && frame[1] !== 0x44;
  if (isFragment) return { op: -2, control: [], payload: undefined, text: `fragment of ${frame.length} bytes` };
  const at = style === "headers" ? 3 : 2;
  const { value, end } = read(frame, at);
  const payloadAt = style === "headers" ? end : end + 1;
  const payload = payloadAt < frame.length ? read(frame, payloadAt).value : undefined;
  const control = typeof value === "object" && "tuple" in value ? value.tuple : [];
  const text = `${show(value)}${payload === undefined ? "" : ` ${show(payload)}`}`;
  return { op: Number(control[0] ?? -3), control, payload, text };
}

/** The text of a term that was made here, as `Message.text` has it. */
export function shown(term: Bytes): string {
  return show(read(term, 0).value);
}

const DENIED = /\{sallyport_denied,<<"([0-9A-HJKMNP-TV-Z]{8,26})">>\}/;

/** The id of a refusal in a message, if there is one. */
export function deniedId(text: string): string | undefined {
  return DENIED.exec(text)?.[1];
}
