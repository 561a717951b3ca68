import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Octets of the header of a TLS record; the last two are the length of what follows. */
const RECORD_HEADER = 5;

/** What happens to one direction of a connection from its start. */
export interface WayPlan {
  /** Milliseconds before each chunk goes on; asked for each. */
  readonly delayMs?: () => number;
  /** Chunks are cut into pieces of so many octets. */
  readonly bytesAtOnce?: number;
  /** The TLS record of this number, from 0, and all after it wait for `release`. */
  readonly holdRecord?: number;
}

/** What happens to a connection from its start. */
export interface LinkPlan {
  readonly toAcceptor?: WayPlan;
  readonly toDialler?: WayPlan;
}

type NextChunk = "corrupt" | "duplicate" | "lose";

/** One direction of a connection. What it does to bytes can be changed at any time. */
export class Way {
  readonly #to: Socket;
  readonly #plan: WayPlan;
  readonly #moved: () => void;
  readonly #queue: (Buffer | "end")[] = [];
  #next: NextChunk | undefined;
  #isHeld = false;
  #isReleased = false;
  #isSwallowed = false;
  #isWaiting = false;
  #header = 0;
  #length = 0;
  #left = 0;
  #records = 0;

  constructor(from: Socket, to: Socket, plan: WayPlan, moved: () => void) {
    this.#to = to;
    this.#plan = plan;
    this.#moved = moved;
    from.on("data", (chunk: Buffer) => this.#take(chunk));
    from.on("end", () => {
      // Nobody will end it from the other side.
      if (this.#isSwallowed || to.destroyed) from.end();
      else this.#push("end");
    });
    from.on("error", () => {
      if (!this.#isSwallowed) to.resetAndDestroy();
    });
  }

  /** True while something waits for `release`. */
  get isHolding(): boolean {
    return this.#isHeld && this.#queue.length > 0;
  }

  /** TLS records begun so far. */
  get records(): number {
    return this.#records;
  }

  /** Lets go what was held, and holds nothing more. */
  release(): void {
    this.#isHeld = false;
    this.#isReleased = true;
    this.#pump();
  }

  /** From now on bytes vanish, and so does the end of the connection: the other side hears nothing more this way. */
  swallow(): void {
    this.#isSwallowed = true;
    this.#queue.length = 0;
  }

  /** One octet of the next chunk is another one, is there twice with all the chunk, or is missing. */
  spoilNext(how: NextChunk): void {
    this.#next = how;
  }

  /** Ends this direction; the other one goes on. */
  halfClose(): void {
    this.#isSwallowed = true;
    this.#to.end();
  }

  #take(chunk: Buffer): void {
    this.#moved();
    if (this.#isSwallowed) return;
    const bytes = this.#spoil(chunk);
    const until = this.#splitAt(bytes);
    const size = this.#plan.bytesAtOnce ?? bytes.length;
    for (let at = 0; at < until; at += size) this.#push(bytes.subarray(at, Math.min(at + size, until)));
    if (until === bytes.length) return;
    // What is before the record to hold has to leave first.
    this.#drainNow();
    this.#isHeld = true;
    this.#push(bytes.subarray(until));
  }

  #spoil(chunk: Buffer): Buffer {
    const how = this.#next;
    this.#next = undefined;
    // Behind a header, so that the record itself is what does not fit.
    const at = Math.min(chunk.length - 1, RECORD_HEADER + 3);
    switch (how) {
      case undefined:
        return chunk;
      case "duplicate":
        return Buffer.concat([chunk, chunk]);
      case "lose":
        return Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + 1)]);
      case "corrupt": {
        const other = Buffer.from(chunk);
        other[at] = (other[at] ?? 0) ^ 0x10;
        return other;
      }
    }
  }

  /** Counts records; gives where the one to hold begins, or the length of the chunk. */
  #splitAt(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      if (this.#header === 0) {
        if (this.#records === this.#plan.holdRecord && !this.#isHeld && !this.#isReleased) return at;
        this.#records++;
      }
      const octet = chunk[at++] ?? 0;
      if (this.#header === 3) this.#length = octet * 256;
      if (++this.#header < RECORD_HEADER) continue;
      this.#left = this.#length + octet;
      this.#header = 0;
    }
    return chunk.length;
  }

  #push(item: Buffer | "end"): void {
    if (this.#isSwallowed) return;
    this.#queue.push(item);
    this.#pump();
  }

  #pump(): void {
    if (this.#isHeld || this.#isWaiting || this.#queue.length === 0) return;
    const delayMs = this.#plan.delayMs?.() ?? 0;
    if (delayMs <= 0) {
      this.#pass();
      this.#pump();
      return;
    }
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      if (!this.#isHeld) this.#pass();
      this.#pump();
    }, delayMs);
  }

  #drainNow(): void {
    while (this.#queue.length > 0) this.#pass();
  }

  #pass(): void {
    const item = this.#queue.shift();
    if (item === undefined || this.#to.destroyed) return;
    this.#moved();
    if (item === "end") this.#to.end();
    else this.#to.write(item);
  }
}

/** One connection through the proxy. */
export interface Link {
  /** From 0, in the order in which they came. */
  readonly number: number;
  readonly toAcceptor: Way;
  readonly toDialler: Way;
  /** Both directions vanish: neither side hears of the other again, not even of its end. */
  blackHole(): void;
  /** Both sides hear a reset. */
  reset(): void;
}

/** A TCP relay that does to bytes and connections what a network, or somebody in it, can do. */
export class FaultProxy {
  readonly #server: Server;
  readonly #links = new Map<Link, readonly [Socket, Socket]>();
  #made = 0;
  #movedAt = 0;
  /** Asked for each new connection, with its number. */
  plan: (number: number) => LinkPlan = () => ({});
  /** Told of each new connection. */
  onLink: (link: Link) => void = () => undefined;

  private constructor(targetPort: () => number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (dialler) => {
      const acceptor = connect({ port: targetPort(), host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
      this.#add(dialler, acceptor);
    });
  }

  static async start(targetPort: () => number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    await new Promise<void>((done) => proxy.#server.listen(0, "127.0.0.1", done));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections of which a side is still open. */
  get links(): readonly Link[] {
    return [...this.#links.keys()];
  }

  /** Resolves when nothing has moved for so long. */
  async quiet(forMs: number): Promise<void> {
    for (let left = forMs; left > 0; left = forMs - (performance.now() - this.#movedAt))
      await new Promise((resolve) => setTimeout(resolve, left));
  }

  close(): void {
    this.#server.close();
    for (const sockets of this.#links.values()) for (const socket of sockets) socket.destroy();
  }

  #add(dialler: Socket, acceptor: Socket): void {
    const number = this.#made++;
    const plan = this.plan(number);
    const moved = (): void => {
      this.#movedAt = performance.now();
    };
    moved();
    const toAcceptor = new Way(dialler, acceptor, plan.toAcceptor ?? {}, moved);
    const toDialler = new Way(acceptor, dialler, plan.toDialler ?? {}, moved);
    const link: Link = {
      number,
      toAcceptor,
      toDialler,
      blackHole() {
        toAcceptor.swallow();
        toDialler.swallow();
      },
      reset() {
        dialler.resetAndDestroy();
        acceptor.resetAndDestroy();
      },
    };
    this.#links.set(link, [dialler, acceptor]);
    for (const [socket, other] of [
      [dialler, acceptor],
      [acceptor, dialler],
    ] as const)
      socket.on("close", () => {
        moved();
        if (other.readableEnded) other.end();
        if (dialler.destroyed && acceptor.destroyed) this.#links.delete(link);
      });
    this.onLink(link);
  }
}
