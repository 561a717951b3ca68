import type { Timer } from "../base/clock.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import type { CommandWorld } from "./command-world.ts";
import { eventOutput, type GatewayOutput, noticeOutput, outputJson } from "./gateway-events.ts";
import { outputLines } from "./gateway-lines.ts";
import { GatewayNews } from "./gateway-news.ts";

/** Prints what happens to a gateway, in order; what happens before `begin` waits, so that `listening` is the first line. */
export class GatewayPrinter {
  readonly #world: CommandWorld;
  readonly #news = new GatewayNews();
  #early: { readonly output: GatewayOutput; readonly atMs: number }[] | undefined = [];
  #timer: Timer | undefined;
  #isOver = false;

  constructor(world: CommandWorld) {
    this.#world = world;
  }

  /** For the options of the gateway. */
  readonly listeners: Pick<GatewayOptions, "onEvent" | "onMessage" | "onNotice"> = {
    onEvent: (event) => {
      // Of two connections that crossed one goes on: nothing was refused.
      if (event.kind === "refused" && event.error?.reason === "OTHER_CONNECTION_WINS") return;
      const output = eventOutput(event);
      const isSession = output.event === "up" || output.event === "down";
      if (isSession) this.#printNews(this.#news.session(output, this.#now()));
      else this.#printNews(output.event === "refused" ? this.#news.refused(output, this.#now()) : output);
    },
    onMessage: (message) => this.#printNews(this.#news.message(message, this.#now())),
    onNotice: (notice) => this.print(noticeOutput(notice)),
  };

  begin(first: GatewayOutput): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    this.print(first);
    for (const { output, atMs } of early) this.#print(output, atMs);
  }

  print(output: GatewayOutput): void {
    const atMs = this.#world.clock.wallMs();
    if (this.#early === undefined) this.#print(output, atMs);
    else this.#early.push({ output, atMs });
  }

  /** Other rules count: what is refused under them is news. */
  forget(): void {
    this.#news.forget();
  }

  /** Tells what was only counted, then the last word. Idempotent. */
  stop(last?: GatewayOutput): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#summarise();
    if (last !== undefined) this.print(last);
  }

  #printNews(output: GatewayOutput | undefined): void {
    if (output !== undefined) this.print(output);
    const { endsAt } = this.#news;
    if (endsAt !== undefined && !this.#isOver)
      this.#timer ??= this.#world.clock.at(endsAt, () => this.#summarise(), true);
  }

  #summarise(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const output of this.#news.drain()) this.print(output);
  }

  #now() {
    return this.#world.clock.now();
  }

  #print(output: GatewayOutput, atMs: number): void {
    const { terminal } = this.#world;
    if (terminal.json) terminal.document(outputJson(output, atMs));
    else terminal.line(outputLines(output, atMs, terminal.colours));
  }
}
