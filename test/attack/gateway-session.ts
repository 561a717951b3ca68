// A session through a gateway with both nodes played by hand: a commander that does what commanders do, and a worker that
// answers as it likes. It shares nothing with src/.
import { type Peer, Raw } from "./client.ts";
import { alias, atom, type Bytes, genCall, join, list, NIL, pid, ref, tuple, u8 } from "./etf.ts";
import { op } from "./frames.ts";

export const COMMANDER = "commander@127.0.0.1";
export const WORKER = "worker@127.0.0.1";
export const THIRD = "third@127.0.0.1";

/** What the commander has begun in every session, so that there is something to forge. */
export class Session {
  readonly commander: Peer;
  readonly worker: Peer;
  /** Processes of the commander. */
  readonly caller: Bytes;
  readonly linked: Bytes;
  readonly leader: Bytes;
  /** A process of the commander that the worker was never shown. */
  readonly hidden: Bytes;
  /** Processes of the worker. */
  readonly server: Bytes;
  readonly child: Bytes;
  /** Of a call with its monitor, whose tag is `[alias | callRef]`. */
  readonly callRef: Bytes;
  /** Of a call without an alias, as before OTP 24: the tag is the reference. */
  readonly oldRef: Bytes;
  readonly spawnRef: Bytes;
  /** A spawn that is not answered yet, with a monitor. */
  readonly openSpawn: Bytes;
  /** A spawn with a link and no monitor. */
  readonly linkSpawn: Bytes;
  readonly nameRef: Bytes;
  readonly #lastRef: Bytes;

  private constructor(commander: Peer, worker: Peer) {
    this.commander = commander;
    this.worker = worker;
    this.caller = commander.pid(100);
    this.linked = commander.pid(101);
    this.leader = commander.pid(102);
    this.hidden = commander.pid(103);
    this.server = worker.pid(50);
    this.child = worker.pid(60);
    const refs = Array.from({ length: 7 }, () => commander.ref());
    [this.callRef, this.oldRef, this.spawnRef, this.openSpawn, this.linkSpawn, this.nameRef, this.#lastRef] = refs as [
      Bytes,
      Bytes,
      Bytes,
      Bytes,
      Bytes,
      Bytes,
      Bytes,
    ];
  }

  /** The commander calls, spawns, links and monitors; the worker has heard all of it. */
  static async begin(commander: Peer, worker: Peer): Promise<Session> {
    const s = new Session(commander, worker);
    const { caller, linked, leader, server } = s;
    const toServer = op.regSend(caller, "server");
    for (const reference of [s.callRef, s.oldRef, s.#lastRef, s.nameRef]) {
      commander.send(op.monitor(caller, atom("server"), reference));
    }
    commander.send(toServer, genCall(caller, s.callRef, atom("ask")));
    commander.send(toServer, tuple(atom("$gen_call"), tuple(caller, s.oldRef), atom("ask")));
    commander.send(op.link(linked, server));
    const spawns: [Bytes, string][] = [
      [s.spawnRef, "monitor"],
      [s.openSpawn, "monitor"],
      [s.linkSpawn, "link"],
    ];
    for (const [reference, option] of spawns) {
      commander.send(op.spawnRequest(reference, caller, leader, ["m", "f", 0], option), NIL);
    }
    commander.send(toServer, genCall(caller, s.#lastRef, atom("last")));
    await worker.hear(({ payload }) => payload.endsWith(",last}"));
    worker.send(op.spawnReply(s.spawnRef, caller, 2, s.child));
    await commander.hear(({ control }) => control.startsWith("{31,"));
    return s;
  }

  /** `{Tag, Value}`, the answer to the call. */
  answer(value: Bytes): Bytes {
    return tuple(alias(this.callRef), value);
  }

  /** The answer, at the alias, as a server gives it. */
  reply(value: Bytes, to: Bytes = this.callRef): void {
    this.worker.send(op.aliasSend(this.server, to), this.answer(value));
  }

  /** All that the commander has heard by the time that an honest answer, sent after everything else, has come. */
  async arrived(): Promise<string[]> {
    const before = this.commander.heard.length;
    this.worker.send(op.aliasSend(this.server, this.#lastRef), tuple(alias(this.#lastRef), atom("at-last")));
    await this.commander.hear(({ payload }) => payload.endsWith(",at-last}"));
    return this.commander.heard.slice(before, -1).map(({ control, payload }) => `${control} ${payload}`.trim());
  }

  /** The gateway has closed both legs; what the commander heard of it. */
  async closed(): Promise<string[]> {
    const before = this.commander.heard.length;
    await Promise.all([this.worker.raw.untilClosed(), this.commander.hear(() => false).catch(() => undefined)]);
    await this.commander.raw.untilClosed();
    return this.commander.heard.slice(before).map(({ control, payload }) => `${control} ${payload}`.trim());
  }

  /** What the gateway has told the worker since it was asked last. */
  async told(): Promise<string[]> {
    const before = this.worker.heard.length;
    this.commander.send(op.regSend(this.caller, "server"), atom("told"));
    await this.worker.hear(({ payload }) => payload === "told");
    return this.worker.heard.slice(before, -1).map(({ control, payload }) => `${control} ${payload}`.trim());
  }

  destroy(): void {
    this.commander.raw.destroy();
    this.worker.raw.destroy();
  }
}

/** A pid or reference of nobody here. */
export const FOREIGN_PID: Bytes = pid(THIRD, 9, 0, 5);
export const FOREIGN_REF: Bytes = ref(THIRD, 5, 1, 2, 3);

/** `fun M:F/A`. */
export function exportFun(module: string, fn: string, arity: number): Bytes {
  return join(u8(113), atom(module), atom(fn), u8(97), u8(arity));
}

/** `{io_request, From, ReplyAs, Request}` */
export function ioRequest(from: Bytes, request: Bytes): Bytes {
  return tuple(atom("io_request"), from, atom("as"), request);
}

export const PUT_OS_CMD: Bytes = tuple(
  atom("put_chars"),
  atom("unicode"),
  atom("os"),
  atom("cmd"),
  list(list(u8chars("id"))),
);

function u8chars(text: string): Bytes {
  const bytes = Buffer.from(text, "latin1");
  return join(u8(107), Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes);
}

export { Raw };
