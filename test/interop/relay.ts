import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

export interface RelayOptions {
  readonly targetPort: () => number | Promise<number>;
  /**
   * Capabilities to take out of both sides' flags. The digests do not cover them (otp-distribution section 2.4), so this
   * makes a real BEAM behave like a peer without them. TCP only.
   */
  readonly withoutFlags?: bigint;
}

/** A TCP relay between two nodes that can lose one side of its connections without the other one noticing. */
export interface Relay {
  readonly port: number;
  /** Pairs that are open on both sides. */
  readonly open: number;
  /** Closes the dialling sides; the accepting sides stay open and silent, as after a cable was pulled. */
  loseDiallers(): void;
  /** Ends everything. */
  close(): void;
}

export async function startRelay(options: RelayOptions): Promise<Relay> {
  const pairs = new Set<{ readonly dialler: Socket; readonly acceptor: Socket }>();
  const all = new Set<Socket>();
  const server = createServer(async (dialler) => {
    const acceptor = createConnection({ host: "127.0.0.1", port: await options.targetPort() });
    const pair = { dialler, acceptor };
    pairs.add(pair);
    for (const [from, to] of [
      [dialler, acceptor],
      [acceptor, dialler],
    ] as const) {
      all.add(from);
      from.setNoDelay(true);
      from.on("error", () => {});
      const editor = new FlagEditor(options.withoutFlags ?? 0n);
      from.on("data", (chunk) => {
        if (pairs.has(pair) && !to.write(editor.edit(chunk))) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
      from.on("close", () => {
        all.delete(from);
        if (pairs.delete(pair)) to.end();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return pairs.size;
    },
    loseDiallers() {
      for (const pair of [...pairs]) {
        pairs.delete(pair);
        pair.dialler.destroy();
      }
    },
    close() {
      server.close();
      for (const socket of all) socket.destroy();
    },
  };
}

/** Clears flags in the first `N` message of one direction: the name of the dialler, the challenge of the acceptor. */
class FlagEditor {
  #mask: bigint;
  #held: Buffer = Buffer.alloc(0);

  constructor(mask: bigint) {
    this.#mask = mask;
  }

  edit(chunk: Buffer): Buffer {
    if (this.#mask === 0n) return chunk;
    this.#held = Buffer.concat([this.#held, chunk]);
    const ready: Buffer[] = [];
    while (this.#mask !== 0n && this.#held.length >= 2 && this.#held.length >= 2 + this.#held.readUInt16BE(0)) {
      const end = 2 + this.#held.readUInt16BE(0);
      const frame = this.#held.subarray(0, end);
      this.#held = this.#held.subarray(end);
      if (frame[2] === 0x4e) {
        frame.writeBigUInt64BE(frame.readBigUInt64BE(3) & ~this.#mask, 3);
        this.#mask = 0n;
      }
      ready.push(frame);
    }
    if (this.#mask === 0n) {
      ready.push(this.#held);
      this.#held = Buffer.alloc(0);
    }
    return Buffer.concat(ready);
  }
}
