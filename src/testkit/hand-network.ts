import { SallyportError } from "../base/errors.ts";
import type { AcceptHandler, Carrier, CarrierDialer, CarrierInfo, CarrierSink } from "../carrier/carrier.ts";

// A network that moves one chunk, one opening or one close at a time, each when the test says so.

export type Item = { readonly bytes: Uint8Array } | { readonly closed: SallyportError | undefined };

/** What an item is for the question whether two states are the same: a size, or a close. */
export const shape = (item: Item): number | string => ("bytes" in item ? item.bytes.length : "x");

/** One end; `out` is on its way to the other one. */
export class HandCarrier implements Carrier {
  sink: CarrierSink | undefined;
  readonly out: Item[] = [];
  readonly #info: CarrierInfo;
  #over = false;

  constructor(info: CarrierInfo) {
    this.#info = info;
  }

  get over(): boolean {
    return this.#over;
  }
  open(): never {
    throw new Error("one channel only");
  }
  write(_channel: number, bytes: Uint8Array): boolean {
    if (!this.#over) this.out.push({ bytes: Buffer.from(bytes) });
    return true;
  }
  flush(): void {}
  reset(): void {
    this.destroy();
  }
  info(): CarrierInfo {
    return this.#info;
  }
  pendingBytes(): number {
    return 0;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.#close(undefined);
  }
  destroy(): void {
    this.#close(new SallyportError("ERR_CLOSED", "CONNECTION_RESET", "reset"));
  }
  take(item: Item): void {
    if (this.#over) return;
    if ("bytes" in item) {
      this.sink?.bytes(0, Buffer.from(item.bytes));
      return;
    }
    this.#over = true;
    this.out.push({ closed: item.closed });
    this.sink?.closed(item.closed);
  }
  #close(cause: SallyportError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.out.push({ closed: cause });
    this.sink?.closed(cause);
  }
}

export interface Link {
  readonly label: string;
  readonly from: HandCarrier;
  readonly to: HandCarrier;
  accept: (() => void) | undefined;
  /** What has been moved each way, by shape: part of what makes two states the same. */
  readonly moved: [string, string];
}

/** What the two ends of a connection learn; `number` counts the connections of the network. */
export type EndInfos = (number: number) => { readonly dialler: CarrierInfo; readonly acceptor: CarrierInfo };

export class HandNetwork {
  readonly links: Link[] = [];
  readonly #accepts = new Map<string, AcceptHandler>();
  readonly #infos: EndInfos;
  #made = 0;

  constructor(infos: EndInfos) {
    this.#infos = infos;
  }

  /** Who listens under `host` from now on. */
  listen(host: string, accept: AcceptHandler): void {
    this.#accepts.set(host, accept);
  }

  /** Dials by the host of the address; its links are called `label` and a number. */
  dialer(label: string): CarrierDialer {
    let dialled = 0;
    return {
      dial: ({ host }, _serverName, sink) => {
        const infos = this.#infos(++this.#made);
        const [from, to] = [new HandCarrier(infos.dialler), new HandCarrier(infos.acceptor)];
        from.sink = sink;
        const accept = () => {
          const handler = this.#accepts.get(host);
          if (handler === undefined) throw new Error(`nobody listens at ${host}`);
          to.sink = handler(to, { release: () => {} });
          if (!to.over) to.sink.opened(infos.acceptor);
          if (!from.over) sink.opened(infos.dialler);
        };
        this.links.push({ label: `${label}${++dialled}`, from, to, accept, moved: ["", ""] });
        return from;
      },
    };
  }

  /** What the network can do next. */
  options(): string[] {
    return this.links.flatMap(({ label, from, to, accept }) => {
      if (accept !== undefined) return [`open ${label}`];
      return [...(from.out.length > 0 ? [`move ${label}>`] : []), ...(to.out.length > 0 ? [`move ${label}<`] : [])];
    });
  }

  /** The connection of an option. */
  linkOf(option: string): Link | undefined {
    const name = option.slice(option.indexOf(" ") + 1).replace(/[<>]$/, "");
    return this.links.find(({ label }) => label === name);
  }

  /** Does one of its options. */
  take(option: string): void {
    const link = this.linkOf(option);
    if (link === undefined) throw new Error(`no connection for ${option}`);
    if (option.startsWith("open")) {
      link.accept?.();
      link.accept = undefined;
      return;
    }
    const [sender, taker, way] = option.endsWith(">") ? [link.from, link.to, 0] : [link.to, link.from, 1];
    const item = sender.out.shift();
    if (item === undefined) return;
    link.moved[way as 0 | 1] += `${shape(item)} `;
    taker.take(item);
  }

  /** Part of what makes two states the same. */
  key(): unknown {
    return this.links.map(({ label, from, to, accept, moved }) => [
      label,
      accept !== undefined,
      moved,
      from.over,
      to.over,
      from.out.map(shape),
      to.out.map(shape),
    ]);
  }
}
